import numpy as np
from numpy.typing import NDArray

from vip_offline.online.value_function import ValueFunction, value_inputs


def data() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    generator = np.random.default_rng(0)
    observation = generator.normal(size=(512, 3)).astype(np.float32)
    return value_inputs(observation), 1e4 * observation[:, 0].astype(np.float64)


def test_the_time_is_beside_the_observation() -> None:
    inputs = value_inputs(np.full((3, 2), 7, np.float32))
    np.testing.assert_allclose(inputs[:, :2], 7)
    np.testing.assert_allclose(inputs[2, 2:], [2e-3, 4e-6, 8e-9, 16e-12], rtol=1e-5)
    np.testing.assert_array_equal(inputs[0, 2:], 0)


def test_before_the_first_fit_it_says_nothing() -> None:
    inputs, _ = data()
    np.testing.assert_array_equal(ValueFunction(3, seed=0)(inputs), 0)


def test_it_learns_returns_of_any_scale() -> None:
    inputs, returns = data()
    for scale in (1e-6, 1.0):
        value = ValueFunction(3, seed=0)
        losses = [value.fit(inputs, scale * returns, 5, np.random.default_rng(i)) for i in range(6)]
        assert losses[-1] < losses[0] / 5
        wrong = np.abs(value(inputs) - scale * returns).mean()
        assert wrong < 0.2 * scale * np.abs(returns).mean()


def test_the_scale_waits_for_the_first_reward() -> None:
    inputs, returns = data()
    value = ValueFunction(3, seed=0)
    value.fit(inputs, 0 * returns, 1, np.random.default_rng(0))
    for epoch in range(6):
        value.fit(inputs, returns, 5, np.random.default_rng(epoch))
    assert np.abs(value(inputs) - returns).mean() < 0.2 * np.abs(returns).mean()


def test_it_goes_on_bit_for_bit() -> None:
    inputs, returns = data()
    whole, first = ValueFunction(3, seed=0), ValueFunction(3, seed=0)
    for value in (whole, first):
        value.fit(inputs, returns, 1, np.random.default_rng(0))
    second = ValueFunction(3, seed=5)
    second.restore({key: array.copy() for key, array in first.arrays().items()})
    for value in (whole, second):
        value.fit(inputs, returns, 2, np.random.default_rng(1))
    np.testing.assert_array_equal(whole(inputs), second(inputs))
    assert not np.array_equal(whole(inputs), first(inputs))
