import math

import pytest

from vip_offline.analysis.decision_rule import (
    Case,
    best_threshold,
    cases_of,
    gain_of,
    leave_one_task_out,
)


def case(task: str, gain: float, difference: float, low: float = -1.0) -> Case:
    return Case(task, "lite0", "rwr-return", gain, difference, low, 1.0)


def test_gain_goes_from_cloning_everything_to_cloning_successes() -> None:
    assert gain_of(0.3, 0.3) == 0
    assert gain_of(1.0, 0.3) == pytest.approx(1)
    assert gain_of(0.65, 0.3) == pytest.approx(0.5)
    assert gain_of(0.1, 0.3) < 0
    assert gain_of(1.0, 1.0) == 0  # there is no failure to turn away from


def test_the_threshold_lies_between_what_helped_and_what_did_not() -> None:
    assert best_threshold([0.1, 0.2, 0.8, 0.9], [False, False, True, True]) == pytest.approx(0.5)
    assert best_threshold([0.1, 0.9], [False, False]) == math.inf
    # one case out of order costs less than giving the rule up
    threshold = best_threshold([0.1, 0.2, 0.3, 0.8, 0.9], [False, True, False, True, True])
    assert threshold == pytest.approx(0.55)


def test_each_task_is_judged_by_the_others() -> None:
    fits = [case(t, g, d) for t in "abc" for g, d in ((0.1, 0.0), (0.9, 0.5))]
    score = leave_one_task_out(fits)
    assert (score.cases, score.tasks, score.right, score.commonest) == (6, 3, 6, 3)
    assert score.holds
    # a task that is the other way round is not rescued by its own cases
    turned = [*fits, case("d", 0.1, 0.5), case("d", 0.9, 0.0)]
    assert leave_one_task_out(turned).right == 6


def test_a_rule_that_is_no_better_does_not_hold() -> None:
    noise = [case(t, g, 0.0) for t in "ab" for g in (0.1, 0.9)]
    score = leave_one_task_out(noise)
    assert score.right == score.commonest == 4
    assert not score.holds


def test_surely_looks_at_the_interval() -> None:
    cases = [case(t, g, 0.5, low) for t in "ab" for g, low in ((0.5, -0.1), (0.9, 0.1))]
    assert all(case.helped for case in cases)
    assert leave_one_task_out(cases, surely=True).right == 4
    assert leave_one_task_out(cases).commonest == 4


def test_controls_are_no_cases() -> None:
    def arm(name: str, share: float) -> dict[str, object]:
        return {"name": name, "weight_on_successes": share}

    names = ("bc-success", "rwr-return", "rwr-return-permuted", "rwr-return-clock@0.1", "awr")
    summary = {
        "task": "drawer-close",
        "encoder": "lite0",
        "baseline": "bc",
        "arms": [arm("bc", 0.3), *(arm(name, 0.9) for name in names)],
        "differences": [
            *({"a": name, "b": "bc", "mean": 0.4, "low": 0.1, "high": 0.7} for name in names),
            {"a": "rwr-return", "b": "rwr-return-permuted", "mean": 0.4, "low": 0.1, "high": 0.7},
        ],
    }
    (case,) = cases_of(summary)
    assert case.arm == "rwr-return"
    assert case.gain == pytest.approx(0.6 / 0.7)
    assert (case.difference, case.low) == (0.4, 0.1)
    assert case.helped
    assert case.surely
