"""Idle rows at an episode's start and end: a policy would learn to wait there.

Standing still is noisy, and what is done meanwhile is not 0 where actions are positions: they are
then the state itself. So neither the state nor the action may change by more than noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.validation.checks import STILL
from vip_offline.dataset.validation.findings import Finding

SPAN = 4  # rows whose mean is compared with that of as many rows behind them
SLOW = 0.1  # share of the speed that an episode's fastest 5 % have, up to which it stands still
SHARE = 0.02  # of an action's range in the episode, within which it does not change
NOISE_DEVIATIONS = (
    10.0  # of noise, within which hundreds of rows lie; the calmest rows understate it
)
CREEP = 1e-4  # per `SPAN` rows and unit of the state, which is no motion anywhere
WINDOW = 8  # rows over which noise is measured
MIN_SECONDS = 0.5  # shorter ones are a person's reaction; ROWS where the rate is not known
MIN_ROWS = 10
LONG = 0.2  # share of an episode that is worth knowing of, however short
LEAST = 5  # rows: fewer tell nothing


@dataclass(frozen=True)
class Idle:
    """How an episode begins and ends."""

    where: str
    rows: int  # of the episode
    start: int  # idle rows at its start
    end: int  # and at its end


def idle_of(where: str, proprio: NDArray[Any], action: NDArray[Any]) -> Idle:
    """Count idle rows.

    Args:
        where: names the episode.
        proprio: (T, P).
        action: (T, A); the last row may be NaN, where nothing was done any more.

    Returns:
        None idle where there is no state, no action or a number that is not finite. An episode
        that never moves is idle from its start to its end, and counts as a start.
    """
    rows = min(len(proprio), len(action))
    state, done = (values[:rows].astype(np.float64) for values in (proprio, action))
    if rows > 1 and np.isnan(done[-1]).all():
        done[-1] = done[-2]
    finite = np.isfinite(state).all() and np.isfinite(done).all()
    if rows < 2 * SPAN or not state.shape[1] or not done.shape[1] or not finite:
        return Idle(where, rows, 0, 0)
    start = _still(state, done)
    end = 0 if start == rows else _still(state[::-1], done[::-1])
    return Idle(where, rows, start, end)


def check_idle(idle: Sequence[Idle], rate: float | None) -> list[Finding]:
    """Episodes that begin or end idle for long enough, the longest first.

    The rate of rows is in Hz; None: not known.
    """
    findings = []
    for place in ("start", "end"):
        counts = [(getattr(episode, place), episode) for episode in idle]
        brief = MIN_SECONDS * rate if rate else MIN_ROWS
        long = [pair for pair in counts if pair[0] >= max(LEAST, min(brief, LONG * pair[1].rows))]
        for count, episode in sorted(long, key=lambda pair: -pair[0]):
            seconds = f" ({count / rate:.1f} s)" if rate else ""
            value = f"about {count} of {episode.rows} rows at its {place} stand still{seconds}"
            findings.append(Finding(f"idle-{place}", value, where=episode.where))
    return findings


def _still(state: NDArray[np.float64], action: NDArray[np.float64]) -> int:
    """How many of the first rows neither (T, P) nor (T, A) changes by more than noise."""
    sums = np.cumsum(np.concatenate([np.zeros((1, state.shape[1])), state]), axis=0)
    means = (sums[SPAN:] - sums[:-SPAN]) / SPAN
    moves = np.abs(means[SPAN:] - means[:-SPAN])  # (T - 2 SPAN + 1, P)
    allowed = np.maximum(SLOW * np.percentile(moves, 95, axis=0), CREEP)
    allowed = np.maximum(allowed, NOISE_DEVIATIONS / 2 * _noise(state) * np.sqrt(2 / SPAN))
    moving = np.flatnonzero((moves > allowed).any(axis=1))
    # what moves lies in the later half of the rows compared
    still = len(state) if not len(moving) else int(moving[0]) + SPAN if moving[0] else 0
    extent = np.maximum.accumulate(action) - np.minimum.accumulate(action)
    alike = np.maximum(SHARE * np.ptp(action, axis=0), NOISE_DEVIATIONS * _noise(action))
    alike = np.maximum(alike, STILL * np.maximum(1, np.abs(action).max(axis=0)))
    changing = np.flatnonzero((extent > alike).any(axis=1))
    return min(still, int(changing[0])) if len(changing) else still


def _noise(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation (D,) of what trembles in (T, D), by the calmest rows.

    Second differences hardly have anything of a smooth course, and of noise sqrt(6) times it.
    """
    squares = np.diff(values, n=2, axis=0) ** 2
    if len(squares) < WINDOW:
        return np.zeros(values.shape[1])
    windows = np.lib.stride_tricks.sliding_window_view(squares, WINDOW, axis=0).mean(axis=-1)
    noise: NDArray[np.float64] = np.sqrt(np.percentile(windows, 20, axis=0) / 6)
    return noise
