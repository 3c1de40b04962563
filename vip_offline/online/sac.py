"""Soft actor-critic as a `Learner`: what its round of episodes adds, d3rlpy learns from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.online.environment import Trajectory
from vip_offline.online.running_statistics import RunningStatistics
from vip_offline.options.online import SacOptions
from vip_offline.training.algorithms.online_sac import OnlineSac
from vip_offline.training.checkpoint import Arrays


class SoftActorCritic:
    """d3rlpy's SAC; its inputs are scaled by the statistics of the warm-up for good."""

    replays = True

    def __init__(
        self,
        action_size: int,
        options: SacOptions,
        statistics: RunningStatistics,
        reward_scale: float,
        seed: int,
        actor: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        self._updates_per_step = options.updates_per_step
        self._sac = OnlineSac(
            statistics.mean, statistics.std, action_size, reward_scale, options, seed, actor
        )

    def explore(
        self, observation: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """See `Learner.explore`."""
        return self._sac.sample(observation, noise)

    def exploit(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Learner.exploit`."""
        return self._sac.predict(observation)

    def begin(self, seed: int) -> None:
        """See `Learner.begin`; all that it draws comes with arguments."""

    def learn(self, episodes: Sequence[Trajectory], seed: int) -> dict[str, float]:
        """See `Learner.learn`."""
        self.recall(episodes)
        self._sac.begin(seed)
        steps = sum(len(episode.reward) for episode in episodes)
        return self._sac.update(max(1, round(steps * self._updates_per_step)))

    def recall(self, episodes: Sequence[Trajectory]) -> None:
        """See `Learner.recall`."""
        for episode in episodes:
            self._sac.append(episode.observation, episode.action, episode.reward)

    def arrays(self) -> Arrays:
        """See `Learner.arrays`."""
        return self._sac.arrays()

    def restore(self, arrays: Arrays) -> None:
        """See `Learner.restore`."""
        self._sac.restore(arrays)

    def policy(self) -> dict[str, NDArray[Any]]:
        """See `Learner.policy`: ReLU layers and tanh at the end, as in a policy folder."""
        return dict(self._sac.policy())
