"""Checks of a store: numbers, frames, labels and all other arrays."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.frame_storage import VideoFrames
from vip_offline.dataset.importers.base.rates import parse_rates
from vip_offline.dataset.media.orientation import AS_STORED
from vip_offline.dataset.media.timeline import Timeline, timeline
from vip_offline.dataset.storage.content_hash import content_of_blocks
from vip_offline.dataset.store import Store
from vip_offline.dataset.validation.checks import LOSSY, check_steady, check_video_rate
from vip_offline.dataset.validation.findings import Finding
from vip_offline.dataset.validation.report import CHECK_FRAMES, DataReport, OnStart, ReportBuilder
from vip_offline.errors import VipOfflineError

CHECK_ROWS = 16384  # of columns that are in memory at once


def check_store(store: Store, report: ReportBuilder, on_start: OnStart) -> DataReport:
    """Check every episode, labelling and array of a store; what cannot be read is a finding."""
    try:
        store.require_finished()
    except VipOfflineError as error:
        report.add([Finding("unfinished", str(error))])
    spans = store.spans()
    on_start(store.rows * len(store.cameras))
    declared = store.attributes.get("control_rate")
    rate = float(declared) if declared else None
    names = store.texts("name") if spans else []
    report.names = [name or str(index) for index, name in enumerate(names)]
    if spans:
        labelled = store.success_labelled
        report.successes = [
            bool(success) if known else None
            for success, known in zip(store.meta("success"), labelled, strict=True)
        ]
    report.silent = sum(success is None for success in report.successes)
    moves = []
    for name, result in zip(report.names, _numbers(store), strict=True):
        where = f"episode {name}"
        if isinstance(result, VipOfflineError):
            report.refuse(result, where)
        moves.append(not isinstance(result, VipOfflineError) and report.numbers(where, *result))
    for camera in store.cameras:
        storage = store.frame_storage(camera)
        if isinstance(storage, VideoFrames):
            _check_videos(store, storage, moves, rate, report)
        else:
            _check_frames(store, camera, moves, report)
    _check_rest(store, report)
    _check_labels(store, report)
    lengths = np.array([stop - start for start, stop in spans], np.int64)
    kind = str(store.attributes.get("source_format", "recorded"))
    return report.result(store.path, f"store ({kind})", lengths, rate)


CHECKED_ELSEWHERE = ("data/proprio", "data/action", "data/frames_", "labels/")  # by other checks


def _check_rest(store: Store, report: ReportBuilder) -> None:
    """Whether the arrays that no other check reads are readable."""
    for key, shape, _, _ in store.tree():
        if not shape or key.startswith(CHECKED_ELSEWHERE):
            continue
        try:
            rows = store.array(key).shape[0] if shape != "()" else 0
            for start in range(0, rows, CHECK_ROWS):
                store.rows_of(key, start, start + CHECK_ROWS)
        except VipOfflineError as error:
            report.add([Finding("damaged", str(error))], key)


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


def _check_frames(store: Store, camera: str, moves: list[bool], report: ReportBuilder) -> None:
    """Check stored frames, and compare them with their recorded hash."""
    reader, contents = store.frame_reader(camera), store.recorded_content(camera)
    for index, (start, stop) in enumerate(store.spans()):
        where = f"episode {report.names[index]}"
        begins = range(start, stop, CHECK_FRAMES)
        blocks = (reader(begin, min(begin + CHECK_FRAMES, stop)) for begin in begins)
        passing = report.pictures(where, camera, blocks, tolerance=0, moves=moves[index])
        try:
            first = next(passing)
            shape = (stop - start, *first.shape[1:])
            content = content_of_blocks(shape, chain([first], passing))
        except VipOfflineError as error:
            report.refuse(error, f"{where}, camera {camera}")
            continue
        if contents[index].any() and (content != contents[index]).any():
            value = "the frames are others than those that were stored"
            report.add([Finding("frames-changed", value)], f"{where}, camera {camera}")


NOT_UPRIGHT = Finding(
    "not-upright",
    "its video is shown turned; an earlier release stored the frames as the file holds them",
)


def _check_videos(
    store: Store,
    storage: VideoFrames,
    moves: list[bool],
    rate: float | None,
    report: ReportBuilder,
) -> None:
    """Check frames in videos, and whether the video files changed since the import."""
    camera, files = storage.camera, storage.files()
    names, sizes = store.texts(f"video_{camera}"), store.meta(f"video_bytes_{camera}")
    reader, contents = storage.reader(), store.recorded_content(camera)
    lines: dict[str, Timeline] = {}
    met = set[str]()
    corrected = parse_rates(store.attributes.get("import", {}).get("rates", ()))
    for index, (start, stop) in enumerate(store.spans()):
        where, name = f"episode {report.names[index]}", names[index]
        place, path = f"{where}, camera {camera}", files[index]
        changed = _changed(path, int(sizes[index]))
        if changed:
            report.add([Finding("video-changed", changed)], place, name)
            report.on_frames(stop - start)
            continue
        try:
            if name not in lines:
                line = timeline(path)
                if not storage.upright and line.turn != AS_STORED:
                    report.add([NOT_UPRIGHT], f"camera {camera}", name)
                lines = {name: line if storage.upright else line.as_stored()}
                report.rate(camera, lines[name])
            line, pts = lines[name], store.data(f"pts_{camera}", start, stop)
            if rate and name not in met and camera not in corrected:
                met.add(name)
                seconds = pts * float(line.time_base)  # of the rows: a camera may have more frames
                report.add(check_video_rate(rate, seconds), f"camera {camera}", name)
            # a camera that was resampled may show one frame in two rows
            report.add(check_steady(np.unique(pts) * float(line.time_base)), place, name)
            begins = range(start, stop, CHECK_FRAMES)
            blocks = (reader(begin, min(begin + CHECK_FRAMES, stop)) for begin in begins)
            shape: tuple[int, ...] = ()
            for block in report.pictures(
                where, camera, blocks, tolerance=LOSSY, moves=moves[index], file=name
            ):
                shape = block.shape[1:3]
            content = line.content(pts, (shape[0], shape[1]))
        except VipOfflineError as error:
            report.refuse(error, place)
            continue
        if contents[index].any() and (content != contents[index]).any():
            value = "its pictures are others than when it was imported"
            report.add([Finding("video-changed", value)], place, name)


def _changed(path: Path, size: int) -> str:
    """That a video is missing or has another size than at import; "" if neither."""
    if not path.is_file():
        return "the video is gone"
    current = path.stat().st_size
    return f"{current} bytes, {size} when it was imported" if current != size else ""


def _check_labels(store: Store, report: ReportBuilder) -> None:
    ends = store.ends
    for name in store.label_names:
        try:
            reward = store.label(name).reward
        except VipOfflineError as error:
            report.add([Finding("label", str(error))], f"label {name}")
            continue
        missing = np.isnan(reward)
        missing[ends - 1] = False  # the last row has no transition
        if missing.any():
            row, count = int(np.argmax(missing)), int(missing.sum())
            value = f"the reward of row {row} is missing ({count} in all)"
            report.add([Finding("label", value)], f"label {name}")
