"""diffusion_policy's replay buffers, and others of that layout: data/<key>, meta/episode_ends.

https://github.com/real-stanford/diffusion_policy, common/replay_buffer.py. Zarr formats 2 and 3, as
a folder or as .zarr.zip.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from vip_offline.data.linked import opened
from vip_offline.data.pictures import pictures_shape, rgb
from vip_offline.data.sources.source import Catalogue, Column, KeyMap, Rows, guessed
from vip_offline.errors import VipOfflineError

BLOCK = 8 * 2**20  # bytes of an array that are read at once
PROPRIO = ("proprio", "state", "robot_state", "agent_pos", "robot_eef_pose", "qpos")


class Replay:
    """A zarr group whose arrays are concatenated over episodes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_file():
            _check_zip(path)
        try:
            self._root = opened(path)
            data, meta = self._root.get("data"), self._root.get("meta")
            ends = meta.get("episode_ends") if isinstance(meta, zarr.Group) else None
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise VipOfflineError(
                f"{path}: its description cannot be read ({error}). Restore it."
            ) from error
        if (
            not isinstance(data, zarr.Group)
            or not isinstance(meta, zarr.Group)
            or not isinstance(ends, zarr.Array)
        ):
            raise VipOfflineError(
                f"{path}: is no replay buffer: it needs a group data and an array "
                "meta/episode_ends."
            )
        self._data = data
        self._ends = np.asarray(ends[:]).astype(np.int64)
        self._about = {
            name: np.asarray(each[:])
            for name, each in meta.arrays()
            if name == "success" or name.startswith("split_")
        }
        self._blocks: dict[str, tuple[int, NDArray[Any]]] = {}  # rows that were read last
        self._arrays = dict(data.arrays())

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        lengths = np.diff(self._ends, prepend=0)
        if (lengths < 1).any():
            index = int(np.argmax(lengths < 1))
            raise VipOfflineError(
                f"{self.path}: meta/episode_ends[{index}] is {self._ends[index]}, not beyond the "
                "one before it. Restore it."
            )
        columns: dict[str, Column] = {}
        rows = int(self._ends[-1]) if len(self._ends) else 0
        for name, array in sorted(self._arrays.items()):
            if array.ndim < 1 or array.shape[0] < rows:
                raise VipOfflineError(
                    f"{self.path}: data/{name} has shape {array.shape}; its episodes end at "
                    f"{rows}. Restore it."
                )
            tail = tuple(array.shape[1:])
            shape = pictures_shape(tail, array.dtype)
            if shape is not None:
                columns[name] = Column("pictures", shape, str(array.dtype))
            elif array.dtype.kind in "biuf":
                columns[name] = Column("numbers", tail, str(array.dtype))
        pictures = [name for name, column in columns.items() if column.kind == "pictures"]
        return Catalogue(
            format=f"replay buffer, zarr {self._root.metadata.zarr_format}",
            columns=columns,
            lengths=lengths,
            names=[str(index) for index in range(len(lengths))],
            keys=KeyMap(
                cameras={name.removeprefix("frames_").replace("/", "."): name for name in pictures},
                proprio=guessed([*columns], PROPRIO),
                action=guessed([*columns], ["action", "actions"]),
                success="".join(guessed([*columns], ["succeeded"])),
                reward="".join(guessed([*columns], ["true_reward", "reward"])),
            ),
            control_rate=_number(self._root.attrs.get("control_rate")),
            task=str(self._root.attrs.get("task", "")),
            splits=tuple(sorted(n.removeprefix("split_") for n in self._about if n != "success")),
            about={"attributes": dict(self._root.attrs)},
            arrays={name: f"data/{name}" for name in pictures},
        )

    def read(self, episode: int, columns: Sequence[str]) -> Rows:
        """See `Source.read`."""
        stop = int(self._ends[episode])
        start = int(self._ends[episode - 1]) if episode else 0
        values: dict[str, NDArray[Any]] = {}
        for name in columns:
            try:
                found = self._rows(name, start, stop)
            except (ValueError, RuntimeError, OSError, KeyError, zipfile.BadZipFile) as error:
                raise VipOfflineError(
                    f"{self.path}, episode {episode}: data/{name}, rows {start} to {stop}, cannot "
                    f"be read ({error}). Restore it, or leave such episodes out with --skip-broken."
                ) from error
            if pictures_shape(found.shape[1:], found.dtype) is not None:
                found = rgb(found, f"{self.path}, episode {episode}: data/{name}")
            values[name] = found
        about = {name: bool(each[episode]) for name, each in self._about.items()}
        success = about.pop("success", None)
        splits = tuple(sorted(n.removeprefix("split_") for n, belongs in about.items() if belongs))
        return Rows(values, success=success, splits=splits)

    def _rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows of one array, of which many are read at once: each read costs a millisecond."""
        begin, block = self._blocks.get(name, (0, None))
        if block is None or start < begin or stop > begin + len(block):
            array = self._arrays[name]
            size = max(1, int(np.prod(array.shape[1:], dtype=int)) * array.dtype.itemsize)
            begin, block = start, np.asarray(array[start : max(stop, start + BLOCK // size)])
            self._blocks[name] = begin, block
        return block[start - begin : stop - begin]

    def close(self) -> None:
        """See `Source.close`."""
        self._root.store.close()


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


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
