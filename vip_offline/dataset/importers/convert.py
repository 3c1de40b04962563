"""Converts columns of an origin to episodes of a store."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.episode import Episode, VideoReference, ZarrReference
from vip_offline.dataset.importers.base.source import (
    Catalogue,
    ColumnMap,
    EpisodeColumns,
    Source,
    VideoSpan,
    column_and_part,
)
from vip_offline.dataset.importers.key_mapping import at_frames, extras_of, stored_as
from vip_offline.dataset.media.orientation import AS_STORED
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.media.video import Decoder, decode_frames, resized, stacked
from vip_offline.dataset.media.video_file import OPEN_VIDEOS
from vip_offline.dataset.storage.content_hash import content_of
from vip_offline.dataset.tables.resampling import CLOSE, nearest_rows, step_of
from vip_offline.dataset.tables.timestamps import seconds_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions


def _numbers(rows: EpisodeColumns, names: Sequence[str], length: int) -> NDArray[np.float32]:
    """(T, D) float32 of columns side by side."""
    parts = []
    for spec in names:
        name, part = column_and_part(spec)
        parts.append(np.asarray(rows.columns[name]).reshape(length, -1)[:, part])
    if not parts:
        return np.zeros((length, 0), np.float32)
    return np.concatenate(parts, axis=1).astype(np.float32)


def _one(rows: EpisodeColumns, name: str) -> NDArray[Any]:
    return np.asarray(rows.columns[name]).reshape(-1)


class Converter:
    """Converts and checks the episodes of an origin one at a time."""

    def __init__(
        self, source: Source, catalogue: Catalogue, keys: ColumnMap, options: ImportOptions
    ):
        self._source, self._catalogue, self._keys = source, catalogue, keys
        self._options = options
        self._extras = stored_as(extras_of(catalogue, keys))
        self._starts = np.cumsum(catalogue.lengths) - catalogue.lengths
        self._splits = stored_as(catalogue.splits)
        self._timeline = lru_cache(OPEN_VIDEOS)(timeline)
        self._decoders: dict[Path, Decoder] = {}
        self._beside = ThreadPoolExecutor(1)  # decodes; ffmpeg does without the interpreter's lock
        self._decoding: list[Future[None]] = []  # what the episode at hand waits for
        self._shapes: dict[str, tuple[int, ...]] = {}  # of each camera's frames

    def __call__(self, index: int) -> tuple[Episode, list[Future[None]]]:
        """Episode `index` of the origin, converted and checked.

        Returns:
            The episode, and futures of its test decoding. The episode is valid when all of them end
            without an error; the next episode may be converted in the meantime.

        Raises:
            VipOfflineError: naming file, episode and value.
        """
        self._decoding = []
        if index in self._catalogue.broken:
            raise VipOfflineError(self._catalogue.broken[index])
        keys, length = self._keys, int(self._catalogue.lengths[index])
        name = self._catalogue.names[index]
        where = f"{self._source.path}, episode {name}"
        rows = self._source.read(index, sorted(keys.used() | {*self._extras}))
        rows = at_frames(rows, self._catalogue.columns, keys)
        frames: dict[str, NDArray[np.uint8]] = {}
        clips: dict[str, VideoReference] = {}
        links: dict[str, ZarrReference] = {}
        for camera, column in keys.cameras.items():
            view = self._frames(rows.columns[column], length, f"{where}, camera {camera}")
            if isinstance(view, VideoReference):
                clips[camera] = view
            elif self._options.link_frames and column in self._catalogue.arrays:
                links[camera] = self._link(index, column, view)
            else:
                frames[camera] = view
        for column, values in rows.columns.items():
            if isinstance(values, np.ndarray) and len(values) != length:
                raise VipOfflineError(
                    f"{where}: column {column!r} has {len(values)} rows; the episode has {length}. "
                    "Its metadata and its data disagree; repair it, or leave such episodes out "
                    "with --skip-broken."
                )
        columns = {
            column: self._alike(column, values, where) if isinstance(values, np.ndarray) else values
            for column, values in rows.columns.items()
        }
        rows = replace(rows, columns=columns)
        self._check_times(rows, where)
        succeeded = self._succeeded(rows, length, where)
        reward = _one(rows, keys.reward) if keys.reward else np.full(length, np.nan)
        success = rows.success
        if success is None and keys.success:
            success = bool(succeeded.any())
        episode = Episode(
            frames=frames,
            clips=clips,
            links=links,
            proprio=_numbers(rows, keys.proprio, length),
            action=_numbers(rows, keys.action, length),
            succeeded=succeeded,
            true_reward=reward.astype(np.float32),
            # what nobody calls a failure is a demonstration of the task
            success=True if success is None else success,
            success_labelled=success is not None,
            extras={
                name: np.asarray(rows.columns[column]) for column, name in self._extras.items()
            },
            origin=index,
            name=name,
            task=rows.task,
            splits=tuple(self._splits[split] for split in rows.splits),
        )
        episode.check(where)
        self._check_sizes(episode, where)
        return episode, self._decoding

    def _succeeded(self, rows: EpisodeColumns, length: int, where: str) -> NDArray[np.bool_]:
        """(T,) whether the task is solved by each row."""
        name = self._keys.success
        if not name:
            return np.zeros(length, bool)
        values = _one(rows, name)
        # NaN says nothing of a row
        odd = np.isfinite(values) & (values != 0) & (values != 1)
        odd &= values.dtype.kind == "f"
        if odd.any():
            row = int(np.argmax(odd))
            raise VipOfflineError(
                f"{where}: column {name!r} is to say whether the task is solved; row {row} holds "
                f"{values[row]:g}, neither 0 nor 1. Name another with --key-map success=COLUMN."
            )
        return values > 0

    def _alike(self, name: str, values: NDArray[Any], where: str) -> NDArray[Any]:
        """One column, cast to the dtype that it has in all episodes."""
        column = self._catalogue.columns[name]
        if column.kind != "numbers" or values.dtype == column.dtype:
            return values
        cast = values.astype(column.dtype)
        if not np.array_equal(cast, values, equal_nan=values.dtype.kind == "f"):
            raise VipOfflineError(
                f"{where}: column {name!r} is {values.dtype}, elsewhere {column.dtype}, which does "
                "not hold its values. Leave such episodes out with --skip-broken."
            )
        return cast

    def _check_times(self, rows: EpisodeColumns, where: str) -> None:
        """Refuse a time column whose step contradicts the stated control rate."""
        rate, name = self._catalogue.control_rate, self._keys.time
        if not rate or not name or self._catalogue.aligned:
            return
        times = seconds_of(name, _one(rows, name), "")
        if times is None or len(times[0]) < 2:
            return
        step = step_of(times[0])
        if step > 0 and abs(step * rate - 1) > CLOSE:
            raise VipOfflineError(
                f"{where}: by its column {name} ({times[1]}) a row comes each {step:.4g} s; the "
                f"rows are of {rate:g} Hz, one each {1 / rate:.4g} s: these times contradict. Name "
                "another column with --key-map time=COLUMN, none with --key-map time=, or leave "
                "such episodes out with --skip-broken."
            )

    def _check_sizes(self, episode: Episode, where: str) -> None:
        """Refuse a camera whose frame size changes between episodes."""
        shapes = {camera: frames.shape[1:] for camera, frames in episode.frames.items()}
        shapes |= {camera: clip.shape for camera, clip in episode.clips.items()}
        for camera, shape in shapes.items():
            before = self._shapes.setdefault(camera, shape)
            if shape != before:
                raise VipOfflineError(
                    f"{where}: frames of camera {camera} are {shape[0]}x{shape[1]} px, those "
                    f"before {before[0]}x{before[1]}. Give them one size with --resize "
                    f"{before[0]}x{before[1]}, or leave such episodes out with --skip-broken."
                )

    def _frames(self, values: Any, length: int, where: str) -> NDArray[np.uint8] | VideoReference:
        size = self._options.size
        if isinstance(values, VideoSpan):
            clip = self._clip(values, length, where)
            distinct, rows = np.unique(clip.pts, return_inverse=True)  # one frame, two rows
            stamps: list[int] = distinct.tolist()
            if self._options.copy_frames:
                frames = stacked(
                    decode_frames(self._decoder(values.file), stamps, size), values.file
                )
                return frames if len(stamps) == len(rows) else frames[rows]
            if self._options.decode:
                check = self._beside.submit(self._decode, values.file, stamps, where)
                self._decoding.append(check)
            return clip
        pictures: NDArray[np.uint8] = values
        return pictures if size is None else np.stack([resized(f, size) for f in pictures])

    def _link(self, index: int, column: str, frames: NDArray[np.uint8]) -> ZarrReference:
        height, width, channels = frames.shape[1:]
        return ZarrReference(
            file=self._source.path,
            array=self._catalogue.arrays[column],
            start=int(self._starts[index]),
            rows=len(frames),
            shape=(height, width, channels),
            content=content_of(frames),
        )

    def _decode(self, file: Path, pts: list[int], where: str) -> None:
        """Decode frames to detect damage, and discard them."""
        try:
            deque(self._decoder(file)(pts), maxlen=0)
        except VipOfflineError as error:
            raise VipOfflineError(f"{where}: {error}") from error

    def _decoder(self, file: Path) -> Decoder:
        """The decoder of a file, kept open because episodes follow each other in a file."""
        if file not in self._decoders:
            while len(self._decoders) >= OPEN_VIDEOS:
                self._decoders.pop(next(iter(self._decoders))).close()
            self._decoders[file] = Decoder(file)
        return self._decoders[file]

    def close(self) -> None:
        """Close the files that are open."""
        self._beside.shutdown(cancel_futures=True)
        while self._decoders:
            self._decoders.popitem()[1].close()

    def _clip(self, span: VideoSpan, length: int, where: str) -> VideoReference:
        """Match the rows of a span to frames of the video by time stamp."""
        line = self._timeline(span.file)
        pts = line.pts
        if len(span.seconds):
            times = line.seconds
            nearest = nearest_rows(times, span.seconds)
            off = np.abs(times[nearest] - span.seconds)
            bad = off > span.tolerance
            if bad.any():
                row = int(np.argmax(bad))
                gap = f"the nearest frame is {off[row]:.3f} s off"
                if span.seconds[row] > times[-1]:
                    gap = f"the video ends at {times[-1]:.3f} s"
                raise VipOfflineError(
                    f"{where}: row {row} of {length} needs the frame at {span.seconds[row]:.3f} s "
                    f"of {span.file}, but {gap} (allowed: {span.tolerance:.3f} s). Repair the "
                    "time stamps or the video, or leave such episodes out with --skip-broken."
                )
            if not span.repeats and (np.diff(nearest) < 1).any():
                row = int(np.argmax(np.diff(nearest) < 1))
                raise VipOfflineError(
                    f"{where}: rows {row} and {row + 1} fall on one frame of {span.file} "
                    f"({times[nearest[row]]:.3f} s). Repair the time stamps, or leave such "
                    "episodes out with --skip-broken."
                )
            pts = line.pts[nearest]
        if len(pts) != length:
            raise VipOfflineError(
                f"{where}: {span.file} has {len(pts)} frames, the episode has {length} rows. "
                "Repair it, or leave such episodes out with --skip-broken."
            )
        size = self._options.size or (line.shape[0], line.shape[1])
        folder = self._catalogue.videos
        file = span.file.relative_to(folder) if folder else span.file.absolute()
        return VideoReference(
            file=file,
            size=span.file.stat().st_size,
            pts=pts,
            shape=(*size, 3),
            content=line.content(pts, size),
            turned=line.turn != AS_STORED,
        )
