"""Reads one part of an episode's folder: the frames of a camera, or a table."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.importers.base.source import Column
from vip_offline.dataset.importers.base.success import SUCCESS_NAMES
from vip_offline.dataset.importers.folders.column_roles import action_of, proprio_of, success_of
from vip_offline.dataset.importers.folders.layout import Part, pictures_of
from vip_offline.dataset.importers.folders.row_timing import PartTiming
from vip_offline.dataset.importers.folders.several_episodes import refuse_several
from vip_offline.dataset.media.pictures import (
    is_sixteen_bit,
    not_a_view,
    picture_shape,
    pictures_shape,
    read_picture,
    sixteen_bit_note,
)
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.tables.cells import EXACT
from vip_offline.dataset.tables.file_listing import stamps_of_names
from vip_offline.dataset.tables.read_table import Table, as_bools, is_time, read_table, seconds_of
from vip_offline.errors import VipOfflineError
from vip_offline.utils.regular_files import require_regular

UNTYPED = (".csv", ".tsv", ".txt", ".json", ".jsonl")  # in which 1 and 1.0 are the same
NO_PICTURES: Mapping[str, Sequence[str]] = MappingProxyType({})
FRAME_COLUMN = re.compile(r"frames?([_ ]?(id|idx|index|no|nr|num|number))?")


@dataclass(frozen=True)
class Clock:
    """The user's ``--rate`` per part in Hz ("": for all without times), and the time column."""

    rates: Mapping[str, float] = field(default_factory=dict)
    time: str | None = None  # None: by its name; "": none

    def rate(self, part: str, *, silent: bool) -> float:
        """Hz of one part, as given; 0: it is not."""
        return self.rates.get(part, self.rates.get("", 0.0) if silent else 0.0)


@dataclass(frozen=True)
class PartContents:
    """Columns, times and episode-level values of one part."""

    part: Part
    timing: PartTiming
    columns: dict[str, Column]
    time: str = ""  # the column that its times are from
    values: Mapping[str, Any] = field(default_factory=dict)  # what stands once in the file
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stamps: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))  # of a video, as it is


def read_part(
    part: Part, frames: set[int], clock: Clock, pictures: Mapping[str, Sequence[str]] = NO_PICTURES
) -> PartContents:
    """Read the columns and times of one part, without its frames.

    Args:
        part: of an episode.
        frames: numbers of frames of the episode's cameras, which a table's rows may match.
        clock: what the user says of times.
        pictures: camera -> names of its pictures in order, which a table may name.

    Raises:
        VipOfflineError: if it cannot be read, or names the pictures in another order.
    """
    if part.kind == "video":
        line = timeline(part.path)
        timing = _timing(part, len(line.pts), line.seconds, "its time stamps", clock)
        column = Column("video", line.shape, "uint8")
        several = f"{part.path.name}: of its {line.views} video streams the first is taken"
        notes = (several,) if line.views > 1 else ()
        return PartContents(part, timing, {part.name: column}, notes=notes, stamps=line.seconds)
    if part.kind == "pictures":
        return _pictures(part, clock)
    return _table(part, frames, clock, pictures)


def _timing(
    part: Part, rows: int, seconds: NDArray[np.float64] | None, says: str, clock: Clock
) -> PartTiming:
    rate = clock.rate(part.name, silent=seconds is None)
    if rate:
        seconds, says = np.arange(rows) / rate, f"--rate {rate:g}"
    return PartTiming(
        part.name, rows, seconds, says if seconds is not None else "", part.kind != "table"
    )


def _pictures(part: Part, clock: Clock) -> PartContents:
    paths = pictures_of(part)
    names = [path.name for path in paths]
    stems = Counter(path.stem for path in paths)
    twice = next((stem for stem, count in stems.items() if count > 1), None)
    if twice is not None:
        both = " and ".join(path.name for path in paths if path.stem == twice)
        raise VipOfflineError(
            f"{part.path}: {both} bear one name, so one picture may be there twice. Remove "
            "one kind."
        )
    column = Column("pictures", picture_shape(paths[0]), "uint8")
    stamps = stamps_of_names(names)
    timing = _timing(part, len(paths), stamps, "names of its pictures", clock)
    notes = [sixteen_bit_note(part.name)] if is_sixteen_bit(paths[0]) else []
    if stamps is None:
        notes += _gaps(part.name, names)
    return PartContents(part, timing, {part.name: column}, notes=tuple(notes))


def _last_numbers(names: Sequence[str]) -> NDArray[np.float64]:
    """The last number in the name of each picture that has one."""
    digits = [re.findall(r"\d+", name.rpartition(".")[0]) for name in names]
    return np.array([int(groups[-1]) for groups in digits if groups], np.float64)


def _gaps(camera: str, names: Sequence[str]) -> list[str]:
    """Numbers that are missing in a series of pictures: 000, 001, 003."""
    numbers = _last_numbers(names)
    steps = np.diff(numbers)
    if len(numbers) < len(names) or not len(steps):
        return []
    wide = np.flatnonzero(steps > np.median(steps))
    if not len(wide) or (steps <= 0).any():
        return []
    first = names[int(wide[0]) + 1]
    return [
        f"camera {camera}: the numbers of its pictures have gaps ({len(wide)} in all), the first "
        f"before {first}"
    ]


def _table(
    part: Part, frames: set[int], clock: Clock, pictures: Mapping[str, Sequence[str]]
) -> PartContents:
    if part.path.suffix.lower() == ".txt" and part.path.stem.lower() in SUCCESS_NAMES:
        word = require_regular(part.path).read_text(encoding="utf-8-sig", errors="replace").strip()
        timing = PartTiming(part.name, 0, None, "", False)
        return PartContents(part, timing, {}, values={part.name: word})
    table = read_table(part.path)
    refuse_several(part.path, table.columns)
    names = [*table.columns]
    rows = _rows(table.columns, frames)
    for camera, files in pictures.items():
        _check_order(part, table, camera, files)
    columns, notes = dict[str, Column](), list(table.notes)
    once = dict[str, Any]()
    left_out = dict(table.left_out)
    actions = {*action_of(names)}
    for name, values in table.columns.items():
        single = rows == 1 and bool(frames) and 1 not in frames  # a table about the episode
        if len(values) == 1 and (single or (rows != 1 and success_of([name]))):
            once[name] = values.reshape(-1)[0].item() if values.size == 1 else values[0].tolist()
            continue
        if values.dtype == np.uint8 and values.ndim == 3 and values.shape[-1] == 3:
            raise VipOfflineError(
                f"{part.path}: {name} is one picture {values.shape}, so the file holds one step of "
                "an episode. Stack the steps of each episode into one file, or write a folder per "
                "episode with a folder of pictures and a table."
            )
        blind = not_a_view(name) if values.ndim > 2 else ""
        shape = pictures_shape(tuple(values.shape[1:]), values.dtype)
        if len(values) == rows - 1 and name in actions:
            notes.append(f"{name} has no row for the last frame: no action was taken in it")
        elif len(values) != rows:
            if name in (*actions, *proprio_of(names), success_of(names)):
                raise VipOfflineError(
                    f"{part.path}: {name} has {len(values)} rows, and the episode {rows}. Repair "
                    "it, or leave such episodes out with --skip-broken."
                )
            left_out[name] = f"shape {values.shape} is not one value per row ({rows})"
            continue
        if blind:
            left_out[name] = blind
        elif shape is not None:
            columns[name] = Column("pictures", shape, "uint8")
            notes += [sixteen_bit_note(_full(part, name))] if values.dtype == np.uint16 else []
        else:
            dtype = _stored(name, values, part).dtype
            if len(values) < rows and dtype.kind in "iu":
                dtype = np.dtype(np.float64)  # which has NaN for the last row
            columns[name] = Column("numbers", tuple(values.shape[1:]), str(dtype))
    seconds, time, says, why = _times(
        part, {n: table.columns[n] for n in columns}, table.units, clock
    )
    if why:
        notes.append(why)
    timing = replace(_timing(part, rows, seconds, says, clock), why=why)
    return PartContents(
        part,
        timing,
        {_full(part, name): column for name, column in columns.items()},
        _full(part, time) if time else "",
        {**table.values, **once},
        {_full(part, name): why for name, why in left_out.items()},
        tuple(notes),
    )


def _full(part: Part, name: str) -> str:
    """``robot.qpos`` of ``robot.npz``; of ``qpos.npy``, which holds one array, ``qpos``."""
    if part.path.suffix.lower() == ".npy" and name == "values" and part.name:
        return part.name
    return f"{part.name}.{name}" if part.name else name


def _check_order(part: Part, table: Table, camera: str, files: Sequence[str]) -> None:
    """Refuse a table whose rows name a camera's pictures, or count them, in another order."""
    for name, words in table.words.items():
        named = [re.split(r"[\\/]", word or "")[-1] for word in words]
        stems = [file.rpartition(".")[0] for file in files]
        known = files if {*named} == {*files} else stems if {*named} == {*stems} else None
        if known is not None and named != list(known):
            row = next(row for row, name in enumerate(named) if name != known[row])
            raise VipOfflineError(
                f"{part.path}: row {row} names {named[row]} in its column {name}, and picture "
                f"{row} of camera {camera} is {files[row]}. Sort the rows in the order of the "
                "pictures."
            )
    numbers = _last_numbers(files)
    for name, values in table.columns.items():
        if FRAME_COLUMN.fullmatch(name.split(".")[-1].lower()) and len(values) == len(numbers) > 1:
            off = np.flatnonzero(np.diff(values.astype(np.float64)) != np.diff(numbers))
            if len(off):
                row = int(off[0]) + 1
                raise VipOfflineError(
                    f"{part.path}: row {row} is of frame {values[row]:g} by its column {name}, and "
                    f"picture {row} of camera {camera} is {files[row]}. Sort the rows in the order "
                    "of the pictures, or rename the column if it counts something else."
                )


def _rows(columns: Mapping[str, NDArray[Any]], frames: set[int]) -> int:
    """Number of rows of a table; columns of npz and JSON files may differ in length."""
    lengths = Counter(len(values) for values in columns.values())
    if not lengths:
        return 0
    matching = frames & {*lengths}
    if matching:
        return max(matching)
    telling = [*action_of([*columns]), *proprio_of([*columns]), *filter(is_time, columns)]
    if telling:
        return max(len(columns[name]) for name in telling)
    return max(lengths, key=lambda length: (lengths[length], length))


def _times(
    part: Part, columns: Mapping[str, NDArray[Any]], units: Mapping[str, str], clock: Clock
) -> tuple[NDArray[np.float64] | None, str, str, str]:
    """Times of the rows, the column they are from, how it is read; or why it is not."""
    if clock.time:
        names = [name for name in columns if _full(part, name) == clock.time]
    else:
        names = [name for name in columns if clock.time is None and is_time(name)]
    why = ""
    for name in names:
        try:
            times = seconds_of(name, columns[name], units.get(name, ""))
        except VipOfflineError as error:  # it goes back, say
            if clock.time:
                raise VipOfflineError(f"{part.path}: {error}") from error
            why = f"its times are not used: {error}"
            continue
        if times is not None:
            return times[0], name, f"column {_full(part, name)}, {times[1]}", ""
        if clock.time:
            raise VipOfflineError(
                f"{part.path}: column {name} counts rows, so it tells no times. Name another with "
                "--key-map time=COLUMN."
            )
    return None, "", "", why


def _stored(name: str, values: NDArray[Any], part: Part) -> NDArray[Any]:
    """A column as it is handed on: success as bool, text's whole numbers as the others' floats."""
    if success_of([name]):
        answers = as_bools(values)
        if answers is None:
            raise VipOfflineError(
                f"{part.path}: {name} is to say whether the task is solved; {values.flat[0]!r} "
                "does not. Write 0 and 1, or rename the column."
            )
        return answers
    if part.path.suffix.lower() not in UNTYPED or values.dtype.kind not in "iu":
        return values
    exact = np.abs(values.astype(np.float64)).max(initial=0) < EXACT
    return values.astype(np.float64) if exact else values


def table_columns(part: Part, names: Sequence[str], rows: int) -> dict[str, NDArray[Any]]:
    """Name -> (rows, ...) of some columns of a table; what ends a row early gets NaN or 0 there."""
    table = read_table(part.path)
    columns = {}
    for name, own in ((_full(part, own), own) for own in table.columns):
        if name not in names:
            continue
        values = _stored(own, table.columns[own], part)
        if len(values) == rows - 1:
            values = values.astype(np.float64) if values.dtype.kind in "iu" else values
            values = np.concatenate([values, np.full((1, *values.shape[1:]), np.nan, values.dtype)])
        columns[name] = values
    return columns


def picture_rows(part: Part, rows: Sequence[int]) -> NDArray[np.uint8]:
    """(T, H, W, 3) some pictures of a folder.

    Raises:
        VipOfflineError: if one cannot be read, or is of another size.
    """
    paths = pictures_of(part)
    frames: list[NDArray[np.uint8]] = []
    for row in rows:
        frames.append(read_picture(paths[row]))
        if frames[-1].shape != frames[0].shape:
            raise VipOfflineError(
                f"{paths[row]}: is {frames[-1].shape[:2]} px, those before it "
                f"{frames[0].shape[:2]}. Give them one size."
            )
    return np.stack(frames)
