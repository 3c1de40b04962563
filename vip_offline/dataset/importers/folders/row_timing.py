"""Aligns the rows of an episode's tables and cameras in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.tables.resampling import contradiction, one_clock, step_of
from vip_offline.errors import VipOfflineError

OFTEN = 1.5  # rows per frame, from which on most of what lies between two frames is left out
INCREMENTS = (
    "; commands are those of the nearest row, so commands that are increments must be summed to "
    "that rate before the import"
)


@dataclass(frozen=True)
class PartTiming:
    """Number of rows of one part of an episode, and their times."""

    name: str
    rows: int
    seconds: NDArray[np.float64] | None  # (rows,) ascending; None: nothing says
    clock: str  # where the times come from, for messages
    camera: bool
    why: str = ""  # why a column of times is not used


@dataclass(frozen=True)
class Alignment:
    """Common rows of an episode's parts, and times to resample the others at."""

    keep: slice  # of the rows of the part that the others are brought to
    seconds: NDArray[np.float64] | None  # (T,) of those
    targets: dict[str, NDArray[np.float64]]  # part -> (T,) times by its clock; others: row by row
    notes: tuple[str, ...]


def align(parts: Sequence[PartTiming], where: str) -> Alignment:
    """Row by row where parts have as many and no times contradict; otherwise by their times.

    All are brought to the slowest camera, or without one to the slowest table. Times of two clocks
    (a video's begin at 0, a log's in 1970) are compared from the first row on.

    Raises:
        VipOfflineError: naming both, if they differ in length without times or contradict.
    """
    main = min([part for part in parts if part.camera] or parts, key=lambda part: part.rows)
    keep, notes = np.ones(main.rows, bool), []
    targets: dict[str, NDArray[np.float64]] = {}
    for part in parts:
        if part is main:
            continue
        if main.seconds is None or part.seconds is None or not main.rows or not part.rows:
            if part.rows != main.rows:
                raise VipOfflineError(_lengths(main, part, where))
            continue
        shared = one_clock(main.seconds, part.seconds)
        shift = 0.0 if shared else float(part.seconds[0] - main.seconds[0])
        times, step = main.seconds + shift, max(step_of(part.seconds), step_of(main.seconds))
        if not shared:
            spans = contradiction(main.seconds, part.seconds)
            if any(spans):
                raise VipOfflineError(_contradict(main, part, spans, where))
        near = part.rows == main.rows and np.abs(times - part.seconds).max() <= step / 2
        if near:
            continue
        targets[part.name] = times
        inside = (times >= part.seconds[0] - step / 2) & (times <= part.seconds[-1] + step / 2)
        clock = "by their clock" if shared else "both from their first row on"
        notes.append(
            f"{part.name} ({part.rows} rows, {part.clock}) is brought to the times of {main.name} "
            f"({main.rows} rows, {main.clock}), {clock}"
            + (INCREMENTS if part.rows > OFTEN * main.rows else "")
        )
        if not inside.all():
            notes.append(
                f"{int((~inside).sum())} rows of {main.name} lie outside the time of {part.name} "
                "and are left out"
            )
        keep &= inside
    rows = np.flatnonzero(keep)
    if targets and len(rows) < min(2, main.rows):
        raise VipOfflineError(
            f"{where}: its parts have fewer than two rows in common by their times "
            f"({', '.join(_span(part) for part in parts)}). See that they are of one recording."
        )
    span = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
    return Alignment(
        span,
        None if main.seconds is None else main.seconds[span],
        {name: times[span] for name, times in targets.items()},
        tuple(notes),
    )


def _lengths(main: PartTiming, part: PartTiming, where: str) -> str:
    silent = [series.name for series in (main, part) if series.seconds is None]
    why = "".join(f" {series.why}" for series in (main, part) if series.why)
    rates = " ".join(f"--rate {name or 'table'}=HZ" for name in silent)
    return (
        f"{where}: its parts differ in length ({_rows(main)}, {_rows(part)}), and nothing says "
        f"when the rows of {' and '.join(name or 'the table' for name in silent)} were taken. Give "
        f"their rate ({rates}) or a column of times (--key-map time=COLUMN): rows are then brought "
        "to the frames' times. To cut both to one length is right only if row k was taken with "
        f"frame k. Or leave such episodes out with --skip-broken.{why}"
    )


def _contradict(main: PartTiming, part: PartTiming, spans: tuple[float, float], where: str) -> str:
    return (
        f"{where}: {_rows(main)} cover {spans[0]:.3f} s ({main.clock}), {_rows(part)} "
        f"{spans[1]:.3f} s ({part.clock}): their times contradict, so row k was not taken with "
        f"frame k. If a rate is wrong, give the right one with --rate {main.name}=HZ or --rate "
        f"{part.name}=HZ; if a column of times is, --key-map time=COLUMN names another and "
        "--key-map time= none."
    )


def _rows(part: PartTiming) -> str:
    return f"{part.name or 'the table'} {part.rows} {'frames' if part.camera else 'rows'}"


def _span(part: PartTiming) -> str:
    if part.seconds is None:
        return part.name
    return f"{part.name} {part.seconds[0]:.3f} to {part.seconds[-1]:.3f} s"
