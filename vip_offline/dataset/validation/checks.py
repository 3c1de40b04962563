"""Checks of demonstrations as pure functions: arrays in, findings out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.media.frame_rate import RATE_TOLERANCE, rate_of
from vip_offline.dataset.tables.resampling import nearest_rows
from vip_offline.dataset.validation.findings import Finding

BLACK = 8  # grey levels up to which a pixel is black
LOSSY = 6  # grey levels by which a compressor may change a picture that stood still
GAP = 1.5  # times the usual step, from which on a step in time is a gap
STILL = 1e-3  # share by which a robot's state may change while it stands still
ODD_LENGTH = 3.0  # times longer or shorter than usual


@dataclass(frozen=True)
class Range:
    """Least and greatest value of each dimension, over all rows so far."""

    low: NDArray[np.float64]  # (D,)
    high: NDArray[np.float64]  # (D,)

    def joined(self, other: "Range") -> "Range":
        """Range of both."""
        return Range(np.fmin(self.low, other.low), np.fmax(self.high, other.high))


def range_of(values: NDArray[Any]) -> Range | None:
    """Range of (T, D) values, NaN left aside; None if there is no value, or widths are 0."""
    finite = values[np.isfinite(values).all(axis=1)].astype(np.float64)
    if not finite.size:
        return None
    return Range(finite.min(axis=0), finite.max(axis=0))


# --- numbers -------------------------------------------------------------------------------


def check_finite(name: str, values: NDArray[Any]) -> list[Finding]:
    """Values of (T, D) that are NaN or infinite; a last action that is all NaN was not taken."""
    if name == "action" and len(values) and values.shape[1] and np.isnan(values[-1]).all():
        values = values[:-1]
    bad = np.argwhere(~np.isfinite(values))
    if not len(bad):
        return []
    row, column = (int(index) for index in bad[0])
    return [
        Finding(
            "not-finite", f"{name}[{row}, {column}] is {values[row, column]} ({len(bad)} in all)"
        )
    ]


def check_action_range(action: NDArray[Any]) -> list[Finding]:
    """Actions of (T, A) beyond [-1, 1]."""
    beyond = np.argwhere(np.abs(action) > 1)
    if not len(beyond):
        return []
    row, column = (int(index) for index in beyond[0])
    return [
        Finding(
            "action-range",
            f"action[{row}, {column}] is {action[row, column]:.4g}, beyond [-1, 1] "
            f"({len(beyond)} in all)",
        )
    ]


def check_constant(actions: Range) -> list[Finding]:
    """Dimensions of the action that never change, in the whole data set."""
    return [
        Finding(
            "constant-action", f"dimension {dimension} is {actions.low[dimension]:.4g} in every row"
        )
        for dimension in np.flatnonzero(actions.low == actions.high)
    ]


def moved(state: NDArray[Any]) -> bool:
    """Whether a (T, P) state changes by more than `STILL` of its magnitude."""
    extent = range_of(state)
    if extent is None:
        return False
    scale = np.maximum(1, np.maximum(np.abs(extent.low), np.abs(extent.high)))
    return bool((extent.high - extent.low > STILL * scale).any())


# --- lengths and counts --------------------------------------------------------------------


def check_counts(counts: Mapping[str, int], rows: int) -> list[Finding]:
    """Compare the number of rows of each array with the episode's length."""
    findings = [
        Finding("length", f"{name} has {count} rows, the episode {rows}")
        for name, count in counts.items()
        if count != rows
    ]
    if rows < 2:
        findings.append(Finding("too-short", f"{rows} row(s)"))
    return findings


def check_lengths(lengths: NDArray[np.int64], names: Sequence[str]) -> list[Finding]:
    """Episodes, of (E,) lengths, that are far longer or shorter than most."""
    if not len(lengths):
        return []
    usual = float(np.median(lengths))
    odd = (lengths * ODD_LENGTH < usual) | (lengths > usual * ODD_LENGTH)
    return [
        Finding(
            "odd-length",
            f"{lengths[index]} rows; the median is {usual:g}",
            where=f"episode {names[int(index)]}",
        )
        for index in np.flatnonzero(odd)
    ]


def check_success(successes: Sequence[bool | None], names: Sequence[str]) -> list[Finding]:
    """Episodes labelled as failures; labels may be None (unknown)."""
    failed = [name for name, success in zip(names, successes, strict=True) if success is False]
    if successes and len(failed) == len(successes):
        return [Finding("no-success", f"none of {len(failed)} episodes succeeds")]
    return [Finding("failure", "does not succeed", where=f"episode {name}") for name in failed]


def check_unlabelled(silent: int, total: int) -> list[Finding]:
    """How many of all episodes nothing calls a success or a failure."""
    if not silent:
        return []
    value = f"nothing says whether {silent} of {total} episodes succeeded"
    return [Finding("success-unlabelled", value)]


# --- time ----------------------------------------------------------------------------------


def check_steady(seconds: NDArray[np.float64], unit: str = " s") -> list[Finding]:
    """Steps of (T,) times that go back, or that leave a gap."""
    steps = np.diff(seconds)
    if not len(steps):
        return []
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0))
        return [
            Finding(
                "time-goes-back",
                f"row {row + 1} is at {seconds[row + 1]:.3f}{unit}, the one before at "
                f"{seconds[row]:.3f}{unit}",
            )
        ]
    usual = float(np.median(steps))
    wide = np.flatnonzero(steps > GAP * usual)
    if not len(wide):
        return []
    row = int(wide[0])
    return [
        Finding(
            "gap",
            f"{seconds[row]:.3f} to {seconds[row + 1]:.3f}{unit}, where {usual:.3f}{unit} are "
            f"usual ({len(wide)} in all)",
        )
    ]


def check_video_rate(declared: float, seconds: NDArray[np.float64]) -> list[Finding]:
    """The rate that metadata give, in Hz, against (F,) times of a video's frames."""
    own = rate_of(seconds)
    if own is None or abs(own / declared - 1) <= RATE_TOLERANCE:
        return []
    return [Finding("frame-rate", f"the metadata say {declared:g} Hz, the video has {own:.4g}")]


def check_rows_in_video(
    times: NDArray[np.float64], targets: NDArray[np.float64], tolerance: float
) -> tuple[NDArray[np.int64], list[Finding]]:
    """Which of (F,) frames each of T rows falls on, and rows that have none of their own.

    Returns:
        (T,) places in `times`, and findings.
    """
    nearest = nearest_rows(times, targets)
    off = np.abs(times[nearest] - targets)
    findings = []
    bad = np.flatnonzero(off > tolerance)
    if len(bad):
        row = int(bad[0])
        beyond = targets[row] > times[-1]
        gap = f"the video ends at {times[-1]:.3f} s" if beyond else f"{off[row]:.3f} s off"
        findings.append(
            Finding(
                "no-frame", f"row {row} needs {targets[row]:.3f} s: {gap} ({len(bad)} rows in all)"
            )
        )
    shared = np.flatnonzero(np.diff(nearest[off <= tolerance]) < 1)
    if len(shared):
        row = int(np.flatnonzero(off <= tolerance)[shared[0]])
        findings.append(
            Finding(
                "shared-frame", f"rows {row} and {row + 1} fall on one frame ({len(shared)} in all)"
            )
        )
    return nearest, findings


# --- pictures ------------------------------------------------------------------------------


def mark_frames(
    frames: NDArray[np.uint8], before: NDArray[np.uint8] | None, tolerance: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.uint8] | None]:
    """Which frames repeat what was seen before, and which are black.

    A frame is held against the last one that differed, not against its neighbour: of a slow fade
    each equals the one before within the tolerance.

    Args:
        frames: (n, H, W, 3).
        before: (H, W, 3) the last one that differed; None: there is none.
        tolerance: grey levels by which equal frames may differ; 0 unless compressed.

    Returns:
        (n,), (n,) and `before` of the frames that follow.
    """
    repeats = np.zeros(len(frames), bool)
    for row, frame in enumerate(frames):  # one after the other: differences need twice the room
        if before is not None:
            repeats[row] = (
                np.array_equal(frame, before)
                if not tolerance
                else int(np.abs(frame.astype(np.int16) - before).max(initial=0)) <= tolerance
            )
        if not repeats[row]:
            before = frame
    black = frames.reshape(len(frames), -1).max(axis=1, initial=0) <= BLACK
    return repeats, black, before


def check_frames(
    repeats: NDArray[np.bool_], black: NDArray[np.bool_], *, moves: bool
) -> list[Finding]:
    """Black and repeated frames of one camera in an episode, by (T,) marks of `mark_frames`.

    A camera that shows one frame is wrong only where the robot `moves`.
    """
    rows = len(repeats)
    if rows and black.all():
        return [Finding("black-camera", f"all {rows} frames are black")]
    findings = []
    if black.any():
        value = f"{int(black.sum())} of {rows}, the first in row {int(np.argmax(black))}"
        findings.append(Finding("black-frames", value))
    if rows > 1 and repeats[1:].all():
        findings.append(
            Finding("frozen-camera", f"all {rows} frames are one, while the robot moves")
            if moves
            else Finding("nothing-moves", f"all {rows} frames are one, and the robot stands still")
        )
    elif repeats.any():
        start, stop = longest(repeats)
        findings.append(
            Finding(
                "repeated-frames",
                f"{int(repeats.sum())} of {rows} equal the one before, at most rows "
                f"{start - 1} to {stop - 1} at a stretch",
            )
        )
    return findings


def longest(marks: NDArray[np.bool_]) -> tuple[int, int]:
    """Begin and exclusive end of the longest stretch of (T,) marks."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    place = int(np.argmax(stops - starts))
    return int(starts[place]), int(stops[place])


def check_size(size: tuple[int, ...], expected: tuple[int, ...]) -> list[Finding]:
    """(H, W) of frames, against what the metadata or the episodes before say."""
    if size == expected:
        return []
    return [
        Finding(
            "camera-size", f"frames of {size[0]}x{size[1]} px, expected {expected[0]}x{expected[1]}"
        )
    ]


def check_camera_sizes(sizes: Mapping[str, tuple[int, int]]) -> list[Finding]:
    """Cameras of different sizes, which is no mistake but worth knowing."""
    if len(set(sizes.values())) < 2:
        return []
    listed = ", ".join(f"{name} {height}x{width}" for name, (height, width) in sizes.items())
    return [Finding("camera-sizes", f"cameras differ: {listed}")]
