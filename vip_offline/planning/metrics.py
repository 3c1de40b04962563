"""What an episode of planning was worth: success, pose errors, agreement with the true reward."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vip_offline.analysis.metrics import is_flat
from vip_offline.utils.arrays import Floats


@dataclass(frozen=True)
class Agreement:
    """How an embedding's reward goes with the simulator's dense one, over the steps of an episode.

    Not numbers where one of them never changes, or of fewer than three steps.
    """

    pearson: float
    spearman: float

    @property
    def r_squared(self) -> float:
        """R^2 of Fig. 17 to 19."""
        return self.pearson**2


def cumulative(solved: ArrayLike) -> NDArray[np.bool_]:
    """(..., T) whether a task was ever solved up to each step (Fig. 4)."""
    return np.logical_or.accumulate(np.asarray(solved, bool), axis=-1)


def first_solved(solved: ArrayLike) -> int | None:
    """Number of steps after which a task was first solved; None: never."""
    rows = np.flatnonzero(np.asarray(solved, bool))
    return int(rows[0]) + 1 if len(rows) else None


def pose_error(states: ArrayLike, goal: ArrayLike, columns: ArrayLike) -> Floats:
    """Euclidean distance of some columns of a state to the goal's (Fig. 10).

    Args:
        states: (T, S).
        goal: (S,).
        columns: (C,) numbers of the columns, such as those of all joints of the robot.

    Returns:
        (T,) in the unit of those columns.
    """
    states, goal, columns = np.asarray(states), np.asarray(goal), np.asarray(columns)
    return np.asarray(np.linalg.norm(states[:, columns] - goal[columns], axis=1))


def agreement(distances: ArrayLike, dense: ArrayLike) -> Agreement:
    """Correlation of minus the distance after each step with the dense reward of it (G.4).

    Args:
        distances: (T + 1,) of each frame to the goal; the first is of no step.
        dense: (T,) rewards of the simulator.
    """
    ours, theirs = -np.asarray(distances, np.float64)[1:], np.asarray(dense, np.float64)
    if len(ours) < 3 or is_flat(ours) or is_flat(theirs):
        return Agreement(float("nan"), float("nan"))
    from scipy.stats import rankdata  # scipy.stats takes a second to import

    return Agreement(_pearson(ours, theirs), _pearson(rankdata(ours), rankdata(theirs)))


def _pearson(one: Floats, other: Floats) -> float:
    return float(np.corrcoef(one, other)[0, 1])
