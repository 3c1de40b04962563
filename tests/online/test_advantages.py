import numpy as np
import pytest

from vip_offline.online.advantages import (
    discounted_returns,
    explained_variance,
    gae,
    whitened,
)

REWARD = np.array([1.0, 2.0])
VALUE = np.array([0.5, 1.0, 2.0])


def test_returns_by_hand() -> None:
    np.testing.assert_allclose(discounted_returns(np.array([1.0, 2.0, 4.0]), 0.5), [3, 4, 4])


def test_advantages_by_hand() -> None:
    """delta_0 = 1 + 0.5 * 1 - 0.5 = 1; cut off, delta_1 = 2 + 0.5 * 2 - 1 = 2."""
    cut_off = gae(REWARD, VALUE, 0.5, 0.5, terminated=False)
    np.testing.assert_allclose(cut_off, [1 + 0.25 * 2, 2])


def test_after_a_terminal_state_nothing_follows() -> None:
    """delta_1 = 2 + 0 - 1 = 1, whatever the value function says of the last observation."""
    for last in (2.0, 100.0):
        value = np.array([0.5, 1.0, last])
        ended = gae(REWARD, value, 0.5, 0.5, terminated=True)
        np.testing.assert_allclose(ended, [1 + 0.25 * 1, 1])


def test_the_ends_of_lambda() -> None:
    generator = np.random.default_rng(0)
    reward, value = generator.normal(size=7), generator.normal(size=8)
    one_step = reward + 0.9 * value[1:] - value[:-1]
    np.testing.assert_allclose(gae(reward, value, 0.9, 0.0, terminated=False), one_step)
    closed = discounted_returns(np.append(reward, value[-1]), 0.9)[:-1]
    np.testing.assert_allclose(gae(reward, value, 0.9, 1.0, terminated=False), closed - value[:-1])


def test_the_arguments_are_left_as_they_are() -> None:
    value = VALUE.copy()
    gae(REWARD, value, 0.5, 0.5, terminated=True)
    np.testing.assert_array_equal(value, VALUE)


def test_whitening_takes_the_scale_away() -> None:
    advantage = np.array([1.0, 2.0, 6.0])
    np.testing.assert_allclose(whitened(1000 * advantage), whitened(advantage), rtol=1e-5)
    assert whitened(advantage).mean() == pytest.approx(0, abs=1e-12)
    assert whitened(advantage).std() == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(whitened(np.ones(3)), 0)


def test_explained_variance() -> None:
    returns = np.array([1.0, 2.0, 3.0])
    assert explained_variance(returns + 5, returns) == pytest.approx(1)  # an offset costs nothing
    assert explained_variance(np.zeros(3), returns) == pytest.approx(0)
    assert explained_variance(-returns, returns) == pytest.approx(-3)
    assert explained_variance(returns, np.ones(3)) == 0
