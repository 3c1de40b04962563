import csv
import datetime
import json
import pickle
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from vip_offline.dataset.tables.read_table import NOT_READ, TABLES, Table, read_table
from vip_offline.errors import VipOfflineError

NAN = float("nan")
ROWS = 5
GENERATOR = np.random.default_rng(0)
KNOWN: dict[str, Any] = {
    "t": np.arange(ROWS) / 30,
    "action": GENERATOR.normal(size=(ROWS, 2)),
    "done": np.arange(ROWS) == ROWS - 1,
}


def text(path: Path, separator: str = ",") -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(KNOWN)
        writer.writerows(zip(*(column.tolist() for column in KNOWN.values()), strict=True))


def as_table() -> pa.Table:
    return pa.table({name: column.tolist() for name, column in KNOWN.items()})


def stream(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, as_table().schema) as writer:
        writer.write_table(as_table())


def records() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = as_table().to_pylist()
    return rows


def structured(path: Path) -> None:
    kinds = [("t", "f8"), ("action", "f8", 2), ("done", "?")]
    rows = zip(*(column.tolist() for column in KNOWN.values()), strict=True)
    np.save(path, np.array([(t, tuple(a), d) for t, a, d in rows], kinds))


WRITERS: dict[str, Callable[[Path], Any]] = {
    ".csv": text,
    ".tsv": lambda path: text(path, "\t"),
    ".tab": lambda path: text(path, "\t"),
    ".txt": lambda path: text(path, ";"),
    ".dat": lambda path: text(path, "|"),
    ".lvm": lambda path: text(path, "\t"),
    ".npz": lambda path: np.savez_compressed(path, **KNOWN),
    ".npy": structured,
    ".json": lambda path: path.write_text(json.dumps(records())),
    ".jsonl": lambda path: path.write_text("\n".join(map(json.dumps, records()))),
    ".ndjson": lambda path: path.write_text("\r\n".join(map(json.dumps, records())) + "\r\n"),
    ".parquet": lambda path: pyarrow.parquet.write_table(as_table(), path),
    ".feather": lambda path: pyarrow.feather.write_feather(as_table(), path),
    ".arrow": stream,
}


@pytest.mark.parametrize("suffix", TABLES)
def test_one_table_of_known_numbers_from_every_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log{suffix.upper()}"
    WRITERS[suffix](path) if suffix not in (".npz", ".npy") else _saved(path, suffix)
    read = read_table(path)
    assert list(read.columns) == list(KNOWN) and not read.notes and not read.left_out
    for name, column in KNOWN.items():
        np.testing.assert_array_equal(read.columns[name], column)
        assert read.columns[name].dtype == column.dtype


def _saved(path: Path, suffix: str) -> None:
    WRITERS[suffix](path.with_suffix(suffix))  # numpy would put its own suffix behind
    path.with_suffix(suffix).rename(path)


def saved(tmp_path: Path, **arrays: Any) -> Table:
    np.savez(tmp_path / "x.npz", **arrays)
    return read_table(tmp_path / "x.npz")


def test_arrays_of_numpy_that_are_columns(tmp_path: Path) -> None:
    grid = np.arange(6.0).reshape(3, 2)
    arrays = {
        "fortran": np.asfortranarray(grid),
        "big": np.array([1, 2, 3], ">i4"),
        "half": grid.astype("f2"),
        "pictures": np.zeros((3, 4, 4, 3), np.uint8),
    }
    read = saved(tmp_path, **arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read.columns[name], array)
        assert read.columns[name].dtype.isnative and read.columns[name].flags.c_contiguous
    moments = np.array(["2026-01-01", "NaT"], "M8[s]")
    read = saved(tmp_path, when=moments, took=np.array([5, 6], "m8[ms]"), ok=["True", "False"])
    np.testing.assert_array_equal(read.columns["when"], [1767225600, NAN])
    assert read.columns["took"].tolist() == [0.005, 0.006]
    assert read.columns["ok"].tolist() == [True, False]
    assert read.units == {"when": "s", "took": "s"}


def test_arrays_of_numpy_that_are_none(tmp_path: Path) -> None:
    read = saved(
        tmp_path,
        task=np.array("pick"),
        success=np.array(True),
        objects=np.array([{}, {}], object),
        waves=np.array([1j, 2j]),
        phase=np.array([b"reach", b"grasp"]),
        x=np.zeros(2),
    )
    assert (list(read.columns), read.values) == (["x"], {"task": "pick", "success": True})
    assert read.left_out["objects"].startswith("Python objects: not opened")
    assert read.left_out["waves"].startswith("complex numbers")
    assert read.left_out["phase"] == "words"


def test_arrays_without_rows(tmp_path: Path) -> None:
    read = saved(tmp_path, x=np.zeros((0, 3)), y=np.zeros((3, 0)))
    assert (read.columns["x"].shape, read.columns["y"].shape) == ((0, 3), (3, 0))


def test_one_array_of_numpy(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(2))
    np.testing.assert_array_equal(read_table(tmp_path / "x.npy").columns["values"], np.eye(2))
    np.save(tmp_path / "x.npy", np.array([{}], object))
    assert read_table(tmp_path / "x.npy").left_out["values"].startswith("Python objects")


def test_columns_of_parquet(tmp_path: Path) -> None:
    noon = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    columns: dict[str, tuple[Any, Any]] = {
        "nulls": (pa.array([0, None, 2]), [0, NAN, 2]),
        "truths": (pa.array([True, None, False]), [1, NAN, 0]),
        "lists": ([[1.0, 2.0], None, [5.0, None]], [[1, 2], [NAN, NAN], [5, NAN]]),
        "fixed": (
            pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)),
            [[1, 2], [NAN] * 2, [3, 4]],
        ),
        "nested": ([[[1, 2], [3, 4]]] * 3, [[[1, 2], [3, 4]]] * 3),
        "decimal": (pa.array([Decimal("1.5")] * 3), [1.5] * 3),
        "stamp": (pa.array([noon] * 3, pa.timestamp("us", "UTC")), [1767268800] * 3),
        "day": (pa.array([noon.date()] * 3), [1767225600] * 3),
        "clock": (pa.array([noon.time()] * 3), [43200] * 3),
        "lasted": (pa.array([5] * 3, pa.duration("ms")), [0.005] * 3),
        "code": (pa.array(["1", "2", "1"]).dictionary_encode(), [1, 2, 1]),
        "arm.x": ([1, 2, 3], [1, 2, 3]),
    }
    table = pa.table({name: column for name, (column, _) in columns.items() if "." not in name})
    table = table.append_column("arm", [[{"x": 1}, {"x": 2}, {"x": 3}]])
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    read = read_table(tmp_path / "x.parquet")
    assert list(read.columns) == list(columns)
    for name, (_, expected) in columns.items():
        np.testing.assert_array_equal(read.columns[name], expected)
    assert "column 'nulls': no number in row 1 (1 in all); NaN there" in read.notes
    assert set(read.units) == {"stamp", "day", "clock", "lasted"}


def test_columns_of_parquet_that_are_left_out(tmp_path: Path) -> None:
    table = pa.table(
        {
            "ragged": [[1.0], [2.0, 3.0]],
            "phase": ["reach", "grasp"],
            "task": ["pick", "pick"],
            "jpeg": [b"1", b"2"],
            "names": [["a"], ["b"]],
            "nothing": pa.nulls(2),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    read = read_table(tmp_path / "x.parquet")
    assert (read.columns, read.values) == ({}, {"task": "pick"})
    assert read.left_out == {
        "ragged": "lists of several lengths (1 and 2)",
        "phase": "words",
        "jpeg": "no numbers (binary)",
        "names": "lists of no numbers (string)",
        "nothing": "empty",
    }


def test_two_columns_of_one_name_in_parquet(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    read = read_table(tmp_path / "x.parquet")
    assert {name: column.tolist() for name, column in read.columns.items()} == {
        "x": [1],
        "x.2": [2],
    }


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".parquet"])
def test_files_cut_off_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log{suffix}"
    WRITERS[suffix](path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(VipOfflineError, match=rf"log{suffix}: cannot be read"):
        read_table(path)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.arange(99))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[300] ^= 1
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(VipOfflineError, match=r"cannot be read .*CRC"):
        read_table(tmp_path / "x.npz")


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(pickle.dumps(np.zeros(3)))
    with pytest.raises(VipOfflineError, match="holds pickled objects: not opened"):
        read_table(tmp_path / "x.npy")


@pytest.mark.parametrize("suffix", [".xlsx", ".mat", ".pkl", ".h5", ".bag", ".gz"])
def test_other_files_are_named_with_a_way_out(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(VipOfflineError, match=f"{suffix} files are not read: ") as raised:
        read_table(tmp_path / f"log{suffix}")
    assert NOT_READ[suffix] in str(raised.value)
    assert not set(NOT_READ) & set(TABLES)
