"""The three places where the frames of a camera may be: in the store, in videos, in another zarr.

Which one it is shows in the name of the camera's array: ``data/frames_<camera>`` holds pixels,
``data/pts_<camera>`` time stamps in video files, ``data/rows_<camera>`` rows of a zarr array
that another program wrote.
"""

from __future__ import annotations

import bisect
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.damage import damaged
from vip_offline.dataset.media.orientation import AS_STORED
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.media.video import FrameReader
from vip_offline.dataset.storage.content_hash import content_of, content_of_blocks
from vip_offline.dataset.storage.file_states import states_of, touched
from vip_offline.dataset.storage.shards import ShardError, ShardReader, is_readable
from vip_offline.dataset.zarr_frames import ZarrFrameReader
from vip_offline.errors import VipOfflineError

if TYPE_CHECKING:
    import zarr

    from vip_offline.dataset.store_arrays import StoreArrays

HASH_FRAMES = 64  # frames that are in memory at once while they are hashed

# (start, stop) rows -> (stop - start, H, W, 3)
ReadFrames = Callable[[int, int], NDArray[np.uint8]]
HashEpisode = Callable[[int], NDArray[np.uint8]]  # episode -> (16,)


class FrameStorage(ABC):
    """Where the frames of one camera are, how to read and hash them, and how to detect changes."""

    prefix: ClassVar[str]
    external: ClassVar[bool] = True  # whether the store holds only where the frames are
    sequential: ClassVar[bool] = False  # whether one thread reads faster than several
    upright = True  # whether frames are turned as their video says; in older stores not

    def __init__(self, store: StoreArrays, camera: str) -> None:
        self.store, self.camera = store, camera
        self.key = f"data/{self.prefix}_{camera}"

    @property
    def array(self) -> zarr.Array[Any]:
        """The camera's array in the store: pixels, or where they are."""
        return self.store.array(self.key)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, 3) of a frame."""
        array = self.array
        shape = cast("Sequence[int]", array.attrs.get("frame_shape", array.shape[1:]))
        return int(shape[0]), int(shape[1]), int(shape[2])

    @abstractmethod
    def reader(self) -> ReadFrames:
        """A thread-safe function of (start, stop) rows: (stop - start, H, W, 3) uint8 RGB.

        Raises:
            VipOfflineError: here and from the function, if frames are missing or changed.
        """

    @abstractmethod
    def episode_hash(self) -> HashEpisode:
        """A function that hashes the present frames of one episode to (16,) uint8."""

    @cached_property
    def hash_episode(self) -> HashEpisode:
        """`episode_hash`, created on first use."""
        return self.episode_hash()

    def file_states(self) -> NDArray[np.int64]:
        """(F, STATE) states of the files that hold the frames."""
        return states_of(self.store.files(self.key))

    def touched(self, then: NDArray[np.int64], now: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(E,) episodes with a file whose state differs between `then` and `now`."""
        return touched(then, now, self.store.spans(), self.store.rows_per_file(self.key))

    def first_file(self, row: int, episode: int) -> int:
        """Number of the first file that is written when this row and episode are appended."""
        return row // self.store.rows_per_file(self.key)


class StoredFrames(FrameStorage):
    """Frames in the store: (N, H, W, 3) in shards, a frame to a chunk."""

    prefix = "frames"
    external = False

    def reader(self) -> ReadFrames:
        """See `FrameStorage.reader`."""
        array, store, key, folder = self.array, self.store, self.key, self.store.path / self.key
        if is_readable(array):
            rows = ShardReader(folder, array)

            def read_shards(start: int, stop: int) -> NDArray[np.uint8]:
                try:
                    return rows(start, stop)
                except ShardError as error:
                    raise damaged(store, array, key, start, stop, error) from error

            return read_shards

        def read(start: int, stop: int) -> NDArray[np.uint8]:
            for row in range(start, stop):
                if not (folder / f"c.{row}.0.0.0").exists():  # zarr would read it as black
                    raise VipOfflineError(
                        f"{store.path}: frame {row} of camera {self.camera} is missing. Restore "
                        "it, or record or import the store again."
                    )
            return cast("NDArray[np.uint8]", store.read_array(array, key, start, stop))

        return read

    def episode_hash(self) -> HashEpisode:
        """See `FrameStorage.episode_hash`."""
        read, spans, shape = self.reader(), self.store.spans(), self.shape

        def hash_of(episode: int) -> NDArray[np.uint8]:
            start, stop = spans[episode]
            blocks = (
                read(row, min(row + HASH_FRAMES, stop)) for row in range(start, stop, HASH_FRAMES)
            )
            return content_of_blocks((stop - start, *shape), blocks)

        return hash_of


class VideoFrames(FrameStorage):
    """Frames in the videos they came in: (N,) time stamps, and a file for each episode."""

    prefix = "pts"
    sequential = True  # a video is decoded forwards

    @property
    def upright(self) -> bool:  # type: ignore[override]
        """Whether frames are turned as their video says; in older stores not."""
        return bool(self.array.attrs.get("upright", False))

    def files(self) -> list[Path]:
        """(E,) video of each episode.

        A set that was moved together with the store is found beside it.
        """
        attributes = self.store.attributes
        folder = Path(str(attributes.get("videos", "")))
        beside = str(attributes.get("videos_from_store", ""))
        if beside and not folder.is_dir():
            folder = Path(os.path.normpath(self.store.path.absolute() / beside))
        return [folder / name for name in self.store.texts(f"video_{self.camera}")]

    def reader(self) -> ReadFrames:
        """See `FrameStorage.reader`."""
        store, pts, key = self.store, self.array, self.key
        files, sizes = self.files(), store.meta(f"video_bytes_{self.camera}")
        decoded = FrameReader(self.shape[:2], upright=self.upright)
        stops = [stop for _, stop in store.spans()]

        def read(start: int, stop: int) -> NDArray[np.uint8]:
            parts = []
            while start < stop:
                index = bisect.bisect_right(stops, start)
                end = min(stop, stops[index])
                file = files[index]
                if not file.is_file() or file.stat().st_size != sizes[index]:
                    state = "is gone" if not file.is_file() else "was changed"
                    raise VipOfflineError(
                        f"{store.path}, episode {index}: its frames are in {file}, which {state}. "
                        "Restore that file, or import again (with --copy-frames the store holds "
                        "the frames itself)."
                    )
                parts.append(decoded(file, store.read_array(pts, key, start, end)))
                start = end
            return np.concatenate(parts)

        return read

    def episode_hash(self) -> HashEpisode:
        """Hashes the compressed pictures; see `Timeline.content`."""
        store, files, spans = self.store, self.files(), self.store.spans()
        height, width, _ = self.shape
        upright, lines = self.upright, dict[Path, object]()

        def hash_of(episode: int) -> NDArray[np.uint8]:
            file = files[episode]
            if file not in lines:
                line = timeline(file)
                lines.clear()  # episodes follow each other in a file
                lines[file] = line if upright or line.turn == AS_STORED else line.as_stored()
            line = lines[file]  # type: ignore[assignment]
            pts = store.rows_of(self.key, *spans[episode])
            if not np.isin(pts, line.pts).all():
                row = int(np.argmin(np.isin(pts, line.pts)))
                raise VipOfflineError(
                    f"{store.path}, episode {episode}: {file} was changed and has no frame any "
                    f"more at the time of row {row}. Restore that file, or import again."
                )
            return line.content(pts, (height, width))

        return hash_of

    def file_states(self) -> NDArray[np.int64]:
        """(E, STATE) states of each episode's video."""
        return states_of(self.files())

    def touched(self, then: NDArray[np.int64], now: NDArray[np.int64]) -> NDArray[np.bool_]:
        """See `FrameStorage.touched`."""
        known = np.zeros_like(now)
        known[: len(then)] = then[: len(now)]
        return cast("NDArray[np.bool_]", (known != now).any(axis=1))

    def first_file(self, row: int, episode: int) -> int:
        """See `FrameStorage.first_file`."""
        return episode


class ZarrFrames(FrameStorage):
    """Frames in a zarr array that somebody else wrote: (N,) its rows."""

    prefix = "rows"

    @property
    def file(self) -> Path:
        """The other zarr; one that was moved together with the store is found beside it."""
        attributes = self.array.attrs
        file, beside = Path(str(attributes["file"])), attributes.get("file_from_store")
        if beside and not file.exists():
            file = Path(os.path.normpath(self.store.path.absolute() / str(beside)))
        return file

    def reader(self) -> ReadFrames:
        """See `FrameStorage.reader`."""
        store, file, key = self.store, self.file, str(self.array.attrs["array"])
        rows = store.rows_of(self.key)
        try:
            frames = ZarrFrameReader(file, key)
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise VipOfflineError(
                f"{store.path}: its frames are in {file}, which cannot be read ({error}). Restore "
                "it, or import it (the store then holds the frames itself)."
            ) from error

        def read(start: int, stop: int) -> NDArray[np.uint8]:
            linked = rows[start:stop]
            if len(linked) and linked[-1] >= len(frames):
                raise VipOfflineError(
                    f"{store.path}: row {stop - 1} is row {linked[-1]} of {key} in {file}, which "
                    f"has {len(frames)}: it was changed. Remove {store.path} and label that again."
                )
            return frames(linked)

        return read

    def episode_hash(self) -> HashEpisode:
        """See `FrameStorage.episode_hash`."""
        read, spans = self.reader(), self.store.spans()
        return lambda episode: content_of(read(*spans[episode]))

    def file_states(self) -> NDArray[np.int64]:
        """(1, STATE) state of the other zarr."""
        return states_of([self.file])

    def touched(self, then: NDArray[np.int64], now: NDArray[np.int64]) -> NDArray[np.bool_]:
        """All episodes or none: they lie in one zarr."""
        return np.full(len(self.store), not np.array_equal(then, now))

    def first_file(self, row: int, episode: int) -> int:
        """See `FrameStorage.first_file`."""
        return 0


STORAGES: dict[str, type[FrameStorage]] = {
    kind.prefix: kind for kind in (VideoFrames, ZarrFrames, StoredFrames)
}


def storage_of(store: StoreArrays, camera: str) -> FrameStorage:
    """The frame storage of a camera; `StoredFrames` if the camera is unknown."""
    storages = [kind(store, camera) for kind in STORAGES.values()]
    present = (storage for storage in storages if store.find(storage.key) is not None)
    return next(present, storages[-1])


def storage_at(store: StoreArrays, key: str) -> FrameStorage | None:
    """The frame storage that an array such as ``data/pts_front`` belongs to, or None."""
    group, _, name = key.partition("/")
    prefix, _, camera = name.partition("_")
    return STORAGES[prefix](store, camera) if group == "data" and prefix in STORAGES else None
