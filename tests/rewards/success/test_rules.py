import numpy as np
import pytest

from vip_offline.rewards.success.rules import (
    Rule,
    auc,
    discriminant,
    edges,
    end_score,
    held_scores,
    verdict,
)


def test_passing_by_is_no_success() -> None:
    passing = np.array([9.0, 5, 1, 1, 5, 9])
    assert end_score(passing, 2) == 9
    assert held_scores(passing, 3).min() == 5  # two frames near are not three
    assert held_scores(passing, 2).tolist() == [np.inf, 9, 5, 1, 5, 9]
    assert end_score(np.array([4.0]), 5) == 4


def test_scores_by_hand() -> None:
    goals = np.array([[0, 0], [2, 0]], np.float32)
    rows, first = np.array([[2, 0], [1, 3]], np.float32), np.array([1, 6], np.float32)
    assert Rule("mean", goals).scores(rows, first) == pytest.approx([1, 3])
    assert Rule("nearest", goals).scores(rows, first) == pytest.approx([0, np.sqrt(10)])
    assert Rule("relative", goals).scores(rows, first) == pytest.approx([1 / 6, 3 / 6])
    ahead = Rule("classes", goals, np.array([1, 0], np.float32), 1.5)
    assert ahead.scores(rows, first) == pytest.approx([-0.5, 0.5])
    moved = Rule("change", goals, np.array([0, 1], np.float32), -4)
    assert moved.scores(rows, first) == pytest.approx([2, -1])


def test_what_differs_between_first_frames_is_not_what_tells_successes() -> None:
    """By hand: a spread of 0.5 and 0.5, or 0.5 and 41, shrunk by 0.2 towards their mean."""
    points = np.array([[2.0, 3], [0, 1], [-2, -1], [0, -3]])
    success = np.array([True, True, False, False])
    still, varied = np.zeros((4, 2)), np.array([[0.0, 9], [0, -9], [0, 9], [0, -9]])
    weight, offset = discriminant(points, success, still)
    assert weight == pytest.approx([4, 8])
    assert offset == pytest.approx(0)
    assert discriminant(points, success, varied)[0] == pytest.approx([2 / 4.55, 4 / 36.95])


def test_frames_that_are_all_the_same_have_a_finite_score() -> None:
    weight, offset = discriminant(np.zeros((4, 3)), np.arange(4) < 2, np.zeros((4, 3)))
    assert np.isfinite([*weight, offset]).all()


def test_the_band_lets_no_more_through_than_is_accepted() -> None:
    generator = np.random.default_rng(0)
    wrong = judged = 0
    for _ in range(2000):
        success, failure = generator.normal(0, 1, 5), generator.normal(2, 1, 5)
        band = edges(success, failure, 0.05)
        assert band[0] <= band[1]
        wrong += verdict(generator.normal(2, 1), band) == "success"
        judged += 1
    assert wrong / judged < 0.05


def test_overlapping_classes_leave_a_band_that_holds_the_overlap() -> None:
    low, high = edges(np.array([1.0, 2, 3, 6]), np.array([2.5, 6, 7, 8]), 0.05)
    assert low <= 2.5
    assert high >= 6
    assert auc([1, 2], [2, 3]) == 0.875
