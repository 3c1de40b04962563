import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_analysis import make_analysis

from vip_offline.report.analysis.evidence import Analysis, Row
from vip_offline.report.analysis.judging import HELPS, SURELY, TESTED, judge
from vip_offline.report.analysis.progress import Separation
from vip_offline.report.analysis.ruling import best_threshold, cases_of, leave_one_task_out

RESULTS = Path(__file__).parents[3] / "recipes" / "results"


def with_shares(row: Row, on: float, of: float = 0.3) -> Row:
    """The row, as if its weights put so much on successes."""
    weightings = [replace(w, on_successes=on, of_successes=of, tau=1.0) for w in row.weightings]
    return replace(row, weightings=tuple(weightings))


def verdict(analysis: Analysis, labelling: float, control: float) -> tuple[str, str]:
    rows = [with_shares(each, control if each.control else labelling) for each in analysis.rows]
    said, reasons = judge(rows, analysis.success)
    return said, " ".join(reasons)


def test_constants_are_those_of_the_results() -> None:
    """Change a result, or the rule, and the constants must follow."""
    files = sorted(RESULTS.glob("*.json"))
    cases = [each for file in files for each in cases_of(json.loads(file.read_text()))]
    assert leave_one_task_out(cases) == TESTED
    assert leave_one_task_out(cases, surely=True) == SURELY
    threshold = best_threshold([each.gain for each in cases], [each.helped for each in cases])
    assert pytest.approx(threshold, abs=0.005) == HELPS


def test_weight_on_successes_decides() -> None:
    analysis = make_analysis(names=("lite0",))
    said, reasons = verdict(analysis, 0.95, 0.3)
    assert said.startswith("RWR is likely to help")
    assert "more than any control" in said
    assert "95% of the weight on successes, 30%" in said
    assert f"{TESTED.right} of {TESTED.cases}" in reasons
    assert "--only-successes" in reasons
    said, _ = verdict(analysis, 0.4, 0.3)
    assert said.startswith("RWR cannot be expected to differ from cloning")


def test_a_reward_no_better_than_pixels_is_said_to_be() -> None:
    said, _ = verdict(make_analysis(names=("lite0",)), 0.95, 0.95)
    assert "no better than raw pixels" in said
    assert "likely to help" in said


def test_the_best_of_several_labellings_is_named() -> None:
    analysis = make_analysis(names=("weak", "strong"))
    rows = [with_shares(each, {"weak": 0.4, "strong": 0.9}.get(each.name, 0.3))
            for each in analysis.rows]  # fmt: skip
    said, _ = judge(rows, analysis.success)
    assert "--label strong" in said


@pytest.mark.parametrize(("outcomes", "word"), [("successes", "failure"), ("failures", "success")])
def test_one_outcome_alone_gives_no_verdict(outcomes: str, word: str) -> None:
    analysis = make_analysis(outcomes=outcomes)
    said, _ = judge(analysis.rows, analysis.success)
    assert said.startswith(f"No verdict: no episode is marked as a {word}")


def test_rewards_that_cannot_weight_give_no_verdict() -> None:
    analysis = make_analysis(names=("lite0",))
    rows = [replace(each, weightings=()) for each in analysis.rows]
    said, _ = judge(rows, analysis.success)
    assert said.startswith("No verdict")


def test_reasons_name_what_is_noteworthy() -> None:
    analysis = make_analysis(names=("lite0",))
    row = analysis.rows[0]
    tiny = tuple(each * 1e-3 for each in row.rewards)
    noted = replace(row, rewards=tiny, signal={1: 0.1, 20: 0.5},
                    order=np.zeros(len(row.order)))  # fmt: skip
    _, reasons = judge([noted, *analysis.controls], analysis.success)
    said = " ".join(reasons)
    for part in ("cloning in all but name", "mostly noise", "correlation of 0.00"):
        assert part in said


def test_an_auc_below_chance_points_the_wrong_way() -> None:
    analysis = make_analysis(names=("lite0",))

    def said(low: float, auc: float, high: float) -> str:
        found = Separation(auc, low, high, 10, 20)
        row = replace(analysis.rows[0], came_closer=found, came_closer_moved=found)
        return " ".join(judge([row, *analysis.controls], analysis.success)[1])

    wrong = said(0.1, 0.2, 0.4)
    assert "lite0: The AUC is 0.20 (0.10 to 0.40): it points the wrong way" in wrong
    assert "moved as far as successes the AUC is 0.20 (0.10 to 0.40): it points the wrong" in wrong
    assert "guess" not in wrong
    unsure = said(0.3, 0.45, 0.6)
    assert "wrong way" not in unsure
    assert "0.45 (0.30 to 0.60): it cannot be told from a guess" in unsure
    assert "AUC is" not in said(0.6, 0.8, 0.9)


def test_controls_at_the_ceiling_are_named() -> None:
    analysis = make_analysis(names=("lite0",))
    pixels = next(each for each in analysis.controls if each.name == "raw pixels")
    perfect = replace(pixels, order=np.full(len(pixels.order), 0.99))
    others = [each for each in analysis.controls if each is not pixels]
    _, reasons = judge([analysis.rows[0], perfect, *others], analysis.success)
    assert any(each.startswith("order correlation: raw pixels") for each in reasons)
