import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_analysis import make_analysis

from vip_offline.analysis.decision_rule import best_threshold, cases_of, leave_one_task_out
from vip_offline.analysis.metrics import Separation, separation
from vip_offline.analysis.recommendation import HELPS, SURELY, TESTED, recommend
from vip_offline.analysis.results import Analysis, Row

RESULTS = Path(__file__).parents[2] / "recipes" / "results"


GOOD, BAD = (5.0, 6.0, 7.0, 8.0, 9.0, 10.0), (0.0, 1.0, 2.0, 3.0, 4.0, 4.5)
MIXED = (*GOOD[:3], *BAD[:3]), (*GOOD[3:], *BAD[3:])  # a score that says nothing
SUCCESS = np.repeat([True, False], 6)


def with_shares(row: Row, on: float, of: float = 0.3) -> Row:
    """The row, as if its weights put so much on successes."""
    weightings = [replace(w, on_successes=on, of_successes=of, tau=1.0) for w in row.weightings]
    return replace(row, weightings=tuple(weightings))


def with_score(row: Row, good: Sequence[float], bad: Sequence[float]) -> Row:
    """The row, as if successes and failures had come so much nearer to the goal."""
    score = np.array([*good, *bad])
    success = np.arange(len(score)) < len(good)
    distances = tuple(np.array([20.0, 20.0 - value]) for value in score)
    return replace(row, distances=distances, order=np.ones(len(score)),
                   came_closer=separation(score, success))  # fmt: skip


def rows_of(**scores: tuple[Sequence[float], Sequence[float]]) -> list[Row]:
    """Labellings of these names, and the controls, with weights of which 90 % are on successes."""
    names = [score for score in scores if score not in ("pixels", "random", "time")]
    analysis = make_analysis(names=names)
    controls = dict(zip(("raw pixels", "random network", "time"), ("pixels", "random", "time"),
                        strict=True))  # fmt: skip
    rows = []
    for row in analysis.rows:
        scored = with_score(row, *scores.get(controls.get(row.name, row.name), MIXED))
        rows.append(with_shares(scored, 0.4 if row.control else 0.9))
    return rows


def verdict(analysis: Analysis, labelling: float, control: float) -> tuple[str, str]:
    rows = [with_shares(row, control if row.control else labelling) for row in analysis.rows]
    conclusion, reasons = recommend(rows, analysis.success)
    return conclusion, " ".join(reasons)


def test_constants_are_those_of_the_results() -> None:
    """Change a result, or the rule, and the constants must follow."""
    files = sorted(RESULTS.glob("*.json"))
    cases = [case for file in files for case in cases_of(json.loads(file.read_text()))]
    assert leave_one_task_out(cases) == TESTED
    assert leave_one_task_out(cases, surely=True) == SURELY
    threshold = best_threshold([case.gain for case in cases], [case.helped for case in cases])
    assert pytest.approx(threshold, abs=0.005) == HELPS


def test_weight_on_successes_decides() -> None:
    analysis = make_analysis(names=("lite0",))
    conclusion, reasons = verdict(analysis, 0.95, 0.3)
    assert conclusion.startswith("RWR is likely to help")
    assert "95% of the weight on successes, 30%" in conclusion
    assert f"{TESTED.right} of {TESTED.cases}" in reasons
    assert "--only-successes" in reasons
    conclusion, _ = verdict(analysis, 0.4, 0.3)
    assert conclusion.startswith("RWR cannot be expected to differ from cloning")


def test_an_order_that_any_clock_has_is_no_evidence() -> None:
    analysis = make_analysis(names=("sarm",))
    ordered = [replace(row, order=np.full(12, 0.97)) for row in analysis.rows]
    _, reasons = recommend(ordered, SUCCESS)
    assert any(
        "Order correlation of sarm (0.97): that of a clock is 1.00" in line for line in reasons
    )
    unordered = [replace(row, order=np.full(12, 0.5)) for row in analysis.rows]
    _, reasons = recommend(unordered, SUCCESS)
    assert not any("that of a clock" in line for line in reasons)


def test_better_than_any_control_is_said_where_every_interval_excludes_0() -> None:
    conclusion, _ = recommend(rows_of(lite0=(GOOD, BAD)), SUCCESS)
    assert "tells successes from failures better than any control" in conclusion
    assert "as well" not in conclusion
    assert "not significantly" not in conclusion


@pytest.mark.parametrize(
    ("control", "words"),
    [
        ("pixels", "raw pixels do as well (AUC 0.97, difference 0.03, 95 % CI 0.00 to"),
        ("random", "a random network does as well (AUC 0.97, difference 0.03, 95 % CI 0.00 to"),
        ("time", "the length of an episode alone does as well (AUC 0.97, difference 0.03, 95 % CI"),
    ],
)
def test_a_control_that_does_as_well_is_named_with_numbers(control: str, words: str) -> None:
    nearly = (4.2, *GOOD[1:]), BAD  # one success of six below one failure of six
    conclusion, _ = recommend(rows_of(lite0=(GOOD, BAD), **{control: nearly}), SUCCESS)
    assert "likely to help" in conclusion
    assert "a control would do the same" in conclusion
    assert words in conclusion
    assert "any control" not in conclusion


def test_a_large_difference_may_still_be_chance() -> None:
    half = (GOOD[0], GOOD[1], *BAD[2:]), (*GOOD[4:], *BAD[:4])
    lite0 = (*GOOD[1:], BAD[3]), (*BAD[1:], GOOD[3])
    conclusion, _ = recommend(rows_of(lite0=lite0, pixels=half), SUCCESS)
    assert "it is not significantly different from raw pixels" in conclusion


def test_a_clock_that_points_backwards_tells_all_the_same() -> None:
    backwards = tuple(-distance for distance in GOOD), tuple(-distance for distance in BAD)
    conclusion, _ = recommend(rows_of(lite0=(GOOD, BAD), time=backwards), SUCCESS)
    assert "the length of an episode alone does as well (AUC 1.00" in conclusion


def test_a_control_whose_weights_fall_as_well_is_named() -> None:
    rows = [with_shares(row, 0.9) for row in rows_of(lite0=(GOOD, BAD))]
    conclusion, _ = recommend(rows, SUCCESS)
    assert "raw pixels put as much of the weight on successes (90%)" in conclusion


def test_a_control_that_does_better_is_named() -> None:
    conclusion, _ = recommend(rows_of(lite0=MIXED, pixels=(GOOD, BAD)), SUCCESS)
    assert "raw pixels do better (AUC 1.00" in conclusion


def test_few_episodes_give_no_claim() -> None:
    rows = rows_of(lite0=(GOOD[:2], BAD[:2]), pixels=(BAD[:2], GOOD[:2]),
                   random=(BAD[:2], GOOD[:2]), time=(BAD[:2], BAD[:2]))  # fmt: skip
    conclusion, _ = recommend(rows, SUCCESS[4:8])
    assert (
        "it is not significantly different from raw pixels (AUC 0.00, difference 1.00, too few"
        in conclusion
    )
    assert "2 successes, 2 failures" in conclusion


def test_the_best_of_several_labellings_is_named() -> None:
    conclusion, reasons = recommend(rows_of(weak=MIXED, strong=(GOOD, BAD)), SUCCESS)
    assert "--label strong" in conclusion
    assert "strong has the highest AUC, 1.00 (" in reasons[0]
    assert "then weak (AUC 0.25, difference 0.75, 95 % CI 0.4" in reasons[0]
    assert "told apart" not in reasons[0]


def test_labellings_that_cannot_be_told_apart_are_said_to_be() -> None:
    near = (4.2, *GOOD[1:]), BAD
    conclusion, reasons = recommend(rows_of(weak=near, strong=(GOOD, BAD)), SUCCESS)
    assert "--label strong" in conclusion
    assert (
        "weak (AUC 0.97, difference 0.03, 95 % CI 0.00 to 0.17: not significantly d" in reasons[0]
    )


def test_weight_does_not_outrank_how_well_successes_are_told() -> None:
    rows = rows_of(weak=MIXED, strong=(GOOD, BAD))
    rows = [with_shares(row, 0.6) if row.name == "strong" else row for row in rows]
    conclusion, _ = recommend(rows, SUCCESS)
    assert conclusion.startswith(
        "RWR cannot be expected to differ from cloning: train --label strong"
    )
    assert "--label weak puts 90% there, but tells successes from failures less well" in conclusion


@pytest.mark.parametrize(("outcomes", "word"), [("successes", "failure"), ("failures", "success")])
def test_one_outcome_alone_gives_no_verdict(outcomes: str, word: str) -> None:
    analysis = make_analysis(outcomes=outcomes)
    conclusion, _ = recommend(analysis.rows, analysis.success)
    assert conclusion.startswith(f"No verdict: no episode is marked as a {word}")


def test_rewards_that_cannot_weight_give_no_verdict() -> None:
    analysis = make_analysis(names=("lite0",))
    rows = [replace(row, weightings=()) for row in analysis.rows]
    conclusion, _ = recommend(rows, analysis.success)
    assert conclusion.startswith("No verdict")


def test_reasons_name_what_is_noteworthy() -> None:
    analysis = make_analysis(names=("lite0",))
    row = analysis.rows[0]
    tiny = tuple(reward * 1e-3 for reward in row.rewards)
    noted = replace(row, rewards=tiny, signal={1: 0.1, 20: 0.5},
                    order=np.zeros(len(row.order)))  # fmt: skip
    _, reasons = recommend([noted, *analysis.controls], analysis.success)
    text = " ".join(reasons)
    for part in ("cloning in all but name", "mostly noise", "correlation of 0.00"):
        assert part in text


def test_an_auc_below_chance_points_the_wrong_way() -> None:
    analysis = make_analysis(names=("lite0",))

    def said(low: float, auc: float, high: float) -> str:
        below = Separation(auc, low, high, 10, 20)
        row = replace(analysis.rows[0], came_closer=below, came_closer_moved=below)
        return " ".join(recommend([row, *analysis.controls], analysis.success)[1])

    wrong = said(0.1, 0.2, 0.4)
    assert "lite0: The AUC is 0.20 (0.10 to 0.40): it points the wrong way" in wrong
    assert "moved as far as successes the AUC is 0.20 (0.10 to 0.40): it points the wrong" in wrong
    assert "chance" not in wrong
    unsure = said(0.3, 0.45, 0.6)
    assert "wrong way" not in unsure
    assert "0.45 (0.30 to 0.60): it is not significantly different from chance" in unsure
    assert unsure.count("different from chance") == 2  # all failures; those that moved as far
    assert "AUC is" not in said(0.6, 0.8, 0.9)


def test_controls_at_the_ceiling_are_named() -> None:
    analysis = make_analysis(names=("lite0",))
    pixels = next(control for control in analysis.controls if control.name == "raw pixels")
    perfect = replace(pixels, order=np.full(len(pixels.order), 0.99))
    others = [control for control in analysis.controls if control is not pixels]
    _, reasons = recommend([analysis.rows[0], perfect, *others], analysis.success)
    assert any(reason.startswith("order correlation: raw pixels") for reason in reasons)
