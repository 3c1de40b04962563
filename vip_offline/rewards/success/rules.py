"""Scores of frames, low where they look like the goal, and how long one must be low.

An episode is judged by its end: the highest score of its last `hold` frames. So an episode that
passes by the goal, or undoes what it did, is no success.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vip_offline.rewards.functions import goal_distance, mean_goal
from vip_offline.rewards.nearest_goal import nearest_distance
from vip_offline.utils.arrays import Floats

# of the covariance towards a sphere, as there are fewer rows than dimensions; 0.05 to 0.5 did as
# well on drawer-close and ogbench/drawer-close with nuisances
SHRINKAGE = 0.2
TINY = 1e-12  # of the spread: frames that are all the same have none
RULES = ("mean", "nearest", "relative", "classes", "change")  # simplest first
OF_THE_FIRST = ("relative", "change")  # that compare with the episode's first frame


@dataclass(frozen=True)
class Rule:
    """Gives each frame a score.

    ``mean``: distance to the goals' mean; ``nearest``: to the nearest goal; ``relative``: to the
    mean, as a share of the first frame's; ``classes``: minus the margin of a linear discriminant
    between both classes' last frames; ``change``: the same of the last frames less the first.
    """

    name: str
    goals: NDArray[np.float32]  # (G, D)
    direction: NDArray[np.float32] | None = None  # (D,) of ``classes`` and ``change``
    offset: float = 0.0

    def scores(self, embedding: NDArray[np.float32], first: NDArray[np.float32]) -> Floats:
        """Score frames.

        Args:
            embedding: (T, D).
            first: (D,) the episode's first frame, or (T, D) that of each frame's episode.

        Returns:
            (T,), low where a frame looks like the goal.
        """
        if self.direction is not None:
            if self.name == "change":
                embedding = embedding - first
            return np.asarray(self.offset - embedding.astype(np.float64) @ self.direction)
        if self.name == "nearest":
            return nearest_distance(embedding, self.goals, goal_distance)
        goal = mean_goal(self.goals)
        distance = goal_distance(embedding, goal)
        if self.name == "relative":
            distance = distance / np.maximum(goal_distance(np.atleast_2d(first), goal), 1e-12)
        return distance


def end_score(scores: Floats, hold: int) -> float:
    """The highest score of the last `hold` frames, or of all if there are fewer."""
    return float(scores[-hold:].max())


def held_scores(scores: Floats, hold: int) -> Floats:
    """(T,) the highest score of the `hold` frames up to each; infinity before there are so many."""
    if len(scores) < hold:
        return np.full(len(scores), np.inf)
    whole = sliding_window_view(scores, hold).max(axis=1)
    return np.concatenate([np.full(hold - 1, np.inf), whole])


def discriminant(
    points: Floats, success: NDArray[np.bool_], background: Floats
) -> tuple[Floats, float]:
    """Fisher's linear discriminant: the direction towards successes, and where both are as near.

    What differs between pictures of one state is no matter of the task: light, the camera's pose,
    where the object was put. First frames show it, of every episode and without a label. So they
    count as a class of their own, of which only the spread is used.

    Args:
        points: (n, R), one per episode.
        success: (n,), of both kinds.
        background: (m, R) first frames.

    Returns:
        (R,) direction and offset.
    """
    from scipy.linalg import solve
    from sklearn.covariance import shrunk_covariance

    means = points[success].mean(axis=0), points[~success].mean(axis=0)
    spread = np.concatenate(
        [
            points[success] - means[0],
            points[~success] - means[1],
            background - background.mean(axis=0),
        ]
    )
    covariance = shrunk_covariance(spread.T @ spread / len(spread), SHRINKAGE)
    covariance += TINY * max(1.0, float(np.trace(covariance))) * np.eye(len(covariance))
    weight = solve(covariance, means[0] - means[1], assume_a="pos")
    return weight, float(weight @ (means[0] + means[1])) / 2


def span_of(points: Floats) -> Floats:
    """(D, R) orthonormal basis of the points (n, D): a discriminant's direction lies in it."""
    _, size, basis = np.linalg.svd(points, full_matrices=False)
    return np.asarray(basis[size > 1e-10 * size[0]].T)


def edges(success: Floats, failure: Floats, error: float) -> tuple[float, float]:
    """Return the edges of the unsure band: success below the first, failure above the other.

    A success lies above a, and a failure below b, with a probability of `error`: bounds of one
    further value of a normal distribution by Student's t. A value between them is like neither, or
    like both. Beyond that, no more than a share `error` of the scores that were seen is on the
    wrong side, normal or not.

    Args:
        success: (n,) scores of left-out successes, n >= 2.
        failure: (m,) of left-out failures, m >= 2.
        error: accepted share of errors.
    """
    from scipy.stats import t

    def reach(values: Floats) -> float:
        n = len(values)
        return float(t.ppf(1 - error, n - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / n))

    a, b = success.mean() + reach(success), failure.mean() - reach(failure)
    seen_failure = np.quantile(failure, error, method="lower")
    seen_success = np.quantile(success, 1 - error, method="higher")
    return float(min(a, b, seen_failure)), float(max(a, b, seen_success))


def verdict(score: float, band: tuple[float, float]) -> str:
    """``success`` below the band, ``failure`` above it, ``unsure`` in it."""
    if score < band[0]:
        return SUCCESS
    return FAILURE if score > band[1] else UNSURE


SUCCESS, FAILURE, UNSURE = VERDICTS = ("success", "failure", "unsure")


def auc(success: Sequence[float] | Floats, failure: Sequence[float] | Floats) -> float:
    """Share of pairs in which the success scores lower; ties count half."""
    one, other = np.asarray(success)[:, None], np.asarray(failure)[None]
    return float(((one < other) + 0.5 * (one == other)).mean())
