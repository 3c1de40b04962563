"""What a folder holds, by the names in it alone: sub-folders, videos, a clip's pictures."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from vip_offline.dataset.tables.file_listing import (
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    natural,
    ordered,
)

NUMBERED = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Names:
    """File names of a clip's pictures in order; a numbered series takes constant memory."""

    length: int
    width: int = 0  # digits of the number, with leading zeros
    prefix: str = ""
    first: int = 0
    suffix: str = ""
    listed: tuple[str, ...] = ()  # every name, where they are no series

    def __call__(self, row: int) -> str:
        """Name of one picture."""
        if self.listed:
            return self.listed[row]
        return f"{self.prefix}{self.first + row:0{self.width}d}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Listing:
    """Sub-folders, videos and pictures of a folder, in natural order."""

    folders: tuple[str, ...]
    videos: tuple[str, ...]
    pictures: Names | None


def names_of(names: Iterable[str]) -> Names:
    """Sort names naturally, as a numbered series where they are one."""
    listed = ordered(names)
    match = NUMBERED.fullmatch(listed[0])
    if match:
        prefix, digits, suffix = match.groups()
        series = Names(len(listed), len(digits), prefix, int(digits), suffix)
        if all(series(row) == name for row, name in enumerate(listed)):
            return series
    return Names(len(listed), listed=tuple(listed))


def list_clips(folder: str) -> Listing:
    """List a folder; hidden names are ignored.

    Raises:
        OSError: if it cannot be listed.
    """
    folders, videos, pictures = [], [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - millions of them
            if entry.is_dir():
                folders.append(entry.name)
            elif suffix in PICTURE_SUFFIXES:
                pictures.append(entry.name)
            elif suffix in VIDEO_SUFFIXES:
                videos.append(entry.name)
    return Listing(
        tuple(sorted(folders, key=natural)),
        tuple(sorted(videos, key=natural)),
        names_of(pictures) if pictures else None,
    )
