"""Held-out steps: what was done in them, and how much each counts in a mean."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.training.weighting.weights import (
    regression_weights,
    return_to_go,
    tau_for,
)
from vip_offline.utils.arrays import Floats

PHASES = ("first", "middle", "last")  # thirds of an episode, by time
# half of the held-out steps count; fewer would leave a mean of a handful
WEIGHTED_ESS = 0.5


@dataclass(frozen=True)
class HeldOutSteps:
    """The steps of the episodes that no policy has seen, episode after episode."""

    episode: NDArray[np.int64]  # (N,) index in the store
    success: NDArray[np.bool_]  # (N,) whether the step's episode succeeded
    phase: NDArray[np.int64]  # (N,) place in `PHASES`
    action: Floats  # (N, A), scaled to [-1, 1]
    reward_weight: Floats | None  # (N,) mean 1; None: the rewards are all the same

    @property
    def successes(self) -> int:
        """Number of held-out episodes that succeeded."""
        return len(np.unique(self.episode[self.success]))

    @property
    def failures(self) -> int:
        """Number of held-out episodes that failed."""
        return len(np.unique(self.episode[~self.success]))


def thirds(length: int) -> NDArray[np.int64]:
    """(length,) the third of an episode that each step is in: 0, 1 or 2."""
    return np.arange(length) * len(PHASES) // max(length, 1)


def reward_weights(rewards: list[Floats]) -> Floats | None:
    """exp(tau R) of each step (Eq. 7), R being what follows per root of the steps it takes.

    tau is such that the effective sample size is `WEIGHTED_ESS`, for every encoder the same.

    Args:
        rewards: per held-out episode (T - 1,).

    Returns:
        (N,) of mean 1; None where no temperature tells one step from another.
    """
    scores = np.concatenate([return_to_go(reward) for reward in rewards])
    try:
        return regression_weights(scores, tau_for(scores, WEIGHTED_ESS))
    except VipOfflineError:
        return None


def episode_mean(
    values: Floats, steps: HeldOutSteps, chosen: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """Mean over the chosen steps of each episode, then over episodes: long ones count as short.

    Args:
        values: (S, N) of each seed and step.
        steps: N of them.
        chosen: (N,).

    Returns:
        (S,) per seed; None where nothing is chosen.
    """
    episodes = np.unique(steps.episode[chosen])
    if not len(episodes):
        return None
    means = [values[:, chosen & (steps.episode == episode)].mean(axis=1) for episode in episodes]
    mean: NDArray[np.float64] = np.mean(means, axis=0)
    return mean
