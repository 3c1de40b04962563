"""What the training loop asks of an algorithm."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vip_offline.online.environment import Trajectory
from vip_offline.training.checkpoint import Arrays


class Learner(Protocol):
    """A policy that gets better by its own episodes.

    Nothing of it is random but by the arguments: a training that was killed goes on bit for bit.
    """

    replays: bool  # whether it learns from earlier episodes too, so that they must be kept

    def explore(
        self, observation: NDArray[np.float32], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(B, D) raw observations and (B, A) standard normal noise -> (B, A) actions to try."""
        ...

    def exploit(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, D) raw observations -> (B, A) actions that it holds for the best: the mean."""
        ...

    def begin(self, seed: int) -> None:
        """Begin an iteration: whatever is drawn from now on follows from this seed."""
        ...

    def learn(self, episodes: Sequence[Trajectory], seed: int) -> dict[str, float]:
        """Learn from an iteration's episodes; returns numbers about it, by name."""
        ...

    def recall(self, episodes: Sequence[Trajectory]) -> None:
        """Take episodes of earlier iterations, of a learner that `replays`, and learn nothing."""
        ...

    def arrays(self) -> Arrays:
        """All that it is, except the episodes that it replays."""
        ...

    def restore(self, arrays: Arrays) -> None:
        """Go on from `arrays`."""
        ...

    def policy(self) -> dict[str, NDArray[Any]]:
        """The weights of the policy and the scaling of its inputs, by plain names."""
        ...
