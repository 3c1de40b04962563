"""A clip as a folder of pictures."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.media.pictures import read_picture
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.folder_listing import Names


@dataclass(frozen=True, slots=True)
class PictureClip:
    """Pictures of one folder, by name."""

    name: str  # the folder
    names: Names
    identity: str

    @property
    def length(self) -> int:
        """See `Clip.length`."""
        return self.names.length

    def path(self, row: int) -> str:
        """Of one frame."""
        return os.path.join(self.name, self.names(row))  # noqa: PTH118 - at each frame drawn

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `Clips.read`."""
        unique, places = np.unique(rows, return_inverse=True)
        frames = [read_picture(Path(self.path(int(row)))) for row in unique]
        for row, frame in zip(unique, frames, strict=True):
            if frame.shape != frames[0].shape:
                (height, width, _), (high, wide, _) = frame.shape, frames[0].shape
                raise VipOfflineError(
                    f"{self.path(int(row))}: is {width} x {height} px, and "
                    f"{self.names(int(unique[0]))} is {wide} x {high}. Give a clip's frames one "
                    "size, or remove the clip."
                )
        return np.stack([frames[place] for place in places])
