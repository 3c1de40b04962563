"""Rewards from embeddings: pure functions of one episode's arrays."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def mean_goal(goals: ArrayLike) -> NDArray[np.float64]:
    """(G, D) embeddings of goal pictures -> (D,), their mean (paper, appendix F.1)."""
    return np.asarray(np.asarray(goals, np.float64).mean(axis=0))


def goal_distance(embedding: ArrayLike, goal: ArrayLike) -> NDArray[np.float64]:
    """Euclidean distance to the goal, -S(o; g) of the paper.

    Args:
        embedding: (T, D).
        goal: (D,).

    Returns:
        (T,) in the units of the embedding.
    """
    offset = np.asarray(embedding, np.float64) - np.asarray(goal, np.float64)
    return np.asarray(np.sqrt(np.einsum("td,td->t", offset, offset)))


def potential_difference(distance: ArrayLike) -> NDArray[np.float64]:
    """R(o_t, o_{t+1}; g) = S(o_{t+1}; g) - S(o_t; g): how much closer step t came (Eq. 1).

    Args:
        distance: (T,) of one episode.

    Returns:
        (T,), the last NaN: no step starts there. The others sum to d(first) - d(last).
    """
    distance = np.asarray(distance, np.float64)
    reward = np.full(len(distance), np.nan)
    reward[:-1] = distance[:-1] - distance[1:]
    return reward
