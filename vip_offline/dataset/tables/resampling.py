"""Resamples rows to the times of the frames: nearest or linear."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLOSE = 0.05  # share by which two time spans of one recording may differ
MOST = 1.0  # but no more than so many seconds
# or steps of the slower of the two: one may begin or end a row before the other
TOLERATED_STEPS = 1.5
FAR = 10.0  # s; a clock that begins with a recording is not there
EPOCH = 1e8  # s; times above are of a clock that counts from 1970


@dataclass(frozen=True)
class Series:
    """Rows with their times, and the times to resample them at."""

    values: NDArray[Any]  # (S, ...)
    seconds: NDArray[np.float64]  # (S,) ascending
    targets: NDArray[np.float64]  # (T,) by the same clock

    def nearest(self) -> NDArray[Any]:
        """(T, ...) nearest rows in time: for commands, pictures and integers."""
        return self.values[nearest_rows(self.seconds, self.targets)]

    def linear(self) -> NDArray[Any]:
        """(T, ...) linearly interpolated rows: for continuous states."""
        return linear_rows(self.values, self.seconds, self.targets)


def step_of(seconds: NDArray[np.float64]) -> float:
    """Usual time between two of (T,) rows, in seconds; 0 of fewer than two."""
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0


def nearest_rows(seconds: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.int64]:
    """(T,) index of the row nearest in time to each of (T,) targets; ties take the earlier row."""
    right = np.searchsorted(seconds, targets).clip(0, len(seconds) - 1)
    left = (right - 1).clip(0)
    nearer = np.abs(seconds[left] - targets) <= np.abs(seconds[right] - targets)
    return np.where(nearer, left, right).astype(np.int64)


def linear_rows(
    values: NDArray[np.floating], seconds: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.floating]:
    """(T, ...) linear interpolation of (S, ...) values at (T,) targets, in the dtype of `values`.

    Targets outside the range take the first or last value.
    """
    right = np.searchsorted(seconds, targets).clip(0, len(seconds) - 1)
    left = (right - 1).clip(0)
    gap = seconds[right] - seconds[left]
    share = np.divide(targets - seconds[left], gap, out=np.ones_like(gap), where=gap > 0).clip(0, 1)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    between = values[left] * (1 - share) + values[right] * share
    # where a neighbour is NaN and has no share, the other's value stands
    between = np.where(share == 1, values[right], np.where(share == 0, values[left], between))
    rows: NDArray[np.floating] = between.astype(values.dtype)
    return rows


def one_clock(seconds: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether (T,) and (S,) times share one clock, so that there is no offset between them.

    Times since 1970 are. Others are if both are far from 0 and overlap, or if they end together as
    they stand: a log from 2 to 60 s is of the clock of a video from 0 to 60 s. Those that begin
    together need no shift either way.
    """
    if not len(seconds) or not len(other):
        return False
    since = seconds[0] > EPOCH, other[0] > EPOCH
    step = max(step_of(seconds), step_of(other))
    together = abs(seconds[-1] - other[-1]) <= TOLERATED_STEPS * step < abs(seconds[0] - other[0])
    common = min(seconds[-1], other[-1]) - max(seconds[0], other[0])
    shorter = min(seconds[-1] - seconds[0], other[-1] - other[0])
    far = min(seconds[0], other[0]) > FAR and common >= shorter / 2
    return all(since) or (not any(since) and bool(far or together))


def contradiction(seconds: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Spans, in s, of two series that should cover the same time; (0, 0) where they do."""
    span, against = float(seconds[-1] - seconds[0]), float(other[-1] - other[0])
    close = min(CLOSE * max(span, against), MOST)
    allowed = max(close, TOLERATED_STEPS * max(step_of(seconds), step_of(other)))
    return (span, against) if abs(span - against) > allowed else (0.0, 0.0)
