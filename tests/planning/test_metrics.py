import numpy as np
import pytest

from vip_offline.planning.metrics import agreement, cumulative, first_solved, pose_error


def test_cumulative_success_stays() -> None:
    np.testing.assert_array_equal(
        cumulative([[0, 1, 0, 1], [0, 0, 0, 0]]), [[0, 1, 1, 1], [0, 0, 0, 0]]
    )


def test_steps_to_the_first_success() -> None:
    assert first_solved([False, False, True, False]) == 3
    assert first_solved([False, False]) is None


def test_pose_error_is_of_its_columns_alone() -> None:
    states = np.array([[0.0, 3.0, 9.0, 4.0], [1.0, 0.0, 9.0, 0.0]])
    np.testing.assert_allclose(pose_error(states, np.zeros(4), [1, 3]), [5, 0])


def test_agreement_by_hand() -> None:
    """The reward of a step is that of the frame after it: the first frame has no part."""
    distances = [100.0, 4.0, 3.0, 1.0, 0.0]
    same = agreement(distances, [-8.0, -6.0, -2.0, 0.0])
    assert same.pearson == pytest.approx(1) and same.spearman == pytest.approx(1)
    curved = agreement(distances, np.exp([-4.0, -3.0, -1.0, 0.0]))
    assert curved.spearman == pytest.approx(1) and 0.8 < curved.r_squared < 0.99
    against = agreement(distances, [8.0, 6.0, 2.0, 0.0])
    assert against.pearson == pytest.approx(-1) and against.r_squared == pytest.approx(1)


def test_no_agreement_of_what_never_changes() -> None:
    assert np.isnan(agreement([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).pearson)
    assert np.isnan(agreement([1.0, 2.0, 3.0, 1.0], [2.0, 2.0, 2.0]).spearman)
    assert np.isnan(agreement([1.0, 2.0, 3.0], [1.0, 2.0]).pearson)
