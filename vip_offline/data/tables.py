"""Tables in any file that people keep them in -> columns of numbers, and an account of the rest."""

import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.data.delimited import numbers_of_words, read_text, seconds_of_stamps
from vip_offline.errors import VipOfflineError

TEXTS = (".csv", ".tsv", ".txt")
TABLES = (*TEXTS, ".npz", ".npy", ".json", ".jsonl", ".parquet", ".feather", ".arrow")
_SHEET = "sheets are not read: save it as CSV"
_CODE = "is not opened, since it may run code: save its arrays as .npz"
NOT_READ: Mapping[str, str] = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".pth", ".joblib"), _CODE),
    ".mat": "is not read: in Python np.savez(OUT, **scipy.io.loadmat(FILE)) makes an .npz of it",
    **dict.fromkeys((".hdf5", ".h5"), "inside a folder is not read: import it by its own path"),
    **dict.fromkeys((".bag", ".mcap", ".db3"), "a robot's log is not read: export topics as CSV"),
    ".svo": "is read by its maker's library alone: export mp4",
    ".yaml": "settings are not read",
    ".yml": "settings are not read",
    ".md": "notes are not read",
}
WORDS = ("task", "instruction", "language_instruction")  # that may stand in every row
SUCCESS = re.compile(r"(is_|task_|episode_)?(success|succeeded|solved)")
TIME = re.compile(
    r"%?(time|times|timestamps?|time_?stamps?|stamps?|t|secs?|seconds?|header\.stamp|rosbagtimestamp)"
    r"(_?(ns|nsecs?|us|usecs?|ms|msecs?|s|sec|secs|seconds|nanoseconds|microseconds|milliseconds))?"
)
TRUE = ("1", "1.0", "true", "t", "yes", "y", "success", "successful", "succeeded", "ok", "pass")
FALSE = ("0", "0.0", "false", "f", "no", "n", "failure", "failed", "fail")
UNITS = {
    **dict.fromkeys(("ns", "nsec", "nsecs", "nanoseconds"), 1e-9),
    **dict.fromkeys(("us", "µs", "μs", "usec", "usecs", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "msec", "msecs", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "seconds"), 1.0),
}
NAMES = {1e-9: "nanoseconds", 1e-6: "microseconds", 1e-3: "milliseconds", 1.0: "seconds"}
SINCE = {1e17: 1e-9, 1e14: 1e-6, 1e11: 1e-3, 1e8: 1.0}  # magnitudes of times since 1970
STEPS = {1e6: 1e-9, 1e3: 1e-6, 1.0: 1e-3}  # of whole numbers: nobody logs once a second or less


@dataclass(frozen=True)
class Table:
    """What a file holds."""

    columns: Mapping[str, NDArray[Any]]  # name -> (T, ...) bool, int or float; lengths may differ
    values: Mapping[str, Any] = field(default_factory=dict)  # what stands once: numbers, words
    left_out: Mapping[str, str] = field(default_factory=dict)  # column -> why
    notes: tuple[str, ...] = ()  # what was guessed
    units: Mapping[str, str] = field(default_factory=dict)  # column -> unit, where one stands


@dataclass
class _Sorted:
    """Columns, values and the rest, while a file is read."""

    path: Path
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def put(self, name: str, values: NDArray[Any]) -> None:
        """Take an array for what it is."""
        if values.dtype.names:
            for inner in values.dtype.names:
                self.put(f"{name}.{inner}", values[inner])
        elif values.ndim == 0:
            self._once(name, values)
        elif values.dtype.kind == "M":
            self.columns[name] = seconds_of_stamps(values)
        elif values.dtype.kind == "m":
            self.columns[name] = values.astype("timedelta64[ns]").astype(np.int64) / 1e9
        elif values.dtype.kind in "biuf":
            native = values.dtype.newbyteorder("=")
            self.columns[name] = np.ascontiguousarray(values, native)
        elif values.dtype.kind in "USO":
            self._words(name, values)
        else:
            self.left_out[name] = f"is of {values.dtype}, no real numbers"

    def _once(self, name: str, value: NDArray[Any]) -> None:
        if value.dtype.kind in "biufU":
            self.values[name] = value.item()
        elif value.dtype.kind == "S":
            self.values[name] = value.item().decode(errors="replace")
        else:
            self.left_out[name] = f"is one value of {value.dtype}"

    def _words(self, name: str, words: NDArray[Any]) -> None:
        flat = [w.decode(errors="replace") if isinstance(w, bytes) else w for w in words.tolist()]
        if words.ndim == 1 and not any(isinstance(word, list | dict) for word in flat):
            cells = np.asarray(flat, object)
            answers = as_bools(cells)
            if answers is not None and (is_success(name) or _says_bool(cells)):
                self.columns[name] = answers
                return
            if len({*flat}) == 1 and last_name(name) in WORDS:
                self.values[name] = flat[0]
                return
            numbers = numbers_of_words(self.path, name, cells)
            if numbers is not None:
                self.columns[name] = numbers
                return
        self.left_out[name] = "holds words, no numbers"

    def table(self, units: Mapping[str, str] | None = None) -> Table:
        return Table(self.columns, self.values, self.left_out, tuple(self.notes), units or {})


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        VipOfflineError: if it cannot be read, naming line or column, value and the way out.
    """
    suffix = path.suffix.lower()
    reader: Callable[[Path], Table] = READERS.get(suffix, _delimited)
    import pyarrow

    try:
        return reader(path)
    except VipOfflineError:
        raise
    except (
        *(OSError, ValueError, TypeError, KeyError, EOFError, OverflowError, RecursionError),
        *(zipfile.BadZipFile, NotImplementedError, pyarrow.ArrowException, UnicodeError),
    ) as error:
        raise VipOfflineError(f"{path}: cannot be read ({error}). Restore it.") from error


def _delimited(path: Path) -> Table:
    text, sorted_ = read_text(path), _Sorted(path)
    for name, values in text.columns.items():
        sorted_.put(name, values)
    sorted_.notes += text.notes
    return sorted_.table(text.units)


def _npz(path: Path) -> Table:
    sorted_ = _Sorted(path)
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            try:
                values = archive[name]
            except ValueError as error:
                if "allow_pickle" not in str(error):
                    raise
                sorted_.left_out[name] = "holds objects, which are not opened: they may run code"
            else:
                sorted_.put(name, np.asarray(values))
    return sorted_.table()


def _npy(path: Path) -> Table:
    sorted_ = _Sorted(path)
    sorted_.put("values", np.load(path, allow_pickle=False))
    return sorted_.table()


def _json(path: Path) -> Table:
    return _tree(path, json.loads(path.read_text(encoding="utf-8-sig")))


def _jsonl(path: Path) -> Table:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise VipOfflineError(f"{path}, line {number}: is no JSON ({error}).") from error
    return _tree(path, rows)


def _tree(path: Path, content: Any) -> Table:
    """Rows, or columns, as JSON has them."""
    sorted_ = _Sorted(path)
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        content = _columns_of_rows(content, sorted_)
    if not isinstance(content, dict):
        content = {"values": content}

    def put(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                put(f"{name}.{key}" if name else str(key), inner)
        elif isinstance(value, list):
            _put_list(sorted_, name, value)
        elif value is None:
            sorted_.left_out[name] = "is null"
        else:
            sorted_.values[name] = value

    put("", content)
    return sorted_.table()


def _columns_of_rows(rows: list[dict[str, Any]], sorted_: _Sorted) -> dict[str, Any]:
    flat = [_flat(row) for row in rows]
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(key for row in flat for key in row):
        columns[name] = [row.get(name) for row in flat]
    return columns


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _put_list(sorted_: _Sorted, name: str, cells: list[Any]) -> None:
    """A column of Python's values, of which some may be missing."""
    missing = [row for row, cell in enumerate(cells) if cell is None]
    there = [cell for cell in cells if cell is not None]
    if not there:
        sorted_.left_out[name] = "is empty"
        return
    if missing and all(isinstance(cell, bool | int | float) for cell in there):
        cells = [np.nan if cell is None else float(cell) for cell in cells]
        sorted_.notes.append(f"{name}: {len(missing)} empty cells, the first in row {missing[0]}")
    elif missing and isinstance(there[0], list):
        empty = [np.nan] * len(there[0])
        cells = [empty if cell is None else cell for cell in cells]
        sorted_.notes.append(f"{name}: {len(missing)} empty cells, the first in row {missing[0]}")
    try:
        values = np.array(cells)
    except ValueError:
        sorted_.left_out[name] = "its rows differ in length"
        return
    if values.dtype.kind == "U" and not all(isinstance(cell, str) for cell in cells):
        values = np.array(cells, object)
    sorted_.put(name, values)


def _arrow(path: Path) -> Table:
    import pyarrow
    import pyarrow.feather
    import pyarrow.parquet

    if path.suffix.lower() == ".parquet":
        table = pyarrow.parquet.read_table(path, partitioning=None)
    else:
        table = pyarrow.feather.read_table(path)
    while any(pyarrow.types.is_struct(column.type) for column in table.columns):
        table = table.flatten()
    sorted_ = _Sorted(path)
    for name in table.column_names:
        _put_arrow(sorted_, name, table[name].combine_chunks())
    return sorted_.table()


def _put_arrow(sorted_: _Sorted, name: str, column: Any) -> None:
    import pyarrow

    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pyarrow.types.is_timestamp(kind):
        stamps = column.cast(pyarrow.timestamp("ns", kind.tz)).to_numpy(zero_copy_only=False)
        sorted_.put(name, stamps)
    elif pyarrow.types.is_decimal(kind):
        sorted_.put(name, column.cast(pyarrow.float64()).to_numpy(zero_copy_only=False))
    elif (
        pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)
    ) and not column.null_count:
        sorted_.put(name, column.to_numpy(zero_copy_only=False))
    elif pyarrow.types.is_fixed_size_list(kind) and not column.null_count:
        flat = column.flatten()
        if flat.null_count or not pyarrow.types.is_primitive(flat.type):
            _put_list(sorted_, name, column.to_pylist())
        else:
            values = flat.to_numpy(zero_copy_only=False)
            sorted_.put(name, values.reshape(len(column), kind.list_size))
    else:
        _put_list(sorted_, name, column.to_pylist())


READERS: Mapping[str, Callable[[Path], Table]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".json": _json,
    ".jsonl": _jsonl,
    ".parquet": _arrow,
    ".feather": _arrow,
    ".arrow": _arrow,
}


# --- what a column means -------------------------------------------------------------------


def last_name(name: str) -> str:
    """``robot.Success`` and ``obs/success`` -> ``success``."""
    return re.split(r"[./]", name)[-1].strip().lower()


def is_success(name: str) -> bool:
    """Whether a column of this name says that the task is solved."""
    return SUCCESS.fullmatch(last_name(name)) is not None


def is_time(name: str) -> bool:
    """Whether a column of this name tells when its rows were taken."""
    return any(TIME.fullmatch(end) is not None for end in (last_name(name), _two(name)))


def _two(name: str) -> str:
    return ".".join(re.split(r"[./]", name)[-2:]).strip().lower()


def _says_bool(words: NDArray[Any]) -> bool:
    return all(str(word).strip().lower() in ("true", "false") for word in words)


def as_bools(values: NDArray[Any]) -> NDArray[np.bool_] | None:
    """(T,) answers of a column that says yes or no, in any form; None: it is none."""
    flat = np.asarray(values).reshape(-1)
    if flat.dtype.kind == "b":
        return flat.astype(bool)
    if flat.dtype.kind in "iuf":
        answers = np.isin(flat, (0, 1))
        return flat == 1 if answers.all() else None
    words = [
        (word.decode(errors="replace") if isinstance(word, bytes) else str(word)).strip().lower()
        for word in flat.tolist()
    ]
    if not all(word in TRUE or word in FALSE for word in words):
        return None
    return np.array([word in TRUE for word in words], bool)


def seconds_of(
    name: str, values: NDArray[Any], unit: str = ""
) -> tuple[NDArray[np.float64], str] | None:
    """A column of times in seconds, and how it is read.

    Args:
        name: of the column, which may end in its unit: ``stamp_ns``.
        values: (T,) numbers.
        unit: where one stands in the file.

    Returns:
        (T,) seconds and for people how they were read; None: it counts rows, or is no time.

    Raises:
        VipOfflineError: if the times go back, naming the row.
    """
    flat = np.asarray(values).reshape(len(values), -1)
    if flat.shape[1] != 1 or flat.dtype.kind not in "iuf" or not len(flat):
        return None
    times = flat[:, 0]
    whole = times.dtype.kind in "iu" or bool((times == np.round(times)).all())
    if not np.isfinite(times.astype(np.float64)).all():
        return None
    steps = np.diff(times.astype(np.float64) if times.dtype.kind == "u" else times)
    scale, since = _scale(name, times, steps, unit, whole)
    if whole and len(steps) and (steps == 1).all() and not since and not _unit(name, unit):
        return None
    if len(steps) and (steps < 0).any():
        row = int(np.argmax(steps < 0)) + 1
        raise VipOfflineError(
            f"column {name}: row {row} is at {times[row]}, the one before at {times[row - 1]}: "
            "time goes back. Sort or repair it, or name another column with --key-map time=COLUMN."
        )
    if times.dtype.kind in "iu" and scale < 1:  # exact up to what float64 holds
        per = round(1 / scale)
        seconds = (times // per).astype(np.float64) + (times % per).astype(np.float64) * scale
    else:
        seconds = times.astype(np.float64) * scale
    return seconds, f"{NAMES[scale]}{' since 1970' if since else ''}"


def _unit(name: str, unit: str) -> float:
    """Seconds of a unit that stands in the file or at the end of a name; 0: none does."""
    given = unit.strip().strip("[]()").lower()
    if given in UNITS:
        return UNITS[given]
    match = re.fullmatch(r".*?(_|stamp|time)(\w+)", last_name(name))
    return UNITS.get(match[2], 0.0) if match else 0.0


def _scale(
    name: str, times: NDArray[Any], steps: NDArray[Any], unit: str, whole: bool
) -> tuple[float, bool]:
    """Seconds per unit, and whether the times are since 1970."""
    latest = float(times[-1])
    since = next((scale for limit, scale in SINCE.items() if latest > limit), 0.0)
    given = _unit(name, unit)
    if given:
        return given, latest * given > next(reversed(SINCE))
    if since:
        return since, True
    usual = float(np.median(steps)) if len(steps) else 0.0
    if whole:
        return next((scale for limit, scale in STEPS.items() if usual >= limit), 1.0), False
    return 1.0, False
