"""Outliers in action values: driver spikes, lost packets, wrong units.

A value is an outlier if it is all of

- far: beyond the quantiles of its dimension by more than FENCE times the range between them;
- brief: its episode is out there for BRIEF rows at a stretch at most. A gripper that closes once
  in an episode is far from where it usually is, too, but it stays closed;
- rare: half of the episodes do not go out there on that side, as they do for a command; or it is
  far beyond those, too.

Where the quantiles coincide (a gripper that rarely moves) the usual value stands for the range;
where that is 0 nothing can be said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TAIL_SHARE = 0.005  # share of the rows beyond each quantile
LEAST_TAIL = 3  # rows beyond each quantile at least, so that a small set may hold some spikes
FEWEST_ROWS = 50  # of fewer nothing can be said
FENCE = 2.0  # quantile ranges
BRIEF = 5  # rows
COINCIDE = 1e-3  # of the usual value: quantiles that are closer are one value
STEADY_RANGE = 10.0  # usual values that stand for the range of a dimension that hardly moves
RECURRING_EPISODES = 3  # that a command comes back in at least, and in half of all


@dataclass(frozen=True)
class Outlier:
    """One value."""

    episode: int  # place among the episodes that were given
    row: int  # of the episode
    dimension: int
    value: float


@dataclass(frozen=True)
class Outliers:
    """Which values of some episodes' actions are outliers, and how far the others reach."""

    marks: tuple[NDArray[np.bool_], ...]  # per episode (T, A)
    low: NDArray[np.float64]  # (A,) least value that is none
    high: NDArray[np.float64]  # (A,) greatest value that is none
    listed: tuple[Outlier, ...]  # all of them, episode by episode


def find_outliers(episodes: Sequence[NDArray[Any]]) -> Outliers:
    """Look for outliers in the actions of all episodes together.

    Args:
        episodes: per episode (T, A), of any unit; what is not finite is left aside.

    Returns:
        The outliers. `low` and `high` are NaN in a dimension without a finite value.
    """
    rows = np.concatenate(episodes).astype(np.float64)  # (N, A)
    ends = np.cumsum([0, *(len(actions) for actions in episodes)])
    marks = np.zeros(rows.shape, bool)
    for dimension in range(rows.shape[1]):
        values = rows[:, dimension]
        low, high = _fence(values[np.isfinite(values)])
        far = np.isfinite(values) & ((values < low) | (values > high))
        if far.any():
            episode = np.repeat(np.arange(len(episodes)), np.diff(ends))
            rare = _rare(values, far & (values > high), high, episode)
            rare |= _rare(values, far & (values < low), low, episode)
            marks[:, dimension] = _brief(far, episode) & rare
    inliers = np.where(marks | ~np.isfinite(rows), np.nan, rows)
    places = [(int(row), int(dimension)) for row, dimension in np.argwhere(marks)]
    owners = [int(np.searchsorted(ends, row, side="right")) - 1 for row, _ in places]
    return Outliers(
        marks=tuple(np.split(marks, ends[1:-1])),
        low=np.fmin.reduce(inliers, axis=0, initial=np.nan),
        high=np.fmax.reduce(inliers, axis=0, initial=np.nan),
        listed=tuple(
            Outlier(owner, row - int(ends[owner]), dimension, float(rows[row, dimension]))
            for owner, (row, dimension) in zip(owners, places, strict=True)
        ),
    )


def _fence(values: NDArray[np.float64]) -> tuple[float, float]:
    """Beyond what (N,) finite values are far from the rest."""
    if len(values) < FEWEST_ROWS:
        return -np.inf, np.inf
    tail = max(LEAST_TAIL, int(np.ceil(TAIL_SHARE * (len(values) - 1))))
    ordered = np.partition(values, (tail, len(values) - 1 - tail))
    low, high = float(ordered[tail]), float(ordered[len(values) - 1 - tail])
    usual = max(abs(low), abs(high))
    width = high - low if high - low > COINCIDE * usual else STEADY_RANGE * usual
    if width == 0:
        return -np.inf, np.inf
    return low - FENCE * width, high + FENCE * width


def _brief(far: NDArray[np.bool_], episode: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,): those of (N,) far rows that stand in a short run within their episode."""
    starts = np.flatnonzero(np.diff(far, prepend=False) | (np.diff(episode, prepend=-1) != 0))
    lengths = np.diff(starts, append=len(far))
    short: NDArray[np.bool_] = far & np.repeat(lengths <= BRIEF, lengths)
    return short


def _rare(
    values: NDArray[np.float64], far: NDArray[np.bool_], edge: float, episode: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(N,): the rows that are far on one side, beyond `edge`, and that no command explains."""
    if len(np.unique(episode[far])) < max(RECURRING_EPISODES, (int(episode[-1]) + 2) // 2):
        return far
    command = float(np.median(values[far]))
    return far & (np.abs(values - command) > FENCE * abs(command - edge))
