"""Collects the findings of a data set, one episode at a time, into a `DataReport`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.media.frame_rate import rate_of
from vip_offline.dataset.media.timeline import Timeline
from vip_offline.dataset.validation.checks import (
    Range,
    check_action_range,
    check_camera_sizes,
    check_constant,
    check_finite,
    check_frames,
    check_lengths,
    check_size,
    check_success,
    check_unlabelled,
    mark_frames,
    moved,
    range_of,
)
from vip_offline.dataset.validation.findings import Finding, Severity
from vip_offline.dataset.validation.idle import Idle, check_idle, idle_of
from vip_offline.dataset.validation.outliers import find_outliers
from vip_offline.errors import VipOfflineError
from vip_offline.utils.console import OnFrames

CHECK_FRAMES = 32  # frames that are in memory at once
EXAMPLES = 3  # places that are named of each kind of finding

OnStart = Callable[[int], None]  # frames in all


@dataclass(frozen=True)
class FindingGroup:
    """All findings of one kind."""

    kind: str
    severity: Severity
    count: int
    way_out: str
    examples: tuple[Finding, ...]  # the first ones


@dataclass(frozen=True)
class CameraSummary:
    """Frame size, rate and counts of one camera."""

    size: tuple[int, int]  # (height, width), of the first frame
    rate: float | None  # Hz, by the first video's own time stamps; None: there is no video
    frames: int
    repeated: int  # that equal the one before
    black: int


@dataclass(frozen=True)
class DataReport:
    """Contents of a data set, and the problems found."""

    path: str
    format: str
    episodes: int
    rows: int
    lengths: tuple[int, float, int] | None  # least, median, most
    successes: int | None  # None: nothing says
    control_rate: float | None
    cameras: dict[str, CameraSummary]
    actions: Range | None
    groups: tuple[FindingGroup, ...]  # the wrong ones first

    @property
    def wrong(self) -> bool:
        """Whether there is a finding of severity ``wrong``."""
        return any(group.severity == "wrong" for group in self.groups)


@dataclass
class ReportBuilder:
    """Findings so far; keeps all actions, and the first examples of each kind of finding."""

    on_frames: OnFrames
    groups: dict[str, FindingGroup] = field(default_factory=dict)
    cameras: dict[str, CameraSummary] = field(default_factory=dict)
    actions: Range | None = None
    episode_actions: dict[str, NDArray[Any]] = field(default_factory=dict)  # name -> (T, A)
    successes: list[bool | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of the episodes that could be read
    idle: list[Idle] = field(default_factory=list)
    silent: int = 0  # episodes that could be read, of which nothing says whether they succeeded

    def add(self, findings: Sequence[Finding], where: str = "", file: str = "") -> None:
        """Add findings; `where` and `file` are of those that name none of their own."""
        for finding in findings:
            placed = replace(finding, where=finding.where or where, file=finding.file or file)
            group = self.groups.get(finding.kind) or FindingGroup(
                finding.kind, finding.severity, 0, finding.way_out, ()
            )
            examples = (*group.examples, placed)[:EXAMPLES]
            self.groups[finding.kind] = replace(group, count=group.count + 1, examples=examples)

    def refuse(self, error: VipOfflineError, where: str = "") -> None:
        """Add an error as a finding."""
        self.add([Finding("unreadable", str(error))], where)

    def numbers(self, where: str, proprio: NDArray[Any], action: NDArray[Any]) -> bool:
        """Check (T, P) proprio and (T, A) action of an episode; returns whether the robot moves."""
        self.add([*check_finite("proprio", proprio), *check_finite("action", action)], where)
        self.add(check_action_range(action), where)
        self.idle.append(idle_of(where, proprio, action))
        extent = range_of(action)
        if extent is not None:
            self.actions = extent if self.actions is None else self.actions.joined(extent)
            self.episode_actions[where] = action
        return moved(proprio) if proprio.shape[1] else moved(action)

    def outliers(self) -> None:
        """Check the actions of all episodes together for outliers."""
        if len({action.shape[1] for action in self.episode_actions.values()}) != 1:
            return
        outliers = find_outliers(list(self.episode_actions.values()))
        episodes = list(self.episode_actions)
        for outlier in outliers.listed:
            low, high = outliers.low[outlier.dimension], outliers.high[outlier.dimension]
            value = (
                f"action[{outlier.row}, {outlier.dimension}] is {outlier.value:.4g}; the rest "
                f"of dimension {outlier.dimension} reaches from {low:.4g} to {high:.4g}"
            )
            self.add([Finding("outlier", value)], episodes[outlier.episode])

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
        """Check an episode's frames block by block, and yield the blocks unchanged."""
        repeats, black = [], []
        before: NDArray[np.uint8] | None = None
        for block in blocks:
            if before is None:
                size = int(block.shape[1]), int(block.shape[2])
                known = self.cameras.setdefault(camera, CameraSummary(size, None, 0, 0, 0))
                self.add(check_size(size, known.size), f"{where}, camera {camera}", file)
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

    def rate(self, camera: str, line: Timeline) -> None:
        """Record the frame rate of a camera's first video, in Hz."""
        height, width, _ = line.shape
        known = self.cameras.setdefault(camera, CameraSummary((height, width), None, 0, 0, 0))
        if known.rate is None:
            self.cameras[camera] = replace(known, rate=rate_of(line.seconds))

    def result(
        self, path: Path, kind: str, lengths: NDArray[np.int64], rate: float | None
    ) -> DataReport:
        """Check all episodes, of (E,) lengths, together; then report.

        The rate of rows is in Hz; None: not known.
        """
        self.add(check_lengths(lengths, self.names) if len(self.names) == len(lengths) else [])
        self.add(check_success(self.successes, self.names))
        self.add(check_unlabelled(self.silent, len(lengths)))
        self.add(check_idle(self.idle, rate))
        self.add(check_constant(self.actions) if self.actions is not None else [])
        self.outliers()
        self.add(check_camera_sizes({name: camera.size for name, camera in self.cameras.items()}))
        known = [success for success in self.successes if success is not None]
        return DataReport(
            path=str(path),
            format=kind,
            episodes=len(lengths),
            rows=int(lengths.sum()),
            lengths=(int(lengths.min()), float(np.median(lengths)), int(lengths.max()))
            if len(lengths)
            else None,
            successes=sum(known) if known else None,
            control_rate=rate,
            cameras=self.cameras,
            actions=self.actions,
            groups=tuple(sorted(self.groups.values(), key=lambda group: group.severity != "wrong")),
        )
