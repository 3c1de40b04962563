"""Goes through a source or a store, one episode at a time, and gathers what `checking` finds."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.importers.base.rates import parse_rates
from vip_offline.dataset.importers.base.source import Catalogue, KeyMap, Rows, Source, VideoSpan
from vip_offline.dataset.importers.key_mapping import at_frames, key_map, missing_roles
from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.media.frame_rate import rate_of
from vip_offline.dataset.media.orientation import AS_STORED
from vip_offline.dataset.media.video import FrameReader, Timeline, timeline
from vip_offline.dataset.storage.content_hash import content_of_blocks
from vip_offline.dataset.store import Store, is_store, open_store
from vip_offline.dataset.tables.resampling import Series
from vip_offline.dataset.tables.timestamps import is_time
from vip_offline.dataset.validation.checks import (
    LOSSY,
    Finding,
    Range,
    Severity,
    check_action_range,
    check_cameras,
    check_constant,
    check_counts,
    check_finite,
    check_frames,
    check_lengths,
    check_rate,
    check_rows_in_video,
    check_size,
    check_steady,
    check_success,
    check_unlabelled,
    mark_frames,
    moved,
    range_of,
)
from vip_offline.dataset.validation.idle import Idle, check_idle, idle_of
from vip_offline.dataset.validation.outliers import find_outliers
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

ROWS = 16384  # of columns that are in memory at once
BLOCK = 32  # frames that are in memory at once
TIMELINES = 8  # videos whose time stamps are: cameras that advance side by side
EXAMPLES = 3  # places that are named of each kind of finding

OnStart = Callable[[int], None]  # frames in all
OnFrames = Callable[[int], None]  # so many more are read


@dataclass(frozen=True)
class Example:
    """Where something was found."""

    where: str
    file: str
    value: str


@dataclass(frozen=True)
class Group:
    """All findings of a kind."""

    kind: str
    severity: Severity
    count: int
    way_out: str
    examples: tuple[Example, ...]  # the first ones


@dataclass(frozen=True)
class Camera:
    """What one camera gave."""

    size: tuple[int, int]  # (height, width), of the first frame
    rate: float | None  # Hz, by the first video's own time stamps; None: there is no video
    frames: int
    repeated: int  # that equal the one before
    black: int


@dataclass(frozen=True)
class Checked:
    """What a data set holds, and what is wrong with it."""

    path: str
    format: str
    episodes: int
    rows: int
    lengths: tuple[int, float, int] | None  # least, median, most
    successes: int | None  # None: nothing says
    control_rate: float | None
    cameras: dict[str, Camera]
    actions: Range | None
    groups: tuple[Group, ...]  # the wrong ones first

    @property
    def wrong(self) -> bool:
        """Whether anything is, beyond what is only worth knowing."""
        return any(group.severity == "wrong" for group in self.groups)


@dataclass
class _Gathered:
    """What was found so far; of the data it keeps the actions, of findings the first ones."""

    on_frames: OnFrames
    groups: dict[str, Group] = field(default_factory=dict)
    cameras: dict[str, Camera] = field(default_factory=dict)
    actions: Range | None = None
    taken: dict[str, NDArray[Any]] = field(default_factory=dict)  # episode -> (T, A) actions
    successes: list[bool | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of the episodes that could be read
    idle: list[Idle] = field(default_factory=list)
    silent: int = 0  # episodes that could be read, of which nothing says whether they succeeded

    def add(self, findings: Sequence[Finding], where: str = "", file: str = "") -> None:
        for each in findings:
            example = Example(each.where or where, each.file or file, each.value)
            known = self.groups.get(each.kind)
            if known is None:
                self.groups[each.kind] = Group(
                    each.kind, each.severity, 1, each.way_out, (example,)
                )
                continue
            examples = known.examples
            if len(examples) < EXAMPLES:
                examples = (*examples, example)
            self.groups[each.kind] = replace(known, count=known.count + 1, examples=examples)

    def refuse(self, error: VipOfflineError, where: str = "") -> None:
        """Take an error for a finding."""
        way_out = "what can be read is imported with --skip-broken"
        self.add([Finding("unreadable", "wrong", str(error), way_out)], where)

    def numbers(self, where: str, proprio: NDArray[Any], action: NDArray[Any]) -> bool:
        """Check one episode's numbers; whether the robot moves."""
        self.add([*check_finite("proprio", proprio), *check_finite("action", action)], where)
        self.add(check_action_range(action), where)
        self.idle.append(idle_of(where, proprio, action))
        found = range_of(action)
        if found is not None:
            self.actions = found if self.actions is None else self.actions.joined(found)
            self.taken[where] = action
        return moved(proprio) if proprio.shape[1] else moved(action)

    def outliers(self) -> None:
        """Check all actions together: what is far from the rest only the rest can tell."""
        if len({action.shape[1] for action in self.taken.values()}) != 1:
            return
        outliers = find_outliers(list(self.taken.values()))
        episodes = list(self.taken)
        for one in outliers.listed:
            low, high = outliers.low[one.dimension], outliers.high[one.dimension]
            value = (
                f"action[{one.row}, {one.dimension}] is {one.value:.4g}; the rest of dimension "
                f"{one.dimension} reaches from {low:.4g} to {high:.4g}"
            )
            way_out = "train clips it to the rest; repair it, or leave the episode out"
            self.add([Finding("outlier", "note", value, way_out)], episodes[one.episode])

    def pictures(
        self,
        where: str,
        camera: str,
        blocks: Iterator[NDArray[np.uint8]],
        *,
        tolerance: int,
        moves: bool,
        file: str = "",
    ) -> Iterator[NDArray[np.uint8]]:
        """Check one episode's frames while they pass on."""
        repeats, black = [], []
        before: NDArray[np.uint8] | None = None
        for block in blocks:
            if before is None:
                self._meet(camera, (int(block.shape[1]), int(block.shape[2])), where, file)
            again, dark, before = mark_frames(block, before, tolerance)
            repeats.append(again)
            black.append(dark)
            self.on_frames(len(block))
            yield block
        marks = np.concatenate([np.zeros(0, bool), *repeats])
        darks = np.concatenate([np.zeros(0, bool), *black])
        self.add(check_frames(marks, darks, moves=moves), f"{where}, camera {camera}", file)
        if camera in self.cameras:
            known = self.cameras[camera]
            self.cameras[camera] = replace(
                known,
                frames=known.frames + len(marks),
                repeated=known.repeated + int(marks.sum()),
                black=known.black + int(darks.sum()),
            )

    def _meet(self, camera: str, size: tuple[int, int], where: str, file: str) -> None:
        known = self.cameras.setdefault(camera, Camera(size, None, 0, 0, 0))
        self.add(check_size(size, known.size), f"{where}, camera {camera}", file)

    def rate(self, camera: str, line: Timeline) -> None:
        """Keep the first video's rate."""
        height, width, _ = line.shape
        known = self.cameras.setdefault(camera, Camera((height, width), None, 0, 0, 0))
        if known.rate is None:
            self.cameras[camera] = replace(known, rate=rate_of(line.seconds))

    def result(
        self, path: Path, kind: str, lengths: NDArray[np.int64], rate: float | None
    ) -> Checked:
        self.add(check_lengths(lengths, self.names) if len(self.names) == len(lengths) else [])
        self.add(check_success(self.successes, self.names))
        self.add(check_unlabelled(self.silent, len(lengths)))
        self.add(check_idle(self.idle, rate))
        self.add(check_constant(self.actions) if self.actions is not None else [])
        self.outliers()
        self.add(check_cameras({name: each.size for name, each in self.cameras.items()}))
        said = [each for each in self.successes if each is not None]
        return Checked(
            path=str(path),
            format=kind,
            episodes=len(lengths),
            rows=int(lengths.sum()),
            lengths=(int(lengths.min()), float(np.median(lengths)), int(lengths.max()))
            if len(lengths)
            else None,
            successes=sum(said) if said else None,
            control_rate=rate,
            cameras=self.cameras,
            actions=self.actions,
            groups=tuple(sorted(self.groups.values(), key=lambda each: each.severity != "wrong")),
        )


def check(
    path: Path,
    kind: str = "",
    on_start: OnStart = lambda total: None,
    on_frames: OnFrames = lambda count: None,
) -> Checked:
    """Go through all episodes of a source or a store.

    Args:
        path: of either.
        kind: of a source, if it is not to be recognised.
        on_start: called with the number of frames there are to be read.
        on_frames: called with how many more were.

    Raises:
        VipOfflineError: if it cannot be opened at all; what is wrong inside is a finding.
    """
    gathered = _Gathered(on_frames)
    if not kind and is_store(path):
        return _check_store(open_store(path), gathered, on_start)
    source = open_source(path, kind)
    try:
        return _check_source(source, gathered, on_start)
    finally:
        source.close()


# --- a source ------------------------------------------------------------------------------


def _check_source(source: Source, gathered: _Gathered, on_start: OnStart) -> Checked:
    try:
        catalogue = source.catalogue()
    except VipOfflineError as error:
        gathered.refuse(error)
        return gathered.result(source.path, "", np.zeros(0, np.int64), None)
    catalogue = replace(catalogue, keys=_check_catalogue(source, catalogue, gathered))
    on_start(int(catalogue.lengths.sum()) * len(catalogue.keys.cameras))
    videos = _Videos(catalogue, gathered, source.path)
    try:
        for index in range(len(catalogue.lengths)):
            _check_episode(source, catalogue, index, videos, gathered)
    finally:
        videos.close()
    return gathered.result(source.path, catalogue.format, catalogue.lengths, catalogue.control_rate)


def _check_catalogue(source: Source, catalogue: Catalogue, gathered: _Gathered) -> KeyMap:
    """Find what the origin's own description says; and which columns play which part."""
    for note in catalogue.notes:
        gathered.add([Finding("about", "note", note, "")])
    for name, why in catalogue.left_out.items():
        way_out = "rename or convert it, if it is needed"
        gathered.add([Finding("left-out", "note", f"{name}: {why}", way_out)])
    keys = catalogue.keys
    try:
        keys = key_map(catalogue, ImportOptions(), source.path)
    except VipOfflineError as error:
        gathered.add([Finding("columns", "wrong", str(error), "name others with --key-map")])
    for role in missing_roles(keys, catalogue.columns):
        gathered.add([Finding("no-role", "note", role, "import takes what --key-map names")])
    if not len(catalogue.lengths):
        gathered.add([Finding("empty", "wrong", "there is no episode", "restore the data set")])
    info = source.path / "meta" / "info.json"
    if catalogue.format.startswith("LeRobot"):
        said = json.loads(info.read_text(encoding="utf-8")).get("total_frames")
        rows = int(catalogue.lengths.sum())
        if said is not None and said != rows:
            value = f"total_frames is {said}, the episodes' lengths make {rows}"
            way_out = "restore the data set's meta folder"
            gathered.add([Finding("metadata", "wrong", value, way_out)], file="meta/info.json")
    return keys


def _check_episode(
    source: Source, catalogue: Catalogue, index: int, videos: "_Videos", gathered: _Gathered
) -> None:
    keys, rows = catalogue.keys, int(catalogue.lengths[index])
    where = f"episode {catalogue.names[index]}"
    times = [
        name
        for name, column in catalogue.columns.items()
        if column.kind == "numbers"
        and int(np.prod(column.shape, dtype=int)) == 1
        and (name == keys.time or is_time(name))
    ]
    wanted = {*keys.cameras.values(), *keys.proprio, *keys.action, *times}
    wanted |= {each for each in (keys.success, keys.reward) if each}
    try:
        if index in catalogue.broken:
            raise VipOfflineError(catalogue.broken[index])
        asked = source.read(index, sorted(wanted))
        found = at_frames(asked, catalogue.columns, keys)
    except VipOfflineError as error:
        gathered.refuse(error, where)
        gathered.names.append(catalogue.names[index])
        gathered.successes.append(None)
        gathered.on_frames(rows * len(keys.cameras))
        return
    arrays = {n: v for n, v in found.columns.items() if isinstance(v, np.ndarray)}
    gathered.add(check_counts({name: len(each) for name, each in arrays.items()}, rows), where)
    moves = gathered.numbers(where, _flat(arrays, keys.proprio), _flat(arrays, keys.action))
    for name in times:
        own = asked.columns[name]  # as they were taken, before they came to the frames' times
        arrays[name] = np.asarray(own.values if isinstance(own, Series) else own)
        gathered.add(
            check_steady(arrays[name].reshape(-1).astype(np.float64), ""), f"{where}, {name}"
        )
    succeeded = bool((arrays[keys.success] > 0).any()) if keys.success else found.success
    gathered.names.append(catalogue.names[index])
    gathered.successes.append(succeeded)
    gathered.silent += succeeded is None
    for camera, column in keys.cameras.items():
        _check_camera(found, camera, column, rows, where, moves, videos, gathered)


def _flat(arrays: dict[str, NDArray[Any]], names: Sequence[str]) -> NDArray[np.float64]:
    """(T, D) columns side by side, as far as they go together."""
    parts = [arrays[name].reshape(len(arrays[name]), -1).astype(np.float64) for name in names]
    if not parts:
        return np.zeros((0, 0))
    rows = min(len(part) for part in parts)
    return np.concatenate([part[:rows] for part in parts], axis=1)


def _check_camera(
    found: Rows,
    camera: str,
    column: str,
    rows: int,
    where: str,
    moves: bool,
    videos: "_Videos",
    gathered: _Gathered,
) -> None:
    values = found.columns[column]
    if not isinstance(values, VideoSpan):
        videos.expect(camera, column)
        frames = np.asarray(values)
        blocks = (frames[start : start + BLOCK] for start in range(0, len(frames), BLOCK))
        for _ in gathered.pictures(where, camera, blocks, tolerance=0, moves=moves):
            pass
        return
    read = 0
    try:
        pts = videos.frames_of(values, camera, column, rows, where)
        file = videos.name(values.file)
        for block in gathered.pictures(
            where,
            camera,
            videos.blocks(values.file, pts),
            tolerance=LOSSY,
            moves=moves,
            file=file,
        ):
            read += len(block)
    except VipOfflineError as error:
        gathered.refuse(error, f"{where}, camera {camera}")
    gathered.on_frames(max(0, rows - read))


class _Videos:
    """The videos of a source: time stamps of the last ones, and a decoder that goes forward."""

    def __init__(self, catalogue: Catalogue, gathered: _Gathered, path: Path) -> None:
        self._catalogue, self._gathered = catalogue, gathered
        self._root = catalogue.videos or path
        self._lines: dict[Path, Timeline] = {}
        self._reader = FrameReader(None)

    def name(self, file: Path) -> str:
        """A file as it is named in a finding."""
        return str(file.relative_to(self._root)) if file.is_relative_to(self._root) else str(file)

    def expect(self, camera: str, column: str) -> None:
        """Frames should be of the size that the metadata give."""
        shape = self._catalogue.columns[column].shape
        if len(shape) == 3:
            self._gathered.cameras.setdefault(camera, Camera((shape[0], shape[1]), None, 0, 0, 0))

    def frames_of(
        self, span: VideoSpan, camera: str, column: str, rows: int, where: str
    ) -> NDArray[np.int64]:
        """Ascending pts of an episode's frames; what is wrong with them is found."""
        self.expect(camera, column)
        fresh, place = span.file not in self._lines, f"{where}, camera {camera}"
        line, file = self._line(span.file), self.name(span.file)
        self._gathered.rate(camera, line)
        if fresh and self._catalogue.control_rate and not span.repeats:
            found = check_rate(self._catalogue.control_rate, line.seconds)
            self._gathered.add(found, f"camera {camera}", file)
        if not len(span.seconds):
            self._gathered.add(check_steady(line.seconds), place, file)
            self._gathered.add(check_counts({f"camera {camera}": len(line.pts)}, rows), where, file)
            return line.pts
        nearest, found = check_rows_in_video(line.seconds, span.seconds, span.tolerance)
        found = [one for one in found if not (span.repeats and one.kind == "shared-frame")]
        self._gathered.add(found, place, file)
        return line.pts[np.unique(nearest)]

    def _line(self, file: Path) -> Timeline:
        if file not in self._lines:
            while len(self._lines) >= TIMELINES:
                self._lines.pop(next(iter(self._lines)))
            self._lines[file] = timeline(file)
        return self._lines[file]

    def blocks(self, file: Path, pts: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        """The frames at some pts, a few at a time."""
        for start in range(0, len(pts), BLOCK):
            yield self._reader(file, pts[start : start + BLOCK])

    def close(self) -> None:
        """Close the file that is open."""
        self._reader.close()


# --- a store -------------------------------------------------------------------------------


def _check_store(store: Store, gathered: _Gathered, on_start: OnStart) -> Checked:
    try:
        store.require_finished()
    except VipOfflineError as error:
        way_out = "run the same command again to finish it"
        gathered.add([Finding("unfinished", "wrong", str(error), way_out)])
    spans = store.spans()
    on_start(store.rows * len(store.cameras))
    said = store.attributes.get("control_rate")
    rate = float(said) if said else None
    names = store.texts("name") if spans else []
    gathered.names = [name or str(index) for index, name in enumerate(names)]
    if spans:
        labelled = store.success_labelled
        gathered.successes = [
            bool(success) if known else None
            for success, known in zip(store.meta("success"), labelled, strict=True)
        ]
    gathered.silent = sum(each is None for each in gathered.successes)
    moves = []
    for name, found in zip(gathered.names, _numbers(store), strict=True):
        where = f"episode {name}"
        if isinstance(found, VipOfflineError):
            gathered.refuse(found, where)
        moves.append(not isinstance(found, VipOfflineError) and gathered.numbers(where, *found))
    for camera in store.cameras:
        if f"pts_{camera}" in store.keys("data"):
            _check_clips(store, camera, moves, rate, gathered)
        else:
            _check_frames(store, camera, moves, gathered)
    _check_rest(store, gathered)
    _check_labels(store, gathered)
    lengths = np.array([stop - start for start, stop in spans], np.int64)
    kind = str(store.attributes.get("source_format", "recorded"))
    return gathered.result(store.path, f"store ({kind})", lengths, rate)


READ = ("data/proprio", "data/action", "data/frames_", "labels/")  # by other checks


def _check_rest(store: Store, gathered: _Gathered) -> None:
    """Columns, embeddings and goals that nothing else looks at: whether they can be read."""
    for key, shape, _, _ in store.tree():
        if not shape or key.startswith(READ):
            continue
        try:
            rows = store.array(key).shape[0] if shape != "()" else 0
            for start in range(0, rows, ROWS):
                store.rows_of(key, start, start + ROWS)
        except VipOfflineError as error:
            gathered.add([Finding("damaged", "wrong", str(error), "see there")], key)


def _numbers(store: Store) -> Iterator[tuple[NDArray[Any], NDArray[Any]] | VipOfflineError]:
    """(T, P) proprio and (T, A) action of each episode; short ones are read many at a time."""
    spans = store.spans()
    for episodes in store.episode_blocks():
        begin, end = spans[episodes[0]][0], spans[episodes[-1]][1]
        try:
            proprio, action = store.data("proprio", begin, end), store.data("action", begin, end)
        except VipOfflineError as error:
            yield from [error] * len(episodes)
            continue
        for index in episodes:
            rows = slice(spans[index][0] - begin, spans[index][1] - begin)
            yield proprio[rows], action[rows]


def _check_frames(store: Store, camera: str, moves: list[bool], gathered: _Gathered) -> None:
    """Frames that lie in the store, and whether they are those that were put there."""
    reader, contents = store.frame_reader(camera), store.recorded_content(camera)
    for index, (start, stop) in enumerate(store.spans()):
        where = f"episode {gathered.names[index]}"
        begins = range(start, stop, BLOCK)
        blocks = (reader(begin, min(begin + BLOCK, stop)) for begin in begins)
        passing = gathered.pictures(where, camera, blocks, tolerance=0, moves=moves[index])
        try:
            first = next(passing)
            shape = (stop - start, *first.shape[1:])
            content = content_of_blocks(shape, _with_first(first, passing))
        except VipOfflineError as error:
            gathered.refuse(error, f"{where}, camera {camera}")
            continue
        if contents[index].any() and (content != contents[index]).any():
            value = "the frames are others than those that were stored"
            way_out = "record or import the store again"
            found = [Finding("frames-changed", "wrong", value, way_out)]
            gathered.add(found, f"{where}, camera {camera}")


def _with_first(
    first: NDArray[np.uint8], others: Iterator[NDArray[np.uint8]]
) -> Iterator[NDArray[np.uint8]]:
    yield first
    yield from others


NOT_UPRIGHT = Finding(
    "not-upright",
    "wrong",
    "its video is shown turned; an earlier release stored the frames as the file holds them",
    "import again",
)


def _check_clips(
    store: Store, camera: str, moves: list[bool], rate: float | None, gathered: _Gathered
) -> None:
    """Frames that stayed in their videos, and whether those are the same files still."""
    files, sizes = store.texts(f"video_{camera}"), store.meta(f"video_bytes_{camera}")
    folder = Path(str(store.attributes.get("videos", "")))
    reader, contents = store.frame_reader(camera), store.recorded_content(camera)
    lines: dict[str, Timeline] = {}
    met = set[str]()
    corrected = parse_rates(store.attributes.get("import", {}).get("rates", ()))
    upright = store.upright(camera)
    for index, (start, stop) in enumerate(store.spans()):
        where, name = f"episode {gathered.names[index]}", files[index]
        place, path = f"{where}, camera {camera}", folder / name
        changed = _changed(path, int(sizes[index]))
        if changed:
            gathered.add(changed, place, name)
            gathered.on_frames(stop - start)
            continue
        try:
            if name not in lines:
                line = timeline(path)
                if not upright and line.turn != AS_STORED:
                    gathered.add([NOT_UPRIGHT], f"camera {camera}", name)
                lines = {name: line if upright else line.as_stored()}
                gathered.rate(camera, lines[name])
            line, pts = lines[name], store.data(f"pts_{camera}", start, stop)
            if rate and name not in met and camera not in corrected:
                met.add(name)
                seconds = pts * float(line.time_base)  # of the rows: a camera may have more frames
                gathered.add(check_rate(rate, seconds), f"camera {camera}", name)
            # a camera that was resampled may show one frame in two rows
            gathered.add(check_steady(np.unique(pts) * float(line.time_base)), place, name)
            begins = range(start, stop, BLOCK)
            blocks = (reader(begin, min(begin + BLOCK, stop)) for begin in begins)
            shape: tuple[int, ...] = ()
            for block in gathered.pictures(
                where, camera, blocks, tolerance=LOSSY, moves=moves[index], file=name
            ):
                shape = block.shape[1:3]
            content = line.content(pts, (shape[0], shape[1]))
        except VipOfflineError as error:
            gathered.refuse(error, place)
            continue
        if contents[index].any() and (content != contents[index]).any():
            value = "its pictures are others than when it was imported"
            gathered.add([_video_changed(value)], place, name)


def _changed(path: Path, size: int) -> list[Finding]:
    """What has become of a video since it was imported."""
    if not path.is_file():
        return [_video_changed("the video is gone")]
    there = path.stat().st_size
    return [_video_changed(f"{there} bytes, {size} when it was imported")] if there != size else []


def _video_changed(value: str) -> Finding:
    return Finding("video-changed", "wrong", value, "restore the file, or import again")


def _check_labels(store: Store, gathered: _Gathered) -> None:
    ends = store.ends
    for name in store.label_names:
        try:
            reward = store.label(name).reward
        except VipOfflineError as error:
            finding = Finding("label", "wrong", str(error), "run vip-offline relabel again")
            gathered.add([finding], f"label {name}")
            continue
        missing = np.isnan(reward)
        missing[ends - 1] = False  # the last row has no transition
        if missing.any():
            value = f"the reward of row {int(np.argmax(missing))} is missing"
            value += f" ({int(missing.sum())} in all)"
            way_out = "run vip-offline relabel --overwrite"
            gathered.add([Finding("label", "wrong", value, way_out)], f"label {name}")
