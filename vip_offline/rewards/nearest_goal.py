"""Several goals of which the nearest counts: for tasks whose goal moves with a visible object.

The mean of goal images that show the object at several places is a picture of none of them. So
the distance of a frame is d_t = min over g of |phi(o_t) - phi(g)|, frame by frame: at the start an
episode may be nearest to one goal and at its end to another. Eq. 1 is applied to that d_t as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class GoalSet:
    """Embedded goal frames, and the episode of each."""

    embeddings: NDArray[np.float32]  # (G, D)
    episodes: NDArray[np.int64]  # (G,) the episode that each is a frame of

    def others(self, episode: int) -> NDArray[np.float32]:
        """(G', D) goals from other episodes; an episode is always close to its own last frame."""
        rest: NDArray[np.float32] = self.embeddings[self.episodes != episode]
        return rest


def nearest_distance(
    embedding: ArrayLike,
    goals: ArrayLike,
    distance_to: Callable[[ArrayLike, ArrayLike], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Distance of each row to the goal that is nearest to it.

    Args:
        embedding: (T, D).
        goals: (G, D).
        distance_to: of (T, D) and (D,), a value of `rewards.DISTANCES`.

    Returns:
        (T,) in the unit of `distance_to`; nan without a goal.
    """
    rows, goals = np.asarray(embedding), np.asarray(goals)
    if not len(goals):
        return np.full(len(rows), np.nan)
    nearest = distance_to(rows, goals[0])
    for goal in goals[1:]:
        np.minimum(nearest, distance_to(rows, goal), out=nearest)
    return nearest
