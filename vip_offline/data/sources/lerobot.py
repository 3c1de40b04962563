"""LeRobotDataset v3.0 and v2.1, with pyarrow and PyAV alone.

Layouts: https://github.com/huggingface/lerobot, src/lerobot/datasets. In v3.0 many episodes share
a parquet file and an mp4; in v2.1 each has its own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.data.pictures import read_picture
from vip_offline.data.sources.source import (
    Catalogue,
    Column,
    KeyMap,
    Rows,
    VideoSpan,
    guessed,
)
from vip_offline.errors import VipOfflineError

VERSIONS = ("v3.0", "v2.1")
BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
PICTURES = "observation.images."


class LeRobot:
    """A LeRobotDataset on this machine's disk."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet

        self.path = path
        self._parquet = pyarrow.parquet
        self._info = self._read_info()
        self._features: dict[str, dict[str, Any]] = self._info["features"]
        self._episodes = self._read_episodes()
        self._table: tuple[Path, Any] | None = None  # the parquet file that was read last,
        self._of: NDArray[np.int64] = np.zeros(0, np.int64)  # which episode its rows are of
        self._in_order = True  # and whether those ascend

    def _read_info(self) -> dict[str, Any]:
        file = self.path / "meta" / "info.json"
        try:
            info: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise VipOfflineError(f"{file}: cannot be read ({error}). Restore it.") from error
        if not isinstance(info, dict):
            raise VipOfflineError(f"{file}: holds no JSON object. Restore it.")
        version = info.get("codebase_version")
        if version not in VERSIONS:
            raise VipOfflineError(
                f"{file}: codebase_version is {version!r}; read here are {', '.join(VERSIONS)}. "
                "LeRobot converts older ones (lerobot.datasets.v30.convert_dataset_v21_to_v30)."
            )
        for key in ("fps", "features", "data_path", "total_episodes"):
            if key not in info:
                raise VipOfflineError(f"{file}: lacks {key!r}. Restore it.")
        if not isinstance(info["fps"], int | float) or not info["fps"] > 0:
            raise VipOfflineError(f"{file}: fps is {info['fps']!r}; it must be above 0.")
        if not isinstance(info["features"], dict):
            raise VipOfflineError(f"{file}: features is {info['features']!r}. Restore it.")
        for name, feature in info["features"].items():
            shape = feature.get("shape", []) if isinstance(feature, dict) else None
            if (
                not isinstance(shape, list)
                or not all(isinstance(each, int) and each > 0 for each in shape)
                or "dtype" not in feature
            ):
                raise VipOfflineError(
                    f"{file}: feature {name!r} is {feature!r}; it needs a dtype and a shape of "
                    "whole numbers. Restore it."
                )
        return info

    @property
    def _v3(self) -> bool:
        return bool(self._info["codebase_version"] == "v3.0")

    def _read_episodes(self) -> list[dict[str, Any]]:
        """Metadata of all episodes, in the order of their index."""
        found = list(self._episodes_of_v3() if self._v3 else self._episodes_of_v2())
        for place, each in enumerate(found):
            for key in ("episode_index", "length"):
                if not isinstance(each.get(key), int):
                    raise VipOfflineError(
                        f"{self.path / 'meta'}: {key} of the {place + 1}. episode listed is "
                        f"{each.get(key)!r}. Restore the meta folder."
                    )
        found.sort(key=lambda each: int(each["episode_index"]))
        indices = [int(each["episode_index"]) for each in found]
        total = int(self._info["total_episodes"])
        if indices != list(range(total)):
            missing = sorted(set(range(total)) - set(indices))
            what = (
                f"episode {missing[0]} is missing" if missing else "an episode stands there twice"
            )
            raise VipOfflineError(
                f"{self.path / 'meta'}: info.json says {total} episodes, the list of episodes has "
                f"{len(found)} ({what}). Restore the missing files of the data set."
            )
        return found

    def _episodes_of_v3(self) -> Iterator[dict[str, Any]]:
        files = sorted((self.path / "meta" / "episodes").glob("*/*.parquet"))
        if not files:
            raise VipOfflineError(
                f"{self.path / 'meta' / 'episodes'}: holds no parquet file. Restore the data set's "
                "meta folder (other storage, such as Lance, is not read)."
            )
        for file in files:
            names = [
                name
                for name in self._schema(file).names
                if not name.startswith(("stats/", "meta/")) and "/stats/" not in name
            ]
            yield from self._load(file, names).to_pylist()

    def _episodes_of_v2(self) -> Iterator[dict[str, Any]]:
        file = self.path / "meta" / "episodes.jsonl"
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise VipOfflineError(f"{file}: cannot be read ({error}). Restore it.") from error
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    row: dict[str, Any] = json.loads(line)
                    int(row["episode_index"]), int(row["length"])
                except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                    raise VipOfflineError(
                        f"{file}, line {number}: {line[:60]!r} is no episode "
                        f"({error!r}). Restore it."
                    ) from error
                yield row

    def _schema(self, file: Path) -> Any:
        import pyarrow

        try:
            return self._parquet.read_schema(file)
        except (OSError, pyarrow.ArrowException) as error:
            raise VipOfflineError(f"{file}: cannot be read ({error}). Restore it.") from error

    def _load(self, file: Path, columns: Sequence[str]) -> Any:
        import pyarrow

        there = self._schema(file).names
        for column in columns:
            if column not in there:
                raise VipOfflineError(
                    f"{file}: lacks the column {column!r} (there are {', '.join(there)}). Restore "
                    "the file, or name another column with --key-map."
                )
        try:
            return self._parquet.read_table(file, columns=list(columns), partitioning=None)
        except (OSError, pyarrow.ArrowException) as error:
            raise VipOfflineError(f"{file}: cannot be read ({error}). Restore it.") from error

    def _inside(self, relative: str, what: str) -> Path:
        """A path that the data set names, which must not lead out of it."""
        pure = PurePosixPath(relative)
        if pure.is_absolute() or ".." in pure.parts:
            raise VipOfflineError(
                f"{self.path}: {what} is {relative!r}, which leads out of the data set."
            )
        return self.path / pure

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        columns, notes = {}, []
        for name, feature in self._features.items():
            dtype, shape = str(feature["dtype"]), tuple(feature.get("shape", ()))
            if name in BOOKKEEPING:
                continue
            if dtype in ("image", "video"):
                details = {**feature.get("info", {}), **feature.get("video_info", {})}
                if details.get("video.is_depth_map") or details.get("is_depth_map"):
                    raise VipOfflineError(
                        f"{self.path}: {name} is depth video, which is quantised and not read "
                        "here. Take another copy of the data set, without it (in LeRobot: "
                        "remove_feature), and import that."
                    )
                kind = "pictures" if dtype == "image" else "video"
                columns[name] = Column(kind, _last_is_channel(shape), "uint8")  # type: ignore[arg-type]
            elif dtype in ("string", "language"):
                notes.append(f"{name} is text and is left out")
            else:
                columns[name] = Column("numbers", shape, dtype)
        cameras = {
            name.removeprefix(PICTURES).removeprefix("observation."): name
            for name, column in columns.items()
            if column.kind != "numbers"
        }
        file = self.path / "meta/info.json"
        if "action" not in columns:
            notes.append(f"{file} lists no action: enough to relabel and analyse, not to train")
        return Catalogue(
            format=f"LeRobotDataset {self._info['codebase_version']}",
            columns=columns,
            lengths=np.array([int(each["length"]) for each in self._episodes], np.int64),
            names=[str(index) for index in range(len(self._episodes))],
            keys=KeyMap(
                cameras={name.replace("/", "."): column for name, column in cameras.items()},
                proprio=guessed([*columns], ["observation.state"]),
                action=guessed([*columns], ["action"]),
                success="".join(guessed([*columns], ["next.success"])),
                reward="".join(guessed([*columns], ["next.reward"])),
            ),
            control_rate=float(self._info["fps"]),
            splits=tuple(sorted(self._splits())),
            notes=tuple(notes),
            about={
                "robot_type": self._info.get("robot_type"),
                "features": {
                    name: {key: feature.get(key) for key in ("dtype", "shape", "names")}
                    for name, feature in self._features.items()
                },
            },
            videos=self.path,
        )

    def _splits(self) -> dict[str, range]:
        found = {}
        for name, span in (self._info.get("splits") or {}).items():
            start, _, stop = str(span).partition(":")
            if start.isdigit() and stop.isdigit() and name.isidentifier():
                found[name] = range(int(start), int(stop))
        return found

    def _data_file(self, episode: int) -> Path:
        if self._v3:
            places = {
                "chunk_index": self._place(episode, "data/chunk_index"),
                "file_index": self._place(episode, "data/file_index"),
            }
        else:
            places = self._places_of_v2(episode)
        return self._named("data_path", places)

    def _place(self, episode: int, key: str) -> int:
        """Which chunk or file an episode is in."""
        found = self._episodes[episode].get(key)
        if not isinstance(found, int):
            raise VipOfflineError(
                f"{self.path}, episode {episode}: its metadata has {key} {found!r}, so its file is "
                "not known. Restore the meta folder."
            )
        return found

    def _named(self, key: str, places: Mapping[str, Any]) -> Path:
        """The file that a template of info.json names."""
        template = self._info.get(key)
        try:
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

    def read(self, episode: int, columns: Sequence[str]) -> Rows:
        """See `Source.read`."""
        file = self._data_file(episode)
        there = [name for name in columns if self._features[name]["dtype"] != "video"]
        table = self._rows_of(file, episode, there)
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
                values[name] = _numbers(table[name], tuple(feature.get("shape", ())), where, name)
        tasks = self._episodes[episode].get("tasks") or []
        splits = tuple(name for name, span in self._splits().items() if episode in span)
        return Rows(values, task="; ".join(tasks), splits=splits)

    def _rows_of(self, file: Path, episode: int, columns: Sequence[str]) -> Any:
        if self._table is None or self._table[0] != file:
            wanted = ["episode_index", "frame_index", "timestamp", *columns]
            table = self._load(file, wanted)
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
        """Refuse rows whose time stamps or numbers are not those of a steady recording."""
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
        if not self._info.get("video_path"):
            raise VipOfflineError(f"{self.path / 'meta/info.json'}: has videos but no video_path.")
        file = self._named("video_path", places)
        if not file.is_file():
            raise VipOfflineError(
                f"{self.path}, episode {episode}: its video {file} is not there. Fetch it, or "
                "leave such episodes out with --skip-broken."
            )
        return VideoSpan(file, begin + stamps, 0.5 / fps)

    def _pictures(self, column: Any, where: str) -> NDArray[np.uint8]:
        """Decode (T, H, W, 3) of pictures that stand in the table, or beside it."""
        frames = []
        for row, cell in enumerate(column.to_pylist()):
            place = f"{where}, row {row}"
            try:
                data = cell["bytes"] or self._inside(cell["path"], place).read_bytes()
                frames.append(read_picture(data, place))
            except (OSError, TypeError, KeyError) as error:
                raise VipOfflineError(
                    f"{where}, row {row}: its picture cannot be read ({error}). Restore it, or "
                    "leave such episodes out with --skip-broken."
                ) from error
        shapes = {frame.shape for frame in frames}
        if len(shapes) > 1:
            raise VipOfflineError(f"{where}: its pictures differ in size ({sorted(shapes)}).")
        return np.stack(frames)

    def close(self) -> None:
        """See `Source.close`."""
        self._table = None


def _last_is_channel(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(3, H, W), as some data sets say, -> (H, W, 3)."""
    return (*shape[1:], shape[0]) if len(shape) == 3 and shape[0] == 3 else shape


def _numbers(column: Any, shape: tuple[int, ...], where: str, name: str) -> NDArray[Any]:
    """(T, ...) of a column of numbers or of nested lists of one length."""
    import pyarrow

    array = column.combine_chunks()
    length = len(array)
    while pyarrow.types.is_list(array.type) or pyarrow.types.is_fixed_size_list(array.type):
        array = array.flatten()
    if array.null_count:
        raise VipOfflineError(f"{where}: column {name!r} has {array.null_count} empty cells.")
    values = array.to_numpy(zero_copy_only=False)
    size = int(np.prod(shape, dtype=int))
    if len(values) != length * size:
        raise VipOfflineError(
            f"{where}: column {name!r} holds {len(values)} numbers in {length} rows; info.json "
            f"says {shape} each."
        )
    return np.asarray(values).reshape(length, *shape) if shape else np.asarray(values)
