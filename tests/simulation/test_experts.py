import numpy as np
import pytest

from vip_offline.simulation.experts import BEHAVIOURS, FAILURES, PULL, Controls

STATE = np.zeros(39)
WANTED = np.array([0.5, -2.0, 0.25, 1.0])  # beyond the range, as scripted experts are
METAWORLD, OGBENCH = Controls(4, 80.0), Controls(5, 20.0)


class Scripted:
    def get_action(self, state: object) -> np.ndarray:
        return WANTED


class FiveFold:
    def get_action(self, state: object) -> np.ndarray:
        return np.append(WANTED, -1.0)


def actions(kind: str, steps: int = 100, seed: int = 0) -> np.ndarray:
    behaviour = BEHAVIOURS[kind](Scripted(), np.random.default_rng(seed), METAWORLD)
    return np.stack([behaviour(STATE, step) for step in range(steps)])


def test_the_expert_is_left_as_it_is() -> None:
    np.testing.assert_array_equal(actions("expert"), np.tile(WANTED, (100, 1)))


def test_frozen_stops_once_and_for_good() -> None:
    for seed in range(20):
        moving = np.any(actions("frozen", seed=seed) != 0, axis=1)
        stop = int(np.argmin(moving))
        assert 35 <= stop < 61
        assert not moving[stop:].any()


def test_frozen_stops_after_the_same_time_where_control_is_slower() -> None:
    for seed in range(20):
        behaviour = BEHAVIOURS["frozen"](FiveFold(), np.random.default_rng(seed), OGBENCH)
        moving = [bool(behaviour(STATE, step).any()) for step in range(30)]
        assert 9 <= moving.index(False) < 15 and not any(moving[15:])


@pytest.mark.parametrize("kind", BEHAVIOURS)
def test_actions_have_the_size_of_the_simulators(kind: str) -> None:
    behaviour = BEHAVIOURS[kind](FiveFold(), np.random.default_rng(0), OGBENCH)
    for step in (0, 50):
        assert behaviour(STATE, step).shape == (5,)


def test_pulled_has_one_bias() -> None:
    bias = actions("pulled") - PULL * np.clip(WANTED, -1, 1)
    np.testing.assert_allclose(bias, np.tile(bias[0], (100, 1)))
    assert np.linalg.norm(bias[0]) == pytest.approx(1)


def test_noise_is_around_the_expert() -> None:
    noise = actions("noisy", 4000) - np.clip(WANTED, -1, 1)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(noise.std(axis=0), 1.2, atol=0.05)


def test_the_walk_is_smooth_and_of_unit_size() -> None:
    walk = actions("wandering", 20_000)
    np.testing.assert_allclose(walk.std(axis=0), 1, atol=0.1)
    assert np.corrcoef(walk[:-1, 0], walk[1:, 0])[0, 1] == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("kind", FAILURES)
def test_a_seed_repeats(kind: str) -> None:
    np.testing.assert_array_equal(actions(kind, seed=3), actions(kind, seed=3))
    assert not np.array_equal(actions(kind, seed=3), actions(kind, seed=4))
