"""Ego4D as R3M cut it: a table of folders and of how many numbered pictures each holds."""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.clip import FrameClip, check_clip_length
from vip_offline.pretraining.clips.discover import Candidate, group_of
from vip_offline.pretraining.clips.folder_listing import Names
from vip_offline.pretraining.clips.picture_folder import PictureClip

MANIFEST_NAME = "manifest.csv"
MANIFEST_COLUMNS = ("path", "len")
NAME_DIGITS = 6
PICTURE_SUFFIX = ".jpg"
SAMPLED_ROWS = 100  # clips at which it is seen whether frames count from 0 or 1


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One line of the table."""

    path: str  # as it stands there
    folder: str  # full
    length: int


def in_manifest(path: Path) -> Iterator[Candidate]:
    """Return the clips of a table; only the first ones' frames are checked.

    Raises:
        VipOfflineError: if it is no such table.
    """
    rows = read_rows(path)
    first = first_number(rows)
    root = path.parent
    for row in rows:
        inside = Path(row.folder)
        parts = inside.relative_to(root).parts if inside.is_relative_to(root) else ()
        key = f"{root.name}/{row.path}"
        # not the row: its path would stay beside the key, for each of tens of thousands
        opened = partial(_opened, row.folder, row.length, first)
        yield Candidate(row.folder, key, group_of(root, parts), opened)


def read_rows(path: Path) -> list[ManifestRow]:
    """The table's lines.

    Raises:
        VipOfflineError: if it cannot be read, lacks a column, or a length is no whole number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [
                column for column in MANIFEST_COLUMNS if column not in (table.fieldnames or ())
            ]
            if missing:
                raise VipOfflineError(
                    f"{path}: has no column {missing[0]!r} (it has: "
                    f"{', '.join(table.fieldnames or ()) or 'none'}). A manifest's first line "
                    f"names at least {MANIFEST_COLUMNS[0]!r}, a clip's folder, and "
                    f"{MANIFEST_COLUMNS[1]!r}, its number of frames."
                )
            return [_row(path, table.line_num, row) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VipOfflineError(f"{path}: cannot be read ({error}). Restore it.") from error


def _row(path: Path, line: int, cells: dict[str, str | None]) -> ManifestRow:
    folder, length = cells["path"], cells["len"]
    if not folder:
        raise VipOfflineError(f"{path}, line {line}: names no path. Complete or remove the line.")
    try:
        frames = int(length or "")
    except ValueError:
        raise VipOfflineError(
            f"{path}, line {line}: len is {length!r}, no whole number of frames. Correct or "
            "remove the line."
        ) from None
    return ManifestRow(folder, os.path.normpath(path.parent / folder), frames)


def first_number(rows: list[ManifestRow]) -> int:
    """Return 0 if one of the first clips has a frame of that number, else 1."""
    name = _names(1, 0)(0)
    zero_is_there = any((Path(row.folder) / name).exists() for row in rows[:SAMPLED_ROWS])
    return 0 if zero_is_there else 1


def _names(length: int, first: int) -> Names:
    return Names(length, NAME_DIGITS, first=first, suffix=PICTURE_SUFFIX)


def _opened(folder: str, length: int, first: int) -> FrameClip:
    """The clip, if its first and its last frame are there.

    Raises:
        VipOfflineError: naming the one that is not.
    """
    check_clip_length(folder, length)
    clip = PictureClip(folder, _names(length, first), "")
    states = []
    for frame in (0, length - 1):
        try:
            states.append(os.stat(clip.path(frame)))  # noqa: PTH116 - tens of thousands of them
        except OSError as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else error.strerror
            raise VipOfflineError(
                f"{folder}: its frame {clip.names(frame)} (of {length}) {reason}."
            ) from None
    identity = " ".join(f"{state.st_size} {state.st_mtime_ns}" for state in states)
    return PictureClip(folder, clip.names, identity)
