"""Which episodes somebody should look at, and why: arrays in, flags out.

A flag is a reason to look, no verdict. The thresholds are from 215 Meta-World episodes that this
package recorded (seven tasks, four kinds of failure) and the VIP authors' four clips of a real arm
and of FrankaKitchen: cut, colour-order and frozen-camera are never said of these, neither task by
task, nor one by one, nor together, nor with every 2nd, 5th or 8th frame alone. What is found when
one of the 215 is spoiled on purpose is said at each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vip_offline.analysis.results import Flag
from vip_offline.dataset.validation.checks import longest, moved
from vip_offline.utils.arrays import Floats

ENOUGH = 4  # episodes, or successes, from which on what is usual can be said

# the curve
SMOOTH = 5  # frames of a running median, which one odd frame does not move
CLEARLY = 0.1  # of the start's distance, see `_no_progress`
OUTLIER_DEVIATIONS = 3.5  # robust standard deviations beyond which a value is an outlier
NORMAL = 1.4826  # standard deviations of a normal distribution in a median absolute deviation
AT_LEAST = 0.25  # of the usual way to the goal: ends nearer to each other than that are alike
AS_NEAR = 0.75  # quantile of where successes end

# pictures that stand still
STRETCH = 0.2  # of an episode, over which one picture is a long stretch
STRETCH_FRAMES = 10  # at least
SAME_GREY = 3  # grey levels of a thumbnail within which two pictures are one
TRAVEL = 0.25  # of the way of an episode, that counts as movement
MANY_REPEATS = 0.5  # share of repeated frames

# steps from picture to picture, in root mean square grey levels
SETTLED = 3  # steps at the beginning that may jump: a simulator lets go of what it placed
AROUND = 4  # steps before, and as many after, that a cut stands out from
SUDDEN = 2.5  # times those
BEYOND = 1.25  # times the data set's usual greatest step
VISIBLE = 2.0  # grey levels: what a compressor does where it refreshes the whole picture is less
DISORDER = 0.8  # of what frames far apart differ by: shuffled ones about 1, in order 0.24 at most
MOTION = 6.0  # grey levels by which such frames differ at least: still ones differ by noise alone
IN_ORDER = 30  # frames from which on that holds: of a task in 10 frames, no two are neighbours

# colours
GRID_BLOCKS = 4  # a side: coarse enough for objects to be elsewhere, fine enough for grey rooms
COLOURFUL = 3.0  # grey levels between red and blue, below which a scene is grey
FITS = 0.5  # of the strength of colours: errors up to that; the other order's is then 1.5 at least


@dataclass(frozen=True)
class EpisodeData:
    """Data of one episode; None where a kind of data is missing."""

    curve: Floats | None  # (T,) distances to a goal made of other episodes
    success: bool
    small: NDArray[np.uint8] | None  # (T, 32, 32, 3) every frame
    repeats: NDArray[np.bool_] | None  # (T,) equals the frame before, see `checks.mark_frames`
    black: NDArray[np.bool_] | None  # (T,)
    proprio: NDArray[Any]  # (T, P), P may be 0


def flags_of(episodes: Sequence[EpisodeData]) -> tuple[tuple[Flag, ...], ...]:
    """Flag suspicious episodes among E, where need be by comparison with the others."""
    about_ends = _ends(episodes)
    about_cuts = _cuts(episodes)
    about_colours = _colours([episode.small for episode in episodes])
    return tuple(
        (
            *_too_short(len(episode.proprio)),
            *_no_progress(episode),
            *ends,
            *_frozen_camera(episode),
            *_black(episode.black),
            *cuts,
            *colours,
        )
        for episode, ends, cuts, colours in zip(
            episodes, about_ends, about_cuts, about_colours, strict=True
        )
    )


def _too_short(frames: int) -> list[Flag]:
    if frames > 2:
        return []
    texts = {0: "no frame", 1: "one frame, so no transition", 2: "two frames, so one transition"}
    return [Flag("too-short", texts[frames])]


# --- the distance to the goal --------------------------------------------------------------


def _curve(episode: EpisodeData) -> Floats | None:
    """Distances that can be judged; None where there are none, or where they have gaps."""
    if episode.curve is None or not len(episode.curve) or not np.isfinite(episode.curve).all():
        return None
    return np.asarray(episode.curve, np.float64)


def _no_progress(episode: EpisodeData) -> list[Flag]:
    """A success whose curve never comes closer than its start by `CLEARLY`.

    Of a failure that is no news.

    From frame to frame, distances of an ImageNet encoder on Meta-World are uncertain by 4 to 6 % of
    the start's. Of a hundred frames of nothing but such noise, the least running median lies 3 to
    5 % below the first (median), and in one case of twenty 6 to 9 %. On the sets tried, 42 of 80
    failures never come clearly closer, and 3 of 135 successes. The threshold is a share of the
    start and not of the curve's own noise: in few frames, a clear fall is as rough as noise.
    """
    curve = _curve(episode)
    if curve is None or len(curve) < 3 or not episode.success:
        return []
    # of a short episode every frame counts
    width = SMOOTH if len(curve) >= 4 * SMOOTH else 1
    smooth = np.median(sliding_window_view(curve, width), axis=1)
    start, best = float(smooth[0]), float(smooth.min())
    if start <= 0 or best < (1 - CLEARLY) * start:
        return []
    share = f"{best / start:.0%} of the distance at its start"
    return [Flag("no-progress", f"never nearer to the goal than {share}, though a success")]


def _ends(episodes: Sequence[EpisodeData]) -> list[list[Flag]]:
    """Successes that end far from where the others do, and failures that end as near.

    By an ImageNet encoder, on the sets tried, 1 of 135 successes ends far, and 1 of 80 failures
    near. Of failures marked as successes 51 of 80 are found, of successes marked as failures 96 of
    135; an encoder that does not see the task finds fewer.

    An outlier lies `OUTLIER_DEVIATIONS` robust deviations above the other successes' median
    (Iglewicz and Hoaglin's rule). The median absolute deviation of a few values may be next to
    nothing by chance: it counts no less than makes the limit `AT_LEAST` of the usual way from start
    to end.
    """
    flags: list[list[Flag]] = [[] for _ in episodes]
    start, end = {}, {}
    for index, episode in enumerate(episodes):
        curve = _curve(episode)
        if curve is not None and len(curve) > 1:
            start[index], end[index] = float(curve[0]), float(curve[-1])
    good = [index for index in end if episodes[index].success]
    if len(good) < ENOUGH:
        return flags
    starts, ends = (np.array([position[index] for index in good]) for position in (start, end))
    for place, index in enumerate(good):
        other_ends = np.delete(ends, place)
        usual = float(np.median(other_ends))
        spread = NORMAL * float(np.median(np.abs(other_ends - usual)))
        way = float(np.median(np.delete(starts, place))) - usual
        limit = usual + max(OUTLIER_DEVIATIONS * spread, AT_LEAST * abs(way))
        if end[index] > limit:
            flags[index].append(
                Flag(
                    "goal-not-reached",
                    f"marked a success, but ends {end[index]:.3g} from the goal, where the other "
                    f"{len(other_ends)} successes end {usual:.3g} (median; beyond "
                    f"{limit:.3g} is far)",
                )
            )
    near, usual = float(np.quantile(ends, AS_NEAR)), float(np.median(ends))
    for index in end:
        if not episodes[index].success and end[index] <= near:
            flags[index].append(
                Flag(
                    "reaches-the-goal-but-failed",
                    f"marked a failure, but ends {end[index]:.3g} from the goal, where "
                    f"{len(good)} successes end {usual:.3g} (median; {AS_NEAR:.0%} of them within "
                    f"{near:.3g})",
                )
            )
    return flags


# --- pictures that stand still, or are black -----------------------------------------------


def _black(black: NDArray[np.bool_] | None) -> list[Flag]:
    if black is None or not black.any():
        return []
    rows, first = len(black), int(np.argmax(black))
    if black.all():
        return [Flag("black-frames", f"all {rows} frames are black")]
    return [Flag("black-frames", f"{int(black.sum())} of {rows}, the first in row {first}", first)]


def _frozen_camera(episode: EpisodeData) -> list[Flag]:
    """A camera that hung while the robot moved, or frames of which many are repeated.

    Of episodes spoiled by one picture throughout all are found, of those with one picture from the
    middle on 193 of 215; in the others the robot hardly moved from there on. No frame of the sets
    tried repeats another, so their having no false alarm says little. A robot that is out of view
    looks the same, where pictures have no noise.
    """
    if episode.repeats is None:
        return []
    # black ones have a flag of their own
    repeats = episode.repeats if episode.black is None else episode.repeats & ~episode.black
    if not repeats.any():
        return []
    rows, repeated = len(repeats), int(repeats.sum())
    start, stop = longest(repeats)
    first, last = max(start - 1, 0), stop - 1  # the frame that is repeated is no repeat itself
    long = stop - first >= min(rows, max(STRETCH_FRAMES, STRETCH * rows))
    if long and _is_one(episode.small, first, last) and _travels(episode.proprio, first, stop):
        where = f"rows {first} to {last} of {rows}" if stop - first < rows else f"all {rows} frames"
        return [Flag("frozen-camera", f"{where} are one picture, while the robot moves", first)]
    if repeated <= MANY_REPEATS * rows:
        return []
    # at one place only where one stretch holds most of them
    place = first if stop - start > repeated / 2 else None
    return [
        Flag(
            "repeated-frames",
            f"{repeated} of {rows} equal the one before ({repeated / rows:.0%}), at most rows "
            f"{first} to {last} at a stretch",
            place,
        )
    ]


def _is_one(small: NDArray[np.uint8] | None, first: int, last: int) -> bool:
    """Whether two pictures are one: each between may equal the one before, and all may drift."""
    if small is None:
        return True
    return int(np.abs(small[last].astype(np.int16) - small[first]).max()) <= SAME_GREY


def _travels(proprio: NDArray[Any], start: int, stop: int) -> bool:
    """Whether the robot goes a good part of an episode's way within some of its rows.

    By means of four parts of the rows: what a sensor of force or speed says is never still, but
    stays about one value.
    """
    finite = np.isfinite(proprio).all(axis=1)
    finite_rows = proprio[finite].astype(np.float64)
    rows = proprio[start:stop][finite[start:stop]].astype(np.float64)
    if not moved(rows):
        return False
    means = np.stack([part.mean(axis=0) for part in np.array_split(rows, 4) if len(part)])
    way = np.ptp(means, axis=0)
    return moved(means) and bool(((way > 0) & (way >= TRAVEL * np.ptp(finite_rows, axis=0))).any())


# --- steps from picture to picture ---------------------------------------------------------


def _cuts(episodes: Sequence[EpisodeData]) -> list[list[Flag]]:
    """Jumps in the middle of an episode: two videos in one, frames left out, frames shuffled.

    A jump is `SUDDEN` against the steps about it, which a fast motion is not, as that gathers speed
    over some frames; and `BEYOND` the greatest step that episodes of this set usually have, which
    a motion that begins from a standstill is not. In order, no step above the usual greatest is
    1.6 times those about it. Two episodes in one are found 202 times of 215, 20 frames left out 190
    times, one frame of another episode 203 times, the last being the next one's first 213 times,
    and frames in random order 214 times. A lamp that is switched on is a jump as well.
    """
    steps = [
        None if episode.small is None else _steps(episode.small, episode) for episode in episodes
    ]
    greatest = [float(step[1].max()) for step in steps if step and len(step[1])]
    usual = float(np.median(greatest)) if len(greatest) >= ENOUGH else None
    return [
        [] if episode.small is None or step is None else _cut(episode.small, *step, usual)
        for episode, step in zip(episodes, steps, strict=True)
    ]


def _steps(small: NDArray[np.uint8], episode: EpisodeData) -> tuple[NDArray[np.int64], Floats]:
    """Rows that are a step from one picture to another, and how great: the first ones are not."""
    rows = np.arange(1 + SETTLED, len(small))
    if episode.repeats is not None:
        # a camera slower than the control has most steps at 0, and the others are as usual
        rows = rows[~episode.repeats[rows]]
    if episode.black is not None:  # these have a flag of their own
        rows = rows[~episode.black[rows] & ~episode.black[rows - 1]]
    return rows, _difference(small[rows], small[rows - 1])


def _difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Floats:
    """Root mean square difference of (N, H, W, 3) pictures in pairs, in grey levels: (N,)."""
    gap = a.astype(np.float32) - b
    square = np.einsum("nhwc,nhwc->n", gap, gap)
    return np.asarray(np.sqrt(square / np.prod(gap.shape[1:])), np.float64)


def _cut(
    small: NDArray[np.uint8], rows: NDArray[np.int64], size: Floats, usual: float | None
) -> list[Flag]:
    if len(size) < 2 * AROUND:
        return []
    apart = _lag_difference(small) if len(size) >= IN_ORDER else 0.0
    if apart > MOTION and float(np.median(size)) > DISORDER * apart:
        return [
            Flag(
                "cut",
                f"neighbouring frames differ by {np.median(size):.3g} grey levels, any two by "
                f"{apart:.3g}: they seem to be in no order",
            )
        ]
    if usual is None:  # too few to compare: what nineteen of twenty of its own steps keep to
        usual = float(np.quantile(size, 0.95))
    around = _around(size)
    jumps = (size > SUDDEN * around) & (size > BEYOND * usual) & (size > VISIBLE)
    if not jumps.any():
        return []
    place = int(np.argmax(np.where(jumps, size, 0)))
    row, many = int(rows[place]), int(jumps.sum())
    return [
        Flag(
            "cut",
            f"row {row} differs from the one before by {size[place]:.3g} grey levels, the steps "
            f"about it by {around[place]:.3g} at most" + (f" ({many} such)" if many > 1 else ""),
            row,
        )
    ]


def _around(size: Floats) -> Floats:
    """The second greatest of the steps about each: one odd frame makes two jumps side by side."""
    room = np.full(AROUND, -1.0)
    windows = sliding_window_view(np.concatenate([room, size, room]), 2 * AROUND + 1)
    without_center = np.delete(windows, AROUND, axis=1)
    second: Floats = np.partition(without_center, -2, axis=1)[:, -2]
    return second


def _lag_difference(small: NDArray[np.uint8]) -> float:
    """How much two frames far from each other differ, in grey levels (median)."""
    rows = len(small)
    # several distances, lest all be periods of what the robot does
    pairs = [(np.arange(0, rows - lag, max(1, rows // 32)), lag)
             for lag in (rows // 2, rows // 3, rows // 5) if lag]  # fmt: skip
    differences = [_difference(small[begin], small[begin + lag]) for begin, lag in pairs]
    return float(np.median(np.concatenate(differences))) if differences else 0.0


# --- colours -------------------------------------------------------------------------------


def _colours(videos: Sequence[NDArray[np.uint8] | None]) -> list[list[Flag]]:
    """Episodes whose red is the others' blue: OpenCV's order of channels in one file of many.

    Red less blue of a swapped episode is the negative of what the others have at the same place, so
    that it fits well with the sign turned round, and badly as it is. Of 215 episodes, swapped
    one at a time, 214 are found.

    Nothing is said where fewer than `ENOUGH` episodes have pictures, where the scene is grey, or
    where the others do not resemble each other. Episodes that are swapped must be the minority:
    if most are, the others are flagged, and if *all* are, nothing in the pictures alone can tell,
    while the encoder sees wrong colours throughout.
    """
    flags: list[list[Flag]] = [[] for _ in videos]
    pictured = {
        index: small for index, small in enumerate(videos) if small is not None and len(small)
    }
    if len(pictured) < ENOUGH:
        return flags
    warmth = np.stack([_warmth(small) for small in pictured.values()])
    usual = np.median(warmth, axis=0)  # of the majority
    strength = float(np.sqrt((usual**2).mean()))
    as_is = np.sqrt(((warmth - usual) ** 2).mean(axis=1))
    swapped = np.sqrt(((warmth + usual) ** 2).mean(axis=1))
    if strength < COLOURFUL or float(np.median(as_is)) > FITS * strength:
        return flags
    for place, index in enumerate(pictured):
        if swapped[place] < FITS * strength:
            flags[index].append(
                Flag(
                    "colour-order",
                    "red and blue seem to be exchanged (BGR for RGB): red less blue is "
                    f"{as_is[place]:.3g} grey levels off the other episodes', exchanged "
                    f"{swapped[place]:.3g}",
                )
            )
    return flags


def _warmth(small: NDArray[np.uint8]) -> Floats:
    """Red less blue of the mean picture, in BLOCKS x BLOCKS places, in grey levels."""
    mean = small.mean(axis=0)
    side = mean.shape[0] // GRID_BLOCKS
    blocks = mean.reshape(GRID_BLOCKS, side, GRID_BLOCKS, side, 3).mean(axis=(1, 3)).reshape(-1, 3)
    return np.asarray(blocks[:, 0] - blocks[:, 2], np.float64)
