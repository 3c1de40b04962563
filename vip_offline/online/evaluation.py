"""How often a policy's mean action solves placements that no training saw."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.closed_loop.statistics import success_interval
from vip_offline.online.environment import Environments, Trajectory
from vip_offline.online.learner import Learner
from vip_offline.options.online import OnlineOptions


@dataclass(frozen=True)
class Evaluation:
    """Outcomes on P held-out placements."""

    success: NDArray[np.bool_]  # (P,) solved at any time within the horizon
    numbers: dict[str, float]
    films: Mapping[int, NDArray[np.uint8]]  # index of a placement -> (T + 1, H, W, 3)


def evaluate(
    environments: Environments, learner: Learner, options: OnlineOptions, films: int
) -> Evaluation:
    """Run the deterministic policy once from each held-out placement.

    Args:
        environments: of the task.
        learner: whose mean action is taken.
        options: placements and horizon.
        films: number of placements whose frames are kept.
    """
    placements = range(options.first_placement, options.first_placement + options.placements)
    episodes, frames = environments.collect(
        lambda observation, times: learner.exploit(observation),
        placements,
        options.horizon,
        until_solved=True,
        filmed=range(min(films, options.placements)),
    )
    success = np.array([episode.success for episode in episodes])
    return Evaluation(success, {**rate_numbers(success), **_way(episodes)}, frames)


def rate_numbers(success: NDArray[np.bool_]) -> dict[str, float]:
    """Success rate of (P,) outcomes, with Wilson's 95 % interval."""
    low, high = success_interval(int(success.sum()), len(success))
    return {"success": float(success.mean()), "success_low": low, "success_high": high}


def _way(episodes: list[Trajectory]) -> dict[str, float]:
    """Share of the initial distance to the goal that is left at the end, where there is one."""
    left = [episode.distance[-1] / max(episode.distance[0], 1e-12) for episode in episodes]
    return {"distance_left": float(np.mean(left))} if np.isfinite(left).all() else {}
