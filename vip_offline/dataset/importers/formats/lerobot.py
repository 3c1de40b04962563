"""LeRobotDataset v3.0 and v2.1, with pyarrow and PyAV alone.

Layouts: https://github.com/huggingface/lerobot, src/lerobot/datasets. In v3.0 many episodes share
a parquet file and an mp4; in v2.1 each has its own.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.importers.base.source import (
    Catalogue,
    Column,
    ColumnMap,
    EpisodeColumns,
    VideoSpan,
    guessed,
    refuse_defects,
)
from vip_offline.dataset.importers.base.success import SUCCESS_COLUMNS, truth
from vip_offline.dataset.importers.formats.lerobot_columns import (
    channels_last,
    is_number,
    numbers_of,
)
from vip_offline.dataset.importers.formats.lerobot_meta import (
    check_template,
    files_of_episodes,
    load_table,
    parquet_names,
    read_episodes,
    read_info,
    read_tasks,
    whole,
    words_of,
)
from vip_offline.dataset.media.pictures import not_a_view, pictures_shape, read_picture
from vip_offline.errors import VipOfflineError

INDEX_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
PICTURE_PREFIX = "observation.images."
# of a data set's folder
FORMAT_FILES = ("meta", "data", "videos", "images", "README.md", "LICENSE")


class LeRobot:
    """A LeRobotDataset on this machine's disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._info = read_info(path)
        self._features: dict[str, dict[str, Any]] = self._info["features"]
        self._episodes = read_episodes(path, self._info)
        self._table: tuple[Path, Any] | None = None  # the parquet file that was read last,
        self._of: NDArray[np.int64] = np.zeros(0, np.int64)  # which episode its rows are of
        self._in_order = True  # and whether those ascend
        self._holders: dict[int, list[Path]] | None = None  # episode -> files with rows of it
        self._tasks: dict[int, str] | None = None  # task_index -> words

    @property
    def _v3(self) -> bool:
        return bool(self._info["codebase_version"] == "v3.0")

    def _inside(self, relative: str, source: str) -> Path:
        """A path from the metadata, inside the data set's folder."""
        pure = PurePosixPath(relative)
        if pure.is_absolute() or ".." in pure.parts:
            raise VipOfflineError(
                f"{self.path}: {source} is {relative!r}, which leads out of the data set."
            )
        return self.path / pure

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        columns, left_out = self._columns()
        notes = self._notes()
        cameras = {
            name.removeprefix(PICTURE_PREFIX).removeprefix("observation."): name
            for name, column in columns.items()
            if column.kind != "numbers"
        }
        file = self.path / "meta/info.json"
        videos = any(column.kind == "video" for column in columns.values())
        if videos and not self._info.get("video_path"):
            raise VipOfflineError(f"{file}: has videos but no video_path. Restore it.")
        if not cameras:
            notes.append("there are no pictures, so nothing can be relabelled")
        if "action" not in columns:
            notes.append(f"{file} lists no action: enough to relabel and analyse, not to train")
        try:
            self._tasks = read_tasks(self.path)
        except VipOfflineError as error:
            left_out["meta/tasks"] = str(error)
        return Catalogue(
            format=f"LeRobotDataset {self._info['codebase_version']}",
            columns=columns,
            lengths=np.array([int(episode["length"]) for episode in self._episodes], np.int64),
            names=[str(index) for index in range(len(self._episodes))],
            keys=ColumnMap(
                cameras={name.replace("/", "."): column for name, column in cameras.items()},
                proprio=guessed([*columns], ["observation.state"]),
                action=guessed([*columns], ["action"]),
                success="".join(guessed([*columns], ["next.success", *SUCCESS_COLUMNS])),
                reward="".join(guessed([*columns], ["next.reward"])),
            ),
            control_rate=float(self._info["fps"]),
            splits=tuple(sorted(self._splits())),
            notes=tuple(notes),
            left_out=left_out,
            broken={
                index: f"{self.path}, episode {index}: has {episode['length']} rows. Leave such "
                "episodes out with --skip-broken."
                for index, episode in enumerate(self._episodes)
                if episode["length"] < 1
            },
            about={
                "robot_type": self._info.get("robot_type"),
                "features": {
                    name: {key: feature.get(key) for key in ("dtype", "shape", "names")}
                    for name, feature in self._features.items()
                },
            },
            videos=self.path,
        )

    def _columns(self) -> tuple[dict[str, Column], dict[str, str]]:
        """Columns by name, and the reasons for those left out."""
        columns: dict[str, Column] = {}
        left_out = {
            entry.name: "is no part of a LeRobotDataset"
            for entry in sorted(self.path.iterdir())
            if entry.name not in FORMAT_FILES and not entry.name.startswith(".")
        }
        defects: dict[str, str] = {}
        file, stored = self._first_file()
        for name, feature in self._features.items():
            dtype, shape = str(feature["dtype"]), tuple(feature.get("shape", ()))
            if name in INDEX_COLUMNS:
                continue
            if dtype != "video" and file is not None and name not in stored:
                why = f"{file}: lacks the column {name!r}, which info.json lists. Restore the file."
                needed = dtype == "image" or name == "action"
                (defects if needed else left_out)[name] = why
            elif dtype in ("image", "video"):
                details = {**(feature.get("info") or {}), **(feature.get("video_info") or {})}
                depth = details.get("video.is_depth_map") or details.get("is_depth_map")
                why = not_a_view("depth" if depth else name)
                if why:
                    left_out[name] = why
                else:
                    frame = pictures_shape(shape, np.uint8) or channels_last(shape)
                    kind = "pictures" if dtype == "image" else "video"
                    columns[name] = Column(kind, frame, "uint8")  # type: ignore[arg-type]
            elif dtype in ("string", "language"):
                left_out[name] = "is text"
            elif not is_number(dtype):
                left_out[name] = f"is {dtype}, not numbers"
            elif 0 in shape:
                left_out[name] = f"has shape {list(shape)}: no number per row"
            else:
                columns[name] = Column("numbers", shape, dtype)
        for name in stored:
            if name not in self._features and name not in INDEX_COLUMNS:
                left_out[name] = "is in the data files, but info.json does not describe it"
        refuse_defects(columns, defects, ["action"])
        return columns, left_out | defects

    def _notes(self) -> list[str]:
        """Notes on contradictions in the metadata, and how they are resolved."""
        moved = [
            index
            for index, episode in enumerate(self._episodes)
            if self._v3 and episode["length"] and self._data_file(index) != self._named_file(index)
        ]
        if not moved:
            return []
        return [
            f"the metadata of {len(moved)} of {len(self._episodes)} episodes, such as {moved[0]}, "
            "names a data file without their rows: they are read from the file that has them"
        ]

    def _first_file(self) -> tuple[Path | None, list[str]]:
        """The first data file that can be opened, and the names of its columns."""
        for index, episode in enumerate(self._episodes):
            file = self._data_file(index) if episode["length"] else None
            if file is not None and file.is_file():
                try:
                    return file, parquet_names(file)
                except VipOfflineError:  # reading an episode of it says so
                    continue
        return None, []

    def _splits(self) -> dict[str, range]:
        splits = {}
        for name, span in (self._info.get("splits") or {}).items():
            start, _, stop = str(span).partition(":")
            if start.isdigit() and stop.isdigit() and name.isidentifier():
                splits[name] = range(int(start), int(stop))
        return splits

    def _data_file(self, episode: int) -> Path:
        """The file that holds the rows of an episode.

        LeRobot reads all data files and picks rows by their episode_index, so metadata that name
        another file, as merged sets have them, do no harm there, nor here.
        """
        named = self._named_file(episode)
        if not self._v3:
            assert named is not None
            return named
        if self._holders is None:
            named_files = {self._named_file(index) for index in range(len(self._episodes))}
            files = {*self.path.glob("data/*/*.parquet"), *(file for file in named_files if file)}
            self._holders = files_of_episodes(sorted(file for file in files if file.is_file()))
        holders = self._holders.get(episode, [])
        if named in holders or (named is not None and len(holders) != 1):
            return named
        if len(holders) != 1:
            raise VipOfflineError(
                f"{self.path}, episode {episode}: its metadata names no data file, and "
                f"{len(holders)} files have rows of it. Restore the meta folder."
            )
        return holders[0]

    def _named_file(self, episode: int) -> Path | None:
        """The data file that metadata name; None if they name none."""
        if not self._v3:
            return self._named("data_path", self._places_of_v2(episode))
        about = self._episodes[episode]
        chunk, file = (whole(about.get(f"data/{key}_index")) for key in ("chunk", "file"))
        if chunk is None or file is None:
            return None
        return self._named("data_path", {"chunk_index": chunk, "file_index": file})

    def _place(self, episode: int, key: str) -> int:
        """Which chunk or file of a video an episode is in."""
        place = whole(self._episodes[episode].get(key))
        if place is None:
            raise VipOfflineError(
                f"{self.path}, episode {episode}: its metadata has {key} "
                f"{self._episodes[episode].get(key)!r}, so its file is not known. Restore the meta "
                "folder."
            )
        return place

    def _named(self, key: str, places: Mapping[str, Any]) -> Path:
        """The file that a path template of info.json gives."""
        template = self._info.get(key)
        try:
            check_template(str(template), places)
            name = str(template).format(**places)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise VipOfflineError(
                f"{self.path / 'meta/info.json'}: {key} is {template!r}, which cannot be filled "
                f"with {', '.join(places)} ({error!r}). Restore it."
            ) from error
        return self._inside(name, key)

    def _places_of_v2(self, episode: int) -> dict[str, int]:
        return {
            "episode_chunk": episode // int(self._info.get("chunks_size", 1000)),
            "episode_index": episode,
        }

    def read(self, episode: int, columns: Sequence[str]) -> EpisodeColumns:
        """See `Source.read`."""
        file = self._data_file(episode)
        stored = [name for name in columns if self._features[name]["dtype"] != "video"]
        task = words_of(self._episodes[episode].get("tasks"))
        if not task and "task_index" in self._features and "task_index" not in stored:
            stored.append("task_index")
        table = self._rows_of(file, episode, stored)
        where = f"{self.path}, episode {episode}"
        length = int(self._episodes[episode]["length"])
        if table.num_rows != length:
            raise VipOfflineError(
                f"{where}: its metadata says {length} rows, {file} has {table.num_rows} of them. "
                "Restore the data set, or leave such episodes out with --skip-broken."
            )
        stamps = np.asarray(table["timestamp"], np.float64).reshape(-1)
        self._check_stamps(stamps, np.asarray(table["frame_index"]), where, file)
        values: dict[str, NDArray[Any] | VideoSpan] = {}
        for name in columns:
            feature = self._features[name]
            if feature["dtype"] == "video":
                values[name] = self._span(episode, name, stamps)
            elif feature["dtype"] == "image":
                values[name] = self._pictures(table[name], f"{where}, {name}")
            else:
                values[name] = numbers_of(table[name], tuple(feature.get("shape", ())), where, name)
        splits = tuple(name for name, span in self._splits().items() if episode in span)
        task = task or self._task_of(table)
        return EpisodeColumns(values, success=self._success(episode), task=task, splits=splits)

    def _task_of(self, table: Any) -> str:
        """Task instructions of an episode's rows, joined with semicolons."""
        if "task_index" not in table.column_names:
            return ""
        if self._tasks is None:
            self._tasks = read_tasks(self.path)
        if not self._tasks:
            return ""
        numbers = dict.fromkeys(np.asarray(table["task_index"]).reshape(-1).tolist())
        return "; ".join(self._tasks.get(number, f"task_index {number}") for number in numbers)

    def _success(self, episode: int) -> bool | None:
        """Episode-level success label in the list of episodes; None if there is none."""
        about = self._episodes[episode]
        names = [name for name in SUCCESS_COLUMNS if about.get(name) is not None]
        if not names:
            return None
        return truth(about[names[0]], f"{self.path}, episode {episode}: {names[0]}")

    def _rows_of(self, file: Path, episode: int, columns: Sequence[str]) -> Any:
        if self._table is None or self._table[0] != file:
            table = load_table(file, ["episode_index", "frame_index", "timestamp", *columns])
            self._table = file, table
            self._of = np.asarray(table["episode_index"])
            self._in_order = bool((np.diff(self._of) >= 0).all())
        table = self._table[1]
        if self._in_order:
            start, stop = np.searchsorted(self._of, [episode, episode + 1])
            return table.slice(int(start), int(stop - start))
        return table.take(np.flatnonzero(self._of == episode))

    def _check_stamps(
        self, stamps: NDArray[np.float64], frames: NDArray[Any], where: str, file: Path
    ) -> None:
        """Refuse rows with gaps in frame_index, or time stamps that contradict the frame rate."""
        if (frames != np.arange(len(frames))).any():
            row = int(np.argmax(frames != np.arange(len(frames))))
            raise VipOfflineError(
                f"{where}: frame_index of row {row} is {frames[row]} in {file}; rows are missing "
                "or mixed up. Leave such episodes out with --skip-broken."
            )
        fps = float(self._info["fps"])
        off = np.abs(stamps - frames / fps)
        if len(off) and off.max() > 0.5 / fps:
            row = int(np.argmax(off > 0.5 / fps))
            raise VipOfflineError(
                f"{where}: timestamp of row {row} is {stamps[row]:.4f} s, {off[row]:.4f} s off "
                f"what {fps:g} frames per second make it ({file}). Leave such episodes out with "
                "--skip-broken."
            )

    def _span(self, episode: int, name: str, stamps: NDArray[np.float64]) -> VideoSpan:
        about, fps = self._episodes[episode], float(self._info["fps"])
        if self._v3:
            key = f"videos/{name}"
            if about.get(f"{key}/file_index") is None:
                raise VipOfflineError(
                    f"{self.path}, episode {episode}: its metadata names no file for {name}."
                )
            places = {
                "video_key": name,
                "chunk_index": self._place(episode, f"{key}/chunk_index"),
                "file_index": self._place(episode, f"{key}/file_index"),
            }
            begin = about.get(f"{key}/from_timestamp")
            if not isinstance(begin, int | float):
                raise VipOfflineError(
                    f"{self.path}, episode {episode}: its metadata has {key}/from_timestamp "
                    f"{begin!r}. Restore the meta folder."
                )
        else:
            places = {"video_key": name, **self._places_of_v2(episode)}
            begin = 0.0
        file = self._named("video_path", places)
        if not file.is_file():
            raise VipOfflineError(
                f"{self.path}, episode {episode}: its video {file} is not there. Fetch it, or "
                "leave such episodes out with --skip-broken."
            )
        return VideoSpan(file, begin + stamps, 0.5 / fps)

    def _pictures(self, column: Any, where: str) -> NDArray[np.uint8]:
        """Decode pictures embedded in the table, or files it names, to (T, H, W, 3) uint8."""
        frames = []
        for row, cell in enumerate(column.to_pylist()):
            if isinstance(cell, dict):  # as Hugging Face's datasets store an Image
                cell = cell.get("bytes") or cell.get("path")
            if isinstance(cell, str):
                cell = self._inside(cell, f"{where}, row {row}")
            if not isinstance(cell, bytes | Path):
                raise VipOfflineError(
                    f"{where}, row {row}: has no picture. Restore it, or leave such episodes out "
                    "with --skip-broken."
                )
            frames.append(read_picture(cell, f"{where}, row {row}"))
        shapes = {frame.shape for frame in frames}
        if len(shapes) > 1:
            raise VipOfflineError(f"{where}: its pictures differ in size ({sorted(shapes)}).")
        return np.stack(frames)

    def close(self) -> None:
        """See `Source.close`."""
        self._table = None
