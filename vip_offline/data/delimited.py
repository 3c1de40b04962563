"""Tables as text: CSV and its dialects, parsed by pyarrow once their dialect is known."""

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError

HEAD = 200  # lines by which a dialect is known
DELIMITERS = (";", "\t", ",", "|")  # decimal commas come with the first two
NULLS: tuple[str, ...] = (
    "",
    "NA",
    "N/A",
    "n/a",
    "nan",
    "NaN",
    "NAN",
    "null",
    "NULL",
    "None",
    "-",
    "--",
)
NULLS += ("-nan", "1.#QNAN", "-1.#IND", "nan(ind)", "-nan(ind)", "#N/A", "#NV", "#DIV/0!")
COMMENTS = ("#", "%")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|Inf|INF|infinity)")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
THOUSANDS = re.compile(r"[+-]?\d{1,3}([,']\d{3})+(\.\d+)?")
UNIT = re.compile(r"(.*?)\s*[\[(]\s*([^\d\[\]()][^\[\]()]*)\s*[\])]")
CLOCK = re.compile(r"(\d{1,2}):(\d{2}):(\d{2}([.,]\d+)?)")


@dataclass(frozen=True)
class Text:
    """What a table of text holds."""

    columns: dict[str, NDArray[Any]]  # (T, ...) bool, int64, float64 or str (object: None empty)
    units: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    delimiter: str  # " ": any blanks
    decimal: str
    names: tuple[str, ...]  # of the columns; none: there is no header
    units: tuple[str, ...]  # a line of them below the header; none: there is no such line
    skip: int  # lines before the first row


def read_text(path: Path) -> Text:
    """Read a table of text.

    Raises:
        VipOfflineError: naming the line and value, if it is no table.
    """
    import pyarrow
    import pyarrow.csv

    lines, notes = _lines(path)
    dialect = _dialect(path, lines)
    body = lines[dialect.skip :]
    if not any(line.strip() for line in body):
        raise VipOfflineError(f"{path}: needs a line of names and one line per row.")
    if dialect.delimiter == " ":
        body = [",".join(line.split()) for line in body]
    width = len(_cells(body[0], _separator(dialect)))
    header = dialect.names or tuple(f"c{place}" for place in range(width))
    if not dialect.names:
        notes.append(f"there is no line of names: the columns are called {header[0]}, ...")
    names, units, more = _named(header, dialect)
    notes += more
    if dialect.decimal == ",":
        notes.append("decimal commas")
    try:
        table = pyarrow.csv.read_csv(
            # its threads may outlive the interpreter, which then aborts
            pyarrow.BufferReader("\n".join(body).encode()),
            read_options=pyarrow.csv.ReadOptions(column_names=names, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(delimiter=_separator(dialect)),
            convert_options=pyarrow.csv.ConvertOptions(
                null_values=NULLS, strings_can_be_null=True, decimal_point=dialect.decimal
            ),
        )
    except pyarrow.ArrowException as error:
        raise VipOfflineError(_ragged(path, body, len(names), dialect, str(error))) from error
    columns = {}
    for name in names:
        column = table[name].combine_chunks()
        if column.null_count == len(column):
            if name.startswith("unnamed"):
                continue  # behind a last delimiter in every line
        elif column.null_count and not pyarrow.types.is_string(column.type):
            empty = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
            rows = _line_numbers(body, dialect.skip)
            notes.append(
                f"{name}: {len(empty)} empty cells, the first in line {rows[int(empty[0])]}"
            )
        columns[name] = _numpy(column)
    return Text(columns, units, tuple(notes))


def _numpy(column: Any) -> NDArray[Any]:
    """(T,) of one column of pyarrow; what is empty becomes NaN, times seconds."""
    import pyarrow

    kind = column.type
    if pyarrow.types.is_timestamp(kind):
        stamps = column.cast(pyarrow.timestamp("ns", kind.tz)).to_numpy(zero_copy_only=False)
        return seconds_of_stamps(stamps)
    if pyarrow.types.is_date(kind) or pyarrow.types.is_time(kind):
        return np.asarray([None if cell is None else str(cell) for cell in column.to_pylist()])
    if pyarrow.types.is_string(kind) or pyarrow.types.is_null(kind):
        return np.asarray(column.to_pylist(), object)
    if column.null_count:
        column = column.cast(pyarrow.float64())
    return np.asarray(column.to_numpy(zero_copy_only=False))


def seconds_of_stamps(stamps: NDArray[Any]) -> NDArray[np.float64]:
    """(T,) datetime64 -> seconds since 1970; NaT becomes NaN."""
    nanoseconds = stamps.astype("datetime64[ns]")
    seconds = nanoseconds.astype(np.int64) / 1e9
    return np.where(np.isnat(nanoseconds), np.nan, seconds)


def numbers_of_words(path: Path, name: str, words: NDArray[Any]) -> NDArray[Any] | None:
    """(T, ...) numbers that stand in text: lists in cells, times of day; None: they are words.

    Raises:
        VipOfflineError: naming the cell, if most are numbers and some are not.
    """
    cells = [str(word).strip() for word in words if word is not None]
    if not cells:
        return np.full(len(words), np.nan)
    if all(cell[:1] in "[(" and cell[-1:] in "])" for cell in cells):
        return _listed(words)
    times = [CLOCK.fullmatch(cell) for cell in cells]
    if all(times) and len(cells) == len(words):
        return np.array(
            [int(t[1]) * 3600 + int(t[2]) * 60 + float(t[3].replace(",", ".")) for t in times if t]
        )
    if any(THOUSANDS.fullmatch(cell) for cell in cells) and all(
        THOUSANDS.fullmatch(cell) or NUMBER.fullmatch(cell) for cell in cells
    ):
        value = next(cell for cell in cells if THOUSANDS.fullmatch(cell))
        raise VipOfflineError(
            f"{path}: column {name!r} holds {value!r}, which may be a decimal comma or a separator "
            "of thousands. Write numbers with a point and without separators."
        )
    numbers = sum(NUMBER.fullmatch(cell) is not None for cell in cells)
    if numbers * 2 > len(cells):
        row = next(i for i, w in enumerate(words) if w is not None and not _is_number(str(w)))
        raise VipOfflineError(
            f"{path}: column {name!r}, row {row}: {words[row]!r} is no number, and {numbers} "
            f"of its {len(words)} cells are. Repair it, or leave the cell empty."
        )
    return None


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell.strip()) is not None


def _listed(words: NDArray[Any]) -> NDArray[Any] | None:
    """(T, k) of cells such as ``[0.1, 0.2]``, or numpy's ``[0.1 0.2]``."""
    rows = []
    for word in words:
        inner = re.sub(r"[\s,]+", ",", str(word).strip()[1:-1].strip()).strip(",")
        try:
            rows.append(json.loads(f"[{inner}]"))
        except json.JSONDecodeError:
            return None
    try:
        values = np.array(rows, np.float64)
    except (ValueError, TypeError):
        return None
    return values


def looks_like_rows(path: Path) -> bool:
    """Whether a file of text holds a table: notes in words have no line of numbers at their end."""
    try:
        lines, _ = _lines(path)
        dialect = _dialect(path, lines[:HEAD])
        last = next(line for line in reversed(lines[:HEAD]) if line.strip())
    except (VipOfflineError, StopIteration, OSError, csv.Error):
        return False
    cells = last.split() if dialect.delimiter == " " else _cells(last, dialect.delimiter)
    return sum(_value(cell) for cell in cells) * 2 > len(cells)


# --- the dialect ---------------------------------------------------------------------------


def _lines(path: Path) -> tuple[list[str], list[str]]:
    """Its lines, without what is no part of the table; and what was guessed."""
    data, notes = path.read_bytes(), []
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in data[:4096]:
        raise VipOfflineError(f"{path}: is no text. Save it as CSV in UTF-8.")
    else:
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        notes.append("is not in UTF-8 and was read as Latin-1")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines, notes


def _dialect(path: Path, lines: Sequence[str]) -> Dialect:
    """How a file is written, by its first lines."""
    skip, forced, comment = 0, "", ""
    while skip < len(lines) and (
        not lines[skip].strip() or lines[skip].startswith(COMMENTS) or _forces(lines[skip])
    ):
        forced = lines[skip].strip()[4:] or "\t" if _forces(lines[skip]) else forced
        comment = lines[skip] if lines[skip].startswith(COMMENTS) else comment
        skip += 1
    head = [line for line in lines[skip : skip + HEAD] if line.strip()]
    if not head:
        raise VipOfflineError(f"{path}: needs a line of names and one line per row.")
    delimiter = forced or _delimiter(head)
    separator = "," if delimiter == " " else delimiter
    if delimiter == " ":
        head = [",".join(line.split()) for line in head]
    rows = [_cells(line, separator) for line in head]
    numeric = [_numeric(row) for row in rows]
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    if not numeric[0] and len(rows) > 1:
        names, skip = tuple(rows[0]), _after(lines, skip)
        first = rows[1]
        below = rows[2] if len(rows) > 2 else []
        texts = all(not cell or not _value(cell) for cell in first) and any(first)
        if texts and any(_value(cell) for cell in below) and _units_of(first, below):
            units, skip = tuple(first), _after(lines, skip)
    elif not numeric[0]:
        names, skip = tuple(rows[0]), _after(lines, skip)
    elif comment:  # ``%time,field.x`` and ``# t x y`` name what is below
        marked = comment.lstrip("#% ")
        named = marked.split() if delimiter == " " else _cells(marked, separator)
        names = tuple(named) if len(named) == len(rows[0]) else ()
    data = rows[bool(names and not comment) + bool(units) :]
    commas = any(DECIMAL_COMMA.fullmatch(cell) for row in data for cell in row)
    points = any("." in cell and _value(cell) for row in data for cell in row)
    if commas and points:
        raise VipOfflineError(
            f"{path}: some numbers have a decimal comma, others a point. Write all with a point."
        )
    return Dialect(delimiter, "," if commas else ".", names, units, skip)


def _forces(line: str) -> bool:
    return line.lower().startswith("sep=") and len(line.strip()) <= len("sep=;")


def _after(lines: Sequence[str], skip: int) -> int:
    """Behind the next line that is not empty."""
    while not lines[skip].strip():
        skip += 1
    return skip + 1


def _delimiter(head: Sequence[str]) -> str:
    """What parts the cells: that by which most lines have as many, two or more."""
    best, score = "", 0.0
    for delimiter in DELIMITERS:
        widths = Counter(len(_cells(line, delimiter)) for line in head)
        width, count = widths.most_common(1)[0]
        share = count / len(head)
        if width > 1 and share > score + 0.2:
            best, score = delimiter, share
    if best:
        return best
    blanks = Counter(len(line.split()) for line in head)
    width, count = blanks.most_common(1)[0]
    return " " if width > 1 and count * 2 > len(head) else ","


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _separator(dialect: Dialect) -> str:
    return "," if dialect.delimiter == " " else dialect.delimiter


def _value(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None or DECIMAL_COMMA.fullmatch(cell) is not None


def _numeric(row: Sequence[str]) -> bool:
    return any(_value(cell) for cell in row) and all(_value(c) or c in NULLS for c in row)


def _units_of(first: Sequence[str], below: Sequence[str]) -> bool:
    """Whether a line of text is of units: where numbers stand below it, that is no row."""
    pairs = list(zip(first, below, strict=False))
    return all(not _value(cell) for cell, under in pairs if _value(under))


def _named(header: Sequence[str], dialect: Dialect) -> tuple[list[str], dict[str, str], list[str]]:
    """Names that differ, their units, and what was changed."""
    names: list[str] = []
    units: dict[str, str] = {}
    notes: list[str] = []
    for place, given in enumerate(header):
        match = UNIT.fullmatch(given)
        name = (match[1] if match else given).strip() or f"unnamed{place}"
        if name in names:
            number = 2
            while f"{name}.{number}" in names:
                number += 1
            notes.append(f"several columns are called {name!r}: the {number}. is {name}.{number}")
            name = f"{name}.{number}"
        names.append(name)
        unit = match[2].strip() if match else ""
        unit = unit or (dialect.units[place].strip("[]() ") if place < len(dialect.units) else "")
        if unit:
            units[name] = unit
    if dialect.units:
        notes.append(f"the line below the names holds units ({', '.join(dialect.units)})")
    return names, units, notes


def _line_numbers(body: Sequence[str], skip: int) -> list[int]:
    """Number in the file of each row."""
    return [skip + place + 1 for place, line in enumerate(body) if line.strip()]


def _ragged(path: Path, body: Sequence[str], width: int, dialect: Dialect, reason: str) -> str:
    for place, line in enumerate(body):
        cells = len(_cells(line, _separator(dialect)))
        if line.strip() and cells != width:
            return (
                f"{path}, line {dialect.skip + place + 1}: has {cells} cells, the first line names "
                f"{width}."
            )
    return f"{path}: is no table that can be read ({reason}). Save it again as CSV."
