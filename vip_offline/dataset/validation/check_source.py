"""Checks of a data set in its origin's format, one episode at a time."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.importers.base.source import (
    Catalogue,
    ColumnMap,
    EpisodeColumns,
    Source,
    VideoSpan,
)
from vip_offline.dataset.importers.key_mapping import (
    at_frames,
    map_columns,
    missing_roles,
    single_numbers,
)
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.media.video import FrameReader
from vip_offline.dataset.media.video_file import OPEN_VIDEOS
from vip_offline.dataset.tables.resampling import Series
from vip_offline.dataset.tables.timestamps import is_time
from vip_offline.dataset.validation.checks import (
    LOSSY,
    check_counts,
    check_rows_in_video,
    check_steady,
    check_video_rate,
)
from vip_offline.dataset.validation.findings import Finding
from vip_offline.dataset.validation.report import (
    CHECK_FRAMES,
    CameraSummary,
    DataReport,
    OnStart,
    ReportBuilder,
)
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions


def check_source(source: Source, report: ReportBuilder, on_start: OnStart) -> DataReport:
    """Check every episode of an origin; what cannot be read is a finding."""
    try:
        catalogue = source.catalogue()
    except VipOfflineError as error:
        report.refuse(error)
        return report.result(source.path, "", np.zeros(0, np.int64), None)
    catalogue = replace(catalogue, keys=_check_catalogue(source, catalogue, report))
    on_start(int(catalogue.lengths.sum()) * len(catalogue.keys.cameras))
    videos = _Videos(catalogue, report, source.path)
    try:
        for index in range(len(catalogue.lengths)):
            _check_episode(source, catalogue, index, videos, report)
    finally:
        videos.close()
    return report.result(source.path, catalogue.format, catalogue.lengths, catalogue.control_rate)


def _check_catalogue(source: Source, catalogue: Catalogue, report: ReportBuilder) -> ColumnMap:
    """Check the metadata of the origin; returns the roles of its columns."""
    for note in catalogue.notes:
        report.add([Finding("about", note)])
    for name, why in catalogue.left_out.items():
        report.add([Finding("left-out", f"{name}: {why}")])
    keys = catalogue.keys
    try:
        keys = map_columns(catalogue, ImportOptions(), source.path)
    except VipOfflineError as error:
        report.add([Finding("columns", str(error))])
    for role in missing_roles(keys, catalogue.columns):
        report.add([Finding("no-role", role)])
    if not len(catalogue.lengths):
        report.add([Finding("empty", "there is no episode")])
    info = source.path / "meta" / "info.json"
    if catalogue.format.startswith("LeRobot"):
        declared = json.loads(info.read_text(encoding="utf-8")).get("total_frames")
        rows = int(catalogue.lengths.sum())
        if declared is not None and declared != rows:
            value = f"total_frames is {declared}, the episodes' lengths make {rows}"
            report.add([Finding("metadata", value)], file="meta/info.json")
    return keys


def _check_episode(
    source: Source, catalogue: Catalogue, index: int, videos: "_Videos", report: ReportBuilder
) -> None:
    keys, rows = catalogue.keys, int(catalogue.lengths[index])
    where = f"episode {catalogue.names[index]}"
    times = [n for n in single_numbers(catalogue.columns) if n == keys.time or is_time(n)]
    try:
        if index in catalogue.broken:
            raise VipOfflineError(catalogue.broken[index])
        original = source.read(index, sorted(keys.used() | {*times}))
        resampled = at_frames(original, catalogue.columns, keys)
    except VipOfflineError as error:
        report.refuse(error, where)
        report.names.append(catalogue.names[index])
        report.successes.append(None)
        report.on_frames(rows * len(keys.cameras))
        return
    arrays = {n: v for n, v in resampled.columns.items() if isinstance(v, np.ndarray)}
    report.add(check_counts({name: len(values) for name, values in arrays.items()}, rows), where)
    moves = report.numbers(where, _flat(arrays, keys.proprio), _flat(arrays, keys.action))
    for name in times:
        own = original.columns[name]  # as they were taken, before they came to the frames' times
        arrays[name] = np.asarray(own.values if isinstance(own, Series) else own)
        report.add(
            check_steady(arrays[name].reshape(-1).astype(np.float64), ""), f"{where}, {name}"
        )
    succeeded = bool((arrays[keys.success] > 0).any()) if keys.success else resampled.success
    report.names.append(catalogue.names[index])
    report.successes.append(succeeded)
    report.silent += succeeded is None
    for camera, column in keys.cameras.items():
        _check_camera(resampled, camera, column, rows, where, moves, videos, report)


def _flat(arrays: dict[str, NDArray[Any]], names: Sequence[str]) -> NDArray[np.float64]:
    """(T, D) columns side by side, cut to the shortest one."""
    parts = [arrays[name].reshape(len(arrays[name]), -1).astype(np.float64) for name in names]
    if not parts:
        return np.zeros((0, 0))
    rows = min(len(part) for part in parts)
    return np.concatenate([part[:rows] for part in parts], axis=1)


def _check_camera(
    resampled: EpisodeColumns,
    camera: str,
    column: str,
    rows: int,
    where: str,
    moves: bool,
    videos: "_Videos",
    report: ReportBuilder,
) -> None:
    values = resampled.columns[column]
    if not isinstance(values, VideoSpan):
        videos.expect(camera, column)
        frames = np.asarray(values)
        blocks = (
            frames[start : start + CHECK_FRAMES] for start in range(0, len(frames), CHECK_FRAMES)
        )
        for _ in report.pictures(where, camera, blocks, tolerance=0, moves=moves):
            pass
        return
    read = 0
    try:
        pts = videos.frames_of(values, camera, column, rows, where)
        file = videos.name(values.file)
        for block in report.pictures(
            where,
            camera,
            videos.blocks(values.file, pts),
            tolerance=LOSSY,
            moves=moves,
            file=file,
        ):
            read += len(block)
    except VipOfflineError as error:
        report.refuse(error, f"{where}, camera {camera}")
    report.on_frames(max(0, rows - read))


class _Videos:
    """Videos of a source: a cache of their time lines, and a decoder."""

    def __init__(self, catalogue: Catalogue, report: ReportBuilder, path: Path) -> None:
        self._catalogue, self._report = catalogue, report
        self._root = catalogue.videos or path
        self._timeline = lru_cache(OPEN_VIDEOS)(timeline)
        self._met: set[Path] = set()  # files whose rate was compared
        self._reader = FrameReader(None)

    def name(self, file: Path) -> str:
        """A file as it is named in a finding."""
        return str(file.relative_to(self._root)) if file.is_relative_to(self._root) else str(file)

    def expect(self, camera: str, column: str) -> None:
        """Record the frame size that the metadata give."""
        shape = self._catalogue.columns[column].shape
        if len(shape) == 3:
            self._report.cameras.setdefault(
                camera, CameraSummary((shape[0], shape[1]), None, 0, 0, 0)
            )

    def frames_of(
        self, span: VideoSpan, camera: str, column: str, rows: int, where: str
    ) -> NDArray[np.int64]:
        """Ascending pts of an episode's frames; problems are added to the report."""
        self.expect(camera, column)
        place = f"{where}, camera {camera}"
        line, file = self._timeline(span.file), self.name(span.file)
        self._report.rate(camera, line)
        if span.file not in self._met and self._catalogue.control_rate and not span.repeats:
            findings = check_video_rate(self._catalogue.control_rate, line.seconds)
            self._report.add(findings, f"camera {camera}", file)
        self._met.add(span.file)
        if not len(span.seconds):
            self._report.add(check_steady(line.seconds), place, file)
            self._report.add(check_counts({f"camera {camera}": len(line.pts)}, rows), where, file)
            return line.pts
        nearest, findings = check_rows_in_video(line.seconds, span.seconds, span.tolerance)
        if span.repeats:
            findings = [finding for finding in findings if finding.kind != "shared-frame"]
        self._report.add(findings, place, file)
        return line.pts[np.unique(nearest)]

    def blocks(self, file: Path, pts: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        """Blocks of (n, H, W, 3) frames at these pts."""
        for start in range(0, len(pts), CHECK_FRAMES):
            yield self._reader(file, pts[start : start + CHECK_FRAMES])

    def close(self) -> None:
        """Close the file that is open."""
        self._reader.close()
