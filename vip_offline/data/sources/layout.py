"""Which files of a folder make an episode, and which belong to none.

    demos/                    demos/               pick-1/            clips/
      pick-1/                   demo_0.mp4           front.mp4          open.mp4
        front.mp4               demo_0.csv           wrist/000.png      close.mp4
        wrist/000.png           demo_1.mp4           robot.npz
        robot.npz               demo_1.csv
    a folder per episode      files side by side   one episode        bare videos

Of a part that several episodes have, the name is the same in all: ``front``, ``robot``. Side by
side, what a file has beyond its episode's name tells the parts apart: ``demo_0_wrist.mp4``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vip_offline.data.listing import PICTURES, VIDEOS, natural, ordered
from vip_offline.data.sources.success import SAYS
from vip_offline.data.tables import NOT_READ, TABLES, is_time, read_table
from vip_offline.data.video import timeline
from vip_offline.errors import VipOfflineError

Kind = Literal["video", "pictures", "table"]
DEPTH = 4  # folders within folders in which episodes are looked for
LEFTOVERS = ("thumbs.db", "desktop.ini", "icon\r", "__macosx")  # of other systems' file managers
NUMBER = re.compile(r"\d+")


class NoEpisode(VipOfflineError):
    """A folder holds nothing that could be one."""


@dataclass(frozen=True)
class Part:
    """One camera's frames, or one table."""

    name: str  # the same in every episode; empty: columns of a table go without
    path: Path
    kind: Kind


@dataclass(frozen=True)
class Files:
    """Those of one episode."""

    name: str
    where: Path  # for messages
    parts: tuple[Part, ...]
    left_out: dict[str, str] = field(default_factory=dict)  # file -> why
    broken: str = ""  # why it cannot be used


@dataclass(frozen=True)
class Layout:
    """How a folder is divided into episodes."""

    kind: str  # for people
    episodes: tuple[Files, ...]
    left_out: dict[str, str] = field(default_factory=dict)  # file beside them -> why


@dataclass(frozen=True)
class _Inside:
    """What lies in one folder, in natural order."""

    folders: tuple[Path, ...]
    videos: tuple[Path, ...]
    tables: tuple[Path, ...]
    pictures: tuple[Path, ...]
    others: tuple[Path, ...]


def _inside(folder: Path) -> _Inside:
    kinds: dict[str, list[Path]] = {k: [] for k in ("folders", "videos", "tables", "pictures")}
    others: list[Path] = []
    try:
        paths = sorted(folder.iterdir(), key=lambda path: natural(path.name))
    except OSError as error:
        raise VipOfflineError(f"{folder}: cannot be listed ({error.strerror}).") from error
    for path in paths:
        if path.name.startswith(".") or path.name.lower() in LEFTOVERS:
            continue
        suffix = path.suffix.lower()
        if path.is_dir():
            kinds["folders"].append(path)
        elif suffix in VIDEOS:
            kinds["videos"].append(path)
        elif suffix in TABLES and (suffix != ".txt" or _has_rows(path)):
            kinds["tables"].append(path)
        elif suffix in PICTURES:
            kinds["pictures"].append(path)
        else:
            others.append(path)
    return _Inside(**{k: tuple(v) for k, v in kinds.items()}, others=tuple(others))


def _has_rows(path: Path) -> bool:
    """Whether text is a table of numbers, and no notes."""
    if path.stem.lower() in SAYS:
        return True
    try:
        table = read_table(path)
        return bool(table.columns or table.values)
    except VipOfflineError:
        return False


def _why(path: Path) -> str:
    """Why a file is in no role."""
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return "holds no table"
    if suffix in NOT_READ:
        return f"is not read: {NOT_READ[suffix]}"
    return f"files of kind {suffix or path.name!r} are not read here"


def pictures_of(folder: Path) -> list[Path]:
    """The pictures of a folder, in the order in which they were taken."""
    names = [path.name for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    return [folder / name for name in ordered(names)]


def layout(path: Path) -> Layout:
    """Divide a folder into episodes; a video alone is one.

    Raises:
        VipOfflineError: if it cannot be listed, or holds no episode.
    """
    if path.is_file():
        return Layout("videos", (_bare(path),))
    inside = _inside(path)
    divided = _pairs(path, inside) or _one(path, inside) or _many(path, inside)
    if divided is None:
        raise NoEpisode(f"{path}: holds no episode.")
    return divided


def _bare(video: Path) -> Files:
    return Files(video.stem, video, (Part("video", video, "video"),))


# --- files side by side --------------------------------------------------------------------


def _pairs(path: Path, inside: _Inside) -> Layout | None:
    """Tables that share a name with videos, or with folders of pictures."""
    media = [*inside.videos, *(folder for folder in inside.folders if _only_pictures(folder))]
    of: dict[Path, list[Path]] = {table: [] for table in inside.tables}
    lone = []
    for medium in media:
        tables = [table for table in inside.tables if _belongs(medium, table.stem)]
        if tables:  # demo_1 and demo_1_b both fit demo_1_b.mp4: the longer name is meant
            longest = max(len(table.stem) for table in tables)
            for table in (table for table in tables if len(table.stem) == longest):
                of[table].append(medium)
        else:
            lone.append(medium)
    matched = [table for table, belonging in of.items() if belonging]
    like = {_pattern(table.stem) for table in matched}
    unlike = [table for table in of if table not in matched and _pattern(table.stem) not in like]
    several = len({table.stem for table in matched}) > 1
    if not matched or ((unlike or lone) and not several):
        return _tables(path, inside) if not media and not inside.pictures else None
    episodes: list[Files] = []
    for stem in dict.fromkeys(table.stem for table in of if table not in unlike):
        tables = [table for table in of if table.stem == stem]
        belonging = list(dict.fromkeys(medium for table in tables for medium in of[table]))
        parts = [
            Part(_rest(medium, stem) or "video", medium, _kind(medium)) for medium in belonging
        ]
        # tables of one name, as demo_0.csv and demo_0.json, are told apart by what they are
        parts += [Part("" if len(tables) == 1 else t.suffix[1:], t, "table") for t in tables]
        where = tables[0].with_suffix("")
        missing = "" if belonging else f"{tables[0]}: has no video or folder of pictures beside it."
        episodes.append(Files(stem, where, tuple(parts), broken=_with_way_out(missing)))
    for medium in lone:
        missing = f"{medium}: has no table of its name beside it, as others here have."
        part = Part("video", medium, _kind(medium))
        episodes.append(Files(medium.stem, medium, (part,), broken=_with_way_out(missing)))
    episodes.sort(key=lambda files: natural(files.name))
    left_out = {t.name: "shares its name with no video or folder" for t in unlike}
    stray = [*inside.pictures, *(f for f in inside.folders if f not in media)]
    left_out |= {p.name: "belongs to none of the episodes, by its name" for p in stray}
    left_out |= {p.name: _why(p) for p in inside.others}
    return Layout("files side by side", tuple(episodes), left_out)


def _tables(path: Path, inside: _Inside) -> Layout | None:
    """Nothing but tables, numbered: each is an episode."""
    stems = [table.stem for table in inside.tables]
    alike = len({_pattern(stem) for stem in stems}) == 1 and len({*stems}) == len(stems)
    if len(stems) < 2 or not alike or any(_media(folder) for folder in inside.folders):
        return None
    episodes = tuple(Files(t.stem, t, (Part("", t, "table"),)) for t in inside.tables)
    left_out = {p.name: _why(p) for p in (*inside.others, *inside.folders)}
    return Layout("tables, one per episode", episodes, left_out)


def _with_way_out(reason: str) -> str:
    return reason and f"{reason} Restore it, or leave such episodes out with --skip-broken."


def _belongs(medium: Path, stem: str) -> bool:
    name = medium.stem if medium.is_file() else medium.name
    return name == stem or (name.startswith(stem) and not name[len(stem)].isalnum())


def _rest(medium: Path, stem: str) -> str:
    """``demo_0_wrist`` of episode ``demo_0`` -> ``wrist``."""
    name = medium.stem if medium.is_file() else medium.name
    return name[len(stem) :].strip("_-. ")


def _pattern(stem: str) -> str:
    return NUMBER.sub("#", stem)


def _kind(medium: Path) -> Kind:
    return "video" if medium.is_file() else "pictures"


def _only_pictures(folder: Path) -> bool:
    inside = _inside(folder)
    return bool(inside.pictures) and not inside.videos and not inside.tables


# --- one episode, or a folder for each -----------------------------------------------------


def _one(path: Path, inside: _Inside) -> Layout | None:
    """One episode's own folder: a table that belongs to all that lies beside it, or pictures."""
    folders = [folder for folder in inside.folders if _media(folder)]
    cameras = all(_only_pictures(folder) for folder in folders)
    alone = bool(inside.pictures) and not folders and not inside.videos
    tables = bool(inside.tables) and cameras and _fit(inside)
    if not alone and not tables:
        return None
    files = _episode(path, path.name)
    return Layout("one episode", (files,))


def _fit(inside: _Inside) -> bool:
    """Whether the tables may be of one episode, with all that lies beside them.

    A table of another length beside many videos is a list of them, say; a file of settings has no
    rows.
    """
    columns = [read_table(table).columns for table in inside.tables]
    if not any(columns):
        return False
    if len(inside.videos) < 2 or any(is_time(name) for table in columns for name in table):
        return True
    counts = {len(timeline(video).pts) for video in inside.videos}
    return bool(counts & {len(values) for table in columns for values in table.values()})


def _many(path: Path, inside: _Inside) -> Layout | None:
    """A folder per episode, however deep; or bare videos, if there are more of them."""
    episodes = [files for folder in inside.folders for files in _search(folder, path, DEPTH)]
    if len(inside.videos) > len(episodes):
        others = (*inside.tables, *inside.pictures, *inside.others)
        left_out = {p.name: f"belongs to none of the {len(inside.videos)} videos" for p in others}
        left_out |= {
            f"{folder.name}/": f"is no video, and there are {len(inside.videos)} beside it"
            for folder in inside.folders
            if _media(folder)
        }
        return Layout("videos", tuple(_bare(video) for video in inside.videos), left_out)
    if not episodes:
        return None
    left_out = {
        p.name: "lies beside the episodes' folders and belongs to none of them"
        for p in (*inside.videos, *inside.tables, *inside.pictures)
    }
    left_out |= {p.name: _why(p) for p in inside.others}
    used = {files.where.relative_to(path).parts[0] for files in episodes}
    for folder in inside.folders:
        if folder.name not in used:
            left_out[f"{folder.name}/"] = "holds nothing that is read here"
    return Layout("folders of episodes", tuple(episodes), left_out)


def _search(folder: Path, root: Path, depth: int) -> Iterator[Files]:
    """The episodes at a folder or below it."""
    if _media(folder):
        yield _episode(folder, folder.relative_to(root).as_posix())
    elif depth > 1:
        for inner in _inside(folder).folders:
            yield from _search(inner, root, depth - 1)


def _media(folder: Path) -> bool:
    """Whether a folder is an episode's: a video, table or picture in it, or pictures one deeper."""
    inside = _inside(folder)
    return bool(inside.videos or inside.tables or inside.pictures) or any(
        _only_pictures(inner) for inner in inside.folders
    )


def _episode(folder: Path, name: str) -> Files:
    """All parts of one episode's folder.

    Raises:
        VipOfflineError: if two of its parts would bear one name.
    """
    inside = _inside(folder)
    parts = [Part(path.stem, path, "video") for path in inside.videos]
    parts += [Part(path.stem, path, "table") for path in inside.tables]
    left_out = {path.name: _why(path) for path in inside.others}
    if inside.pictures:
        parts.append(Part("pictures", folder, "pictures"))
    for inner in inside.folders:
        deeper = _inside(inner)
        if deeper.pictures:
            parts.append(Part(inner.name, inner, "pictures"))
        parts += [Part(f"{inner.name}.{p.stem}", p, "video") for p in deeper.videos]
        parts += [Part(f"{inner.name}.{p.stem}", p, "table") for p in deeper.tables]
        left_out |= {f"{inner.name}/{p.name}": _why(p) for p in deeper.others}
        for deepest in deeper.folders:
            if _only_pictures(deepest):
                parts.append(Part(f"{inner.name}.{deepest.name}", deepest, "pictures"))
            else:
                left_out[f"{inner.name}/{deepest.name}/"] = "lies too deep in the episode's folder"
    broken = "".join(_clashes(folder, parts))
    return Files(name, folder, tuple(parts), left_out, broken)


def _clashes(folder: Path, parts: Sequence[Part]) -> Iterator[str]:
    """Two tables, or two cameras, of one name."""
    known: dict[tuple[str, bool], Part] = {}
    for part in parts:
        other = known.setdefault((part.name, part.kind == "table"), part)
        if other is not part:
            yield (
                f"{folder}: {other.path.name} and {part.path.name} would both be called "
                f"{part.name!r}. Rename one."
            )
            return
