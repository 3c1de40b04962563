"""Rewards from embeddings: pure functions of one episode's arrays.

S(o; g), the similarity of an observation to the goal, is minus a distance here: the Euclidean one
of the paper, or one minus the cosine. A reward is a function of the distances of one episode.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

DISTANCE_BLOCK = 128  # rows at once: their float64 copy stays in a core's cache


def mean_goal(goals: ArrayLike) -> NDArray[np.float64]:
    """(G, D) embeddings of goal images -> (D,), their mean (paper, appendix F.1)."""
    return np.asarray(np.asarray(goals).mean(axis=0, dtype=np.float64))


def goal_distance(embedding: ArrayLike, goal: ArrayLike) -> NDArray[np.float64]:
    """Euclidean distance to the goal, -S(o; g) of the paper.

    Computed in float64 whatever the embedding's precision, in blocks: no copy of it is made.

    Args:
        embedding: (T, D).
        goal: (D,).

    Returns:
        (T,) in the units of the embedding.
    """
    embedding, goal = np.asarray(embedding), np.asarray(goal, np.float64)
    squares = np.empty(len(embedding))
    for start in range(0, len(embedding), DISTANCE_BLOCK):
        offset = embedding[start : start + DISTANCE_BLOCK].astype(np.float64)
        offset -= goal
        np.einsum("td,td->t", offset, offset, out=squares[start : start + DISTANCE_BLOCK])
    return np.asarray(np.sqrt(squares, out=squares))


def cosine_distance(embedding: ArrayLike, goal: ArrayLike) -> NDArray[np.float64]:
    """One minus the cosine of the angle to the goal, as CLIP compares.

    Args:
        embedding: (T, D), no row of it zero.
        goal: (D,), not zero.

    Returns:
        (T,) from 0 to 2.
    """
    embedding, goal = np.asarray(embedding), np.asarray(goal, np.float64)
    cosine = np.empty(len(embedding))
    for start in range(0, len(embedding), DISTANCE_BLOCK):
        rows = embedding[start : start + DISTANCE_BLOCK].astype(np.float64)
        length = np.sqrt(np.einsum("td,td->t", rows, rows))
        cosine[start : start + DISTANCE_BLOCK] = rows @ goal / length
    return np.asarray(1 - cosine / np.linalg.norm(goal))


def _ahead(distance: ArrayLike, n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """d(o_{t+n}) for every step t, and how many steps ahead it is: fewer near the end."""
    distance = np.asarray(distance, np.float64)
    steps = np.arange(len(distance) - 1)
    later = np.minimum(steps + n, len(distance) - 1)
    return distance[later], later - steps


def _per_row(reward: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.append(reward, np.nan)  # no step starts in the last row


def potential_difference(distance: ArrayLike, n: int = 1) -> NDArray[np.float64]:
    """R(o_t, o_{t+1}; g) = S(o_{t+1}; g) - S(o_t; g): how much closer step t came (Eq. 1).

    Args:
        distance: (T,) of one episode.
        n: over so many steps, S(o_{t+n}; g) - S(o_t; g); near the end up to the last frame.

    Returns:
        (T,), the last NaN: no step starts there. With n = 1 the others sum to
        d(first) - d(last).
    """
    later, _ = _ahead(distance, n)
    return _per_row(np.asarray(distance, np.float64)[:-1] - later)


def shaping(distance: ArrayLike, gamma: float, n: int = 1) -> NDArray[np.float64]:
    """R = gamma S(o_{t+1}; g) - S(o_t; g): the potential-based shaping in Eq. 1's second form.

    Eq. 1 splits the difference into a base reward (1 - gamma) S(o_{t+1}; g) and this. As
    shaping it leaves the optimal policy of any other reward as it is.

    Args:
        distance: (T,) of one episode.
        gamma: discount of the policy's objective.
        n: over so many steps, with gamma to as many as there are.

    Returns:
        (T,), the last NaN.
    """
    later, steps = _ahead(distance, n)
    return _per_row(np.asarray(distance, np.float64)[:-1] - gamma**steps * later)


def negative_distance(distance: ArrayLike, n: int = 1) -> NDArray[np.float64]:
    """S(o_{t+1}; g), the plain similarity of what step t led to.

    Args:
        distance: (T,) of one episode.
        n: of what came so many steps later; near the end, of the last frame.

    Returns:
        (T,), the last NaN.
    """
    return _per_row(-_ahead(distance, n)[0])


def sparse_success(distance: ArrayLike, radius: float, n: int = 1) -> NDArray[np.float64]:
    """1 for a step that leads to within a radius of the goal, else 0.

    Args:
        distance: (T,) of one episode.
        radius: in the units of the distance.
        n: whether it is there so many steps later; near the end, in the last frame.

    Returns:
        (T,), the last NaN.
    """
    return _per_row((_ahead(distance, n)[0] <= radius).astype(np.float64))


def follow_stages(
    distances: ArrayLike, reach: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Assign to each row the goal that is pursued; reaching one starts the next.

    A goal is reached at a distance of at most `reach` times that at which its stage began: the
    scale of an embedding is its encoder's, so no absolute distance would do.

    Args:
        distances: (T, K) to each goal.
        reach: share of a stage's first distance.

    Returns:
        (T,) the stage of each row; a row in which a goal is reached begins the next stage.
        (T, K) the distances, each goal's held from the row on in which it was reached, so that
        what happens in later stages is neither reward nor penalty for this one.
    """
    pursued = np.array(distances, np.float64)
    stage = np.zeros(len(pursued), np.int64)
    start = 0
    for goal in range(pursued.shape[1] - 1):
        reached = np.flatnonzero(pursued[start:, goal] <= reach * pursued[start, goal])
        if not len(reached):
            break
        start += int(reached[0])
        pursued[start:, goal] = pursued[start, goal]
        stage[start:] = goal + 1
    return stage, pursued


DISTANCES: dict[str, Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]] = {
    "l2": goal_distance,
    "cosine": cosine_distance,
}

# reward of an episode from its distances; each takes what it needs of the settings
REWARDS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "difference": lambda distance, n, **_: potential_difference(distance, n),
    "shaping": lambda distance, n, gamma, **_: shaping(distance, gamma, n),
    "distance": lambda distance, n, **_: negative_distance(distance, n),
    "sparse": lambda distance, n, radius, **_: sparse_success(distance, radius, n),
}


def episode_reward(
    distances: ArrayLike, reward: str, *, n: int = 1, gamma: float = 1.0, reach: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """One episode's reward with respect to the goal that is pursued at each time.

    Args:
        distances: (T, K) to each goal of a sequence; K is 1 for a single goal.
        reward: a key of `REWARDS`.
        n: steps ahead.
        gamma: discount of ``shaping``.
        reach: share of a stage's first distance at which its goal counts as reached.

    Returns:
        (T,) reward, the last NaN; (T,) distance to the goal pursued; how many of the K goals
        were reached.
    """
    stage, pursued = follow_stages(distances, reach)
    rewards, reached = np.empty(len(pursued)), int(stage[-1])
    for goal in range(reached + 1):
        rows = stage == goal
        radius = reach * pursued[np.argmax(rows), goal]
        column = REWARDS[reward](pursued[:, goal], n=n, gamma=gamma, radius=radius)
        rewards[rows] = column[rows]
    reached += bool((pursued[rows, goal] <= radius).any())  # the last one pursued
    return rewards, np.asarray(distances)[np.arange(len(pursued)), stage], reached
