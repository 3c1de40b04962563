"""One episode of model-predictive control: plan, execute the first action, plan again."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.episode import Episode
from vip_offline.options import TAIL
from vip_offline.planning.metrics import cumulative, first_solved
from vip_offline.planning.optimizers import Optimizer
from vip_offline.planning.processes import SimulatorProcesses
from vip_offline.planning.rewards import Reward
from vip_offline.planning.sequences import next_start
from vip_offline.planning.shooting import Situation, take
from vip_offline.utils.arrays import Floats, Pixels

KIND = "planned"  # of stored episodes


@dataclass(frozen=True)
class Trajectory:
    """T steps and the T + 1 situations around them."""

    frames: Pixels  # (T + 1, H, W, 3)
    proprio: NDArray[np.float32]  # (T + 1, P)
    states: Floats  # (T + 1, S) privileged
    actions: NDArray[np.float32]  # (T, A), as executed: clipped to [-1, 1]
    rewards: Floats  # (T,) the simulator's dense one
    solved: NDArray[np.bool_]  # (T,) after each step
    spread: Floats  # (T,) standard deviation of the scores among which a step was chosen


def plan_episode(
    processes: SimulatorProcesses,
    optimizer: Optimizer,
    reward: Reward,
    start: Situation,
    shape: tuple[int, int],
    steps: int,
    seed: int,
    *,
    default_action: str = "mean",
    on_step: Callable[[], None] = lambda: None,
) -> Trajectory:
    """Plan and execute, to the last step, be the task solved before or not.

    Args:
        processes: simulators of the task.
        optimizer: see `optimizers`.
        reward: what sequences are scored by.
        start: of the episode.
        shape: (H, A) horizon and size of an action.
        steps: T.
        seed: of the noise.
        default_action: see `sequences.next_start`.
        on_step: called after each step.

    Raises:
        VipOfflineError: if a score is not finite, a simulator breaks or its process ends.
    """
    generator = np.random.default_rng(seed)
    situations, actions, spread = [start], list[NDArray[np.float32]](), list[float]()
    plan = np.zeros(shape)
    for _ in range(steps):
        saved = situations[-1].saved

        def score(sequences: Floats, saved: Floats = saved) -> Floats:
            return reward(processes.shoot(saved, sequences, draw=reward.draws))

        planned = optimizer(score, plan, generator)
        # float32, as stored and as replayed
        action = np.clip(planned.actions[0], -1, 1).astype(np.float32)
        situations.append(processes.call(take, saved, action))
        actions.append(action)
        spread.append(float(planned.scores.std()))
        plan = next_start(planned.actions, default_action)
        on_step()
    return Trajectory(
        frames=np.stack([situation.frame for situation in situations]),
        proprio=np.stack([situation.proprio for situation in situations]),
        states=np.stack([situation.state for situation in situations]),
        actions=np.stack(actions),
        rewards=np.array([situation.reward for situation in situations[1:]]),
        solved=np.array([situation.solved for situation in situations[1:]]),
        spread=np.array(spread),
    )


def as_episode(trajectory: Trajectory, camera: str, placement: int, seed: int) -> Episode:
    """A trajectory as a demonstration: to `TAIL` rows after its first success, as `record` does.

    Of one that is never solved, or solved so late that the rest is shorter, the last row holds no
    action.

    Args:
        trajectory: to be stored.
        camera: name of its frames.
        placement: of its start.
        seed: of its noise, by which it is known.
    """
    T = len(trajectory.actions)
    first = first_solved(trajectory.solved)
    rows = T + 1 if first is None else min(T + 1, first + TAIL)
    action = np.concatenate([trajectory.actions, np.full_like(trajectory.actions[:1], np.nan)])
    succeeded = np.concatenate([[False], cumulative(trajectory.solved)])[:rows]
    return Episode(
        frames={camera: trajectory.frames[:rows]},
        proprio=trajectory.proprio[:rows],
        action=action[:rows],
        succeeded=succeeded,
        true_reward=np.append(trajectory.rewards[: rows - 1], np.nan).astype(np.float32),
        success=bool(succeeded[-1]),
        kind=KIND,
        placement=placement,
        origin=seed,
    )
