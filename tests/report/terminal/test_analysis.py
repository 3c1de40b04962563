import io
import math

import numpy as np
from made_up_analysis import make_analysis

from vip_offline.analysis.metrics import Noise, mean_of
from vip_offline.analysis.results import Analysis
from vip_offline.report.terminal.analysis import (
    EPISODES_FLAGGED,
    number,
    over_noise,
    print_analysis,
)
from vip_offline.utils.console import Console


def printed(analysis: Analysis, width: int = 80) -> str:
    out = io.StringIO()
    print_analysis(analysis, Console(file=out, width=width))
    return out.getvalue()


def test_every_row_and_sentence_is_there_in_80_columns() -> None:
    analysis = make_analysis(12, left_out=("Nothing of this was done.",))
    text = printed(analysis)
    for row in analysis.rows:
        assert row.name[:12] in text
    assert "raw pixels *" in text
    flat = " ".join(text.split())
    assert analysis.verdict in flat
    for reason in analysis.reasons:
        assert reason in flat
    assert "Left out: Nothing of this was done." in flat
    assert "no-progress" not in flat or "demo_" in flat
    assert max(len(line) for line in text.splitlines()) <= 80


def test_bumps_and_order_are_of_successes() -> None:
    analysis = make_analysis(10)
    row = analysis.rows[0]
    expected = number(mean_of(row.bumps[analysis.success]))
    everything = number(mean_of(row.bumps))
    line = next(line for line in printed(analysis).splitlines() if row.name[:8] in line)
    assert expected in line
    assert expected == everything or everything not in line.split()
    failures = make_analysis(4, outcomes="failures")
    assert number(mean_of(failures.rows[0].bumps)) in printed(failures)


def test_what_is_not_known_is_a_dash() -> None:
    text = printed(make_analysis(4, outcomes="successes", nan=True, thumbnails=False))
    assert "nan" not in text
    assert number(math.nan) == "-"
    assert math.isnan(mean_of(np.array([math.nan])))


def test_names_are_no_markup() -> None:
    text = printed(make_analysis(6, odd=True, flagged=range(6)))
    assert "<b>bold" in text
    assert "$x_1$" in text


def test_many_suspicious_episodes_are_counted() -> None:
    text = printed(make_analysis(20, flagged=range(20)))
    assert f"and {20 - EPISODES_FLAGGED} more suspicious episodes" in text


def test_signal_over_noise() -> None:
    row = make_analysis(4).rows[0]
    assert row.noise is not None
    assert over_noise(row, 5) == row.signal[5] / row.noise.step
    assert math.isnan(over_noise(make_analysis(4, nan=True).rows[0], 5))
    clock = make_analysis(4).rows[-1]
    assert clock.noise == Noise(0.0, 0)
    assert math.isnan(over_noise(clock, 1))
