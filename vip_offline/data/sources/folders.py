"""A folder per episode with pictures or a video, and tables beside; or bare videos.

    demos/                         clips/
      pick-1/                        open.mp4        <- bare videos: each file is an episode
        front.mp4                    close.mp4
        wrist/000.png 001.png ...
        robot.npz (or .csv, .parquet)

A column is known by the file it is in: ``robot.npz`` with an array ``qpos`` has ``robot.qpos``, a
table ``log.csv`` with a column ``x`` has ``log.x``; pictures are known by file or folder.
"""

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.data.listing import PICTURES, VIDEOS, ordered
from vip_offline.data.pictures import is_sixteen_bit, picture_shape, read_picture, sixteen_bit_note
from vip_offline.data.sources.source import Catalogue, Column, KeyMap, Rows, VideoSpan, guessed
from vip_offline.data.video import timeline
from vip_offline.errors import VipOfflineError

TABLES = (".npz", ".csv", ".parquet")


def bare_videos(path: Path) -> list[Path]:
    """The videos that lie in a folder directly, or the one that is named."""
    if path.is_file():
        return [path] if path.suffix.lower() in VIDEOS else []
    return [each for each in _listed(path) if each.suffix.lower() in VIDEOS]


def episode_folders(path: Path) -> list[Path]:
    """Sub-folders that hold a video, a table or pictures."""
    if not path.is_dir():
        return []
    return [each for each in _listed(path) if each.is_dir() and _parts(each)]


def _listed(folder: Path) -> list[Path]:
    return [folder / name for name in ordered(each.name for each in folder.iterdir())]


def _parts(folder: Path) -> dict[str, Path]:
    """Name -> video, table or folder of pictures in an episode's folder."""
    found: dict[str, Path] = {}
    listed = _listed(folder)
    for each in listed:
        if each.is_dir():
            if any(inner.suffix.lower() in PICTURES for inner in _listed(each)):
                found[each.name] = each
        elif each.suffix.lower() in (*VIDEOS, *TABLES):
            if each.stem in found:
                raise VipOfflineError(
                    f"{folder}: {found[each.stem].name} and {each.name} would both be called "
                    f"{each.stem!r}. Rename one."
                )
            found[each.stem] = each
    if any(each.suffix.lower() in PICTURES for each in listed if each.is_file()):
        found.setdefault("pictures", folder)
    return found


class Folders:
    """Episodes as sub-folders, or as the videos of one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._videos = bare_videos(path)
        self._folders = [] if self._videos else episode_folders(path)

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        columns: dict[str, Column] = {}
        lengths, broken, model = [], {}, -1
        for index in range(len(self._videos) or len(self._folders)):
            try:
                found, length = self._episode(index)
                if columns and set(found) != set(columns):
                    raise VipOfflineError(self._unlike(index, set(found), model, set(columns)))
            except VipOfflineError as error:
                broken[index], length = str(error), 0
            else:
                if not columns:
                    columns, model = found, index
            lengths.append(length)
        if not columns:
            raise VipOfflineError(broken.get(0, f"{self.path}: holds no episode."))
        names = [each.stem for each in self._videos] or [each.name for each in self._folders]
        pictures = [name for name, column in columns.items() if column.kind != "numbers"]
        return Catalogue(
            format="videos" if self._videos else "folders of episodes",
            columns=columns,
            lengths=np.array(lengths, np.int64),
            names=names,
            keys=KeyMap(
                cameras={name: name for name in pictures},
                action=guessed([*columns], [n for n in columns if n.split(".")[-1] == "action"]),
                proprio=guessed([*columns], [n for n in columns if n.split(".")[-1] == "proprio"]),
            ),
            control_rate=self._rate(self._of(model)),
            notes=(
                *(
                    ("there are no actions: enough to relabel and analyse, not to train",)
                    if self._videos
                    else ()
                ),
                *(
                    sixteen_bit_note(name)
                    for name, part in self._of(model).items()
                    if part.is_dir() and is_sixteen_bit(_pictures(part)[0])
                ),
            ),
            broken=broken,
            videos=self.path if self.path.is_dir() else self.path.parent,
        )

    def _episode(self, index: int) -> tuple[dict[str, Column], int]:
        """Columns and number of rows.

        Raises:
            VipOfflineError: if its parts cannot be read, or differ in length.
        """
        described = self._describe(self._of(index))
        if not described:
            raise VipOfflineError(f"{self._where(index)}: holds nothing that is read here.")
        counts = {name: length for name, (_, length) in described.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{name} {length}" for name, length in counts.items())
            raise VipOfflineError(
                f"{self._where(index)}: its parts differ in length ({listed}); every row needs all "
                "of them. Trim them, or leave such episodes out with --skip-broken."
            )
        columns = {name: column for name, (column, _) in described.items()}
        return columns, next(iter(counts.values()))

    def _unlike(self, index: int, found: set[str], model: int, columns: set[str]) -> str:
        other = sorted(found ^ columns)[0]
        pair = (index, model) if other in found else (model, index)
        has, lacks = (self._where(each) for each in pair)
        return (
            f"{has} has {other!r}, {lacks} has not. Every episode needs the same columns; leave "
            "such episodes out with --skip-broken."
        )

    def _where(self, index: int) -> str:
        return str(self._videos[index] if self._videos else self._folders[index])

    def _of(self, index: int) -> dict[str, Path]:
        if self._videos:
            return {"video": self._videos[index]}
        return _parts(self._folders[index])

    def _rate(self, parts: dict[str, Path]) -> float | None:
        videos = [each for each in parts.values() if each.suffix.lower() in VIDEOS]
        return timeline(videos[0]).rate if videos else None

    def _describe(self, parts: dict[str, Path]) -> dict[str, tuple[Column, int]]:
        found: dict[str, tuple[Column, int]] = {}
        for name, path in parts.items():
            if path.is_dir():
                files = _pictures(path)
                found[name] = Column("pictures", picture_shape(files[0]), "uint8"), len(files)
            elif path.suffix.lower() in VIDEOS:
                line = timeline(path)
                found[name] = Column("video", line.shape, "uint8"), len(line.pts)
            else:
                for key, values in _table(path).items():
                    column = Column("numbers", tuple(values.shape[1:]), str(values.dtype))
                    found[f"{name}.{key}"] = column, len(values)
        return found

    def read(self, episode: int, columns: Sequence[str]) -> Rows:
        """See `Source.read`."""
        parts = self._of(episode)
        values: dict[str, NDArray[Any] | VideoSpan] = {}
        tables: dict[str, dict[str, NDArray[Any]]] = {}
        for column in columns:
            if column in parts and parts[column].is_dir():
                values[column] = _read_pictures(parts[column])
            elif column in parts:
                values[column] = VideoSpan(parts[column], np.zeros(0), 0.0)
            else:
                name = next(n for n in parts if column.startswith(f"{n}.") and parts[n].is_file())
                if name not in tables:
                    tables[name] = _table(parts[name])
                values[column] = tables[name][column.removeprefix(f"{name}.")]
        return Rows(values)

    def close(self) -> None:
        """See `Source.close`."""


def _pictures(folder: Path) -> list[Path]:
    return [each for each in _listed(folder) if each.suffix.lower() in PICTURES]


def _read_pictures(folder: Path) -> NDArray[np.uint8]:
    frames: list[NDArray[np.uint8]] = []
    for path in _pictures(folder):
        frames.append(read_picture(path))
        if frames[-1].shape != frames[0].shape:
            raise VipOfflineError(
                f"{path}: is {frames[-1].shape[:2]} px, those before it {frames[0].shape[:2]}. "
                "Give them one size."
            )
    return np.stack(frames)


def _table(path: Path) -> dict[str, NDArray[Any]]:
    """Name -> (T, ...) numbers of a file."""
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                found = {name: np.asarray(archive[name]) for name in archive.files}
        elif path.suffix.lower() == ".parquet":
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(path, partitioning=None)
            found = {n: np.array(table[n].to_pylist()) for n in table.column_names}
        else:
            found = _csv(path)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise VipOfflineError(f"{path}: cannot be read ({error}). Restore it.") from error
    return {name: each for name, each in found.items() if each.ndim and each.dtype.kind in "biuf"}


def _csv(path: Path) -> dict[str, NDArray[Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    if len(rows) < 2:
        raise VipOfflineError(f"{path}: needs a line of names and one line per row.")
    names, cells = rows[0], rows[1:]
    for number, row in enumerate(cells, 2):
        if len(row) != len(names):
            raise VipOfflineError(
                f"{path}, line {number}: has {len(row)} cells, the first line names {len(names)}."
            )
    found = {}
    for place, name in enumerate(names):
        try:
            found[name.strip()] = np.array([float(row[place]) for row in cells])
        except ValueError:
            continue  # a column of words
    return found
