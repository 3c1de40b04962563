from functools import partial

import numpy as np
import pytest

from vip_offline.options import TAIL, SearchOptions
from vip_offline.planning.episode import Trajectory, as_episode, plan_episode
from vip_offline.planning.optimizers import optimizer_of
from vip_offline.planning.processes import SimulatorProcesses
from vip_offline.planning.rewards import DenseReward
from vip_offline.planning.shooting import begin, take
from vip_offline.simulation.simulators import make_simulator

SEARCH = SearchOptions(horizon=4, sequences=6)


def trajectory(T: int, first: int | None) -> Trajectory:
    """T steps, of which the `first` one solves the task, and no other."""
    solved = np.arange(T) == (T if first is None else first - 1)
    return Trajectory(
        frames=np.zeros((T + 1, 16, 16, 3), np.uint8),
        proprio=np.zeros((T + 1, 4), np.float32),
        states=np.zeros((T + 1, 5)),
        actions=np.arange(2 * T, dtype=np.float32).reshape(T, 2),
        rewards=np.arange(T, dtype=float),
        solved=solved,
        spread=np.ones(T),
    )


def test_an_episode_ends_some_rows_after_its_success() -> None:
    episode = as_episode(trajectory(20, first=3), "corner", placement=4, seed=5)
    episode.check("made up")
    assert len(episode) == 3 + TAIL and episode.success
    np.testing.assert_array_equal(episode.succeeded, np.arange(3 + TAIL) >= 3)
    np.testing.assert_array_equal(episode.action[:, 0], np.arange(0, 2 * (3 + TAIL), 2))
    np.testing.assert_array_equal(episode.true_reward[:-1], np.arange(3 + TAIL - 1))
    assert np.isnan(episode.true_reward[-1])
    assert (episode.placement, episode.origin, episode.kind) == (4, 5, "planned")


@pytest.mark.parametrize("first", [None, 8])
def test_a_last_row_without_an_action(first: int | None) -> None:
    """What the last step led to is kept, be it the success."""
    episode = as_episode(trajectory(8, first), "corner", 0, 0)
    episode.check("made up")
    assert len(episode) == 9 and np.isnan(episode.action[-1]).all()
    assert episode.success == (first is not None) == bool(episode.succeeded[-1])
    assert not episode.succeeded[:-1].any()


@pytest.mark.sim
@pytest.mark.slow
def test_an_episode_is_what_its_actions_lead_to_and_repeats_itself() -> None:
    make = partial(make_simulator, "drawer-close", 32)
    reports = 0

    def report() -> None:
        nonlocal reports
        reports += 1

    with SimulatorProcesses(make, 2) as processes:
        start = processes.call(begin, 1)
        first, again, other = (
            plan_episode(
                processes,
                optimizer_of(SEARCH),
                DenseReward(),
                start,
                (SEARCH.horizon, 4),
                3,
                seed,
                on_step=report,
            )
            for seed in (0, 0, 1)
        )
    np.testing.assert_array_equal(first.actions, again.actions)
    np.testing.assert_array_equal(first.frames, again.frames)
    assert not np.array_equal(first.actions, other.actions)
    assert reports == 9 and first.actions.dtype == np.float32 and np.abs(first.actions).max() <= 1
    assert first.frames.shape == (4, 32, 32, 3) and first.spread.shape == (3,)
    with make() as simulator:
        situation = begin(simulator, 1)
        for row, action in enumerate(first.actions):
            np.testing.assert_array_equal(first.states[row], situation.state)
            np.testing.assert_array_equal(first.frames[row], situation.frame)
            situation = take(simulator, situation.saved, action)
            assert first.rewards[row] == situation.reward
