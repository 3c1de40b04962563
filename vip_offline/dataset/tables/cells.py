"""Parses text columns: decimal commas, booleans, times, arrays in a cell.

What a cell may be is known by patterns of the whole column, never by one cell alone: ``1,234`` is
a number only where other cells tell a decimal comma from a thousands separator.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MISSING = (
    *("", "na", "n/a", "#n/a", "#nv", "null", "none", "nan", "+nan", "-nan", "nat"),
    *("nan(ind)", "-nan(ind)", "nan(snan)", "-nan(snan)", "nanq", "-", "--", "---", "?", "."),
    *("1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "1.#nan", "1.#snan"),  # older Microsoft C
    *("#div/0!", "#value!", "#wert!", "#num!", "#zahl!", "#ref!", "#name?", "<na>"),
)
TRUE = ("true", "t", "yes", "y", "on", "success", "successful", "succeeded", "wahr", "vrai", "ja")
FALSE = ("false", "f", "no", "n", "off", "failure", "fail", "failed", "falsch", "faux", "nein")
EXACT = 2**53  # up to here a float64 holds every whole number
SENTENCES = ("task", "instruction", "language_instruction")  # one text for the whole table

_POWER = r"(?:[eEdD][+-]?\d+)?"
_DOT = rf"[+-]?(?:\d+\.?\d*|\.\d+){_POWER}"
_COMMA = rf"[+-]?(?:\d{{1,3}}(?:\.\d{{3}})+,\d*|\d+,\d*{_POWER}|,\d+{_POWER})"
_WHOLE = rf"[+-]?\d+{_POWER}"
_COMMA_GROUPS = r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?"
_DOT_GROUPS = r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+"
_GAP = "['’ \u00a0\u202f]"  # the last two: spaces that do not break
_SPACE_GROUPS = rf"[+-]?[1-9]\d{{0,2}}(?:{_GAP}\d{{3}})+(?:[.,]\d*)?"
_INFINITE = r"[+-]?(?:(?i:inf|infinity|1\.#inf)|∞)"
_HEX = r"0[xX][0-9a-fA-F]{1,15}"
_DATE = r"(?:\d{4}[-/]\d{2}[-/]\d{2}|\d{2}\.\d{2}\.\d{4})"
_ZONE = r"(?:Z| ?UTC| ?[+-]\d{2}:?\d{2})"
_MOMENT = rf"{_DATE}(?:[T ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:[.,]\d{{1,9}})?)?{_ZONE}?)?"
_CLOCK = r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?"
_ARRAY = r"(?s:(?:np\.)?(?:array|tensor)?\(?[\[(].*(?:\d|nan).*[\])])"
_EITHER_DATE = r"\d{1,2}/\d{1,2}/\d{4}.*"

_NUMBER = rf"{_DOT}|{_COMMA}|{_COMMA_GROUPS}|{_SPACE_GROUPS}|{_INFINITE}|{_HEX}"
_VALUE = re.compile(rf"{_NUMBER}|{_MOMENT}|{_CLOCK}|{_ARRAY}|{_EITHER_DATE}")


def is_value(cell: str) -> bool:
    """Whether a cell holds a number, a time, an array, true or false, or stands for none."""
    cell = cell.strip()
    known = cell.lower() in (*MISSING, "true", "false", "wahr", "falsch")
    return known or _VALUE.fullmatch(cell) is not None


@dataclass(frozen=True)
class ParsedColumn:
    """A column of cells, or why it is none of numbers."""

    values: NDArray[Any] | None  # (T,) bool, int64 or float64, or (T, ...) float64
    reason: str = ""  # where there are no values
    note: str = ""  # what was guessed
    unit: str = ""
    bad_row: int = -1  # of a cell that is no number among numbers
    bad_cell: str = ""


def comma_meaning(cells: Any) -> str:
    """What commas are in a column: ``decimal``, ``thousands``, ``either``, or empty for none."""
    cells = pc.utf8_trim_whitespace(cells)
    present = cells.filter(pc.invert(_is_missing(cells)))
    if not len(present) or not pc.any(pc.match_substring_regex(present, "[,.].*[,.]|,")).as_py():
        return ""
    decimal = _all(present, f"{_COMMA}|{_WHOLE}|{_DOT_GROUPS}|{_INFINITE}")
    thousands = _all(present, f"{_COMMA_GROUPS}|{_DOT}|{_INFINITE}")
    if decimal and thousands:
        return "either"
    return "decimal" if decimal else "thousands" if thousands else ""


def plain_numbers(cells: Any) -> NDArray[Any] | None:
    """(T,) numbers of most columns, read fast; None where a cell is anything else."""
    try:
        return _numbers(cells)
    except pa.ArrowInvalid:
        return None


def parse_cells(cells: Any, decimal: str = "") -> ParsedColumn:
    """Read a (T,) string array of pyarrow, null where there is no cell.

    What other columns of the table say of commas is ``decimal``, ``thousands`` or nothing.

    Returns:
        Numbers with NaN where there are none, true and false as bool (float where one is
        missing), ISO times and clock times in seconds, arrays in cells as (T, k).
    """
    if decimal != "decimal":
        values = plain_numbers(cells)
        if values is not None:
            return ParsedColumn(values)
    cells = pc.utf8_trim_whitespace(cells)
    missing = _is_missing(cells)
    present = cells.filter(pc.invert(missing))
    if not len(present):
        return ParsedColumn(None, "empty")
    parsed = _parse_present(present, decimal)
    if parsed.values is None:
        if parsed.bad_row >= 0:
            rows = np.flatnonzero(~_numpy(missing))
            return ParsedColumn(None, bad_row=int(rows[parsed.bad_row]), bad_cell=parsed.bad_cell)
        return parsed
    return ParsedColumn(spread(parsed.values, ~_numpy(missing)), "", parsed.note, parsed.unit)


def _parse_present(present: Any, decimal: str) -> ParsedColumn:
    lower = pc.utf8_lower(present)
    if _within(lower, (*TRUE, *FALSE)):
        truths = _numpy(pc.is_in(lower, pa.array(TRUE)))
        words = sorted(set(pc.unique(present).to_pylist()))
        plain = _within(lower, ("true", "false"))
        return ParsedColumn(
            truths, note="" if plain else f"{', '.join(words)} read as true or false"
        )
    commas = comma_meaning(present)
    if commas == "either":
        if not decimal:
            return ParsedColumn(None, "ambiguous", bad_cell=_first(present, _COMMA_GROUPS))
        commas = decimal
    if decimal == "decimal" and not commas and _all(present, f"{_DOT_GROUPS}|[+-]?\\d+"):
        dotted = pc.any(pc.match_substring(present, ".")).as_py()
        if dotted:  # beside decimal commas a dot may be either
            return ParsedColumn(None, "ambiguous", bad_cell=_first(present, _DOT_GROUPS))
    if commas == "decimal":
        dotless = pc.replace_substring(present, ".", "")
        return ParsedColumn(_floats(pc.replace_substring(dotless, ",", ".")), note="decimal commas")
    if commas == "thousands":
        return ParsedColumn(
            _floats(pc.replace_substring(present, ",", "")), note="thousands commas"
        )
    if _all(present, f"{_DOT}|{_INFINITE}"):
        return ParsedColumn(_floats(present))
    if _all(present, _HEX):
        return ParsedColumn(
            np.array([int(cell, 16) for cell in present.to_pylist()]), note="hexadecimal"
        )
    if _all(present, f"{_SPACE_GROUPS}|{_DOT}|{_COMMA}"):
        joined = pc.replace_substring_regex(present, _GAP, "")
        note = "thousands apart by spaces or apostrophes"
        return ParsedColumn(_floats(pc.replace_substring(joined, ",", ".")), note=note)
    for read in (_moments, _clock, _arrays):
        parsed = read(present)
        if parsed:
            return parsed
    if _all(present, _EITHER_DATE):
        cell = present[0].as_py()
        return ParsedColumn(None, f"dates such as {cell!r}, day or month first: write 2026-01-31")
    numeric = _numpy(_matches(present, f"{_DOT}|{_COMMA}|{_INFINITE}"))
    if 2 * numeric.sum() >= len(numeric):
        row = int(np.argmin(numeric))
        return ParsedColumn(None, bad_row=row, bad_cell=present[row].as_py())
    if _all(present, rf"(?:{_DOT}|{_COMMA}) ?[a-zA-ZµμΩ°%/²³]{{1,6}}"):
        cell = present[0].as_py()
        return ParsedColumn(
            None, f"numbers with a unit behind, such as {cell!r}: write numbers alone"
        )
    return ParsedColumn(None, "words")


def _moments(present: Any) -> ParsedColumn | None:
    """Dates, with or without a time, in seconds since 1970."""
    if not _all(present, _MOMENT):
        return None
    text = pc.replace_substring_regex(present, r"^(\d{2})\.(\d{2})\.(\d{4})", r"\3-\2-\1")
    text = pc.replace_substring_regex(text, r"^(\d{4})/(\d{2})/(\d{2})", r"\1-\2-\3")
    text = pc.replace_substring(text, ",", ".")
    zoned = _numpy(pc.match_substring_regex(text, f":.*{_ZONE}$"))
    if zoned.any() and not zoned.all():
        return ParsedColumn(None, "times with and without a zone")
    text = pc.replace_substring_regex(text, " ?UTC$", "Z")
    text = pc.replace_substring_regex(text, r" ([+-]\d{2}:?\d{2})$", r"\1")
    try:
        stamps = text.cast(pa.timestamp("ns", "UTC") if zoned.all() else pa.timestamp("ns"))
    except pa.ArrowInvalid as error:
        return ParsedColumn(None, f"dates that are none ({error})")
    seconds = _numpy(stamps.cast(pa.int64())) / 1e9
    zone = "" if zoned.all() else ", taken for UTC"
    return ParsedColumn(seconds, note=f"dates and times in seconds since 1970{zone}", unit="s")


def _clock(present: Any) -> ParsedColumn | None:
    """Hours, minutes and seconds, in seconds since midnight; past midnight they go on."""
    if not _all(present, _CLOCK):
        return None
    text = pc.replace_substring(present, ",", ".")
    parts = pc.extract_regex(text, r"^(?P<h>\d+):(?P<m>\d+):(?P<s>[\d.]+)$")
    hours, minutes, seconds = (_floats(pc.struct_field(parts, key)) for key in "hms")
    total = 3600 * hours + 60 * minutes + seconds
    days = np.cumsum(np.diff(total, prepend=total[:1]) < -43200)
    return ParsedColumn(
        total + 86400 * days, note="clock times in seconds since midnight", unit="s"
    )


def _arrays(present: Any) -> ParsedColumn | None:
    """Cells such as ``[0.1, 0.2]`` and, as numpy prints it, ``[0.1 0.2]``."""
    if not _all(present, _ARRAY):
        return None
    rows = []
    for cell in present.to_pylist():
        inner = re.sub(r"^[^\[(]*\(?(?=[\[(])|(?<=[\])])\)?$", "", cell)
        inner = inner.replace("(", "[").replace(")", "]")
        inner = re.sub(r"(?<=[\d.\]nf])\s+(?=[-+\d.\[ni])", ", ", inner)
        inner = re.sub(r"(?<=\d)\.(?=[\s,\]])", ".0", inner)
        inner = re.sub(r"\binf\b", "Infinity", re.sub(r"\bnan\b", "NaN", inner))
        try:
            rows.append(np.asarray(json.loads(inner), np.float64))
        except (ValueError, TypeError):
            return ParsedColumn(None, f"brackets that hold no numbers, such as {cell[:40]!r}")
    shapes = sorted({row.shape for row in rows})
    if len(shapes) > 1:
        return ParsedColumn(None, f"arrays of several shapes ({shapes[0]} and {shapes[1]})")
    return ParsedColumn(np.stack(rows))


def _numbers(cells: Any) -> NDArray[Any]:
    """(T,) numbers of cells none of which is missing.

    They are float64 where that loses nothing, since a column of 0 and 1 in one episode may hold
    0.5 in the next; stamps in nanoseconds stay int64.
    """
    if cells.null_count:
        raise pa.ArrowInvalid("null")
    values = _numpy(cells.cast(pa.float64()))
    if np.isnan(values).any():
        raise pa.ArrowInvalid("nan")
    if len(values) and np.abs(values).max() > EXACT:
        try:
            return _numpy(cells.cast(pa.int64()))
        except pa.ArrowInvalid:
            pass
    return values


def _floats(cells: Any) -> NDArray[Any]:
    text = pc.replace_substring_regex(cells, "^\\+", "")
    text = pc.replace_substring_regex(text, "[dD]", "e")  # Fortran's double precision
    text = pc.replace_substring_regex(text, r"(?i)(?:1\.#inf|infinity|∞)$", "inf")
    return _numbers(text)


def spread(values: NDArray[Any], places: NDArray[np.bool_]) -> NDArray[Any]:
    """(T, ...) with the values at their places and NaN at the others."""
    if places.all():
        return values
    full = np.full((len(places), *values.shape[1:]), np.nan)
    full[places] = values
    return full


def _is_missing(cells: Any) -> Any:
    return pc.or_(
        pc.fill_null(pc.is_null(cells), True),
        pc.fill_null(pc.is_in(pc.utf8_lower(cells), pa.array(MISSING)), True),
    )


def _within(cells: Any, words: tuple[str, ...]) -> bool:
    return bool(pc.all(pc.is_in(cells, pa.array(words))).as_py())


def _matches(cells: Any, pattern: str) -> Any:
    return pc.match_substring_regex(cells, f"^(?:{pattern})$")


def _all(cells: Any, pattern: str) -> bool:
    return bool(pc.all(_matches(cells, pattern)).as_py())


def _first(cells: Any, pattern: str) -> str:
    return str(cells.filter(_matches(cells, pattern))[0].as_py())


def _numpy(array: Any) -> NDArray[Any]:
    return np.array(array.to_numpy(zero_copy_only=False))
