"""A look at a video in a terminal: a curve of dots, and what would have drawn the same."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from vip_offline.analysis.look import OWN, Look
from vip_offline.utils.console import Console

COLUMNS, ROWS = 68, 9  # characters of the curve; 80 columns with its scale
ACROSS, DOWN = 2, 4  # dots of a Braille character
# bits of its dots, by row and column (Unicode, chapter 21.1)
BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
LIKE = 0.9  # correlation from which on two curves count as nearly the same


def print_look(look: Look, folder: Path, console: Console) -> None:
    """Print a look: the curve, what the controls drew, notes, and where its files are."""
    height, width = look.shape
    console.say(
        f"{look.video}: {len(look.seconds)} frames, {look.seconds[-1]:.1f} s, {width} x {height} px"
    )
    curve = look.curves[0]
    ends = ", where it ends at 0" if look.goal == OWN else ""
    console.say(f"Distance to {look.goal}{ends}, by {curve.name} (embedding units):")
    for line in curve_lines(curve.distance, look.seconds[-1], console.encoding):
        console.say(line)
    console.print(controls_line(look), highlight=False)
    for note in look.notes:
        console.say(f"note: {note}")
    console.say(f"-> {folder}")


def controls_line(look: Look) -> str:
    """What pixels, a random network and a clock would have drawn, in three sentences."""
    curve, *controls = look.curves
    drawn = ", ".join(f"{control.name} {_number(control.likeness)}" for control in controls)
    alike = " and ".join(control.name for control in controls if control.likeness >= LIKE)
    verdict = (
        f"{alike}: nearly the same, so this video alone is no evidence for {curve.name}."
        if alike
        else f"None of them draws nearly the same (r of {LIKE} or more)."
    )
    return (
        f"Correlation (r) with what controls would have drawn: {drawn}. {verdict} "
        f"Nearness to the goal rises with time at a rank correlation of {_number(curve.order)}; "
        f"{curve.closer:.0%} of the steps come closer."
    )


def curve_lines(distance: ArrayLike, seconds: float, encoding: str) -> list[str]:
    """Draw (T,) distances from 0 up, in lines of at most 80 characters.

    A dependency for this (plotext) would be larger than all of this room.

    Args:
        distance: at least two, evenly spaced.
        seconds: time of the last one.
        encoding: of the terminal; one without Braille gets ``'``, ``.`` and ``:``.
    """
    values = np.asarray(distance, np.float64)
    top, across, down = float(values.max()) or 1.0, COLUMNS * ACROSS, ROWS * DOWN
    # so many points that a step between two frames leaves no gap
    points = np.linspace(0, len(values) - 1, max(2 * len(values), 2 * across * down))
    level = np.interp(points, np.arange(len(values)), values) / top
    dots = np.zeros((down, across), bool)
    columns = (points / points[-1] * (across - 1)).round().astype(int)
    dots[((1 - level) * (down - 1)).round().astype(int), columns] = True
    cells = dots.reshape(ROWS, DOWN, COLUMNS, ACROSS).swapaxes(1, 2)
    if _has_braille(encoding):
        codes = 0x2800 + (cells * BITS).sum((2, 3))
        drawn = ["".join(map(chr, row)) for row in codes]
    else:
        halves = cells.reshape(ROWS, COLUMNS, 2, -1).max(-1) @ np.array([1, 2])
        drawn = ["".join(" '.:"[half] for half in row) for row in halves]
    labels = [f"{top:.4g}", *[""] * (ROWS - 2), "0"]
    lines = [f"{label:>8} |{row}" for label, row in zip(labels, drawn, strict=True)]
    end = f"{seconds:.1f} s"
    return [*lines, f"{'':>8} 0 s{end:>{COLUMNS - 2}}"]


def _has_braille(encoding: str) -> bool:
    try:
        "\u28ff".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "-"
