import io
from pathlib import Path

import pytest
from made_up_held_out import ARMS, make_held_out

from vip_offline.report.terminal.comparison import print_outcome
from vip_offline.report.terminal.held_out import held_out_lines
from vip_offline.utils.console import Console


def printed(names: tuple[str, ...] = ARMS, seeds: int = 3) -> str:
    output = io.StringIO()
    _, summary = make_held_out(names, seeds)
    console = Console(file=output, width=80)
    print_outcome(summary, [Path("runs/your-arm/report.html")], console)
    return output.getvalue()


def test_a_line_per_variant_in_eighty_columns() -> None:
    lines = printed().splitlines()
    assert max(map(len, lines)) <= 80
    end = next(place for place, line in enumerate(lines) if line.startswith("3 seed(s)"))
    rows = {line.split()[0]: line.split() for line in lines[:end] if line.split()[:1]}
    _, summary = make_held_out()
    for arm in summary["arms"]:
        assert rows[arm["name"]][1] == f"{arm['error']:.4f}"
    assert rows["rwr-outcome"][-3:] == ["2", "of", "2"]
    assert len(rows["bc"]) == 4  # not compared with itself
    text = " ".join(" ".join(lines).split())
    assert "no success rate" in text and "minutes: train 1.2" in text
    assert "-> runs/your-arm/report.html" in text


def test_the_change_is_that_of_the_mean() -> None:
    _, summary = make_held_out()
    headings, lines = held_out_lines(summary)
    assert headings == ("variant", "error", "lowest seed", "highest seed", "vs bc", "lower in")
    bc, half = summary["arms"][0]["error"], summary["arms"][1]["error"]
    assert lines[1][4] == f"{100 * (half / bc - 1):+.0f} %"
    assert lines[0][4:] == ("", "")


@pytest.mark.parametrize("seeds", [1, 12])
def test_names_are_text_and_long_ones_are_folded(seeds: int) -> None:
    text = printed(("bc", "rwr-return@inverse-temperature=0.123456", "[bold]x[/bold]"), seeds)
    assert "[bold]x[/bold]" in text
    assert max(map(len, text.splitlines())) <= 80
