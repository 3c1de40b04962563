"""Rows as an origin has them -> episodes as a store takes them."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.episode import Clip, Episode, Link
from vip_offline.dataset.importers.base.source import (
    Catalogue,
    KeyMap,
    Rows,
    Source,
    VideoSpan,
    column_and_part,
)
from vip_offline.dataset.importers.key_mapping import at_frames, extras_of, stored_as
from vip_offline.dataset.media.orientation import AS_STORED
from vip_offline.dataset.media.video import Decoder, Timeline, decode, resized, stacked, timeline
from vip_offline.dataset.storage.content_hash import content_of
from vip_offline.dataset.tables.resampling import CLOSE, step_of
from vip_offline.dataset.tables.timestamps import seconds_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

OPEN = 8  # videos at a time: of cameras that advance side by side


@dataclass
class _Timelines:
    """The time lines of the files that were met last."""

    kept: dict[Path, Timeline] = field(default_factory=dict)

    def __call__(self, path: Path) -> Timeline:
        if path not in self.kept:
            while len(self.kept) >= OPEN:
                self.kept.pop(next(iter(self.kept)))
            self.kept[path] = timeline(path)
        return self.kept[path]


def _numbers(rows: Rows, names: Sequence[str], length: int) -> NDArray[np.float32]:
    """(T, D) float32 of columns side by side."""
    parts = []
    for spec in names:
        name, part = column_and_part(spec)
        parts.append(np.asarray(rows.columns[name]).reshape(length, -1)[:, part])
    if not parts:
        return np.zeros((length, 0), np.float32)
    return np.concatenate(parts, axis=1).astype(np.float32)


def _one(rows: Rows, name: str) -> NDArray[Any]:
    return np.asarray(rows.columns[name]).reshape(-1)


class Converter:
    """Rows of an origin -> episodes of a store."""

    def __init__(self, source: Source, catalogue: Catalogue, keys: KeyMap, options: ImportOptions):
        self._source, self._catalogue, self._keys = source, catalogue, keys
        self._options = options
        self._extras = stored_as(extras_of(catalogue, keys))
        self._starts = np.cumsum(catalogue.lengths) - catalogue.lengths
        self._splits = stored_as(catalogue.splits)
        self._timelines = _Timelines()
        self._decoders: dict[Path, Decoder] = {}
        self._beside = ThreadPoolExecutor(1)  # decodes; ffmpeg does without the interpreter's lock
        self._decoding: list[Future[None]] = []  # what the episode at hand waits for
        self._shapes: dict[str, tuple[int, ...]] = {}  # of each camera's frames

    def __call__(self, index: int) -> tuple[Episode, list[Future[None]]]:
        """Episode `index` of the origin, converted and checked.

        Returns:
            The episode, and what is still decoded to find damage: it is whole when these have ended
            without an error, and the next one may be converted meanwhile.

        Raises:
            VipOfflineError: naming file, episode and value.
        """
        self._decoding = []
        if index in self._catalogue.broken:
            raise VipOfflineError(self._catalogue.broken[index])
        keys, length = self._keys, int(self._catalogue.lengths[index])
        name = self._catalogue.names[index]
        where = f"{self._source.path}, episode {name}"
        numbers = {column_and_part(spec)[0] for spec in (*keys.proprio, *keys.action)}
        wanted = {*keys.cameras.values(), *numbers, *self._extras}
        wanted |= {each for each in (keys.success, keys.reward, keys.time) if each}
        rows = self._source.read(index, sorted(wanted))
        rows = at_frames(rows, self._catalogue.columns, keys)
        frames: dict[str, NDArray[np.uint8]] = {}
        clips: dict[str, Clip] = {}
        links: dict[str, Link] = {}
        for camera, column in keys.cameras.items():
            found = self._frames(rows.columns[column], length, f"{where}, camera {camera}")
            if isinstance(found, Clip):
                clips[camera] = found
            elif self._options.link_frames and column in self._catalogue.arrays:
                links[camera] = self._link(index, column, found)
            else:
                frames[camera] = found
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
        reward = (
            _one(rows, keys.reward).astype(np.float32)
            if keys.reward
            else np.full(length, np.nan, np.float32)
        )
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
            true_reward=reward,
            # what nobody calls a failure is a demonstration of the task
            success=True if success is None else success,
            success_labelled=success is not None,
            extras={name: np.asarray(rows.columns[each]) for each, name in self._extras.items()},
            origin=index,
            name=name,
            task=rows.task,
            splits=tuple(self._splits[each] for each in rows.splits),
        )
        episode.check(where)
        self._check_sizes(episode, where)
        return episode, self._decoding

    def _succeeded(self, rows: Rows, length: int, where: str) -> NDArray[np.bool_]:
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
        """Numbers of one column, of the dtype that it has in every episode."""
        column = self._catalogue.columns[name]
        if column.kind != "numbers":
            return values
        if values.dtype == column.dtype:
            return values
        cast = values.astype(column.dtype)
        if not np.array_equal(cast, values, equal_nan=values.dtype.kind == "f"):
            raise VipOfflineError(
                f"{where}: column {name!r} is {values.dtype}, elsewhere {column.dtype}, which does "
                "not hold its values. Leave such episodes out with --skip-broken."
            )
        return cast

    def _check_times(self, rows: Rows, where: str) -> None:
        """Refuse a column of times that is of another rate than the rows are said to be of."""
        rate, name = self._catalogue.control_rate, self._keys.time
        if not rate or not name or self._catalogue.aligned:
            return
        found = seconds_of(name, _one(rows, name), "")
        if found is None or len(found[0]) < 2:
            return
        step = step_of(found[0])
        if step > 0 and abs(step * rate - 1) > CLOSE:
            raise VipOfflineError(
                f"{where}: by its column {name} ({found[1]}) a row comes each {step:.4g} s; the "
                f"rows are of {rate:g} Hz, one each {1 / rate:.4g} s: these times contradict. Name "
                "another column with --key-map time=COLUMN, none with --key-map time=, or leave "
                "such episodes out with --skip-broken."
            )

    def _check_sizes(self, episode: Episode, where: str) -> None:
        """Refuse frames of another size than those before: a store has one per camera."""
        shapes = {camera: each.shape[1:] for camera, each in episode.frames.items()}
        shapes |= {camera: each.shape for camera, each in episode.clips.items()}
        for camera, shape in shapes.items():
            before = self._shapes.setdefault(camera, shape)
            if shape != before:
                raise VipOfflineError(
                    f"{where}: frames of camera {camera} are {shape[0]}x{shape[1]} px, those "
                    f"before {before[0]}x{before[1]}. Give them one size with --resize "
                    f"{before[0]}x{before[1]}, or leave such episodes out with --skip-broken."
                )

    def _frames(self, values: Any, length: int, where: str) -> NDArray[np.uint8] | Clip:
        size = self._options.size
        if isinstance(values, VideoSpan):
            clip = self._clip(values, length, where)
            distinct, rows = np.unique(clip.pts, return_inverse=True)  # one frame, two rows
            asked = [int(each) for each in distinct]
            if self._options.copy_frames:
                frames = stacked(decode(self._decoder(values.file), asked, size), values.file)
                return frames if len(asked) == len(rows) else frames[rows]
            if self._options.decode:
                check = self._beside.submit(self._decode, values.file, asked, where)
                self._decoding.append(check)
            return clip
        pictures: NDArray[np.uint8] = values
        return pictures if size is None else np.stack([resized(f, size) for f in pictures])

    def _link(self, index: int, column: str, frames: NDArray[np.uint8]) -> Link:
        height, width, channels = frames.shape[1:]
        return Link(
            file=self._source.path,
            array=self._catalogue.arrays[column],
            start=int(self._starts[index]),
            rows=len(frames),
            shape=(height, width, channels),
            content=content_of(frames),
        )

    def _decode(self, file: Path, pts: list[int], where: str) -> None:
        """Find out whether frames can be decoded; none is kept."""
        try:
            deque(self._decoder(file)(pts), maxlen=0)
        except VipOfflineError as error:
            raise VipOfflineError(f"{where}: {error}") from error

    def _decoder(self, file: Path) -> Decoder:
        """The file's, which goes on where it was: episodes follow each other in a file."""
        if file not in self._decoders:
            while len(self._decoders) >= OPEN:
                self._decoders.pop(next(iter(self._decoders))).close()
            self._decoders[file] = Decoder(file)
        return self._decoders[file]

    def close(self) -> None:
        """Close the files that are open."""
        self._beside.shutdown(cancel_futures=True)
        while self._decoders:
            self._decoders.popitem()[1].close()

    def _clip(self, span: VideoSpan, length: int, where: str) -> Clip:
        """Find the frames of a span by their time stamps."""
        line = self._timelines(span.file)
        pts = line.pts
        if len(span.seconds):
            times = line.seconds
            right = np.searchsorted(times, span.seconds).clip(1, max(1, len(times) - 1))
            left = right - 1
            right = right.clip(max=len(times) - 1)
            nearer = np.abs(times[left] - span.seconds) <= np.abs(times[right] - span.seconds)
            nearest = np.where(nearer, left, right)
            off = np.abs(times[nearest] - span.seconds)
            bad = off > span.tolerance
            if bad.any():
                row = int(np.argmax(bad))
                beyond = span.seconds[row] > times[-1]
                what = (
                    f"the video ends at {times[-1]:.3f} s"
                    if beyond
                    else f"the nearest frame is {off[row]:.3f} s off"
                )
                raise VipOfflineError(
                    f"{where}: row {row} of {length} needs the frame at {span.seconds[row]:.3f} s "
                    f"of {span.file}, but {what} (allowed: {span.tolerance:.3f} s). Repair the "
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
        return Clip(
            file=file,
            size=span.file.stat().st_size,
            pts=pts,
            shape=(*size, 3),
            content=line.content(pts, size),
            turned=line.turn != AS_STORED,
        )
