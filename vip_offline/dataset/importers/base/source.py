"""Interface of every importer: a catalogue, and the columns of an episode."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.tables.resampling import Series
from vip_offline.errors import VipOfflineError

COLUMN_SLICE = re.compile(r"(.+)\[(-?\d*):(-?\d*)\]")


@dataclass(frozen=True)
class Column:
    """Type of one column of an origin."""

    kind: Literal["numbers", "pictures", "video"]
    shape: tuple[int, ...]  # of one row; of pictures (H, W, 3)
    dtype: str  # as in the origin
    resampled: bool = False  # recorded at other times, resampled to the frames' times

    @property
    def size(self) -> int:
        """Numbers per row."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ColumnMap:
    """The columns of an origin that become cameras, proprio, action, success, reward and time."""

    cameras: Mapping[str, str] = field(default_factory=dict)  # camera -> column of pictures
    proprio: tuple[str, ...] = ()  # side by side; "state[0:2]" is a part of a column
    action: tuple[str, ...] = ()
    success: str = ""  # true where the task is solved by this row
    reward: str = ""  # the origin's own; kept as true_reward, for analysis
    time: str = ""  # in seconds, of each row

    def used(self) -> set[str]:
        """Names of all columns that play a role."""
        numbers = (column_and_part(spec)[0] for spec in (*self.proprio, *self.action))
        roles = (self.success, self.reward, self.time)
        return {*self.cameras.values(), *numbers, *filter(None, roles)}


@dataclass(frozen=True)
class Catalogue:
    """Contents of an origin, read without its rows."""

    format: str
    columns: Mapping[str, Column]
    lengths: NDArray[np.int64]  # (E,) rows per episode
    names: Sequence[str]  # (E,) of the episodes
    keys: ColumnMap  # default; --key-map changes it
    control_rate: float | None = None  # Hz
    task: str = ""  # of a simulator
    splits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what is guessed, or worth knowing
    left_out: Mapping[str, str] = field(default_factory=dict)  # file or column -> why
    broken: Mapping[int, str] = field(default_factory=dict)  # episode -> why it cannot be read
    about: Mapping[str, Any] = field(default_factory=dict)  # kept with the store
    aligned: bool = False  # whether the origin has compared the times of its parts
    arrays: Mapping[str, str] = field(default_factory=dict)  # pictures -> key of a zarr array
    videos: Path | None = None  # folder under which the files of clips lie


@dataclass(frozen=True)
class VideoSpan:
    """Frames of an episode in a video file, selected by time."""

    file: Path
    seconds: NDArray[np.float64]  # (T,) time of each frame; empty: all frames of the file
    tolerance: float  # seconds by which a frame may be off
    repeats: bool = False  # two rows may fall on one frame: of a camera that was resampled


@dataclass(frozen=True)
class EpisodeColumns:
    """Columns of one episode as stored in the origin."""

    columns: Mapping[str, NDArray[Any] | VideoSpan | Series]  # name -> (T, ...)
    success: bool | None = None  # None: the origin does not say
    task: str = ""  # in words
    splits: tuple[str, ...] = ()


class Source(Protocol):
    """An open origin of demonstrations."""

    path: Path

    def catalogue(self) -> Catalogue:
        """Contents of the origin.

        Raises:
            VipOfflineError: if its metadata are missing, damaged or contradictory.
        """
        ...

    def read(self, episode: int, columns: Sequence[str]) -> EpisodeColumns:
        """Columns of one episode; in ascending order of episodes, each file is read once.

        Raises:
            VipOfflineError: naming file, episode and value.
        """
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


# a reward from which on an episode counts as solved, where nothing else says so
SOLVED = 1.0


def column_and_part(spec: str) -> tuple[str, slice]:
    """``state[0:2]`` -> ``state`` and its first two numbers; of ``state`` alone, all of them."""
    match = COLUMN_SLICE.fullmatch(spec)
    if not match:
        return spec, slice(None)
    start, stop = (int(bound) if bound else None for bound in match.groups()[1:])
    return match[1], slice(start, stop)


def guessed(names: Sequence[str], candidates: Sequence[str]) -> tuple[str, ...]:
    """The first candidate that is among the names, as a tuple of one; empty if none is."""
    return next(((name,) for name in candidates if name in names), ())


def refuse_defects(
    columns: Mapping[str, Column], defects: Mapping[str, str], actions: Sequence[str]
) -> None:
    """Refuse a set whose actions, or whose only pictures, cannot be read.

    Args:
        columns: that can be read.
        defects: pictures and actions that cannot, and the whole error of each.
        actions: names among the defects without which a set is refused.

    Raises:
        VipOfflineError: the error of the first one that is needed.
    """
    pictures = any(column.kind != "numbers" for column in columns.values())
    for name, error in defects.items():
        if name in actions or not pictures:
            raise VipOfflineError(error)
