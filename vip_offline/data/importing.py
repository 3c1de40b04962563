"""An origin's episodes, converted and written into a store."""

import hashlib
import json
import re
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.data.episode import Clip, Episode, Link
from vip_offline.data.sources.source import (
    Catalogue,
    Column,
    KeyMap,
    Rows,
    Source,
    VideoSpan,
    column_and_part,
)
from vip_offline.data.store import check_name, content_of
from vip_offline.data.video import Decoder, Timeline, decode, resized, timeline
from vip_offline.data.writer import writing
from vip_offline.errors import VipOfflineError, did_you_mean

BATCH_BYTES = 8 * 2**20  # of episodes that are written together
BATCH_EPISODES = 1024
OPEN = 8  # videos at a time: of cameras that advance side by side
ROLES = ("proprio", "action", "success", "reward")


@dataclass(frozen=True)
class ImportOptions:
    """What of an origin is taken, and how."""

    key_map: tuple[str, ...] = ()  # "action=actions", "proprio=a,b", "camera:top=images.top"
    cameras: tuple[str, ...] = ()  # of those there are; none: all
    size: tuple[int, int] | None = None  # (height, width) of frames; None: as they are
    max_episodes: int = 0  # 0: all
    copy_frames: bool = False  # frames of videos into the store, rather than a pointer to them
    link_frames: bool = False  # leave frames of zarr arrays where they are
    decode: bool = False  # every frame of the videos, to find damaged ones now
    skip_broken: bool = False  # leave out episodes that cannot be read, and say which


@dataclass(frozen=True)
class Imported:
    """What `import_source` did."""

    episodes: int  # written now
    there: int  # before
    rows: int  # written now
    broken: tuple[str, ...]  # why episodes were left out
    notes: tuple[str, ...]


@dataclass
class _Videos:
    """The time lines of the files that were met last."""

    kept: dict[Path, Timeline] = field(default_factory=dict)

    def __call__(self, path: Path) -> Timeline:
        if path not in self.kept:
            while len(self.kept) >= OPEN:
                self.kept.pop(next(iter(self.kept)))
            self.kept[path] = timeline(path)
        return self.kept[path]


def key_map(catalogue: Catalogue, options: ImportOptions, where: Path) -> KeyMap:
    """What becomes what: the origin's own guess, changed by what the user says.

    Raises:
        VipOfflineError: on a role or a column that is not there, or that cannot play it.
    """
    keys, columns = catalogue.keys, catalogue.columns
    cameras = dict(keys.cameras)
    for each in options.key_map:
        role, given, value = each.partition("=")
        names = tuple(name for name in value.split(",") if name)
        if role.startswith("camera:") and len(names) == 1:
            cameras[check_name("camera", role.removeprefix("camera:"))] = names[0]
        elif given and role == "proprio":
            keys = replace(keys, proprio=names)
        elif given and role == "action":
            keys = replace(keys, action=names)
        elif given and role == "success" and len(names) <= 1:
            keys = replace(keys, success="".join(names))
        elif given and role == "reward" and len(names) <= 1:
            keys = replace(keys, reward="".join(names))
        else:
            raise VipOfflineError(
                f"--key-map {each}: expected ROLE=COLUMN with one of the roles {', '.join(ROLES)} "
                "or camera:NAME; proprio and action may name several columns, with commas."
            )
    if options.cameras:
        for name in options.cameras:
            if name not in cameras:
                raise VipOfflineError(f"{where}: no camera {name!r}.{did_you_mean(name, cameras)}")
        cameras = {name: cameras[name] for name in options.cameras}
    keys = replace(keys, cameras=cameras)
    for role, specs in (
        *((f"camera:{camera}", (column,)) for camera, column in keys.cameras.items()),
        ("proprio", keys.proprio),
        ("action", keys.action),
        ("success", (keys.success,) if keys.success else ()),
        ("reward", (keys.reward,) if keys.reward else ()),
    ):
        for spec in specs:
            name = column_and_part(spec)[0] if role in ("proprio", "action") else spec
            _check_role(role, name, columns, where)
    for role, names in (("proprio", keys.proprio), ("action", keys.action)):
        for name in names:
            _check_part(role, name, columns, where)
    return keys


def _check_role(role: str, name: str, columns: Any, where: Path) -> None:
    if name not in columns:
        raise VipOfflineError(
            f"{where}: has no column {name!r} to be {role}.{did_you_mean(name, columns)} Say which "
            f"with --key-map {role}=COLUMN."
        )
    column: Column = columns[name]
    pictures = column.kind != "numbers"
    if pictures != role.startswith("camera:"):
        what = "pictures" if pictures else f"{column.dtype} {column.shape}"
        raise VipOfflineError(f"{where}: column {name!r} holds {what}; it cannot be {role}.")
    if role == "action" and np.dtype(column.dtype).kind not in "f":
        raise VipOfflineError(
            f"{where}: action column {name!r} is {column.dtype}: these are discrete actions, and "
            "policies here regress continuous ones. Convert them, or name other columns with "
            "--key-map action=COLUMN."
        )
    if role in ("success", "reward") and int(np.prod(column.shape, dtype=int)) != 1:
        raise VipOfflineError(
            f"{where}: column {name!r} has shape {column.shape} per row; {role} needs one number."
        )


def _check_part(role: str, spec: str, columns: Any, where: Path) -> None:
    name, part = column_and_part(spec)
    width = int(np.prod(columns[name].shape, dtype=int))
    if not len(range(width)[part]):
        raise VipOfflineError(
            f"{where}: --key-map {role}={spec} is empty: column {name!r} has {width} numbers per "
            "row."
        )


def extras_of(catalogue: Catalogue, keys: KeyMap) -> list[str]:
    """What is kept beside: numbers that play no role, but all that make proprio or success."""
    played = {*keys.action, keys.reward}
    if len(keys.proprio) == 1:
        played |= {*keys.proprio}
    return [
        name
        for name, column in catalogue.columns.items()
        if column.kind == "numbers" and name not in played
    ]


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


def stored_as(columns: Iterable[str]) -> dict[str, str]:
    """Column of an origin -> plain name under which it is kept, no two of them the same.

    A slash, which would be a folder, becomes a dot, and what else a store's names cannot hold a _.
    """
    names: dict[str, str] = {}
    for column in columns:
        name = re.sub(r"[^\w.+ -]", "_", column.replace("/", "."))
        name = name if re.match(r"\w", name) else f"_{name}"
        while name in names.values() or name.endswith((".partial", ".replaced")):
            name += "_"
        names[column] = name
    return names


class _Converter:
    """Rows of an origin -> episodes of a store."""

    def __init__(self, source: Source, catalogue: Catalogue, keys: KeyMap, options: ImportOptions):
        self._source, self._catalogue, self._keys = source, catalogue, keys
        self._options = options
        self._extras = stored_as(extras_of(catalogue, keys))
        self._starts = np.cumsum(catalogue.lengths) - catalogue.lengths
        self._splits = stored_as(catalogue.splits)
        self._timelines = _Videos()
        self._decoders: dict[Path, Decoder] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}  # of each camera's frames

    def __call__(self, index: int) -> Episode:
        """Episode `index` of the origin, converted and checked.

        Raises:
            VipOfflineError: naming file, episode and value.
        """
        if index in self._catalogue.broken:
            raise VipOfflineError(self._catalogue.broken[index])
        keys, length = self._keys, int(self._catalogue.lengths[index])
        name = self._catalogue.names[index]
        where = f"{self._source.path}, episode {name}"
        numbers = {column_and_part(spec)[0] for spec in (*keys.proprio, *keys.action)}
        wanted = {*keys.cameras.values(), *numbers, *self._extras}
        wanted |= {each for each in (keys.success, keys.reward) if each}
        rows = self._source.read(index, sorted(wanted))
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
            if not isinstance(values, VideoSpan) and len(values) != length:
                raise VipOfflineError(
                    f"{where}: column {column!r} has {len(values)} rows; the episode has {length}. "
                    "Its metadata and its data disagree; repair it, or leave such episodes out "
                    "with --skip-broken."
                )
        succeeded = _one(rows, keys.success) > 0 if keys.success else np.zeros(length, bool)
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
            extras={name: np.asarray(rows.columns[each]) for each, name in self._extras.items()},
            origin=index,
            name=name,
            task=rows.task,
            splits=tuple(self._splits[each] for each in rows.splits),
        )
        episode.check(where)
        self._check_sizes(episode, where)
        return episode

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

    def _frames(
        self, values: NDArray[Any] | VideoSpan, length: int, where: str
    ) -> NDArray[np.uint8] | Clip:
        size = self._options.size
        if isinstance(values, VideoSpan):
            clip = self._clip(values, length, where)
            pts = [int(each) for each in clip.pts]
            if self._options.copy_frames:
                return np.stack(list(decode(self._decoder(values.file), pts, size)))
            if self._options.decode:
                deque(self._decoder(values.file)(pts), maxlen=0)  # none is kept
            return clip
        if size is None:
            return values
        return np.stack([resized(frame, size) for frame in values])

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

    def _decoder(self, file: Path) -> Decoder:
        """The file's, which goes on where it was: episodes follow each other in a file."""
        if file not in self._decoders:
            while len(self._decoders) >= OPEN:
                self._decoders.pop(next(iter(self._decoders))).close()
            self._decoders[file] = Decoder(file)
        return self._decoders[file]

    def close(self) -> None:
        """Close the files that are open."""
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
            if (np.diff(nearest) < 1).any():
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
        return Clip(file, span.file.stat().st_size, pts, (*size, 3), line.content(pts, size))


def chosen(catalogue: Catalogue, options: ImportOptions) -> list[int]:
    """Episodes that are taken.

    Raises:
        VipOfflineError: if the options take less than none.
    """
    if options.max_episodes < 0:
        raise VipOfflineError(f"--max-episodes {options.max_episodes}: must be 0 (all) or above.")
    every = list(range(len(catalogue.lengths)))
    return every[: options.max_episodes] if options.max_episodes else every


def _state(path: Path) -> str:
    """What changes when somebody writes to a file or folder, without reading it."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    digest = hashlib.blake2b(digest_size=8)
    for each in files:
        about = each.stat()
        digest.update(f"{each.name} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def attributes_of(
    source: Source, catalogue: Catalogue, keys: KeyMap, options: ImportOptions
) -> Any:
    """What the store will say of itself; an import goes on only with the same."""
    lengths = np.ascontiguousarray(catalogue.lengths, np.int64)
    fingerprint = hashlib.blake2b(lengths.tobytes(), digest_size=8)
    fingerprint.update("\n".join(catalogue.names).encode())
    names = []
    for spec in keys.proprio:
        column, part = column_and_part(spec)
        width = int(np.prod(catalogue.columns[column].shape, dtype=int))
        each = [column] if width == 1 else [f"{column}[{place}]" for place in range(width)]
        names += each[part]
    return json.loads(
        json.dumps(
            {
                "source": str(source.path.absolute()),
                "source_format": catalogue.format,
                "source_fingerprint": fingerprint.hexdigest(),
                "import": asdict(options),
                "key_map": asdict(keys),
                "task": catalogue.task,
                "control_rate": catalogue.control_rate,
                "proprio": names,
                "splits": list(stored_as(catalogue.splits).values()),
                "about": catalogue.about,
                "origin_state": _state(source.path) if options.link_frames else "",
                "videos": str(catalogue.videos.absolute()) if catalogue.videos else "",
                "episodes_planned": len(chosen(catalogue, options)),
            }
        )
    )


def import_source(
    source: Source,
    path: Path,
    options: ImportOptions,
    *,
    on_start: Callable[[int, int], None] = lambda there, planned: None,
    on_episodes: Callable[[int], None] = lambda count: None,
) -> Imported:
    """Write an origin's episodes into a store; an interrupted import goes on with the next one.

    Args:
        source: the origin, open.
        path: the store; made if it is not there, continued if it is of the same import.
        options: what is taken, and how.
        on_start: called with the numbers of episodes there and planned.
        on_episodes: called with how many more are on the disk.

    Raises:
        VipOfflineError: on anything that cannot be read; a store that this call began is removed
            then, one that an earlier call began stays as it was.
    """
    if path.exists() and path.resolve() == source.path.resolve():
        raise VipOfflineError(f"{path}: cannot be imported into itself. Name another store.")
    catalogue = source.catalogue()
    keys = key_map(catalogue, options, source.path)
    planned = chosen(catalogue, options)
    if not planned:
        raise VipOfflineError(f"{source.path}: holds no episode.")
    known = next((each for each in planned if each in catalogue.broken), None)
    if known is not None and not options.skip_broken:  # before anything is written
        raise VipOfflineError(catalogue.broken[known])
    fresh, refused = not path.exists(), False
    try:
        with writing(path, create=attributes_of(source, catalogue, keys, options)) as store:
            there, rows = len(store), 0
            left_out: dict[int, str] = {}
            first = int(store.meta("source_episode")[-1]) + 1 if there else 0
            on_start(there, len(planned))
            convert = _Converter(source, catalogue, keys, options)

            def converted() -> Iterator[Episode]:
                for index in planned[first:]:
                    try:
                        yield convert(index)
                    except VipOfflineError as error:
                        if not options.skip_broken:
                            raise
                        left_out[index] = str(error)

            try:
                for batch in batches(converted()):
                    if left_out:  # first: after an interrupt they are looked at again
                        store.leave_out(left_out)
                    store.append(*batch)
                    rows += sum(len(each) for each in batch)
                    on_episodes(len(batch))
                if left_out:
                    store.leave_out(left_out)
                if not len(store):
                    raise VipOfflineError(
                        f"{source.path}: no episode could be read. The first: "
                        f"{next(iter(left_out.values()))}"
                    )
                broken = tuple(store.attributes.get("left_out", {}).values())
                return Imported(len(store) - there, there, rows, broken, catalogue.notes)
            except VipOfflineError:
                refused = True
                raise
            finally:
                convert.close()
    except VipOfflineError:
        if fresh and refused:
            shutil.rmtree(path, ignore_errors=True)
        raise


def batches(episodes: Iterator[Episode]) -> Iterator[list[Episode]]:
    """Episodes that are small, many at a time."""
    batch: list[Episode] = []
    held = 0
    for episode in episodes:
        batch.append(episode)
        held += sum(each.nbytes for each in episode.frames.values())
        held += episode.proprio.nbytes + episode.action.nbytes
        held += sum(each.nbytes for each in episode.extras.values())
        if held >= BATCH_BYTES or len(batch) >= BATCH_EPISODES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
