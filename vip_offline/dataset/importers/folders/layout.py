"""Groups the files of a folder into episodes.

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
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vip_offline.dataset.importers.folders import pairing
from vip_offline.dataset.importers.folders.cameras import CameraParts, cameras_of
from vip_offline.dataset.importers.folders.column_roles import action_of, proprio_of
from vip_offline.dataset.importers.folders.episode_list import listed
from vip_offline.dataset.importers.folders.folder_contents import (
    EpisodeFiles,
    FolderContents,
    FolderLayout,
    Part,
    kind_of,
    name_of,
    only_pictures,
    pictures_of,
    read_folder,
    why_not,
    with_way_out,
)
from vip_offline.dataset.importers.folders.numbered import across, by_number, clash, media_in
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.tables.file_listing import PICTURE_SUFFIXES, natural
from vip_offline.dataset.tables.read_table import TABLES, is_time, read_table
from vip_offline.errors import VipOfflineError

__all__ = ["EpisodeFiles", "FolderLayout", "NoEpisode", "Part", "layout", "pictures_of"]

DEPTH = 4  # folders within folders in which episodes are looked for


class NoEpisode(VipOfflineError):
    """A folder holds no episode."""


def layout(path: Path) -> FolderLayout:
    """Divide a folder into episodes; a video alone is one.

    Raises:
        VipOfflineError: if it cannot be listed, or holds no episode.
    """
    if path.is_file():
        return FolderLayout("videos", (_bare(path),))
    divided = _divide(path, DEPTH)
    if divided is None:
        raise NoEpisode(f"{path}: holds no episode.")
    return _without_links(divided)


def _without_links(divided: FolderLayout) -> FolderLayout:
    """Leave out episodes that are links to others: ``latest -> ep_1``."""
    direct = sorted(divided.episodes, key=lambda files: files.where.is_symlink())
    own = {files.where.resolve(): files for files in reversed(direct)}  # the first one stays
    episodes, left_out = [], dict(divided.left_out)
    for files in divided.episodes:
        target = own.get(files.where.resolve(), files)
        if target is files:
            episodes.append(files)
        else:
            left_out[files.name] = f"is a link to {target.name}"
    return replace(divided, episodes=tuple(episodes), left_out=left_out)


def _divide(path: Path, depth: int) -> FolderLayout | None:
    inside = read_folder(path)
    names = [name_of(p) for p in (*inside.videos, *inside.folders)]
    lists = {table: rows for table in inside.tables if (rows := listed(table, names))}
    inside = replace(inside, tables=tuple(t for t in inside.tables if t not in lists))
    divided = (
        _pairs(path, inside)
        or by_number(path, inside)
        or across(path, inside, depth)
        or _tables(inside)
        or _one(path, inside)
        or _many(path, inside, depth)
    )
    if divided is not None:
        for table, rows in lists.items():
            divided = _apply_list(divided, table, rows)
    return divided


def _apply_list(
    divided: FolderLayout, table: Path, rows: dict[str, dict[str, str]]
) -> FolderLayout:
    """Add the labels in a list of episodes to the episodes that it names."""
    episodes = [
        replace(files, says={**files.says, **rows.get(pairing.plain(files.name), {})})
        for files in divided.episodes
    ]
    named = sum(pairing.plain(files.name) in rows for files in episodes)
    columns = sorted({column for row in rows.values() for column in row})
    use = f"taken of it: {', '.join(columns)}" if columns and named else "nothing in it is taken"
    why = f"is a list that names {named} of {len(episodes)} episodes; {use}"
    left_out = {**divided.left_out, table.name: why}
    return replace(divided, episodes=tuple(episodes), left_out=left_out)


def _bare(video: Path) -> EpisodeFiles:
    return EpisodeFiles(video.stem, video, (Part("video", video, "video"),))


# --- files side by side --------------------------------------------------------------------


def _pairs(path: Path, inside: FolderContents) -> FolderLayout | None:
    """Tables that share a name with videos, or with folders of pictures."""
    media = media_in(inside)
    stems = {table.stem for table in inside.tables}
    exact = len({pairing.plain(stem) for stem in stems}) < len(stems)
    media_of: dict[Path, list[Path]] = {table: [] for table in inside.tables}
    lone = []
    for medium in media:
        tables = [table for table in inside.tables if _rest(medium, table.stem, exact) is not None]
        if tables:  # demo_1 and demo_1_b both fit demo_1_b.mp4: the longer name is meant
            longest = max(len(table.stem) for table in tables)
            for table in (table for table in tables if len(table.stem) == longest):
                media_of[table].append(medium)
        else:
            lone.append(medium)
    matched = [table for table, belonging in media_of.items() if belonging]
    like = {_pattern(table.stem) for table in matched}  # also of those that are matched
    unlike = [table for table in media_of if _pattern(table.stem) not in like]
    several = len({table.stem for table in matched}) > 1
    if not matched or ((unlike or lone) and not several):
        return None
    episodes: list[EpisodeFiles] = []
    for stem in dict.fromkeys(table.stem for table in media_of if table not in unlike):
        tables = [table for table in media_of if table.stem == stem]
        belonging = list(dict.fromkeys(medium for table in tables for medium in media_of[table]))
        parts = [Part(_rest(m, stem, exact) or "video", m, kind_of(m)) for m in belonging]
        # tables of one name, as demo_0.csv and demo_0.json, are told apart by what they are
        parts += [Part("" if len(tables) == 1 else t.suffix[1:], t, "table") for t in tables]
        where = tables[0].with_suffix("")
        missing = "" if belonging else f"{tables[0]}: has no video or folder of pictures beside it."
        episodes.append(EpisodeFiles(stem, where, tuple(parts), broken=with_way_out(missing)))
    for medium in lone:
        missing = f"{medium}: has no table of its name beside it, as others here have."
        part = Part("video", medium, kind_of(medium))
        episodes.append(EpisodeFiles(medium.stem, medium, (part,), broken=with_way_out(missing)))
    episodes.sort(key=lambda files: natural(files.name))
    left_out = {t.name: "shares its name with no video or folder" for t in unlike}
    stray = [*inside.pictures, *(f for f in inside.folders if f not in media)]
    left_out |= {p.name: "belongs to none of the episodes, by its name" for p in stray}
    left_out |= {p.name: why_not(p) for p in inside.others}
    return FolderLayout("files side by side", tuple(episodes), left_out)


def _tables(inside: FolderContents) -> FolderLayout | None:
    """Nothing but tables, numbered: each is an episode."""
    if media_in(inside) or inside.pictures:
        return None
    stems = [table.stem for table in inside.tables]
    alike = len({_pattern(stem) for stem in stems}) == 1 and len({*stems}) == len(stems)
    if len(stems) < 2 or not alike or any(_media(folder) for folder in inside.folders):
        return None
    episodes = tuple(EpisodeFiles(t.stem, t, (Part("", t, "table"),)) for t in inside.tables)
    left_out = {p.name: why_not(p) for p in (*inside.others, *inside.folders)}
    return FolderLayout("tables, one per episode", episodes, left_out)


def _rest(medium: Path, stem: str, exact: bool) -> str | None:
    """``demo_0_wrist`` of episode ``demo_0`` -> ``wrist``; None if it is of another one."""
    forms = [(name_of(medium), stem)]
    if not exact:  # Demo_000.mp4 beside demo_0.csv
        forms.append((pairing.plain(forms[0][0]), pairing.plain(stem)))
    for name, start in forms:
        if name == start or (name.startswith(start) and not name[len(start)].isalnum()):
            return name[len(start) :].strip("_-. ")
    return None


def _pattern(stem: str) -> str:
    return re.sub(r"\d+", "#", stem)


# --- one episode, or a folder for each -----------------------------------------------------


def _one(path: Path, inside: FolderContents) -> FolderLayout | None:
    """One episode's own folder: a table that belongs to all that lies beside it, or pictures."""
    folders = [folder for folder in inside.folders if _media(folder)]
    cameras = all(only_pictures(folder) for folder in folders)
    alone = bool(inside.pictures) and not folders and not inside.videos
    tables = bool(inside.tables) and cameras and _fit(inside)
    if not alone and not tables:
        return None
    _refuse_several(path, inside)
    files = _episode(path, path.resolve().name)
    return FolderLayout("one episode", (files,))


def _refuse_several(path: Path, inside: FolderContents) -> None:
    """Refuse to make one episode of videos, or tables, that are numbered as episodes are."""
    for paths in (media_in(inside), inside.tables):
        names = [name_of(path) for path in paths]
        two = pairing.alike(names)
        if two and pairing.are_episodes((path.resolve().name,), names):
            raise VipOfflineError(
                f"{path}: {two[0]} and {two[1]} differ only in a number, so they may be of several "
                f"episodes; the {len(inside.tables)} tables and {len(media_in(inside))} cameras do "
                "not pair by it. Give each episode its own folder, or its number to each of its "
                "files. Call cameras of one episode cam_0, cam_1, and its tables by words."
            )


def _fit(inside: FolderContents) -> bool:
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


def _many(path: Path, inside: FolderContents, depth: int) -> FolderLayout | None:
    """A folder per episode, however deep; or bare videos, if there are more of them."""
    below = [files for folder in inside.folders for files in _search(folder, path, depth)]
    episodes = [files for divided in below for files in divided.episodes]
    if len(inside.videos) > len(episodes):
        others = (*inside.tables, *inside.pictures, *inside.others)
        left_out = {
            p.name: _no_rows(p) or f"belongs to none of the {len(inside.videos)} videos"
            for p in others
        }
        left_out |= {
            f"{folder.name}/": f"is no video, and there are {len(inside.videos)} beside it"
            for folder in inside.folders
            if _media(folder)
        }
        return FolderLayout("videos", tuple(_bare(video) for video in inside.videos), left_out)
    if not episodes:
        return None
    episodes, left_out = _without_settings(episodes)
    left_out |= {
        p.name: "lies beside the episodes' folders and belongs to none of them"
        for p in (*inside.videos, *inside.tables, *inside.pictures)
    }
    left_out |= {p.name: why_not(p) for p in inside.others}
    for divided in below:
        left_out |= divided.left_out
    used = {files.where.relative_to(path).parts[0] for files in episodes}
    for folder in inside.folders:
        if folder.name not in used and f"{folder.name}/" not in left_out:
            left_out[f"{folder.name}/"] = "holds nothing that is read here"
    notes = tuple(dict.fromkeys(note for divided in below for note in divided.notes))
    return FolderLayout("folders of episodes", tuple(episodes), left_out, notes)


def _no_rows(path: Path) -> str:
    """Why a table holds no rows, or a file is of no use; "" if it holds some."""
    if path.suffix.lower() not in TABLES:
        return "" if path.suffix.lower() in PICTURE_SUFFIXES else why_not(path)
    try:
        table = read_table(path)
    except VipOfflineError as error:
        return f"cannot be read ({error})"
    reasons = "; ".join(f"{name}: {why}" for name, why in table.left_out.items())
    return "" if table.columns else f"holds no rows ({reasons or 'it is empty'})"


def _logs(table: Path) -> bool:
    """Whether a table may be a robot's, by its columns; one that cannot be read may."""
    try:
        names = [*read_table(table).columns]
    except VipOfflineError:
        return True
    return bool(action_of(names) or proprio_of(names) or any(map(is_time, names)))


def _without_settings(episodes: list[EpisodeFiles]) -> tuple[list[EpisodeFiles], dict[str, str]]:
    """Leave out folders beside the episodes that hold no camera, and none of their tables."""
    filmed = [f for f in episodes if any(part.kind != "table" for part in f.parts)]
    if len(filmed) * 2 < len(episodes):
        return episodes, {}
    usual = {part.name for files in filmed for part in files.parts}
    remaining = [
        files
        for files in episodes
        if files in filmed
        or usual & {part.name for part in files.parts}
        or any(_logs(part.path) for part in files.parts)
    ]
    why = "has no camera, and no table that the episodes have"
    return remaining, {f"{files.name}/": why for files in episodes if files not in remaining}


def _search(folder: Path, root: Path, depth: int) -> Iterator[FolderLayout]:
    """The episodes at a folder or below it."""
    name, inside = folder.relative_to(root).as_posix(), read_folder(folder)
    names = [name_of(p) for p in media_in(inside)] or [table.stem for table in inside.tables]
    several = not inside.pictures and pairing.are_episodes(name.split("/"), names)
    divided = _divide(folder, depth - 1) if several and depth > 1 else None
    if divided is not None:
        episodes = [replace(files, name=f"{name}/{files.name}") for files in divided.episodes]
        left_out = {f"{name}/{file}": why for file, why in divided.left_out.items()}
        guess = (
            f"{name}: {', '.join(names[:4])} are taken as episodes, by their names. Cameras of one "
            "episode are called cam_0, cam_1.",
        )
        notes = (*divided.notes, *(() if all(map(pairing.is_episode, names)) else guess))
        yield replace(divided, episodes=tuple(episodes), left_out=left_out, notes=notes)
    elif _media(folder) or _whole(folder):
        files = _episode(folder, name)
        yield FolderLayout("", (files,), notes=_guessed(files))
    elif depth > 1:
        for inner in inside.folders:
            yield from _search(inner, root, depth - 1)


def _whole(folder: Path) -> bool:
    """Whether a folder is an episode's by its name, however deep its cameras lie."""
    if not pairing.is_episode(folder.name):
        return False
    below = [path for path in folder.rglob("*") if path.is_dir()]
    return any(map(_media, below)) and not any(pairing.is_episode(path.name) for path in below)


def _guessed(files: EpisodeFiles) -> tuple[str, ...]:
    """That several cameras are meant, where neither a name nor a table says so."""
    names = [part.name for part in files.parts if part.kind != "table"]
    if len(names) < 2 or len(names) < len(files.parts) or any(map(pairing.is_camera, names)):
        return ()
    if pairing.is_episode(files.name):
        return ()
    return (
        f"{files.name}: {', '.join(names[:4])} are taken as {len(names)} cameras of one episode. "
        "If each is an episode, put them all into one folder.",
    )


def _media(folder: Path) -> bool:
    """Whether a folder is an episode's: a video, table or picture in it, or pictures one deeper."""
    inside = read_folder(folder)
    return bool(inside.videos or inside.tables or inside.pictures) or any(
        only_pictures(inner) for inner in inside.folders
    )


def _episode(folder: Path, name: str) -> EpisodeFiles:
    """All parts of one episode's folder."""
    parts, left_out, broken = list[Part](), dict[str, str](), list[str]()
    for below in _gather(folder, (), DEPTH):
        parts += below.parts
        left_out |= below.left_out
        broken += filter(None, [below.broken])
    cameras = [part for part in parts if part.kind != "table"]
    for part in cameras:
        if part.path == folder and len(cameras) > 1 and len(pictures_of(part)) == 1:
            parts.remove(part)
            left_out[pictures_of(part)[0].name] = "is a single picture beside the cameras"
    return EpisodeFiles(
        name, folder, tuple(parts), left_out, "".join(broken[:1]) or clash(folder, parts)
    )


def _gather(folder: Path, names: tuple[str, ...], depth: int) -> Iterator[CameraParts]:
    """What lies in an episode's folder and below it; names tell where."""
    inside = read_folder(folder)
    where, prefix = "".join(f"{name}/" for name in names), "".join(f"{name}." for name in names)
    parts = [Part(f"{prefix}{path.stem}", path, "video") for path in inside.videos]
    parts += [Part(f"{prefix}{path.stem}", path, "table") for path in inside.tables]
    left_out = {f"{where}{path.name}": why_not(path) for path in inside.others}
    for suffix, count in Counter(path.suffix for path in inside.per_picture).items():
        left_out[f"{where}*{suffix}"] = f"a file per picture ({count}): none is read"
    if len(names) > 1:  # of what lies deeper, pictures alone are meant to be a camera's
        left_out |= {where + p.path.name: "lies too deep in the episode's folder" for p in parts}
        parts = []
    if depth == 1:
        left_out |= {
            f"{where}{p.name}/": "lies too deep in the episode's folder" for p in inside.folders
        }
    yield CameraParts(tuple(parts), left_out)
    if inside.pictures:
        pictures = cameras_of(folder, prefix[:-1], inside.pictures)
        yield replace(pictures, left_out={where + p: why for p, why in pictures.left_out.items()})
    for inner in inside.folders if depth > 1 else ():
        yield from _gather(inner, (*names, inner.name), depth - 1)
