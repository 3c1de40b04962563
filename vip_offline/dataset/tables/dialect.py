"""Detects the dialect of a text table: separator, header line, units, first row.

Known by the first lines of a file alone.
"""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path

from vip_offline.dataset.tables.cells import is_value
from vip_offline.errors import VipOfflineError

SEPARATORS = ("\t", ";", "|", ",", " ")  # in doubt the first; a space is any white space
SAMPLE = 100  # lines that tell the dialect
COMMENTS = ("#", "%")
LABVIEW_END = "***End_of_Header***"


@dataclass(frozen=True)
class Dialect:
    """Separator, header, units and first row of a text table."""

    separator: str
    names: list[str]
    units: list[str]  # one per name, or none at all
    names_line: int  # counted from 1; 0: there is no line of names
    first: int  # line with which the rows begin
    tabs_end: bool  # whether tabs may end a row that has no cell behind them
    notes: tuple[str, ...]


def dialect_of(path: Path, lines: list[str]) -> Dialect:
    """Detect the dialect from the first lines of a file.

    Raises:
        VipOfflineError: where there are no rows, or it cannot be told which line gives the names.
    """
    notes: list[str] = []
    lines = _joined(lines)
    start, separator = 0, ""
    named = re.fullmatch(r'"?sep=(.)"?', lines[0].strip("\r\n")) if lines else None
    if named:
        start, separator = 1, named.group(1)
    ends = [i for i, line in enumerate(lines) if line.startswith(LABVIEW_END)]
    if ends:
        start = ends[-1] + 1
        lines = [re.sub("\t(?:Comment)?\t*$", "", line) for line in lines]  # rows lack that cell
        notes.append(f"lines 1 to {start} are LabVIEW's header; left out")
    comments = {i for i, line in enumerate(lines) if line.lstrip().startswith(COMMENTS)}
    filled = [i for i in range(start, len(lines)) if lines[i].strip() and i not in comments]
    if not filled:
        raise VipOfflineError(f"{path}: needs a line of names and one line per row.")
    sample = [lines[i] for i in filled[:SAMPLE]]
    separator = separator or _separator(sample)
    width = _usual_width(sample, separator)
    rows = {i: split_line(lines[i], separator) for i in filled[:SAMPLE]}
    top = next(i for i in filled if _fits(rows[i], width))
    comment = _names_in_comment(lines, comments, top, separator, width)
    counted = not comment and _counts_columns(rows, top)
    if counted:
        notes.append(f"line {top + 1} counts the columns; taken for their names")
    elif not _heads(rows, top):
        before = list(takewhile(lambda i: i < top, filled))
        if comment:
            notes.append(f"line {comment[0]}, a comment, gives the names")
            return Dialect(separator, comment[1], [], comment[0], top + 1, bool(ends), tuple(notes))
        if before:
            raise VipOfflineError(
                f"{path}, line {top + 1}: has {len(rows[top])} cells, line {before[-1] + 1} before "
                f"it {len(rows[before[-1]])}. Give every column a name, or separate the cells by "
                "semicolons."
            )
        halves = [cell for row in rows.values() for cell in row if re.fullmatch(r"-0|0\d+", cell)]
        if separator == "," and halves:
            raise VipOfflineError(
                f"{path}, line {top + 1}: {','.join(rows[top])!r} may be several cells or one "
                "number with a decimal comma. Give every column a name, and separate the cells by "
                "semicolons."
            )
        names = [f"c{place}" for place in range(width)]
        notes.append(f"no line of names: columns are called {names[0]} to {names[-1]}")
        return Dialect(separator, names, [], 0, top + 1, bool(ends), tuple(notes))
    if top > filled[0]:
        notes.append(f"line {top + 1} gives the names; those before it are left out")
    names = [" ".join(cell.split()) for cell in rows[top]]
    first, units = _skip_units(path, rows, top)
    if len({*names}) < len(names) == len({*zip(names, units, strict=False)}) and all(names):
        names, units = [f"{name}.{part}" for name, part in zip(names, units, strict=True)], []
        notes.append(f"lines {top + 1} and {first} together give the names")
    elif units:
        notes.append(f"line {first} holds units ({', '.join(units)})")
    names = _to_width(names, rows.get(first, names))
    units = [*units, *[""] * len(names)][: len(names)] if units else []
    return Dialect(separator, names, units, top + 1, first + 1, bool(ends), tuple(notes))


def _joined(lines: list[str]) -> list[str]:
    """Lines, where a quoted cell with line breaks is in one; empty ones keep the others' places."""
    if not any(line.count('"') % 2 for line in lines):
        return lines
    joined, begin = list(lines), -1
    for place, line in enumerate(lines):
        if begin >= 0:
            joined[begin] += f"\n{line}"
            joined[place] = ""
        if line.count('"') % 2:
            begin = place if begin < 0 else -1
    # the last quoted cell may be cut off with the rest of the file
    return joined if begin < 0 else [*joined[:begin], *[""] * (len(lines) - begin)]


def split_line(line: str, separator: str) -> list[str]:
    """The cells of a line."""
    line = line.strip("\r\n")
    if separator == " ":
        return [cell.strip('"') for cell in line.split()]
    return next(csv.reader(io.StringIO(line), delimiter=separator), [""])


def _separator(lines: list[str]) -> str:
    """The sign that cuts most lines into equally many cells, most of which are values."""

    def score(separator: str) -> tuple[float, float]:
        rows = [split_line(line, separator) for line in lines]
        width = _usual_width(lines, separator)
        if width == 1:
            return 0, 0
        fitting = [row for row in rows if _fits(row, width)]
        cells = [cell for row in fitting for cell in row]
        return len(fitting) / len(rows), round(sum(map(is_value, cells)) / len(cells), 2)

    best = max(SEPARATORS, key=score)
    return best if score(best)[0] else ","


def _usual_width(lines: list[str], separator: str) -> int:
    """Cells of most lines; without an empty one where the line of names lacks just that."""
    rows = [split_line(line, separator) for line in lines]
    widths = Counter(map(len, rows))
    width = max(widths, key=lambda width: (widths[width], width))
    ends = [row[-1].strip() for row in rows if len(row) == width]
    return width - 1 if widths[width - 1] and not any(ends) else width


def _fits(row: list[str], width: int) -> bool:
    """Whether a line has as many cells, or one more that is empty, behind the last separator."""
    return len(row) == width or (len(row) == width + 1 > 1 and not row[-1].strip())


def _counts_columns(rows: dict[int, list[str]], top: int) -> bool:
    """Whether a line is 0, 1, 2, ... above fractions, as pandas names the columns of an array."""
    names = [cell.strip() for cell in rows[top]]
    names = names[1:] if not names[0] else names
    following = [row[-1] for line, row in rows.items() if line > top and row]
    fractions = bool(following) and all("." in cell for cell in following)
    return fractions and len(names) > 1 and names == [str(place) for place in range(len(names))]


def _heads(rows: dict[int, list[str]], top: int) -> bool:
    """Whether a line names the columns: words above numbers, or words alone."""
    following = [row for line, row in rows.items() if line > top][:5]
    above = [not is_value(cell) for cell in rows[top]]
    if all(above):
        return True
    return any(
        word and is_value(cell) and cell.strip()
        for row in following
        for word, cell in zip(above, row, strict=False)
    )


def _names_in_comment(
    lines: list[str], comments: set[int], top: int, separator: str, width: int
) -> tuple[int, list[str]] | None:
    """Line and names, where the comment right above the rows has one word for each column."""
    if top - 1 not in comments:
        return None
    text = lines[top - 1].lstrip().lstrip("".join(COMMENTS)).strip()
    names = [name.strip() for name in split_line(text, separator)]
    if len(names) != width or all(is_value(name) for name in names):
        return None
    return top, names


def _skip_units(path: Path, rows: dict[int, list[str]], top: int) -> tuple[int, list[str]]:
    """The first line of numbers, and the units if a line between holds them."""
    following = [line for line in rows if line > top]
    units: list[str] = []
    for line, after in pairwise(following):
        row = [cell.strip() for cell in rows[line]]
        words = [bool(cell) and not is_value(cell) for cell in row]
        above_number = any(
            word and cell.strip() and is_value(cell)
            for number in (after, following[-1])
            for word, cell in zip(words, rows[number], strict=False)
        )
        others = {cell for cell, word in zip(row, words, strict=True) if not word}
        if not above_number or not others <= {"", "-", "1"}:
            return line, units
        if units:
            raise VipOfflineError(
                f"{path}: lines {top + 1} to {line + 1} hold no numbers; which of them gives the "
                "names? Leave one line of names, and one of units under it."
            )
        units = [re.sub(r"^[\[(](.*)[\])]$", r"\1", cell) for cell in row]
    return following[-1] if following else top + 1, units


def _to_width(names: list[str], row: list[str]) -> list[str]:
    """Names, with one for a separator that ends the rows alone or without one that ends theirs."""
    if len(row) == len(names) + 1 and not row[-1].strip():
        return [*names, ""]
    if len(row) == len(names) - 1 and not names[-1]:
        return names[:-1]
    return names


def is_prose(lines: list[str]) -> bool:
    """Whether most lines hold words rather than numbers, as a file of notes does."""
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith(COMMENTS)]
    rows = [split_line(line, _separator(lines[:SAMPLE])) for line in lines[:SAMPLE]]
    numeric = [2 * sum(map(is_value, row)) >= len(row) for row in rows]
    return bool(rows) and 2 * sum(numeric) < len(rows)
