"""Reads frames from a replay buffer of another program, in place."""

import threading
import zipfile
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore, ZipStore

from vip_offline.dataset.media.pictures import rgb
from vip_offline.dataset.storage.untrusted_zarr import VettedStore
from vip_offline.dataset.storage.zarr_arrays import array_at
from vip_offline.utils.regular_files import require_regular

READ_BYTES = 32 * 2**20  # bytes of frames that are read at once: chunks there hold many


def open_zarr(path: Path) -> zarr.Group:
    """A zarr group, folder or zip archive, of format 2 or 3, for reading.

    An archive of a folder holds the group in that folder.

    Raises:
        VipOfflineError: see `VettedStore`.
    """
    if path.is_dir():
        return zarr.open_group(VettedStore(LocalStore(path, read_only=True)), mode="r")
    require_regular(path)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    first, *others = {name.split("/")[0] for name in names} or {""}
    inside = not others and any(name.startswith(f"{first}/") for name in names)
    return zarr.open_group(
        VettedStore(ZipStore(path, mode="r")), mode="r", path=first if inside else None
    )


class ZarrFrameReader:
    """Thread-safe reader for rows of an image array."""

    def __init__(self, path: Path, key: str) -> None:
        self._where = f"{path}: {key}"
        self._array = array_at(open_zarr(path), key, str(path))
        self._lock = threading.Lock()
        self._begin = 0
        self._block: NDArray[np.uint8] = np.zeros((0, 0, 0, 3), np.uint8)

    def __len__(self) -> int:
        return int(self._array.shape[0])

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(T, H, W, 3) uint8 RGB of T ascending rows."""
        with self._lock:
            first, last = int(rows[0]), int(rows[-1])
            if first < self._begin or last >= self._begin + len(self._block):
                size = int(np.prod(self._array.shape[1:], dtype=int)) * self._array.dtype.itemsize
                stop = max(last + 1, first + READ_BYTES // max(1, size))
                values = np.asarray(self._array[first:stop])
                self._begin, self._block = first, rgb(values, self._where)
            return self._block[rows - self._begin]
