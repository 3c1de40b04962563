"""Clips whose frames lie decoded in one file: reading one is copying its bytes.

<name>/
  frames.bin   every frame, raw uint8 RGB, clip after clip
  index.npz    offsets, heights, widths, lengths, groups, takes (C,); checksums (N,), CRC-32C of
               every frame; text: JSON of the rest
"""

import json
import os
import weakref
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.index import DAMAGED_INDEX

PACK_FRAMES = "frames.bin"
PACK_INDEX = "index.npz"
PACK_VERSION = 3  # a pack of another one is decoded anew
INDEX_ARRAYS = ("offsets", "heights", "widths", "lengths", "groups", "takes")  # of `PackIndex`
CHANGED = (
    "It was changed since; remove its folder, and `vip-offline pretrain` decodes the frames anew."
)


def checksum(frame: NDArray[np.uint8]) -> int:
    """CRC-32C of a frame's bytes: four times as fast as zlib's CRC-32."""
    value: int = google_crc32c.value(frame)
    return value


@dataclass(frozen=True)
class PackIndex:
    """Positions and sizes of the frames of C clips in a pack."""

    offsets: NDArray[np.int64]  # (C,) bytes before a clip's first frame
    heights: NDArray[np.int64]  # (C,) px
    widths: NDArray[np.int64]  # (C,) px
    lengths: NDArray[np.int64]  # (C,) frames
    groups: NDArray[np.int64]  # (C,)
    takes: NDArray[np.int64]  # (C,)
    checksums: NDArray[np.uint32]  # (N,) of each frame, clip after clip
    group_names: tuple[str, ...]
    names: tuple[str, ...]  # (C,) where the clips were
    skipped: tuple[str, ...]
    fingerprint: str

    @property
    def frame_bytes(self) -> NDArray[np.int64]:
        """(C,) of one frame of each clip."""
        return self.heights * self.widths * 3

    @property
    def total(self) -> int:
        """Bytes of all frames."""
        return int((self.lengths * self.frame_bytes).sum())

    def save(self, path: Path) -> None:
        """Write it, and wait until it is on the disk."""
        text = json.dumps([self.group_names, self.names, self.skipped, self.fingerprint])
        with path.open("wb") as file:
            np.savez(
                file,
                version=PACK_VERSION,
                text=np.frombuffer(text.encode(), np.uint8),
                **{name: getattr(self, name) for name in (*INDEX_ARRAYS, "checksums")},
            )
            file.flush()
            os.fsync(file.fileno())


class PackedClips:
    """Implements `Clips` on an open pack; frames are not kept in memory."""

    def __init__(self, folder: Path, index: PackIndex) -> None:
        self.lengths = index.lengths
        self.groups = index.groups
        self.takes = index.takes
        self.group_names = index.group_names
        self.skipped = index.skipped
        self.fingerprint = index.fingerprint
        self._index = index
        self._first = np.cumsum(index.lengths) - index.lengths  # (C,) frames before each clip
        self._frames = folder / PACK_FRAMES
        self._file = os.open(self._frames, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def name(self, clip: int) -> str:
        """See `Clips.name`."""
        return self._index.names[clip]

    def read(self, clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `Clips.read`."""
        index = self._index
        size, begin = int(index.frame_bytes[clip]), int(index.offsets[clip])
        frames = np.empty((len(rows), size), np.uint8)
        for frame, row in zip(frames, rows, strict=True):
            # no seek, whose place threads would share; and no map of the file, which counts as
            # this process's memory
            read = os.preadv(self._file, [frame.data], begin + int(row) * size)
            if read != size:
                raise VipOfflineError(
                    f"{self._frames}: ends before frame {row} of {self.name(clip)}. {CHANGED}"
                )
            expected = int(index.checksums[int(self._first[clip]) + int(row)])
            if checksum(frame) != expected:
                raise VipOfflineError(
                    f"{self._frames}: frame {row} of {self.name(clip)} has another checksum than "
                    f"when it was written. {CHANGED}"
                )
        return frames.reshape(-1, int(index.heights[clip]), int(index.widths[clip]), 3)


def open_pack(folder: Path) -> PackedClips | None:
    """Open a pack; None if there is none that is complete."""
    try:
        with (folder / PACK_INDEX).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if int(archive["version"]) != PACK_VERSION:
                return None
            text = json.loads(archive["text"].tobytes())
            arrays = {name: np.asarray(archive[name], np.int64) for name in INDEX_ARRAYS}
            sums = np.asarray(archive["checksums"], np.uint32)
        group_names, names, skipped, fingerprint = text
        index = PackIndex(
            **arrays,
            checksums=sums,
            group_names=tuple(group_names),
            names=tuple(names),
            skipped=tuple(skipped),
            fingerprint=fingerprint,
        )
        size = (folder / PACK_FRAMES).stat().st_size
        if size != index.total or sums.shape != (index.lengths.sum(),):
            return None
        return PackedClips(folder, index)
    except DAMAGED_INDEX:
        return None
