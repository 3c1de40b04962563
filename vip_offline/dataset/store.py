"""The store: one zarr v3 group per set of demonstrations. zarr's only home in this package.

A superset of the diffusion_policy replay buffer, so its readers find what they know::

    data/<key>                          (N, ...)  all episodes, one after the other
    data/frames_<camera>                (N, H, W, 3) in shards, a frame to a chunk; or, of frames
                                              that stay in their videos:
    data/pts_<camera>                   (N,)      which frame of the file meta/video_<camera>,
                                                  upright if its attributes say so
    data/rows_<camera>                  (N,)      or which row of another zarr array
    extras/<column>                     (N, ...)  what else the origin had, as it was
    meta/episode_ends                   (E,)      exclusive end of each episode in data/
    meta/content_<camera>               (E, 16)   hash of the episode's frames
    meta/done                           (E,)      written last: without it an episode is not there
    embeddings/<encoder>/<camera>       (N, D)    NaN where not computed
    embeddings/<encoder>/<camera>@content (E, 16)   hash of the frames that were embedded
    embeddings/<encoder>/<camera>@hash  (E, 16)   hash of the embedding itself
    goals/<encoder>/<hash>              (D,)      embedding of a goal picture or prompt
    labels/<name>/{reward,distance}     (N,)      the last row of an episode has no reward: NaN
    labels/<name>/goal                  (K, D)    its goals, one per stage
    labels/<name>/goal_set              (G, D)    in its place: goals of which the nearest counts
    labels/<name>/read                  (E, K, 8)  hashes of what it was made from, see `reads`
    files/<array>                       (F, 3)    size, time and inode of each file of an array,
                                              when its content was last known to be right

Row t is the observation before action t; reward t belongs to the step from t to t+1.

Every chunk carries zarr's crc32c, is written even where it holds nothing but zeros (one that is
missing was lost), and every ``zarr.json`` a checksum of its own: see `metadata_seal`. Stores of
schema version 1 have neither; they are read, and `vip-offline upgrade` rewrites them.
"""

import bisect
import datetime
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from vip_offline.dataset.damage import check_present, damaged, way_out
from vip_offline.dataset.frame_hashes import current, embedding_hash, frames_hash
from vip_offline.dataset.media.video import FrameReader
from vip_offline.dataset.read_hashes import Reads, StaleError, differences, episodes_in_words, reads
from vip_offline.dataset.storage.content_hash import DIGEST, KIND, content_of
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.storage.file_states import FIELDS, STATE, states_of, touched
from vip_offline.dataset.storage.shards import Rows, ShardError, is_plain, is_readable, read_chunks
from vip_offline.dataset.zarr_frames import LinkedFrames
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.utils.files import replaced_of

FORMAT = "vip-offline"
SCHEMA_VERSION = 2  # 1: without checksums, each frame in a file of its own
REPLACED = ".replaced"
OWN = ("reward", "distance")  # of a labelling, whose hashes it keeps beside those it was made from
# of a labelling's provenance what follows from the data, where the same was asked for
OF_DATA = ("goal", "goal_rows", "stages", "episodes")
# what zarr leaves of a write that was killed
LEFTOVER = re.compile(r".+\.[0-9a-f]{32}\.partial")
BLOCK_ROWS = 1024  # about as many are in memory at once where rows are gone through

Attributes = dict[str, Any]
Opened = TypeVar("Opened", bound="Store")


def now() -> str:
    """Date and time in UTC, as provenance records it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _has_files(folder: Path) -> bool:
    """Whether something lies in a folder, but for what a killed writer left half-written."""
    return any(not LEFTOVER.fullmatch(name) for _, _, names in os.walk(folder) for name in names)


def settings_of(attributes: Mapping[str, Any]) -> Attributes:
    """Provenance as it is compared: what was done, not when, by which release or on what."""
    circumstances = ("created", "code_version", "backend")
    return {k: v for k, v in attributes.items() if k not in circumstances}


def check_name(kind: str, name: str) -> str:
    """Refuse a name that is no plain folder name: names become folders of the store.

    Raises:
        VipOfflineError: with what may stand there.
    """
    if not re.fullmatch(r"\w[\w.+ -]*", name) or name.endswith((REPLACED, ".partial")):
        raise VipOfflineError(
            f"{kind} {name!r}: is no name. It begins with a letter or digit; letters, digits, "
            "blanks and . _ + - may follow."
        )
    return name


@dataclass(frozen=True)
class Label:
    """One labelling of a store: N rows, NaN in each episode's last."""

    name: str
    reward: NDArray[np.float32]  # (N,), of the step from row t to t+1
    distance: NDArray[np.float32]  # (N,), of row t to the goal
    goal: NDArray[np.float32] | None  # (K, D), per stage; None: each episode has its own
    provenance: Attributes
    goal_set: NDArray[np.float32] | None = None  # (G, D) of which the nearest counts
    read: Reads = field(default_factory=dict)  # hashes of what it was made from; none: unknown


class Store:
    """A store that is open. Reading sees finished episodes only."""

    def __init__(self, path: Path, durable: DurableStore) -> None:
        self.path = path
        self._durable = durable
        self._root = zarr.open_group(durable, mode="r" if durable.read_only else "r+")
        self._ends: NDArray[np.int64] | None = None  # read once: everything asks for them
        self._arrays: dict[str, zarr.Array[Any]] = {}  # that are open, of a store that is only read

    def _node(self, key: str, *, listed: bool = False) -> zarr.Array[Any] | zarr.Group | None:
        """An array or group; None if there is nothing of this name.

        Raises:
            VipOfflineError: if its description cannot be read, or is gone although it was
                written down as `listed`, or what it describes is there.
        """
        try:
            node = self._root.get(key)
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise VipOfflineError(
                f"{self.path}: the description of {key} (its zarr.json) cannot be read: {error}. "
                f"{way_out(self, key, described=False)}"
            ) from error
        if node is None and (listed or _has_files(self.path / key)):
            raise VipOfflineError(
                f"{self.path}: the description of {key} (its zarr.json) is gone. "
                f"{way_out(self, key, described=False)}"
            )
        return node

    def _find(self, key: str) -> zarr.Array[Any] | None:
        if key in self._arrays:
            return self._arrays[key]
        node = self._node(key, listed=key in self._listed)
        if not isinstance(node, zarr.Array):
            return None
        if self._durable.read_only and self._ends is not None:  # not before: it may grow till then
            self._arrays[key] = node
        return node

    @property
    def _listed(self) -> Sequence[str]:
        """Arrays that were written, so that one which was deleted is missed."""
        return cast("Sequence[str]", self._root.attrs.get("arrays", ()))

    def array(self, key: str) -> zarr.Array[Any]:
        """An array as zarr has it; what is read through it is checked by its checksums alone."""
        return self._array(key)

    def _array(self, key: str) -> zarr.Array[Any]:
        array = self._find(key)
        if array is None:
            raise VipOfflineError(f"{self.path}: has no array {key}. `vip-offline inspect` it.")
        return array

    def _names(self, key: str) -> list[str]:
        """Of what lies in a group, sorted; none if there is no such group.

        Raises:
            VipOfflineError: see `_node`.
        """
        if key and not isinstance(self._node(key), zarr.Group):
            return []
        folders = (path for path in (self.path / key).iterdir() if _has_files(path))
        return sorted(path.name for path in folders if not path.name.startswith("."))

    def rows_of(self, key: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Rows of an array, checked.

        Raises:
            VipOfflineError: if it is not there, or a chunk is missing or damaged.
        """
        return self._read_array(self._array(key), key, start, stop)

    def _read(self, key: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        return self.rows_of(key, start, stop)

    def _read_array(
        self, array: zarr.Array[Any], key: str, start: int, stop: int | None
    ) -> NDArray[Any]:
        stop = array.shape[0] if stop is None else min(stop, array.shape[0])
        if is_plain(array):
            try:
                return read_chunks(self.path / key, array, start, max(start, stop))
            except ShardError as error:
                raise damaged(self, array, key, start, stop, error) from error
        check_present(self, array, key, start, stop)
        try:
            return np.asarray(array[start:stop])
        except (ValueError, RuntimeError, OSError, KeyError) as error:
            raise damaged(self, array, key, start, stop, error) from error

    @property
    def attributes(self) -> Attributes:
        """What the store says of itself: task, camera, recipe, code version, date."""
        return dict(self._root.attrs)

    @property
    def checked(self) -> bool:
        """Whether damage in the store is noticed; in one of an earlier release it is not."""
        return self.version > 1 or bool(self._root.attrs.get("sealed", False))

    @property
    def version(self) -> int:
        """Of the store's format."""
        return int(cast("int", self._root.attrs.get("schema_version", 0)))

    @property
    def ends(self) -> NDArray[np.int64]:
        """(E,) exclusive ends of the finished episodes, as of when they were first asked for."""
        if self._ends is None:
            self._ends = self._read_ends()
        return self._ends

    def _read_ends(self) -> NDArray[np.int64]:
        if self._find("meta/done") is None:
            return np.zeros(0, np.int64)
        done = self._read("meta/done")
        finished = len(done) if done.all() else int(np.argmin(done))
        return cast("NDArray[np.int64]", self._read("meta/episode_ends", 0, finished))

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def rows(self) -> int:
        """N, the rows of all finished episodes."""
        ends = self.ends
        return int(ends[-1]) if len(ends) else 0

    def spans(self) -> list[tuple[int, int]]:
        """(start, stop) rows of each finished episode."""
        ends = [int(end) for end in self.ends]
        return list(pairwise([0, *ends]))

    def require_finished(self) -> None:
        """Refuse a store whose recording or import stopped in the middle, or never began.

        Raises:
            VipOfflineError: naming the first episode that is not finished.
        """
        self.check_sealed()
        finished, planned = len(self), int(self.attributes.get("episodes_planned", 0))
        planned -= len(self.attributes.get("left_out", ()))
        self._check_index()
        lengths = {
            self._array(f"{group}/{name}").shape[0]
            for group in ("data", "extras")
            for name in self.keys(group)
        }
        about = {self._array(f"meta/{name}").shape[0] for name in self.keys("meta")}
        if lengths - {self.rows} or about - {finished}:
            raise VipOfflineError(
                f"{self.path}: episode {finished} is unfinished ({finished} are whole). Run the "
                "command that wrote the store again; it goes on from there."
            )
        if finished < max(planned, 1):
            raise VipOfflineError(
                f"{self.path}: {finished} of {max(planned, 1)} episodes are there. Run the command "
                "that wrote the store again; it goes on from there."
            )

    def check_sealed(self) -> None:
        """Compare a store of an earlier release with the hashes that it was sealed with.

        Raises:
            VipOfflineError: naming what changed, and in which episodes.
        """
        array = self._find("sealed/read") if self.attributes.get("sealed") else None
        if array is None or self.version > 1:
            return
        keys = cast("Sequence[str]", array.attrs["read"])
        then = self._read_array(array, "sealed/read", 0, len(self))
        known = {key: then[:, place] for place, key in enumerate(keys) if self._is_there(key)}
        now = {key: values[: len(then)] for key, values in reads(self, known).items()}
        changes = differences(known, now)
        if changes:
            raise VipOfflineError(
                f"{self.path}: is not what was sealed ({'; '.join(changes)}): it is damaged, or "
                "was changed. Restore it from a copy; if it was changed on purpose, "
                f"`vip-offline inspect {self.path} --seal` accepts it as it is."
            )

    def _is_there(self, key: str) -> bool:
        return not key.startswith("labels/") or key.split("/")[1] in self.label_names

    def _check_index(self) -> None:
        """Refuse episode ends that do not ascend, or reach beyond the data."""
        ends = self.ends
        if len(ends) and (np.diff(ends, prepend=0) < 1).any():
            index = int(np.argmax(np.diff(ends, prepend=0) < 1))
            raise VipOfflineError(
                f"{self.path}: meta/episode_ends[{index}] is {ends[index]}, not beyond the end "
                "before it. The store was damaged; restore it, or record or import it again."
            )
        for name in self.keys("data"):
            rows = self._array(f"data/{name}").shape[0]
            if rows < self.rows:
                raise VipOfflineError(
                    f"{self.path}: data/{name} has {rows} rows, but its episodes end at "
                    f"{self.rows}. Its arrays differ in length; record or import it again."
                )

    def keys(self, group: str) -> list[str]:
        """Names of the arrays in a group, sorted; none if there is no such group.

        Raises:
            VipOfflineError: if one that was written is gone.
        """
        for key in self._listed:
            if key.startswith(f"{group}/"):
                self._find(key)  # refuses one that is gone
        return self._group_keys(group)

    def _group_keys(self, group: str) -> list[str]:
        return [name for name in self._names(group) if self._find(f"{group}/{name}") is not None]

    def _group_names(self, group: str) -> list[str]:
        return [name for name in self._names(group) if self._node(f"{group}/{name}") is not None]

    @property
    def cameras(self) -> list[str]:
        """Names under which frames are stored."""
        return sorted(
            key.removeprefix(prefix)
            for key in self.keys("data")
            for prefix in ("frames_", "pts_", "rows_")
            if key.startswith(prefix)
        )

    def camera(self, name: str, option: str = "--camera") -> str:
        """The camera that is meant: the one named, or the only one.

        Args:
            name: of the camera; empty: the only one.
            option: by which a user names one.

        Raises:
            VipOfflineError: if it is not there, or none is named and there are several.
        """
        if name in self.cameras:
            return name
        if not name and len(self.cameras) == 1:
            return self.cameras[0]
        if not self.cameras:
            raise VipOfflineError(
                f"{self.path}: has no frames (it was imported without), so there is nothing to "
                "embed."
            )
        hint = did_you_mean(name, self.cameras)
        raise VipOfflineError(
            f"{self.path}: no camera {name!r}.{hint}"
            if name
            else f"{self.path}: has {len(self.cameras)} cameras; name one with {option}.{hint}"
        )

    def frames(self, camera: str, start: int, stop: int) -> NDArray[np.uint8]:
        """(stop - start, H, W, 3) RGB.

        Raises:
            VipOfflineError: if a frame's file is gone, which zarr would read as black.
        """
        return self.frame_reader(camera)(start, stop)

    def frame_reader(self, camera: str) -> Callable[[int, int], NDArray[np.uint8]]:
        """`frames` of one camera for many calls, from several threads too."""
        if self._find(f"data/pts_{camera}") is not None:
            return self._video_reader(camera)
        if self._find(f"data/rows_{camera}") is not None:
            return self._linked_reader(camera)
        key = f"data/frames_{camera}"
        array, folder = self._array(key), self.path / key
        if is_readable(array):
            rows = Rows(folder, array)

            def read_shards(start: int, stop: int) -> NDArray[np.uint8]:
                try:
                    return rows(start, stop)
                except ShardError as error:
                    raise damaged(self, array, key, start, stop, error) from error

            return read_shards

        def read(start: int, stop: int) -> NDArray[np.uint8]:
            for row in range(start, stop):
                if not (folder / f"c.{row}.0.0.0").exists():
                    raise VipOfflineError(
                        f"{self.path}: frame {row} of camera {camera} is missing. Restore it, or "
                        "record or import the store again."
                    )
            return cast("NDArray[np.uint8]", self._read_array(array, key, start, stop))

        return read

    def frames_key(self, camera: str) -> str:
        """The array that holds a camera's frames, or says where they are."""
        keys = [f"data/{prefix}_{camera}" for prefix in ("pts", "rows", "frames")]
        return next((key for key in keys if self._find(key) is not None), keys[-1])

    def frame_shape(self, camera: str) -> tuple[int, int, int]:
        """(H, W, 3) of a camera's frames."""
        array = self._array(self.frames_key(camera))
        shape = cast("Sequence[int]", array.attrs.get("frame_shape", array.shape[1:]))
        return int(shape[0]), int(shape[1]), int(shape[2])

    def video_files(self, camera: str) -> list[Path]:
        """(E,) video of each episode's frames.

        A set that was moved together with the store is found beside it.
        """
        folder = Path(str(self.attributes.get("videos", "")))
        beside = str(self.attributes.get("videos_from_store", ""))
        if beside and not folder.is_dir():
            folder = Path(os.path.normpath(self.path.absolute() / beside))
        return [folder / name for name in self.texts(f"video_{camera}")]

    def linked_file(self, camera: str) -> Path:
        """The zarr that a camera's frames stay in."""
        attributes = self._array(f"data/rows_{camera}").attrs
        file, beside = Path(str(attributes["file"])), attributes.get("file_from_store")
        if beside and not file.exists():
            file = Path(os.path.normpath(self.path.absolute() / str(beside)))
        return file

    def upright(self, camera: str) -> bool:
        """Whether frames of a camera are turned as their videos say; in older stores not."""
        pts = self._find(f"data/pts_{camera}")
        return pts is None or bool(pts.attrs.get("upright", False))

    def _linked_reader(self, camera: str) -> Callable[[int, int], NDArray[np.uint8]]:
        """Frames that stay in somebody else's zarr array."""
        rows = self._array(f"data/rows_{camera}")
        file, key = self.linked_file(camera), str(rows.attrs["array"])
        linked_rows = self._read(f"data/rows_{camera}")
        try:
            frames = LinkedFrames(file, key)
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise VipOfflineError(
                f"{self.path}: its frames are in {file}, which cannot be read ({error}). Restore "
                "it, or import it (the store then holds the frames itself)."
            ) from error

        def read(start: int, stop: int) -> NDArray[np.uint8]:
            rows_there = linked_rows[start:stop]
            if len(rows_there) and rows_there[-1] >= len(frames):
                raise VipOfflineError(
                    f"{self.path}: row {stop - 1} is row {rows_there[-1]} of {key} in {file}, "
                    f"which has {len(frames)}: it was changed. Remove {self.path} and label "
                    "that again."
                )
            return frames(rows_there)

        return read

    def _video_reader(self, camera: str) -> Callable[[int, int], NDArray[np.uint8]]:
        pts, spans = self._array(f"data/pts_{camera}"), self.spans()
        height, width, _ = cast("list[int]", pts.attrs["frame_shape"])
        files, sizes = self.video_files(camera), self.meta(f"video_bytes_{camera}")
        key = f"data/pts_{camera}"
        reader = FrameReader((height, width), upright=self.upright(camera))
        stops = [stop for _, stop in spans]

        def read(start: int, stop: int) -> NDArray[np.uint8]:
            parts = []
            while start < stop:
                index = bisect.bisect_right(stops, start)
                upto = min(stop, stops[index])
                file, size = files[index], int(sizes[index])
                if not file.is_file() or file.stat().st_size != size:
                    state = "is gone" if not file.is_file() else "was changed"
                    raise VipOfflineError(
                        f"{self.path}, episode {index}: its frames are in {file}, which {state}. "
                        "Restore that file, or import again (with --copy-frames the store holds "
                        "the frames itself)."
                    )
                parts.append(reader(file, self._read_array(pts, key, start, upto)))
                start = upto
            return np.concatenate(parts)

        return read

    def data(self, key: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """(N, ...) of one small array: ``proprio``, ``action``, ``succeeded``, ``true_reward``.

        Without proprioception or actions those are (N, 0). Rows `start` to `stop` alone may be
        asked for.
        """
        stop = self.rows if stop is None else stop
        if key in ("proprio", "action") and self._find(f"data/{key}") is None:
            return np.zeros((stop - start, 0), np.float32)
        return self._read(f"data/{key}", start, stop)

    def extra(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """(N, ...) of one of the origin's other columns; or its rows `start` to `stop` alone."""
        return self._read(f"extras/{name}", start, self.rows if stop is None else stop)

    def texts(self, key: str) -> list[str]:
        """(E,) names, paths or instructions of the episodes; empty where there are none."""
        array = self._find(f"meta/{key}")
        if array is None:
            return [""] * len(self)
        values = self.meta(key)
        if values.ndim == 1:
            names = cast("list[str]", array.attrs["names"])
            return [names[index] for index in values]
        return [bytes(row).rstrip(b"\0").decode() for row in values]

    def meta(self, key: str) -> NDArray[Any]:
        """(E,) of one array about episodes: ``success``, ``kind``, ``placement``."""
        return self._read(f"meta/{key}", 0, len(self))

    @property
    def success_labelled(self) -> NDArray[np.bool_]:
        """(E,) whether something says of an episode that it succeeded, or that it did not."""
        if self._find("meta/success_labelled") is None:
            return np.ones(len(self), bool)
        return cast("NDArray[np.bool_]", self.meta("success_labelled"))

    def kinds(self) -> list[str]:
        """(E,) how each episode came about."""
        return self.texts("kind")

    def cameras_of(self, names: str, option: str = "--camera") -> list[str]:
        """The cameras that are meant by comma-separated names; see `camera`."""
        cameras = [self.camera(name, option) for name in names.split(",")]
        if len(set(cameras)) < len(cameras):
            raise VipOfflineError(f"{option} {names}: names a camera twice.")
        return cameras

    def embedding(self, encoder: str, camera: str) -> tuple[NDArray[np.float32], Attributes]:
        """(N, D) and its provenance; of ``a,b`` the embeddings of both, side by side.

        Raises:
            VipOfflineError: if it is not there, or not for every finished episode.
        """
        parts = [rows for _, rows in self.embedding_blocks(encoder, camera, max(1, self.rows))]
        _, provenance = self._complete(encoder, camera.split(",")[0])
        return np.concatenate(parts), provenance

    def episode_blocks(self, rows: int = BLOCK_ROWS) -> Iterator[range]:
        """Whole episodes, a few at a time: as many as have so many rows, but at least one."""
        spans, first = self.spans(), 0
        while first < len(spans):
            last, begin = first, spans[first][0]
            while last + 1 < len(spans) and spans[last + 1][1] - begin <= rows:
                last += 1
            yield range(first, last + 1)
            first = last + 1

    def embedding_blocks(
        self, encoder: str, camera: str, rows: int = BLOCK_ROWS
    ) -> Iterator[tuple[range, NDArray[np.float32]]]:
        """Whole episodes and their (n, D) rows, a few at a time, however many there are.

        Args:
            encoder: whose embedding.
            camera: of which camera; of ``a,b`` the embeddings of both, side by side.
            rows: as many as are read at once, unless one episode alone has more.

        Raises:
            VipOfflineError: see `embedding`.
        """
        keys = [self._complete(encoder, name)[0] for name in camera.split(",")]
        spans = self.spans()
        for episodes in self.episode_blocks(rows):
            begin, end = spans[episodes[0]][0], spans[episodes[-1]][1]
            values = np.concatenate([self._read(key, begin, end) for key in keys], axis=1)
            if not np.isfinite(values).all():
                bad = int(np.argmin(np.isfinite(values).all(axis=1))) + begin
                index = next(i for i, (_, stop) in enumerate(spans) if bad < stop)
                raise VipOfflineError(
                    f"{self.path}, episode {index}: the embedding by {encoder} holds a value that "
                    f"is not finite. Delete it with `vip-offline delete {self.path} --embedding "
                    f"{keys[0].removeprefix('embeddings/')}` and run `vip-offline relabel` again."
                )
            yield episodes, values

    def embedding_rows(self, encoder: str, camera: str, rows: list[int]) -> NDArray[np.float32]:
        """(G, D) of some rows alone."""
        keys = [self._complete(encoder, name)[0] for name in camera.split(",")]
        return np.concatenate(
            [np.concatenate([self._read(key, r, r + 1) for r in rows]) for key in keys], axis=1
        )

    def _complete(self, encoder: str, camera: str) -> tuple[str, Attributes]:
        """Key and provenance of an embedding that covers every finished episode."""
        key = f"embeddings/{encoder}/{camera}"
        done = self.embedded(encoder, camera)
        if not done.all():
            missing = int(np.argmin(done))
            which = f" --camera {camera}" if len(self.cameras) > 1 else ""
            raise VipOfflineError(
                f"{self.path}: {key} lacks episode {missing} ({int(done.sum())} of {len(done)} are "
                f"there). Run `vip-offline relabel {self.path} --encoder {encoder}{which}` again."
            )
        return key, dict(self._array(key).attrs)

    def embedded(self, encoder: str, camera: str) -> NDArray[np.bool_]:
        """(E,) which finished episodes have an embedding, made of the frames that are there."""
        return self._made(encoder, camera) & ~self.outdated(encoder, camera)

    def _made(self, encoder: str, camera: str) -> NDArray[np.bool_]:
        """(E,) which finished episodes were embedded, from whatever frames."""
        made = np.zeros(len(self), bool)
        key = f"embeddings/{encoder}/{camera}"
        if self._find(key) is not None and self._find(f"{key}@content") is not None:
            marks = self._read(f"{key}@content", 0, len(self))
            made[: len(marks)] = marks.any(axis=1)
        return made

    def outdated(self, encoder: str, camera: str) -> NDArray[np.bool_]:
        """(E,) which episodes have an embedding of other frames, or one that was changed since."""
        made = self._made(encoder, camera)
        if not made.any():
            return made
        key = f"embeddings/{encoder}/{camera}"
        marks, frames = self._read(f"{key}@content", 0, len(self)), self.content(camera)
        same = np.zeros(len(self), bool)
        same[: len(marks)] = (marks == frames[: len(marks)]).all(axis=1)
        if self._find(f"{key}@hash") is not None:
            hashes = self.hashes(f"{key}@hash")
            unchanged = current(self, key, hashes, embedding_hash(self, key)) == hashes
            same &= unchanged.all(axis=1) | ~hashes.any(axis=1)
        return made & ~same

    def embedding_content(self, encoder: str, camera: str) -> NDArray[np.uint8]:
        """(E, DIGEST) hashes of an embedding that is complete."""
        key = f"embeddings/{encoder}/{camera}"
        if self._find(f"{key}@hash") is not None:
            hashes = self.hashes(f"{key}@hash")
            if hashes.any(axis=1).all():
                return current(self, key, hashes, embedding_hash(self, key))
        return np.stack([content_of(self._read(key, start, stop)) for start, stop in self.spans()])

    def content(self, camera: str) -> NDArray[np.uint8]:
        """(E, DIGEST) hashes of the finished episodes' frames; zeros where none was taken.

        Where a file is not as it was left, its frames are hashed again.
        """
        recorded, key = self.recorded_content(camera), self.frames_key(camera)
        if self._find(key) is None:  # the store is kept without its frames
            return recorded
        return current(self, key, recorded, self._frames_hash(camera))

    def _frames_hash(self, camera: str) -> Callable[[int], NDArray[np.uint8]]:
        made: list[Callable[[int], NDArray[np.uint8]]] = []  # opened when the first is asked for

        def of_episode(index: int) -> NDArray[np.uint8]:
            if not made:
                made.append(frames_hash(self, camera))
            return made[0](index)

        return of_episode

    def recorded_content(self, camera: str) -> NDArray[np.uint8]:
        """`content` as it was written down."""
        return self.hashes(f"meta/content_{camera}")

    def hashes(self, key: str) -> NDArray[np.uint8]:
        """(E, DIGEST) hashes that were written down; zeros where none was."""
        array, hashes = self._find(key), np.zeros((len(self), DIGEST), np.uint8)
        if array is not None:
            kind = array.attrs.get("hash", KIND)
            if kind != KIND or array.shape[1:] != (DIGEST,):
                raise VipOfflineError(
                    f"{self.path}: {key} holds hashes of kind {kind!r}, {array.shape[1:]} bytes; "
                    f"this program knows {KIND!r}, {DIGEST} bytes. Update vip-offline, or import "
                    "again."
                )
            rows = self._read_array(array, key, 0, len(self))
            hashes[: len(rows)] = rows
        return hashes

    def file_states(self, key: str) -> NDArray[np.int64]:
        """(F, STATE) states of the files that hold an array, or that it points at."""
        if key.startswith("data/pts_"):
            return states_of(self.video_files(key.removeprefix("data/pts_")))
        if key.startswith("data/rows_"):
            return states_of([self.linked_file(key.removeprefix("data/rows_"))])
        return states_of(self.files(key))

    def files(self, key: str) -> list[Path]:
        """That hold an array, whether they are there or not."""
        array = self._array(key)
        files = -(-array.shape[0] // self.rows_per_file(key))
        folder, tail = self.path / key, (0,) * (array.ndim - 1)
        name = array.metadata.encode_chunk_key
        return [folder / name((number, *tail)) for number in range(files)]

    def rows_per_file(self, key: str) -> int:
        """Of an array."""
        array = self._array(key)
        return (array.shards or array.chunks)[0]

    def known_states(self, key: str) -> NDArray[np.int64]:
        """`file_states` as they were written down; none if that was interrupted, or is damaged."""
        return self.known_files(key)[:, :STATE]

    def known_files(self, key: str) -> NDArray[np.int64]:
        """(F, FIELDS) states and hashes of files that were written down."""
        try:
            array = self._find(f"files/{key}")
            if array is not None and array.shape[1:] == (FIELDS,):
                return cast("NDArray[np.int64]", self._read(f"files/{key}"))
        except VipOfflineError:
            pass  # every file counts as touched and is hashed again
        return np.zeros((0, FIELDS), np.int64)

    def touched(self, key: str) -> NDArray[np.bool_]:
        """(E,) episodes of which a file is not in the state that was written down."""
        if not len(self):
            return np.zeros(0, bool)
        then, now = self.known_states(key), self.file_states(key)
        if not len(then) and not self.checked:
            return np.zeros(len(self), bool)
        if key.startswith("data/pts_"):
            known = np.zeros_like(now)
            known[: len(then)] = then[: len(now)]
            return cast("NDArray[np.bool_]", (known != now).any(axis=1))
        if key.startswith("data/rows_"):
            return np.full(len(self), not np.array_equal(then, now))
        array = self._array(key)
        return touched(then, now, self.spans(), (array.shards or array.chunks)[0])

    def embedding_provenance(self, encoder: str, camera: str) -> Attributes | None:
        """How the embedding under this name was made; None if there is none."""
        array = self._find(f"embeddings/{encoder}/{camera}")
        return None if array is None else dict(array.attrs)

    def goal(self, encoder: str, content: str) -> NDArray[np.float32] | None:
        """(D,) embedding of a goal picture or prompt by its hash; None if it was not kept."""
        key = f"goals/{encoder}/{content}"
        if self._find(key) is None:
            return None
        try:
            values = self._read(key)
        except VipOfflineError:
            return None  # it is embedded again
        return values if np.isfinite(values).all() else None

    @property
    def encoders(self) -> list[str]:
        """Names of the encoders of which there is, or was, an embedding."""
        return self._group_names("embeddings")

    @property
    def label_names(self) -> list[str]:
        """Names of the labellings."""
        return self._group_names("labels")

    def label(self, name: str = "") -> Label:
        """One labelling: the one named, or the only one.

        Raises:
            VipOfflineError: if it is not there, covers fewer episodes than the store has, or
                holds a NaN anywhere but in last rows.
        """
        names = self.label_names
        if not names:
            raise VipOfflineError(
                f"{self.path}: no labels yet. Run `vip-offline relabel {self.path}`."
            )
        if not name and len(names) > 1:
            raise VipOfflineError(
                f"{self.path}: has {len(names)} labellings ({', '.join(names)}); "
                "name one with --label."
            )
        name = name or names[0]
        if name not in names:
            raise VipOfflineError(f"{self.path}: no label {name!r}.{did_you_mean(name, names)}")
        group = cast("zarr.Group", self._root[f"labels/{name}"])
        for key in cast("Sequence[str]", group.attrs.get("arrays", ())):
            self._array(f"labels/{name}/{key}")
        reward = self._read(f"labels/{name}/reward")
        distance = self._read(f"labels/{name}/distance")
        done = self._read(f"labels/{name}/done")
        complete = len(reward) == len(distance) == self.rows
        way_out = f"Run `vip-offline relabel {self.path}` again, with the options that made it."
        if len(done) != len(self) or not done.all() or not complete:
            changes = [f"it covers {int(done.sum())} of {len(self)} episodes"]
            raise StaleError(f"{self.path}: label {name!r}", changes, way_out)
        keys = (f"labels/{name}/goal", f"labels/{name}/goal_set")
        goal, goal_set = (self._read(key) if self._find(key) else None for key in keys)
        sources = cast("Sequence[str]", group.attrs.get("read", ()))
        hashes = self._read(f"labels/{name}/read") if sources else np.zeros((0, 0, 0), np.uint8)
        read = {key: hashes[:, place] for place, key in enumerate(sources)}
        # an embedding that was removed cannot be asked
        known = {
            key: hashes
            for key, hashes in read.items()
            if not key.startswith("embeddings/") or self._find(key) is not None
        }
        changes = [*self._outdated_of(known)] or differences(known, reads(self, known))
        if changes:
            raise StaleError(f"{self.path}: label {name!r}", changes, way_out)
        return Label(name, reward, distance, goal, self.label_provenance(name), goal_set, read)

    def _outdated_of(self, read: Reads) -> Iterator[str]:
        """Of the embeddings that were read, those that are of other frames by now, in words."""
        for key in read:
            group, _, name = key.partition("/")
            if group == "embeddings":
                encoder, _, camera = name.partition("/")
                episodes = np.flatnonzero(self.outdated(encoder, camera))
                if len(episodes):
                    yield f"the embedding {name} of {episodes_in_words(episodes)} is outdated"

    def label_provenance(self, name: str) -> Attributes:
        """How a labelling was made."""
        attributes = dict(cast("zarr.Group", self._root[f"labels/{name}"]).attrs)
        return {key: value for key, value in attributes.items() if key not in ("arrays", "read")}

    def tree(self) -> list[tuple[str, str, str, Attributes]]:
        """(path, shape, dtype, attributes) of every array and attributed group, sorted."""
        rows: list[tuple[str, str, str, Attributes]] = []
        groups = [
            name for name in self._names("") if name not in ("files", "sealed")
        ]  # bookkeeping
        waiting = sorted(groups, reverse=True)
        while waiting:
            key = waiting.pop()
            node = self._node(key)
            if isinstance(node, zarr.Array):
                rows.append((key, str(node.shape), str(node.dtype), dict(node.attrs)))
            elif node is not None:
                if node.attrs:
                    rows.append((f"{key}/", "", "", dict(node.attrs)))
                waiting += sorted((f"{key}/{name}" for name in self._names(key)), reverse=True)
        return rows


def open_store(path: Path) -> Store:
    """Open a store for reading.

    Raises:
        VipOfflineError: if there is none, it is not one, or a newer version wrote it.
    """
    return open_as(Store, path, read_only=True)


def open_as(kind: type[Opened], path: Path, *, read_only: bool) -> Opened:
    """Open a store as a reader or a writer; see `open_store` and `writing`."""
    if not path.exists():
        replaced = replaced_of(path)
        way_out = (
            f"A command was killed while it put another in its place; it lies in {replaced}: run "
            "that command again, or rename it."
            if replaced.exists()
            else "`vip-offline record` makes one."
        )
        raise VipOfflineError(f"{path}: there is no such store. {way_out}")
    try:
        store = kind(path, DurableStore(path, read_only=read_only))
        written_by = store.attributes.get("format")
    except (ValueError, TypeError, KeyError, OSError):
        written_by = None
    if written_by != FORMAT:
        raise VipOfflineError(
            f"{path}: is not a vip-offline store (no zarr group that says so). "
            "Give the folder that `vip-offline record` wrote."
        )
    version = store.attributes.get("schema_version")
    if version not in range(1, SCHEMA_VERSION + 1):
        raise VipOfflineError(
            f"{path}: has schema version {version!r}; this program reads 1 to {SCHEMA_VERSION}. "
            "Update vip-offline (pip install -U vip-offline), or make the store again."
        )
    return store


def is_store(path: Path) -> bool:
    """Whether a store of ours is there, whole or not."""
    try:
        described = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
        return bool(described["attributes"]["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def default_store(folder: Path = Path("datasets")) -> Path:
    """The one store under `folder`, for commands that are given none.

    Raises:
        VipOfflineError: if there is none or there are several; it lists them.
    """
    stores = sorted(path for path in folder.glob("*.zarr") if (path / "zarr.json").exists())
    if len(stores) == 1:
        return stores[0]
    if not stores:
        raise VipOfflineError(
            f"No store given, and none under {folder}/. `vip-offline record` makes one."
        )
    listed = "".join(f"\n  {path}" for path in stores)
    raise VipOfflineError(f"No store given, and {folder}/ holds {len(stores)}. Name one:{listed}")
