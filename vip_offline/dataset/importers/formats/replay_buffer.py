"""diffusion_policy's replay buffers, and others of that layout: data/<key>, meta/episode_ends.

https://github.com/real-stanford/diffusion_policy, common/replay_buffer.py. Zarr formats 2 and 3, as
a folder or as .zarr.zip.
"""

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from vip_offline.dataset.importers.base.array_columns import column_of
from vip_offline.dataset.importers.base.guarded import readable_errors
from vip_offline.dataset.importers.base.source import (
    Catalogue,
    Column,
    ColumnMap,
    EpisodeColumns,
    guessed,
    refuse_defects,
)
from vip_offline.dataset.importers.base.success import SUCCESS_COLUMNS, truth
from vip_offline.dataset.media.pictures import pictures_shape, rgb, sixteen_bit_note
from vip_offline.dataset.storage.zarr_arrays import array_at, array_keys, base_of
from vip_offline.dataset.zarr_frames import open_zarr
from vip_offline.errors import VipOfflineError

AHEAD_BYTES = 8 * 2**20  # bytes of an array that are read at once
BUFFER_PROPRIO = ("proprio", "state", "robot_state", "agent_pos", "robot_eef_pose", "qpos")
UMI = ("robot0_eef_pos", "robot0_eef_rot_axis_angle", "robot0_gripper_width")
ACTION_NAMES = ("action", "actions")
REPAIR_BUFFER = "Restore it, or leave such episodes out with --skip-broken."
BUFFER_FILES = ("data", "meta", "zarr.json")  # of a buffer's folder, beside hidden files


class ReplayBuffer:
    """A zarr group whose arrays are concatenated over episodes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_file():
            _check_zip(path)
        elif (path / ".zarray").exists():
            raise VipOfflineError(
                f"{path}: is one array, no replay buffer. Give the folder that holds data and meta."
            )
        with readable_errors(str(path), "Its description is damaged. Restore it."):
            self._root = open_zarr(path)
            data, meta = (array_keys(path, self._root, group) for group in ("data", "meta"))
        names = [name for name in ("meta/episode_ends", "meta/episode_lengths") if name in meta]
        if not data or not names:
            raise VipOfflineError(
                f"{path}: is no replay buffer: it needs a group data with arrays and an array "
                f"meta/episode_ends. It has: {', '.join((*data, *meta)) or 'no array'}."
            )
        ends = array_at(self._root, names[0], str(path))
        with readable_errors(f"{path}: {names[0]}", "Restore it."):
            self._ends = _whole(np.asarray(ends[...]), f"{path}: {names[0]}")
        self._by_length = names[0] == "meta/episode_lengths"
        if self._by_length:
            self._ends = np.cumsum(self._ends)
        self._data = [key.removeprefix("data/") for key in data]
        self._meta = [key for key in meta if key not in names]
        self._arrays: dict[str, zarr.Array[Any]] = {}
        self._about: dict[str, NDArray[Any]] = {}  # success and splits, (E,) each
        self._blocks: dict[str, tuple[int, NDArray[Any]]] = {}  # rows that were read last

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        lengths = np.diff(self._ends, prepend=0)
        if (lengths < 0).any():
            index = int(np.argmax(lengths < 0))
            raise VipOfflineError(
                f"{self.path}: meta/episode_ends[{index}] is {self._ends[index]}, before the one "
                "that precedes it. Restore it."
            )
        columns, left_out, notes = self._columns()
        left_out |= self._read_meta() | self._strangers()
        pictures = [name for name, column in columns.items() if column.kind == "pictures"]
        action = guessed([*columns], ACTION_NAMES)
        if not action:
            notes.append("there is no action: enough to relabel and analyse, not to train")
        attributes = dict(self._root.attrs)
        return Catalogue(
            format=f"replay buffer, zarr {self._root.metadata.zarr_format}",
            columns=columns,
            lengths=lengths,
            names=[str(index) for index in range(len(lengths))],
            keys=ColumnMap(
                cameras={name.removeprefix("frames_").replace("/", "."): name for name in pictures},
                proprio=guessed([*columns], BUFFER_PROPRIO)
                or tuple(name for name in UMI if name in columns),
                action=action,
                success="".join(guessed([*columns], SUCCESS_COLUMNS)),
                reward="".join(guessed([*columns], ["true_reward", "reward"])),
            ),
            control_rate=_number(attributes.get("control_rate")),
            task=str(attributes.get("task", "")),
            splits=tuple(sorted(n.removeprefix("split_") for n in self._about if n != "success")),
            notes=tuple(notes),
            left_out=left_out,
            broken=self._broken(lengths),
            about={"attributes": attributes},
            arrays={name: f"data/{name}" for name in pictures},
        )

    def _columns(self) -> tuple[dict[str, Column], dict[str, str], list[str]]:
        """Columns by name, the reasons for those left out, and notes."""
        columns: dict[str, Column] = {}
        left_out: dict[str, str] = {}
        defects: dict[str, str] = {}  # of arrays that may be pictures or actions
        for name in self._data:
            try:
                self._array(name)
            except VipOfflineError as error:
                defects[f"data/{name}"] = str(error)
        rows = int(self._ends[-1]) if len(self._ends) else 0
        self._stored, notes = self._rows_stored(rows)
        for name, array in self._arrays.items():
            key = f"data/{name}"
            column = column_of(name, array.shape, array.dtype, self._stored, "the episodes have")
            if isinstance(column, str):
                drawn = array.dtype.kind in "uif" and pictures_shape(array.shape[1:], array.dtype)
                if "not per row" in column and (drawn or name in ACTION_NAMES):
                    defects[key] = f"{self.path}: {key} {column}. Restore it."
                else:
                    left_out[key] = column
                continue
            defect = self._scale(name, array) if column.kind == "pictures" else ""
            if defect:
                defects[key] = defect
                continue
            columns[name] = column
            if column.kind == "pictures" and array.dtype == np.uint16:
                notes.append(sixteen_bit_note(name))
        refuse_defects(columns, defects, [f"data/{name}" for name in ACTION_NAMES])
        if self._by_length:
            notes.append("where episodes end is taken from meta/episode_lengths")
        return columns, left_out | defects, notes

    def _rows_stored(self, rows: int) -> tuple[int, list[str]]:
        """The first dimension that arrays of rows have, and what is odd about it."""
        sizes = Counter(int(array.shape[0]) for array in self._arrays.values() if array.shape)
        if rows in sizes or not sizes:
            return rows, []
        stored = sizes.most_common(1)[0][0]
        if stored < rows:
            return stored, []  # episodes that end beyond are broken
        return stored, [f"{stored - rows} rows follow the last episode's end and are not read"]

    def _scale(self, name: str, array: zarr.Array[Any]) -> str:
        """Why an image array has no usable value range, by its first two rows; "" if it has."""
        if array.dtype == np.uint8:
            return ""
        try:
            first = np.asarray(array[:2])
        except Exception:  # a chunk is damaged: reading its episode says so
            return ""
        try:
            rgb(first, f"{self.path}: data/{name}")
        except VipOfflineError as error:
            return str(error)
        return ""

    def _broken(self, lengths: NDArray[np.int64]) -> dict[int, str]:
        """Episodes without rows, or whose rows are not there."""
        broken = {}
        for index in np.flatnonzero((lengths < 1) | (self._ends > self._stored)):
            why = f"but data has {self._stored} rows"
            if lengths[index] < 1:
                why = "where the one before it ends: it has no rows"
            broken[int(index)] = (
                f"{self.path}, episode {index}: meta/episode_ends[{index}] is {self._ends[index]}, "
                f"{why}. {REPAIR_BUFFER}"
            )
        return broken

    def _read_meta(self) -> dict[str, str]:
        """Read success and splits from meta/; other arrays are left out with a reason."""
        left_out = {}
        for key in self._meta:
            name = key.removeprefix("meta/")
            if name not in SUCCESS_COLUMNS and not name.startswith("split_"):
                left_out[key] = "is not per row"
                continue
            with readable_errors(f"{self.path}: {key}", "Restore it."):
                values = np.asarray(array_at(self._root, key, str(self.path))[...])
            if values.shape != self._ends.shape:
                left_out[key] = f"has shape {values.shape}; there are {len(self._ends)} episodes"
            else:
                self._about["success" if name in SUCCESS_COLUMNS else name] = values
        return left_out

    def _strangers(self) -> dict[str, str]:
        """Files in the buffer's folder other than data/ and meta/."""
        return {
            item.name: "is no part of a replay buffer"
            for item in base_of(self.path, self._root).iterdir()
            if item.name not in BUFFER_FILES and not item.name.startswith(".")
        }

    def read(self, episode: int, columns: Sequence[str]) -> EpisodeColumns:
        """See `Source.read`."""
        stop = int(self._ends[episode])
        start = int(self._ends[episode - 1]) if episode else 0
        where = f"{self.path}, episode {episode}"
        values: dict[str, NDArray[Any]] = {}
        for name in columns:
            with readable_errors(f"{where}: data/{name}, rows {start} to {stop}", REPAIR_BUFFER):
                array = self._rows(name, start, stop)
            if pictures_shape(array.shape[1:], array.dtype) is not None:
                array = rgb(array, f"{where}: data/{name}")
            values[name] = array
        about = {n: truth(v[episode], f"{where}: meta/{n}") for n, v in self._about.items()}
        success = about.pop("success", None)
        splits = tuple(sorted(n.removeprefix("split_") for n, belongs in about.items() if belongs))
        return EpisodeColumns(values, success=success, splits=splits)

    def _array(self, name: str) -> zarr.Array[Any]:
        if name not in self._arrays:
            self._arrays[name] = array_at(self._root, f"data/{name}", str(self.path))
        return self._arrays[name]

    def _rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows of one array, of which many are read at once: each read costs a millisecond."""
        begin, block = self._blocks.get(name, (0, None))
        if block is None or start < begin or stop > begin + len(block):
            array = self._array(name)
            size = max(1, int(np.prod(array.shape[1:], dtype=int)) * array.dtype.itemsize)
            try:
                block = np.asarray(array[start : max(stop, start + AHEAD_BYTES // size)])
            except Exception:  # damage further on is not this episode's
                return np.asarray(array[start:stop])
            begin, self._blocks[name] = start, (start, block)
        return block[start - begin : stop - begin]

    def close(self) -> None:
        """See `Source.close`."""
        self._root.store.close()


def _whole(values: NDArray[Any], where: str) -> NDArray[np.int64]:
    """(E,) where episodes end, or how long they are."""
    if values.ndim != 1 or values.dtype.kind not in "iuf" or (values != np.floor(values)).any():
        raise VipOfflineError(
            f"{where} is {values.dtype} of shape {values.shape}; it must be a list of whole "
            "numbers, one per episode. Restore it."
        )
    return values.astype(np.int64)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _check_zip(path: Path) -> None:
    """Refuse an archive that is cut off, or that names places outside itself."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise VipOfflineError(
            f"{path}: is no whole zip archive ({error}). It may be cut off; fetch it again."
        ) from error
    for name in names:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\\" in name:
            raise VipOfflineError(
                f"{path}: holds {name!r}, which leads out of the archive. It is not to be trusted."
            )
