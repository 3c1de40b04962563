"""A table in memory, which records why a column is left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vip_offline.dataset.tables.cells import EXACT, FALSE, SENTENCES, TRUE, parse_cells, spread
from vip_offline.errors import VipOfflineError

NANOSECONDS = {"secs": "nsecs", "sec": "nanosec"}  # ROS 1, ROS 2
NAMED_LINES = 3  # lines that a note names

Where = Callable[[int], str]  # row -> how a file's reader calls it: "line 7"


def row_of(row: int) -> str:
    """Name of a row in messages, for files without lines."""
    return f"row {row}"


@dataclass
class Table:
    """Columns, episode-level values and notes of one file, which are taken one by one."""

    path: Path
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)  # (T, ...) bool, int or float
    values: dict[str, Any] = field(default_factory=dict)  # once in the file: bool, number or text
    left_out: dict[str, str] = field(default_factory=dict)  # column -> why it is in neither
    notes: list[str] = field(default_factory=list)  # what was guessed, where numbers are missing
    units: dict[str, str] = field(default_factory=dict)  # of columns, where the file says so
    # (T,) of columns that are left out for being words
    words: dict[str, Sequence[str | None]] = field(default_factory=dict)

    def finished(self) -> Self:
        """The table; a ROS stamp in two columns is one column of seconds, too."""
        for name in tuple(self.columns):
            stem, _, last = name.rpartition(".")
            rest = f"{stem}.{NANOSECONDS[last]}" if last in NANOSECONDS else ""
            if stem and stem not in self.columns and rest in self.columns:
                self.columns[stem] = self.columns[name] + self.columns[rest] / 1e9
                self.units[stem] = "s"
                self.notes.append(f"column {stem!r}: from {name!r} and {rest!r}")
        return self

    def unique(self, name: str) -> str:
        """The name, with a number behind it where another column has it already."""
        taken, count, fresh = {*self.columns, *self.values, *self.left_out}, 1, name
        while fresh in taken:
            count += 1
            fresh = f"{name}.{count}"
        if fresh != name:
            self.notes.append(f"more than one column is called {name!r}: the next is {fresh!r}")
        return fresh

    def refuse(self, where: str, name: str, problem: str) -> VipOfflineError:
        """An error that names file, place and column."""
        return VipOfflineError(f"{self.path}, {where}, column {name!r}: {problem}")

    def add_cells(
        self, name: str, cells: Any, where: Where = row_of, decimal: str = "", unit: str = ""
    ) -> None:
        """Take a column of text, (T,) string array of pyarrow.

        Raises:
            VipOfflineError: on a cell that is no number among numbers, and on commas of which
                nobody can say what they are.
        """
        parsed = parse_cells(cells, decimal)
        if parsed.bad_row >= 0:
            problem = f"{parsed.bad_cell!r} is no number. Write one, or leave the cell empty."
            raise self.refuse(where(parsed.bad_row), name, problem)
        if parsed.reason == "ambiguous":
            row = [str(cell).strip() for cell in cells.to_pylist()].index(parsed.bad_cell)
            comma = parsed.bad_cell.replace(",", "").replace(".", "")
            point = parsed.bad_cell.replace(",", ".")
            problem = (
                f"{parsed.bad_cell!r} may be {comma} or {point}. Save the table with points as "
                "decimal separators and without thousands separators."
            )
            raise self.refuse(where(row), name, problem)
        if parsed.values is None:
            texts = {cell for cell in cells.to_pylist() if cell}
            if name.rsplit(".", 1)[-1] in SENTENCES and len(texts) == 1:
                self.values[name] = texts.pop()
            else:
                self.left_out[name] = parsed.reason
                self.words[name] = cells.to_pylist()
            return
        if parsed.note:
            self.notes.append(f"column {name!r}: {parsed.note}")
        self.add_column(name, parsed.values, parsed.unit or unit, where)

    def add_array(self, name: str, array: NDArray[Any]) -> None:
        """Take an array of numpy: 0-d ones are values, structured ones a column per field."""
        array = np.asarray(array)
        kind = array.dtype.kind
        if array.dtype.names:
            for inner in array.dtype.names:
                self.add_array(f"{name}.{inner}" if name else inner, array[inner])
            return
        name = self.unique(name)
        if kind == "S":
            array = np.char.decode(array, "utf-8", "replace")
        if not array.ndim and array.dtype.kind in "biufU":
            self.values[name] = array.item()
        elif kind in "mM" and array.ndim:
            counts = array.astype(f"{kind}8[ns]").astype(np.int64) / 1e9
            self.add_column(name, np.where(np.isnat(array), np.nan, counts), "s")
        elif array.dtype.kind == "U":
            if array.ndim == 1:
                self.add_cells(name, pa.array(array.tolist(), pa.string()))
            else:
                self.left_out[name] = "words"
        elif kind in "biuf":
            native = array.astype(array.dtype.newbyteorder("="), copy=False)
            self.add_column(name, np.ascontiguousarray(native))
        else:
            parts = "complex numbers: save their real and imaginary parts"
            self.left_out[name] = parts if kind == "c" else f"no numbers ({array.dtype})"

    def add_objects(self, name: str, cells: Sequence[Any], where: Where = row_of) -> None:
        """Take a column of Python objects: bool, int, float, text, lists of numbers, None."""
        name = self.unique(name)
        present = [cell for cell in cells if cell is not None]
        kinds = {type(cell) for cell in present}
        if not kinds:
            self.left_out[name] = "empty"
        elif str in kinds and kinds <= {bool, int, float, str}:
            texts = [None if cell is None else str(cell) for cell in cells]
            self.add_cells(name, pa.array(texts, pa.string()), where)
        elif kinds <= {bool, int, float} or kinds == {list}:
            self._add_numbers(name, cells, where)
        else:
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            self.left_out[name] = f"no numbers but {names}"

    def _add_numbers(self, name: str, cells: Sequence[Any], where: Where) -> None:
        """Take a column of numbers, or of lists of them of one length."""
        try:
            rows = [np.asarray(_without_none(cell)) for cell in cells if cell is not None]
        except ValueError:
            self.left_out[name] = "lists of several lengths in one row"
            return
        shapes = sorted({row.shape for row in rows})
        if len(shapes) > 1:
            self.left_out[name] = f"lists of several lengths ({shapes[0]} and {shapes[1]})"
            return
        plain = np.stack(rows)
        if plain.dtype.kind == "O":  # whole numbers beyond 64 bits, or objects in lists
            plain = plain.astype(np.float64) if not plain.shape[1:] else plain
        if plain.dtype.kind not in "biuf":
            self.left_out[name] = "lists that hold more than numbers"
            return
        if plain.dtype.kind in "iu" and plain.size and np.abs(plain).max() <= EXACT:
            plain = plain.astype(np.float64)  # the next episode may hold fractions
        plain = spread(plain, np.array([cell is not None for cell in cells]))
        self.add_column(name, plain, where=where)

    def add_column(
        self, name: str, values: NDArray[Any], unit: str = "", where: Where = row_of
    ) -> None:
        """Take (T, ...) numbers; says where some are missing."""
        self.columns[name] = values
        if unit:
            self.units[name] = unit
        if values.dtype.kind != "f" or not values.size:
            return
        missing = np.isnan(values).reshape(len(values), -1).any(axis=1)
        rows = np.flatnonzero(missing)
        if len(rows):
            listed = ", ".join(where(int(row)) for row in rows[:NAMED_LINES])
            more = ", ..." if len(rows) > NAMED_LINES else ""
            self.notes.append(
                f"column {name!r}: no number in {listed}{more} ({len(rows)} in all); NaN there"
            )


def _without_none(cell: Any) -> Any:
    if isinstance(cell, list):
        return [_without_none(inner) for inner in cell]
    return np.nan if cell is None else cell


def as_bools(values: Any) -> NDArray[np.bool_] | None:
    """(T,) bool of successes in any form: bool, 0 and 1, or words such as true, no, success.

    Of a (T,) or (T, 1) array or sequence, or one value; None if it is none of these, or one is
    missing.
    """
    array = np.atleast_1d(np.asarray(values))
    if array.ndim > 1 and array.size != len(array):
        return None
    array = array.reshape(len(array))
    if array.dtype.kind in "OSU":
        texts = (c.decode("utf-8", "replace") if isinstance(c, bytes) else c for c in array.flat)
        words = [str(text).strip().lower() for text in texts]
        if not {*words} <= {*TRUE, *FALSE, "1", "0", "1.0", "0.0"}:
            return None
        return np.array([word in (*TRUE, "1", "1.0") for word in words], bool)
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        return None
    return array.astype(bool)
