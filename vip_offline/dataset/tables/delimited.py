"""Reads text tables of any dialect and encoding: `dialect` detects it, pyarrow parses."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from vip_offline.dataset.tables.cells import SENTENCES, comma_meaning, plain_numbers
from vip_offline.dataset.tables.columns import Table, Where, row_of
from vip_offline.dataset.tables.dialect import Dialect, dialect_of, is_prose
from vip_offline.errors import VipOfflineError

HEAD = 1 << 18  # bytes that tell the dialect

_ODD_LINE = re.compile(rb"(?:^|[\r\n])[ \t]*(?:[#%\r\n]|$)")
_UNIT_IN_NAME = re.compile(r"[\[(]\s*([^\[\]()\d][^\[\]()]*?)\s*[\])]$")


def read_delimited(path: Path) -> Table:
    """Read a table of text, in whatever dialect and encoding.

    Raises:
        VipOfflineError: on lines of several widths, cells that are no number among numbers, and
            where there are no rows. The message names line, column and value.
    """
    builder = Table(path)
    data = _as_utf8(path, builder.notes)
    lines = _lines(data[:HEAD].decode("utf-8", "ignore"))
    if len(data) > HEAD:
        del lines[-1]  # it may be cut
    if path.suffix.lower() == ".txt" and is_prose(lines):
        _add_prose(builder, lines)
        return builder
    layout = dialect_of(path, lines)
    builder.notes += layout.notes
    body, line_of = _body(data, layout, builder.notes)
    if not body.strip():
        raise VipOfflineError(f"{path}: needs a line of names and one line per row.")
    table = _cut(path, body, layout, line_of)
    columns = [table.column(i).combine_chunks() for i in range(table.num_columns)]
    columns = _without_empty_end(columns, builder.notes)
    several = b'"' in body and table.num_rows != len(body.splitlines())  # lines in one cell
    where = row_of if several else lambda row: f"line {line_of(row)}"
    _add_columns(builder, layout, columns, where)
    return builder


def _add_prose(builder: Table, lines: list[str]) -> None:
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


def _body(data: bytes, layout: Dialect, notes: list[str]) -> tuple[bytes, Callable[[int], int]]:
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
    rows, comments, blank = [], 0, 0
    for place, line in enumerate(lines):
        text = line.strip(b" " if layout.separator == "\t" else None)  # tabs are empty cells
        if text and text[:1] not in (b"#", b"%"):
            rows.append(place)
        comments += text[:1] in (b"#", b"%")
        blank += not text
    if comments:
        notes.append(f"{comments} comment line(s) among the rows; left out")
    if blank:
        notes.append(f"{blank} blank line(s) among the rows; left out")
    picked = [b"\t".join(lines[i].split()) if layout.separator == " " else lines[i] for i in rows]
    places = np.array(rows)
    return b"\n".join(picked), lambda row: layout.first + int(places[row])


def _cut(path: Path, body: bytes, layout: Dialect, line_of: Callable[[int], int]) -> Any:
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


def _add_columns(builder: Table, layout: Dialect, columns: list[Any], where: Where) -> None:
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
        builder.add_cells(name, cells, where, decimal, unit)
