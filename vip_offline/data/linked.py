"""Frames in a replay buffer that somebody else wrote, read where they are."""

import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore, ZipStore

from vip_offline.data.zarr_arrays import array_at
from vip_offline.errors import VipOfflineError

BLOCK = 32 * 2**20  # bytes of frames that are read at once: chunks there hold many


def opened(path: Path) -> zarr.Group:
    """A zarr group, folder or zip archive, of format 2 or 3, for reading.

    An archive of a folder holds the group in that folder.
    """
    if not path.is_file():
        return zarr.open_group(LocalStore(path, read_only=True), mode="r")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    first, *others = {name.split("/")[0] for name in names} or {""}
    inside = not others and any(name.startswith(f"{first}/") for name in names)
    return zarr.open_group(ZipStore(path, mode="r"), mode="r", path=first if inside else None)


def whole_numbers(pictures: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Pictures as uint8; some sets hold them as float32 of whole numbers from 0 to 255.

    Raises:
        VipOfflineError: if they are not, since nothing then says what their scale is.
    """
    if pictures.dtype == np.uint8:
        return pictures
    whole = pictures.astype(np.uint8)
    if (whole != pictures).any():
        row = int(np.argmax((whole != pictures).reshape(len(whole), -1).any(axis=1)))
        raise VipOfflineError(
            f"{where} is {pictures.dtype} and, in row {row}, not of whole numbers from 0 to 255, "
            "so the scale of its pixels is unknown. Convert it to uint8."
        )
    return whole


class LinkedFrames:
    """Rows of an array of pictures; for several threads."""

    def __init__(self, path: Path, key: str) -> None:
        self._where = f"{path}: {key}"
        found = array_at(opened(path), key, str(path))
        self._array = found
        self._lock = threading.Lock()
        self._begin = 0
        self._block: NDArray[np.uint8] = np.zeros((0, *found.shape[1:]), np.uint8)

    def __len__(self) -> int:
        return int(self._array.shape[0])

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(T, H, W, 3) of ascending rows."""
        with self._lock:
            first, last = int(rows[0]), int(rows[-1])
            if first < self._begin or last >= self._begin + len(self._block):
                size = int(np.prod(self._array.shape[1:], dtype=int)) * self._array.dtype.itemsize
                stop = max(last + 1, first + BLOCK // max(1, size))
                values = np.asarray(self._array[first:stop])
                self._begin, self._block = first, whole_numbers(values, self._where)
            return self._block[rows - self._begin]
