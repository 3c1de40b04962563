"""Videos, pictures and tables in folders; `layout` says which of them make an episode.

A column is known by the file it is in: ``robot.npz`` with an array ``qpos`` has ``robot.qpos``, a
table ``log.csv`` with a column ``x`` has ``log.x``; pictures are known by file or folder.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.importers.base.guarded import readable_errors
from vip_offline.dataset.importers.base.rates import check_rate_names
from vip_offline.dataset.importers.base.source import (
    Catalogue,
    Column,
    ColumnMap,
    EpisodeColumns,
    VideoSpan,
)
from vip_offline.dataset.importers.base.success import success_of_files, success_of_name
from vip_offline.dataset.importers.folders.column_roles import (
    action_of,
    proprio_of,
    reward_of,
    success_of,
)
from vip_offline.dataset.importers.folders.layout import EpisodeFiles, Part, layout, pictures_of
from vip_offline.dataset.importers.folders.parts import (
    Clock,
    PartContents,
    picture_rows,
    read_part,
    table_columns,
)
from vip_offline.dataset.importers.folders.row_timing import Alignment, align
from vip_offline.dataset.media.pictures import not_a_view, rgb
from vip_offline.dataset.tables.cells import SENTENCES
from vip_offline.dataset.tables.read_table import as_bools
from vip_offline.dataset.tables.resampling import Series, nearest_rows, step_of
from vip_offline.errors import VipOfflineError

ASIDE = (".json", ".txt")  # that hold settings and notes more often than rows


@dataclass(frozen=True)
class _Episode:
    """One episode: contents of its parts, and the alignment of their rows."""

    parts: Mapping[str, PartContents]  # column -> the part that has it
    columns: Mapping[str, Column]
    alignment: Alignment
    rows: int
    success: bool | None
    task: str
    left_out: Mapping[str, str]
    notes: tuple[str, ...]


class FolderSource:
    """Episodes of a folder; see `layout` for how it is divided."""

    def __init__(self, path: Path, clock: Clock = Clock()) -> None:  # noqa: B008 - frozen
        self.path = path
        self._clock = clock
        self._layout = layout(path)
        self._episodes: dict[int, _Episode] = {}
        self._broken: dict[int, str] = {}
        self._columns: dict[str, Column] = {}

    def catalogue(self) -> Catalogue:
        """See `Source.catalogue`."""
        files = self._layout.episodes
        names = {part.name for episode in files for part in episode.parts}
        check_rate_names(self._clock.rates, names, self.path)
        for index, episode in enumerate(files):
            try:
                with readable_errors(
                    str(episode.where), "Leave such episodes out with --skip-broken."
                ):
                    self._episodes[index] = self._look(episode)
            except VipOfflineError as error:
                self._broken[index] = str(error)
        if not self._episodes:
            raise VipOfflineError(self._broken.get(0, f"{self.path}: holds no episode."))
        left_out = _with_counts([episode.left_out for episode in self._episodes.values()])
        left_out |= self._agree()
        if not self._episodes:
            raise VipOfflineError(self._broken[0])
        columns = self._columns
        numbers = [name for name, column in columns.items() if column.kind == "numbers"]
        notes = Counter(note for episode in self._episodes.values() for note in episode.notes)
        lengths = [self._episodes[i].rows if i in self._episodes else 0 for i in range(len(files))]
        first = next(iter(self._episodes.values()))
        seconds = first.alignment.seconds
        step = step_of(seconds) if seconds is not None else 0.0
        rate = self._clock.rates.get("") if not step else 1 / step
        times = [part.time for part in first.parts.values() if part.time in columns]
        return Catalogue(
            format=self._layout.kind,
            columns=columns,
            lengths=np.array(lengths, np.int64),
            names=[episode.name for episode in files],
            keys=ColumnMap(
                cameras={n: n for n, column in columns.items() if column.kind != "numbers"},
                action=action_of(numbers),
                proprio=proprio_of(numbers),
                success=success_of(numbers),
                reward=reward_of(numbers),
                time=times[0] if times else "",
            ),
            # to six digits: 30.000000000000004 -> 30
            control_rate=float(f"{rate:.6g}") if rate else None,
            notes=self._layout.notes
            + tuple(
                note if len(files) == 1 else f"{note} (in {count} of {len(files)} episodes)"
                for note, count in notes.items()
            ),
            left_out={**left_out, **self._layout.left_out},
            broken=self._broken,
            aligned=True,
            videos=self.path if self.path.is_dir() else self.path.parent,
        )

    def _look(self, files: EpisodeFiles) -> _Episode:
        if files.broken:
            raise VipOfflineError(files.broken)
        left_out = dict(files.left_out)
        parts = []
        for part in files.parts:
            blind = not_a_view(part.name) if part.kind != "table" else ""
            if blind:
                left_out[part.name] = blind
            else:
                parts.append(part)
        cameras = [read_part(p, set(), self._clock) for p in parts if p.kind != "table"]
        frames = {camera.timing.rows for camera in cameras}
        folders = [part for part in parts if part.kind == "pictures"]
        pictures = {p.name: [path.name for path in pictures_of(p)] for p in folders}
        tables = []
        for part in (part for part in parts if part.kind == "table"):
            try:
                tables.append(read_part(part, frames, self._clock, pictures))
            except VipOfflineError as error:
                if part.path.suffix.lower() not in ASIDE:
                    raise
                left_out[part.path.name] = f"cannot be read ({error})"
        once = {name: value for table in tables for name, value in table.values.items()}
        for name, cell in files.says.items():
            answers = [as_bools(np.asarray([answer])) for answer in (once.get(name, cell), cell)]
            if answers[0] is not None and answers[1] is not None and answers[0] != answers[1]:
                raise VipOfflineError(
                    f"{files.where}: {name} is {once[name]} in its files and {cell!r} in a list "
                    "beside the episodes. Leave one."
                )
            once.setdefault(name, cell)
        described = []
        for contents in (*cameras, *tables):
            left_out |= contents.left_out
            # a file of settings, say; or a table beside another one that has the rows
            if contents.columns and not (
                contents in tables and self._beside(contents, tables, frames)
            ):
                described.append(contents)
            elif contents.columns:
                where = contents.part.path.name
                left_out[where] = (
                    f"has {contents.timing.rows} rows, and another table has the frames'"
                )
        if not described:
            raise VipOfflineError(f"{files.where}: holds nothing that is read here.")
        alignment = align([contents.timing for contents in described], str(files.where))
        columns, sources = dict[str, Column](), dict[str, PartContents]()
        for contents in described:
            moved = contents.part.name in alignment.targets
            for name, column in contents.columns.items():
                columns[name] = replace(column, resampled=moved)
                sources[name] = contents
        success, success_columns = success_of_files(once, str(files.where))
        used = (*success_columns, *(name for name in SENTENCES if isinstance(once.get(name), str)))
        left_out |= {n: "stands once in its file, not in every row" for n in once if n not in used}
        task = next((str(once[name]) for name in SENTENCES if isinstance(once.get(name), str)), "")
        notes = [note for camera in cameras for note in camera.notes]
        if success is None and not any(success_of([*table.columns]) for table in tables):
            success = success_of_name(files.name)
            notes += [] if success is None else ["success is taken from names of files or folders"]
        notes += [f"{table.part.path.name}: {note}" for table in tables for note in table.notes]
        notes += _which_actions(files, sources)
        rows = alignment.keep.stop - alignment.keep.start
        return _Episode(
            sources, columns, alignment, rows, success, task, left_out, (*notes, *alignment.notes)
        )

    @staticmethod
    def _beside(table: PartContents, tables: Sequence[PartContents], frames: set[int]) -> bool:
        """Whether a table is unrelated to the frames: another table has their number of rows."""
        names = [*table.columns]
        plays = action_of(names) or proprio_of(names) or success_of(names) or table.time
        aligned = any(other.timing.rows in frames for other in tables if other is not table)
        return not plays and aligned and table.timing.rows not in frames

    def _agree(self) -> dict[str, str]:
        """Reduce all episodes to common columns; the others with the reason they are left out.

        An episode that lacks a file, a camera or a column with a role is broken; so is one whose
        column has another shape.
        """
        episodes, left_out = self._episodes, dict[str, str]()
        having: dict[str, list[int]] = defaultdict(list)
        for index, episode in episodes.items():
            for name in episode.columns:
                having[name].append(index)
        total = len(episodes)
        names = [*having]
        roles = {*action_of(names), *proprio_of(names), success_of(names)}
        for name, has in having.items():
            if len(has) == total:
                continue
            part = episodes[has[0]].parts[name].part
            needed = name in roles or part.kind != "table"
            lacking = [i for i in episodes if i not in has]
            with_part = [i for i in lacking if self._has_part(i, part.name, part.kind)]
            if len(has) * 2 < total or (not needed and len(with_part) == len(lacking)):
                left_out[name] = f"only {len(has)} of {total} episodes have it"
                continue
            for index in lacking:
                if not needed and index in with_part:
                    continue
                self._broken.setdefault(
                    index,
                    f"{self._where(has[0])} has {name!r}, {self._where(index)} has not. Every "
                    "episode needs the same files and columns; leave such episodes out with "
                    "--skip-broken.",
                )
        self._drop_broken()
        if not episodes:
            return left_out
        for name in (name for name in names if name not in left_out):
            kinds = {i: e.columns[name] for i, e in episodes.items() if name in e.columns}
            if len(kinds) < len(episodes):
                left_out[name] = f"only {len(kinds)} of {total} episodes have it"
                continue
            shapes = Counter(
                (c.kind, c.shape if c.kind == "numbers" else ()) for c in kinds.values()
            )
            usual = max(shapes, key=lambda shape: shapes[shape])
            for index, column in kinds.items():
                shape = column.shape if column.kind == "numbers" else ()
                if (column.kind, shape) != usual:
                    self._broken.setdefault(
                        index,
                        f"{self._where(index)}: {name} is {column.kind} {shape or ''}, elsewhere "
                        f"{usual[0]} {usual[1] or ''}. Leave such episodes out with --skip-broken.",
                    )
            good = [column for i, column in kinds.items() if i not in self._broken]
            if good:
                dtype = np.result_type(*{column.dtype for column in good})
                resampled = any(column.resampled for column in good)
                self._columns[name] = replace(good[0], dtype=str(dtype), resampled=resampled)
        self._drop_broken()
        return left_out

    def _drop_broken(self) -> None:
        for index in self._broken:
            self._episodes.pop(index, None)

    def _has_part(self, index: int, name: str, kind: str) -> bool:
        parts = self._layout.episodes[index].parts
        return any(part.name == name and part.kind == kind for part in parts)

    def _where(self, index: int) -> str:
        return str(self._layout.episodes[index].where)

    def read(self, episode: int, columns: Sequence[str]) -> EpisodeColumns:
        """See `Source.read`."""
        entry = self._episodes[episode]
        names_of: dict[Part, list[str]] = defaultdict(list)
        for name in columns:
            names_of[entry.parts[name].part].append(name)
        values: dict[str, NDArray[Any] | VideoSpan | Series] = {}
        for names in names_of.values():
            values |= self._part(entry, entry.parts[names[0]], names)
        return EpisodeColumns(values, success=entry.success, task=entry.task)

    def _part(
        self, entry: _Episode, contents: PartContents, names: Sequence[str]
    ) -> dict[str, NDArray[Any] | VideoSpan | Series]:
        part, timing, keep = contents.part, contents.timing, entry.alignment.keep
        targets = entry.alignment.targets.get(part.name)
        seconds = np.zeros(0) if timing.seconds is None else timing.seconds  # targets need them
        if part.kind != "table":
            rows = np.arange(keep.start, keep.stop)
            if targets is not None:
                rows = nearest_rows(seconds, targets)
            if part.kind == "pictures":
                return {names[0]: picture_rows(part, rows.tolist())}
            if targets is None and entry.rows == timing.rows:
                return {names[0]: VideoSpan(part.path, np.zeros(0), 0.0)}
            stamps = contents.stamps[rows]
            return {names[0]: VideoSpan(part.path, stamps, 1e-6, repeats=targets is not None)}
        table: dict[str, NDArray[Any] | VideoSpan | Series] = {}
        for name, raw in table_columns(part, names, timing.rows).items():
            column = self._columns.get(name, entry.columns[name])
            where = f"{part.path}: {name}"
            values = rgb(raw, where) if column.kind == "pictures" else raw.astype(column.dtype)
            table[name] = values[keep] if targets is None else Series(values, seconds, targets)
        return table

    def close(self) -> None:
        """See `Source.close`."""


def _which_actions(files: EpisodeFiles, sources: Mapping[str, PartContents]) -> list[str]:
    """A note if several tables have actions: which one is used."""
    tables = {name: c.part.path for name, c in sources.items() if c.part.kind == "table"}
    columns_of: dict[Path, list[str]] = defaultdict(list)
    for name, path in tables.items():
        columns_of[path].append(name)
    acting = [path for path, names in columns_of.items() if action_of(names)]
    if len(acting) < 2:
        return []
    first = action_of([*tables])[0]
    chosen, *rest = sorted(acting, key=lambda path: path != tables[first])
    base = files.where if files.where.is_dir() else files.where.parent
    own, *others = (path.relative_to(base).as_posix() for path in (chosen, *rest))
    return [
        f"actions are taken from {own}, and not from {', '.join(others)}; another one is taken "
        "with --key-map action=COLUMN"
    ]


def _with_counts(reasons: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Merge per-episode reasons: name -> most frequent reason, with a count unless in all."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for episode in reasons:
        for name, why in episode.items():
            counts[name][why] += 1
    summary = {}
    for name, whys in counts.items():
        total = whys.total()
        some = f" (in {total} of {len(reasons)} episodes)" if total < len(reasons) else ""
        summary[name] = f"{whys.most_common(1)[0][0]}{some}"
    return summary
