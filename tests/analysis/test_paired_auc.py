import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vip_offline.analysis.paired_auc import FEW_EPISODES, auc_difference

RNG = np.random.default_rng(0)
SUCCESS = np.arange(30) < 10
GOOD = 1.5 * SUCCESS + RNG.normal(size=30)


def test_areas_are_those_of_sklearn_with_ties() -> None:
    other = np.round(GOOD)
    difference = auc_difference("a", GOOD, "b", other, SUCCESS)
    assert difference is not None
    assert difference.auc_a == pytest.approx(roc_auc_score(SUCCESS, GOOD))
    assert difference.auc_b == pytest.approx(roc_auc_score(SUCCESS, other))
    assert difference.difference == pytest.approx(difference.auc_a - difference.auc_b)
    assert (difference.successes, difference.failures) == (10, 20)


def test_episodes_are_paired() -> None:
    """A score against itself never differs, whatever is drawn; against a like one it may."""
    same = auc_difference("a", GOOD, "b", 3 * GOOD + 1, SUCCESS)
    like = auc_difference("a", GOOD, "b", 1.5 * SUCCESS + RNG.normal(size=30), SUCCESS)
    assert same is not None
    assert like is not None
    assert (same.low, same.high) == (0, 0)
    assert not same.surely
    assert like.low < 0 < like.high


@pytest.mark.slow
def test_the_interval_is_that_of_drawing_episodes() -> None:
    other = RNG.normal(size=30)
    difference = auc_difference("a", GOOD, "b", other, SUCCESS)
    drawn = []
    for _ in range(4000):
        rows = np.r_[RNG.integers(0, 10, 10), RNG.integers(10, 30, 20)]
        areas = [roc_auc_score(SUCCESS[rows], score[rows]) for score in (GOOD, other)]
        drawn.append(areas[0] - areas[1])
    assert difference is not None
    assert (difference.low, difference.high) == pytest.approx(
        np.quantile(drawn, (0.025, 0.975)), abs=0.02
    )
    assert difference.surely == (difference.low > 0)


def test_what_is_not_known_is_left_out_of_both() -> None:
    gap = GOOD.copy()
    gap[[0, 25]] = np.nan
    difference = auc_difference("a", GOOD, "b", gap, SUCCESS)
    assert difference is not None
    assert (difference.successes, difference.failures) == (9, 19)
    assert difference.difference == 0


def test_without_a_failure_there_is_no_difference() -> None:
    assert auc_difference("a", GOOD, "b", GOOD, np.ones(30, bool)) is None


def test_few_episodes_make_no_claim() -> None:
    rows = np.r_[: FEW_EPISODES - 1, 10:30]
    difference = auc_difference("a", SUCCESS[rows], "b", ~SUCCESS[rows], SUCCESS[rows])
    assert difference is not None
    assert difference.difference == 1
    assert np.isnan(difference.low)
    assert not difference.surely
