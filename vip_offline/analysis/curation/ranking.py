"""Episodes ranked by how much of the way to the goal they cover, with reasons: arrays in.

The ranking is the reward's opinion. Where the reward does not see the task, neither does it: see
the analysis of the same labelling first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vip_offline.dataset.validation.idle import LEAST
from vip_offline.utils.arrays import Floats

SMOOTH = 5  # frames of a running median
BEST = 0.9  # quantile of the ways covered that counts as the whole way
AWAY = 0.25  # of the whole way, by which a distance must grow to be worth a word
BORDER = 0.1  # of the whole way about the limit, within which an episode is a borderline case


@dataclass(frozen=True)
class Segment:
    """Rows of an episode, `start` to `stop` without the last, and what they do."""

    start: int
    stop: int
    reason: str
    lost: float = float("nan")  # of the whole way; nan: it stands still


@dataclass(frozen=True)
class Ranked:
    """An episode and what the reward says of it."""

    episode: int
    covered: float  # of the way that the best cover; nan: its distances are not known
    keep: bool
    borderline: bool
    reasons: tuple[str, ...]
    segments: tuple[Segment, ...]


def _starts_and_ends(distances: Sequence[Floats]) -> tuple[Floats, Floats]:
    starts = [distance[0] if len(distance) else np.nan for distance in distances]
    ends = [np.median(distance[-SMOOTH:]) if len(distance) else np.nan for distance in distances]
    return np.array(starts, np.float64), np.array(ends, np.float64)


def typical_start(distances: Sequence[Floats]) -> float:
    """Median of where episodes start, in units of the distance; nan: not known."""
    starts, ends = _starts_and_ends(distances)
    known = np.isfinite(starts) & np.isfinite(ends)
    return float(np.median(starts[known])) if known.any() else float("nan")


def whole_way(distances: Sequence[Floats]) -> float:
    """`typical_start` less what the best tenth ends at, in units of the distance; 0: not known."""
    starts, ends = _starts_and_ends(distances)
    known = np.isfinite(starts) & np.isfinite(ends)
    if not known.any():
        return 0.0
    return typical_start(distances) - float(np.quantile(ends[known], 1 - BEST))


def ways_covered(distances: Sequence[Floats]) -> Floats:
    """(E,) how much nearer to the goal each ends than episodes start, 1 for the best tenth.

    The start is the median of all, since a start that is nearer by its placement is no merit.

    Args:
        distances: per episode (T,), to one goal; NaN where not known.

    Returns:
        NaN where an episode's distance is not known, or where even the best come no nearer.
    """
    starts, ends = _starts_and_ends(distances)
    whole = whole_way(distances)
    if whole <= 0:
        return np.full(len(ends), np.nan)
    known = np.isfinite(starts) & np.isfinite(ends)
    covered: Floats = np.where(known, (typical_start(distances) - ends) / whole, np.nan)
    return covered


def losses(distance: Floats, whole: float) -> list[Segment]:
    """Where a smoothed distance (T,) grows by `AWAY` of the whole way or more: the most first.

    Between two of them it comes nearer again.
    """
    if len(distance) < 4 * SMOOTH or not np.isfinite(distance).all() or whole <= 0:
        return []
    smooth = np.median(sliding_window_view(distance, SMOOTH), axis=1)
    segments, parts = [], [(0, len(smooth))]
    while parts:
        begin, end = parts.pop()
        if end - begin < 2:
            continue
        growth = smooth[begin:end] - np.minimum.accumulate(smooth[begin:end])
        top = begin + int(np.argmax(growth))
        lost = float(growth[top - begin]) / whole
        if lost < AWAY:
            continue
        low = begin + int(np.argmin(smooth[begin : top + 1]))
        parts += [(begin, low + 1), (top, end)]
        start, stop = low + SMOOTH // 2, top + SMOOTH // 2 + 1
        reason = f"loses {lost:.2f} of the way, frames {start} to {stop - 1}"
        segments.append(Segment(start, stop, reason, lost))
    return sorted(segments, key=lambda segment: -segment.lost)


def idle_segments(rows: int, start: int, end: int) -> list[Segment]:
    """What stands still at the beginning and the end, by numbers of rows, if by `LEAST`."""
    segments = []
    if start >= LEAST:
        segments.append(Segment(0, start, f"stands still from frame 0 to {start - 1}"))
    if end >= LEAST:
        first = rows - end
        segments.append(Segment(first, rows, f"stands still from frame {first} to {rows - 1}"))
    return segments


def rank(
    distances: Sequence[Floats],
    idle: Sequence[tuple[int, int]],
    flags: Sequence[Sequence[str]],
    least: float,
) -> list[Ranked]:
    """Rank E episodes, the best first; those of unknown distance are last, and kept.

    Args:
        distances: per episode (T,), to one goal that the episode had no part in.
        idle: per episode the idle rows at its start and at its end.
        flags: per episode what else is suspicious, in words.
        least: of the way that an episode must cover to be kept.
    """
    covered, whole = ways_covered(distances), whole_way(distances)
    ranked = []
    for index, distance in enumerate(distances):
        known = bool(np.isfinite(covered[index]))
        segments = losses(distance, whole) if known else []
        segments += idle_segments(len(distance), *idle[index])
        reasons = [
            f"covers {covered[index]:.2f} of the way to the goal at its end"
            if known
            else "its distance to a goal of other episodes is not known: kept unjudged"
        ]
        keep = not known or covered[index] >= least
        border = known and abs(covered[index] - least) <= BORDER
        reasons += [segment.reason for segment in segments] + list(flags[index])
        ranked.append(
            Ranked(
                index, float(covered[index]), bool(keep), bool(border), tuple(reasons),
                tuple(segments),
            )
        )  # fmt: skip
    return sorted(
        ranked,
        key=lambda episode: (-np.nan_to_num(episode.covered, nan=-np.inf), episode.episode),
    )


def worst_segments(ranked: Sequence[Ranked]) -> list[tuple[int, Segment]]:
    """Episode and segment of all, those that lose most first; then what stands still longest."""
    pairs = [(episode.episode, segment) for episode in ranked for segment in episode.segments]
    return sorted(
        pairs,
        key=lambda pair: (
            -np.nan_to_num(pair[1].lost, nan=0.0),
            pair[1].start - pair[1].stop,
            pair[0],
        ),
    )
