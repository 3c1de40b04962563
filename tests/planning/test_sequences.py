import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.planning.sequences import draw_noise, next_start, noise_filter, scores_of

PAPER = (0.25, 0.8, 0.0)


def test_the_filter_leaves_two_steps_and_feeds_back_what_it_made() -> None:
    """By hand: n0 = e0, n1 = e1, n2 = .5 e2 + .4 n1 + .2 n0, n3 = .5 e3 + .4 n2 + .2 n1."""
    white = np.array([1.0, 10.0, 100.0, 1000.0])
    by_hand = [1, 10, 50 + 4 + 0.2, 500 + 0.4 * 54.2 + 2]
    np.testing.assert_allclose(noise_filter(4, (0.5, 0.4, 0.2)) @ white, by_hand)


@pytest.mark.parametrize("horizon", [1, 2])
def test_short_noise_is_not_filtered(horizon: int) -> None:
    np.testing.assert_array_equal(noise_filter(horizon, PAPER), np.eye(horizon))


def test_noise_settles_where_the_recursion_does() -> None:
    noise = draw_noise(np.random.default_rng(0), (4000, 40, 2), 2.0, PAPER)
    spread = noise.std(axis=(0, 2))
    np.testing.assert_allclose(spread[:2], 2.0, rtol=0.03)
    np.testing.assert_allclose(spread[20:], 2 * 0.25 / np.sqrt(1 - 0.8**2), rtol=0.05)
    # each sequence and each action has noise of its own
    assert abs(np.corrcoef(noise[:, 5, 0], noise[:, 5, 1])[0, 1]) < 0.05


def test_the_next_step_starts_one_action_later() -> None:
    plan = np.array([[1.0], [2.0], [3.0]])
    np.testing.assert_array_equal(next_start(plan, "mean"), [[2], [3], [0]])
    np.testing.assert_array_equal(next_start(plan, "repeat"), [[2], [3], [3]])
    np.testing.assert_array_equal(next_start(plan[:1], "repeat"), [[1]])
    np.testing.assert_array_equal(plan, [[1], [2], [3]])


def test_scores_must_be_numbers() -> None:
    sequences = np.zeros((3, 2, 1))
    with pytest.raises(VipOfflineError, match="2 of 3 scores"):
        scores_of(lambda tried: np.array([0, np.nan, np.inf]), sequences)
    with pytest.raises(ValueError, match=r"\(2,\)"):
        scores_of(lambda tried: np.zeros(2), sequences)
