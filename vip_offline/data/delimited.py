"""Tables of text in any dialect: which sign separates, where names, units and rows begin.

Only the first part of a file is looked at to know its dialect; pyarrow then cuts all of it.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from vip_offline.data.cells import SENTENCES, comma_meaning, is_value, plain_numbers
from vip_offline.data.columns import TableBuilder
from vip_offline.errors import VipOfflineError

SEPARATORS = ("\t", ";", "|", ",", " ")  # in doubt the first; a space is any white space
HEAD = 1 << 18  # bytes that tell the dialect
SAMPLE = 100  # lines that do
COMMENTS = ("#", "%")
LABVIEW_END = "***End_of_Header***"

_ODD_LINE = re.compile(rb"(?:^|[\r\n])[ \t]*(?:[#%\r\n]|$)")
_UNIT_IN_NAME = re.compile(r"[\[(]\s*([^\[\]()\d][^\[\]()]*?)\s*[\])]$")


@dataclass(frozen=True)
class _Layout:
    """Where what stands in a file."""

    separator: str
    names: list[str]
    units: list[str]  # one per name, or none at all
    names_line: int  # counted from 1; 0: there is no line of names
    first: int  # line with which the rows begin
    tabs_end: bool  # whether tabs may end a row that has no cell behind them
    notes: tuple[str, ...]


def read_delimited(path: Path) -> TableBuilder:
    """Read a table of text, in whatever dialect and encoding.

    Raises:
        VipOfflineError: on lines of several widths, cells that are no number among numbers, and
            where there are no rows. The message names line, column and value.
    """
    builder = TableBuilder(path)
    data = _as_utf8(path, builder.notes)
    head = data[:HEAD].decode("utf-8", "ignore").splitlines() if len(data) > HEAD else None
    lines = head[:-1] if head else _lines(data.decode("utf-8"))
    if path.suffix.lower() == ".txt" and _is_prose(lines):
        _add_prose(builder, lines)
        return builder
    layout = _layout(path, lines)
    builder.notes += layout.notes
    body, line_of = _body(data, layout, builder.notes)
    if not body.strip():
        raise VipOfflineError(f"{path}: needs a line of names and one line per row.")
    table = _cut(path, body, layout, line_of)
    columns = [table.column(i).combine_chunks() for i in range(table.num_columns)]
    columns = _without_empty_end(columns, builder.notes)
    _add_columns(builder, layout, columns, line_of)
    return builder


def _is_prose(lines: list[str]) -> bool:
    """Whether most lines hold words rather than numbers, as a file of notes does."""
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith(COMMENTS)]
    rows = [split_line(line, _separator(lines[:SAMPLE])) for line in lines[:SAMPLE]]
    numeric = [2 * sum(map(is_value, row)) >= len(row) for row in rows]
    return bool(rows) and 2 * sum(numeric) < len(rows)


def _add_prose(builder: TableBuilder, lines: list[str]) -> None:
    """Take a file of words: ``task.txt`` with one line gives the task."""
    name = builder.path.stem
    texts = [line.strip() for line in lines if line.strip()]
    if name in SENTENCES and len(texts) == 1:
        builder.values[name] = texts[0]
    else:
        builder.left_out[name] = "words"


def _lines(text: str) -> list[str]:
    """Lines as pyarrow cuts them; `str.splitlines` would cut at form feeds, too."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _as_utf8(path: Path, notes: list[str]) -> bytes:
    raw = path.read_bytes()
    zeros = raw[:400].count(0)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raw = raw.decode("utf-16", "replace").encode()
    elif zeros > len(raw[:400]) // 4:
        wide = "utf-16-le" if raw[1:400:2].count(0) > raw[0:400:2].count(0) else "utf-16-be"
        raw = raw.decode(wide, "replace").encode()
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in raw[:HEAD]:
        raise VipOfflineError(f"{path}: is no table of text. Save it as CSV.")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        notes.append("text is not UTF-8; read as Windows-1252 (Latin-1)")
        raw = raw.decode("cp1252", "replace").encode()
    return raw if b"\n" in raw else raw.replace(b"\r", b"\n")


def _layout(path: Path, lines: list[str]) -> _Layout:
    notes: list[str] = []
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
            return _Layout(separator, comment[1], [], comment[0], top + 1, bool(ends), tuple(notes))
        if before:
            raise VipOfflineError(
                f"{path}, line {top + 1}: has {len(rows[top])} cells, line {before[-1] + 1} before "
                f"it {len(rows[before[-1]])}. Give every column a name, or separate the cells by "
                "semicolons."
            )
        names = [f"c{place}" for place in range(width)]
        notes.append(f"no line of names: columns are called {names[0]} to {names[-1]}")
        return _Layout(separator, names, [], 0, top + 1, bool(ends), tuple(notes))
    if top > filled[0]:
        notes.append(f"lines {filled[0] + 1} to {top} stand before the names; left out")
    names = [cell.strip() for cell in rows[top]]
    first, units = _skip_units(rows, top, notes)
    names = _to_width(names, rows.get(first, names))
    units = [*units, *[""] * len(names)][: len(names)] if units else []
    return _Layout(separator, names, units, top + 1, first + 1, bool(ends), tuple(notes))


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


def _cells(row: list[str]) -> list[str]:
    """A line's cells without an empty one behind the last separator."""
    return row[:-1] if len(row) > 1 and not row[-1].strip() else row


def _fits(row: list[str], width: int) -> bool:
    return width in (len(row), len(_cells(row)))


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


def _skip_units(rows: dict[int, list[str]], top: int, notes: list[str]) -> tuple[int, list[str]]:
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
            notes.append(f"line {line + 1} holds no numbers; left out")
        else:
            units = [cell.strip("[]()") for cell in row]
            notes.append(f"line {line + 1} holds units ({', '.join(row)})")
    return following[-1] if following else top + 1, units


def _to_width(names: list[str], row: list[str]) -> list[str]:
    """Names, with one for a separator that ends the rows alone or without one that ends theirs."""
    if len(row) == len(names) + 1 and not row[-1].strip():
        return [*names, ""]
    if len(row) == len(names) - 1 and not names[-1]:
        return names[:-1]
    return names


def _body(data: bytes, layout: _Layout, notes: list[str]) -> tuple[bytes, Callable[[int], int]]:
    """The lines of rows, without comments and blank lines, and the line of each row."""
    start = 0
    for line in data[: 2 * HEAD].splitlines(keepends=True)[: layout.first - 1]:
        start += len(line)
    body = data[start:].rstrip(b"\r\n \x1a") if layout.separator == "\t" else data[start:].rstrip()
    if layout.tabs_end:
        body = re.sub(rb"\t+(?=\r?\n|$)", b"", body)
    if layout.separator != " " and not _ODD_LINE.search(body):
        return body, lambda row: layout.first + row
    lines = body.splitlines()
    kept, comments, blank = [], 0, 0
    for place, line in enumerate(lines):
        text = line.strip()
        if text and text[:1] not in (b"#", b"%"):
            kept.append(place)
        comments += text[:1] in (b"#", b"%")
        blank += not text
    if comments:
        notes.append(f"{comments} comment line(s) among the rows; left out")
    if blank:
        notes.append(f"{blank} blank line(s) among the rows; left out")
    picked = [b"\t".join(lines[i].split()) if layout.separator == " " else lines[i] for i in kept]
    places = np.array(kept)
    return b"\n".join(picked), lambda row: layout.first + int(places[row])


def _cut(path: Path, body: bytes, layout: _Layout, line_of: Callable[[int], int]) -> Any:
    """A table of pyarrow, all of it text; what pyarrow cannot cut is named by its line."""
    ragged: list[tuple[int, int]] = []

    def remember(row: Any) -> str:
        ragged.append((row.number - 1, row.actual_columns))
        return "error"

    places = [str(place) for place in range(len(layout.names))]
    try:
        return pyarrow.csv.read_csv(
            pa.py_buffer(body),
            pyarrow.csv.ReadOptions(column_names=places, use_threads=False, block_size=1 << 24),
            pyarrow.csv.ParseOptions(
                delimiter="\t" if layout.separator == " " else layout.separator,
                newlines_in_values=b'"' in body,
                invalid_row_handler=remember,
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid as error:
        if not ragged:
            raise VipOfflineError(f"{path}: cannot be read ({error}). Restore it.") from error
    row, cells = ragged[0]
    names = len(layout.names)
    where = {0: "the first row has", 1: "the first line names"}
    named = where.get(layout.names_line, f"line {layout.names_line} names")
    hint = ""
    if layout.separator == "," and cells > names:
        hint = " Where these are decimal commas, separate the cells by semicolons."
    raise VipOfflineError(
        f"{path}, line {line_of(row)}: has {cells} cells, {named} {names}. Repair the line.{hint}"
    )


def _without_empty_end(columns: list[Any], notes: list[str]) -> list[Any]:
    """Columns without the rows of empty cells that spreadsheets leave at the end."""
    rows = len(columns[0])
    filled = 0
    for cells in columns:
        present = np.flatnonzero(cells.is_valid().to_numpy(zero_copy_only=False))
        filled = max(filled, int(present[-1]) + 1 if len(present) else 0)
    if filled == rows:
        return columns
    notes.append(f"the last {rows - filled} row(s) hold nothing; left out")
    return [cells.slice(0, filled) for cells in columns]


def _add_columns(
    builder: TableBuilder, layout: _Layout, columns: list[Any], line_of: Callable[[int], int]
) -> None:
    other = [cells for cells in columns if plain_numbers(cells) is None]
    meanings = {comma_meaning(cells) for cells in other} & {"decimal", "thousands"}
    decimal = meanings.pop() if len(meanings) == 1 else ""
    units = layout.units or [""] * len(columns)
    for place, (name, cells) in enumerate(zip(layout.names, columns, strict=True)):
        if not name:
            if cells.null_count == len(cells):
                continue
            name = f"c{place}"
            builder.notes.append(f"column {place + 1} has no name; called {name!r}")
        within = _UNIT_IN_NAME.search(name)
        unit = units[place] or (within.group(1) if within else "")
        name = builder.unique(name)
        builder.add_cells(name, cells, lambda row: f"line {line_of(row)}", decimal, unit)
