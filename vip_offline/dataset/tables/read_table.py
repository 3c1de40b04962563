"""Reads a table of numbers from a file of any supported format: ``read_table``.

Nothing vanishes: what a file holds is a column, a value, or left out with a reason; what had to
be guessed is in the notes; what cannot be read is refused by file, line and column.
"""

import csv
import functools
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet

from vip_offline.dataset.tables.cells import spread
from vip_offline.dataset.tables.columns import Table, TableBuilder, as_bools
from vip_offline.dataset.tables.delimited import read_delimited
from vip_offline.dataset.tables.json_tables import read_json_lines, read_json_table
from vip_offline.dataset.tables.timestamps import is_time, seconds_of
from vip_offline.errors import VipOfflineError
from vip_offline.utils.regular_files import require_regular
from vip_offline.utils.size_limits import CELL_BYTES, require_stored

# what numpy, pyarrow, csv and zipfile raise; RuntimeError of what is encrypted, MemoryError of
# sizes that a damaged file gives
UNREADABLE = (
    *(OSError, ValueError, EOFError, csv.Error, zipfile.BadZipFile, zlib.error),
    *(RuntimeError, MemoryError, OverflowError, SyntaxError),
)

__all__ = ["NOT_READ", "TABLES", "Table", "as_bools", "is_time", "read_table", "seconds_of"]

MAGIC = b"\x93NUMPY"
TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".dat", ".lvm")
TABLES = (
    ".npz",
    ".npy",
    *TEXT_SUFFIXES,
    ".json",
    ".jsonl",
    ".ndjson",
    ".parquet",
    ".feather",
    ".arrow",
)

_SHEET = "save the sheet as CSV"
_BAG = "convert it to CSV or .npz with the rosbags package"
_PICKLE = "not opened, since it can run code; save its arrays with np.savez"
_PACKED = "unpack it"
_OBJECTS = "Python objects: not opened, since that can run code; save them as numbers"
NOT_READ: Mapping[str, str] = MappingProxyType(
    {  # suffix -> way out
        **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"), _SHEET),
        ".mat": "save its arrays with np.savez after scipy.io.loadmat",
        **dict.fromkeys((".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth"), _PICKLE),
        **dict.fromkeys((".h5", ".hdf5", ".hdf"), "save its arrays with np.savez after h5py.File"),
        **dict.fromkeys((".bag", ".mcap", ".db3"), _BAG),
        **dict.fromkeys((".tdms",), "save it as CSV with npTDMS or LabVIEW"),
        **dict.fromkeys((".yaml", ".yml", ".toml", ".xml"), "save the numbers as JSON or CSV"),
        **dict.fromkeys((".rds", ".rdata", ".sav", ".dta"), "save the table as CSV"),
        **dict.fromkeys((".sqlite", ".db"), "save the table as CSV"),
        **dict.fromkeys((".gz", ".zip", ".bz2", ".xz", ".7z", ".zst"), _PACKED),
        **dict.fromkeys((".ulg", ".bin", ".log"), "convert it to CSV"),
    }
)


def read_table(path: Path) -> Table:
    """Read a file of one of the `TABLES`, known by its suffix.

    Returns:
        Columns (T, ...) of bool, int or float; NaN where a number is missing.

    Raises:
        VipOfflineError: names file, line, column and value, and the way out.
    """
    suffix = path.suffix.lower()
    if suffix not in TABLES:
        way_out = NOT_READ.get(suffix, f"save it as one of {', '.join(TABLES)}")
        raise VipOfflineError(f"{path}: {suffix} files are not read: {way_out}.")
    require_regular(path)
    try:
        if suffix in TEXT_SUFFIXES:
            builder = read_delimited(path)
        elif suffix == ".json":
            builder = read_json_table(path)
        elif suffix in (".jsonl", ".ndjson"):
            builder = read_json_lines(path)
        elif suffix in (".npz", ".npy"):
            builder = _read_numpy(path)
        else:
            builder = _read_arrow(path, suffix)
    except UNREADABLE as error:
        raise VipOfflineError(f"{path}: cannot be read ({error}). Restore it.") from error
    return builder.table()


def _read_numpy(path: Path) -> TableBuilder:
    builder = TableBuilder(path)
    with path.open("rb") as file:
        begin = file.read(6)
        if begin[:1] == b"\x80":
            raise VipOfflineError(f"{path}: holds pickled objects: {_PICKLE}.")
        file.seek(0)
        if begin[:6] == MAGIC:
            _require_bytes(f"{path}", file, path.stat().st_size)
            file.seek(0)
        content = _without_pickle(lambda: np.load(file, allow_pickle=False))
        if path.suffix.lower() == ".npz" and not isinstance(content, np.lib.npyio.NpzFile):
            raise VipOfflineError(f"{path}: cannot be read (it is no zip archive). Restore it.")
        if not isinstance(content, np.lib.npyio.NpzFile):
            content = {"values": content}
        for name in content:
            if isinstance(content, np.lib.npyio.NpzFile):
                _require_stored(path, content, name)
            array = _without_pickle(functools.partial(content.__getitem__, name))
            if array is None:
                builder.left_out[builder.unique(name)] = _OBJECTS
            elif isinstance(array, bytes):  # a file in the zip that numpy did not write
                builder.left_out[name] = "no array"
            else:
                plain = path.suffix.lower() == ".npy" and array.dtype.names
                builder.add_array("" if plain else name, array)
    return builder


def _require_stored(path: Path, archive: Any, name: str) -> None:
    """Refuse an array of an .npz that claims more bytes than its entry has."""
    entry = name if name in archive.zip.namelist() else f"{name}.npy"
    with archive.zip.open(entry) as file:
        if file.read(len(MAGIC)) == MAGIC:
            file.seek(0)
            _require_bytes(f"{path}: {name}", file, archive.zip.getinfo(entry).file_size)


def _require_bytes(where: str, file: IO[bytes], size: int) -> None:
    """Refuse an array whose header claims more bytes than there are: numpy asks for them first."""
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    claimed = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and claimed > size:
        raise VipOfflineError(
            f"{where}: is said to hold {claimed:.3g} bytes, and {size:.3g} are there. Restore it."
        )


def _without_pickle(load: Callable[[], Any]) -> Any:
    """What is loaded; None if it holds Python objects."""
    try:
        return load()
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        return None


def _read_arrow(path: Path, suffix: str) -> TableBuilder:
    builder = TableBuilder(path)
    # not read_table: it refuses two columns of one name
    table = _read_parquet(path) if suffix == ".parquet" else _read_ipc(path)
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    for place, name in enumerate(table.column_names):
        column = pa.concat_arrays(
            table.column(place).chunks or [pa.nulls(0, table.field(place).type)]
        )
        _add_arrow(builder, builder.unique(name), column)
    return builder


def _read_parquet(path: Path) -> Any:
    with pyarrow.parquet.ParquetFile(path) as file:
        cells = file.metadata.num_rows * file.metadata.num_columns
        require_stored(str(path), cells * CELL_BYTES, [path.stat().st_size])
        return file.read()


def _read_ipc(path: Path) -> Any:
    with path.open("rb") as file:
        begin = file.read(6)
    if begin in (b"ARROW1", b"FEA1\0\0") or begin[:4] == b"FEA1":
        return pyarrow.feather.read_table(path, memory_map=False)
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_stream(file).read_all()


def _add_arrow(builder: TableBuilder, name: str, column: Any) -> None:
    """Take an array of pyarrow, (T,), of any type."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column, kind = column.storage, kind.storage_type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        builder.add_cells(name, column.cast(pa.string()))
    elif pa.types.is_null(kind) or (len(column) and column.null_count == len(column)):
        builder.left_out[name] = "empty"
    elif _is_list(kind):
        _add_lists(builder, name, column)
    else:
        try:
            values, unit = _numbers(column)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            builder.left_out[name] = f"no numbers ({kind})"
            return
        builder.add_column(name, values, unit)


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _add_lists(builder: TableBuilder, name: str, column: Any) -> None:
    """Take lists of one length as (T, k), nested ones as (T, k, l)."""
    shape: list[int] = []
    rows, gaps = len(column), np.zeros(len(column), bool)
    while _is_list(column.type):
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        if not valid.all() and not shape:
            gaps, column = ~valid, column.drop_null()
        lengths = pc.unique(pc.list_value_length(column)).to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            several = " and ".join(
                str(length) for length in sorted(map(int, filter(None, lengths)))[:2]
            )
            builder.left_out[name] = f"lists of several lengths ({several})"
            return
        shape.append(lengths[0])
        column = column.flatten()
    try:
        values, _ = _numbers(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        builder.left_out[name] = f"lists of no numbers ({column.type})"
        return
    values = values.reshape(rows - int(gaps.sum()), *shape)
    builder.add_column(name, spread(values, ~gaps))


def _numbers(column: Any) -> tuple[np.ndarray[Any, Any], str]:
    """(T,) numbers of an array of pyarrow, NaN for null, and a unit where its type has one."""
    kind, unit, scale = column.type, "", 1.0
    if pa.types.is_temporal(kind):
        if pa.types.is_date32(kind):
            column, scale = column.cast(pa.int32()), 1 / 86400
        elif pa.types.is_date64(kind):
            column, scale = column.cast(pa.int64()), 1e3
        else:
            scale = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
            column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
        unit = "s"
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif not (pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise pa.ArrowInvalid("no numbers")
    if column.null_count and not pa.types.is_floating(column.type):
        column = column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column
        column = column.cast(pa.float64())
    values = np.array(column.to_numpy(zero_copy_only=False))
    return (values / scale if unit else values), unit
