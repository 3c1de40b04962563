"""File suffixes of videos and pictures, natural order of names, time stamps in names."""

import os
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

VIDEO_SUFFIXES = (
    *(".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".ts", ".mts", ".mpg", ".mpeg", ".wmv"),
    *(".gif", ".flv", ".ogv", ".3gp"),
)
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")

DIGITS = re.compile(r"([0-9]+)")
DECIMAL = re.compile(r"([^0-9]*)([0-9]+(?:\.[0-9]+)?)")  # what all names begin with, a number
# whole numbers are times where they are those of a clock between 1990 and 2100
PLAUSIBLE_SECONDS = (631_152_000, 4_102_444_800)  # seconds since 1970
TICKS_PER_SECOND = (1_000, 1_000_000, 1_000_000_000)  # per second


def natural(name: str) -> tuple[list[str | int], str]:
    """Sorting key by which ``2.jpg`` comes before ``10.jpg``."""
    parts = DIGITS.split(name)  # text and digits in turn, text first
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def ordered(names: Iterable[str]) -> list[str]:
    """Names in natural order; by their number where all are decimals that differ.

    Time stamps lose their last zeros: ``9.95``, ``10``, ``10.05`` ascend. Hidden files are left
    out, with what a Mac leaves beside each (``._x``).
    """
    visible = [name for name in names if not name.startswith(".")]
    numbers = _numbers(visible)
    if numbers is None:
        return sorted(visible, key=natural)
    return [name for _, name in sorted(zip(numbers, visible, strict=True))]


def stamps_of_names(names: Sequence[str]) -> NDArray[np.float64] | None:
    """Times by which files are named, in the order of the names.

    Args:
        names: T names of files, with or without a suffix.

    Returns:
        (T,) seconds, since 1970 where the names say so: of numbers with a fraction, or of whole
        milli-, micro- or nanoseconds of a clock. None: they are counters, words, or not all differ.
    """
    numbers = _numbers(names, prefix=False)
    if numbers is None:
        return None
    for unit in TICKS_PER_SECOND:
        if all(
            PLAUSIBLE_SECONDS[0] * unit <= number < PLAUSIBLE_SECONDS[1] * unit
            for number in numbers
        ):
            return np.array([float(number / unit) for number in numbers])
    if not any("." in _stem(name) for name in names):
        return None
    return np.array([float(number) for number in numbers])


def _stem(name: str) -> str:
    """Without the suffix; digits alone are none, as in a folder that is called ``9.95``."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - millions of them
    return name if suffix[1:].isdigit() else stem


def _numbers(names: Sequence[str], *, prefix: bool = True) -> list[Decimal] | None:
    """The number in each name, exactly; None unless all are decimals, after one prefix or none."""
    numbers, prefixes = [], set()
    for name in names:
        match = DECIMAL.fullmatch(_stem(name))
        if match is None:
            return None
        sign = match[1] if match[1] == "-" else ""
        prefixes.add("" if sign else match[1])
        if len(prefixes) > 1:
            return None
        numbers.append(Decimal(sign + match[2]))
    if not numbers or len({*numbers}) < len(numbers) or (prefixes != {""} and not prefix):
        return None
    return _padded([_stem(name) for name in names], numbers)


def _padded(stems: Sequence[str], numbers: list[Decimal]) -> list[Decimal] | None:
    """Numbers whose fractions count nano- or microseconds without leading zeros, as such.

    ``1700000000.90000000`` is 90 ms past the second. A float drops its last zeros, so fractions of
    several lengths of which one ends in 0 are none. None: what they count is not known.
    """
    fractions = [stem.rpartition(".")[2] if "." in stem else "" for stem in stems]
    if len({len(f) for f in fractions}) == 1 or not any(f[1:].endswith("0") for f in fractions):
        return numbers
    digits = max(map(len, fractions))
    places = 9 if 6 < digits <= 9 else 6 if 3 < digits <= 6 else 0
    if not places:
        return None
    per = Decimal(10) ** places
    return [int(n) + Decimal(int(f or 0)) / per for n, f in zip(numbers, fractions, strict=True)]
