"""What kind of number an action is, so that it is known whether 0 stands still.

A velocity or an increment of 0 stands still; a position of 0 is a place that the robot jumps to.
Whoever recorded the data can say it (``action_kind``); where nobody does, it is guessed from how
actions and proprioception go together, and where that says nothing it stays unknown.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SAMPLED_ROWS = 20_000  # that are looked at, evenly spread: more would not change a correlation
HORIZONS = (1, 2, 4)  # ticks over which the robot follows an action
FOLLOWS = 0.7  # least correlation, about the mean and about 0, of a change with what it led to
LEAST_CORRELATION = 0.9  # least correlation of a position with the state
NEAR = 0.2  # share of an action's range within which it lies about the state, in the median


def guess_action_kind(
    actions: Sequence[NDArray[np.float32]], proprios: Sequence[NDArray[np.float32]]
) -> str:
    """Compare actions with where the robot is, and with where it goes.

    A dimension is a position where some column of the state has nearly its value, and a change
    where some column moves as it says, both ways, and none has its course. What could be both,
    such as a velocity of which the state tells too, is neither. At least half of the dimensions
    that vary must be of a kind, and more than of the other: a gripper may be anything.

    Args:
        actions: per episode (T, A).
        proprios: per episode (T, P).

    Returns:
        ``position``; ``velocity``, which stands for differences as well; "": it cannot be told.
    """
    lead = max(HORIZONS)
    pairs = [
        (action[:-lead].astype(np.float64), proprio.astype(np.float64))
        for action, proprio in zip(actions, proprios, strict=True)
        if len(action) > lead and action.shape[1] and proprio.shape[1]
    ]
    if not pairs:
        return ""
    action = _few(np.concatenate([rows for rows, _ in pairs]))  # (N, A)
    state = _few(np.concatenate([rows[:-lead] for _, rows in pairs]))  # (N, P)
    same = _correlation(action, state) >= LEAST_CORRELATION
    spread = np.subtract(*np.percentile(action, (95, 5), axis=0))  # (A,)
    apart = np.stack([np.median(np.abs(state - column[:, None]), axis=0) for column in action.T])
    is_position = (same & (apart <= NEAR * spread[:, None])).any(axis=1)  # (A,)
    is_change = np.zeros(action.shape[1], bool)
    for ticks in HORIZONS:
        moves = [rows[ticks : len(rows) - lead + ticks] - rows[:-lead] for _, rows in pairs]
        moved = _few(np.concatenate(moves))  # (N, P)
        about_zero = _cosine(action, moved) >= FOLLOWS
        is_change |= (about_zero & (_correlation(action, moved) >= FOLLOWS)).any(axis=1)
    half = np.count_nonzero(np.ptp(action, axis=0)) / 2
    positions = int(np.count_nonzero(is_position & ~is_change))
    changes = int(np.count_nonzero(is_change & ~same.any(axis=1)))
    if positions == changes or max(positions, changes) < half:
        return ""
    return "position" if positions > changes else "velocity"


def _few(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, D) -> at most `SAMPLED_ROWS` of them, always the same."""
    return rows[:: -(-len(rows) // SAMPLED_ROWS)]


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, A) and (N, P) -> (A, P); 0 for a column that never changes."""
    return _cosine(left - left.mean(axis=0), right - right.mean(axis=0))


def _cosine(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, A) and (N, P) -> (A, P), correlation about 0."""
    sizes = np.outer(np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=0))
    products: NDArray[np.float64] = left.T @ right / np.where(sizes > 0, sizes, 1)
    return products
