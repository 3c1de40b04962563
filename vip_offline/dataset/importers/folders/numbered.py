"""Parts of episodes that go together by a number: ``video_0.mp4`` and ``robot_0.csv``."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from vip_offline.dataset.importers.folders import pairing
from vip_offline.dataset.importers.folders.folder_contents import (
    EpisodeFiles,
    FolderContents,
    FolderLayout,
    Part,
    kind_of,
    name_of,
    only_pictures,
    read_folder,
    why_not,
    with_way_out,
)
from vip_offline.dataset.tables.file_listing import natural

Items = dict[Path, str]  # a video, folder of pictures or table -> what the folders it is in say


def media_in(inside: FolderContents) -> list[Path]:
    """Videos, and folders of pictures."""
    return [*inside.videos, *(folder for folder in inside.folders if only_pictures(folder))]


def by_number(path: Path, inside: FolderContents) -> FolderLayout | None:
    """Videos and tables in one folder whose names differ, of each kind, in a number."""
    media, stems = media_in(inside), [table.stem for table in inside.tables]
    names = [name_of(medium) for medium in media]
    numbers = pairing.episode_numbers(names, stems)
    shared = {numbers[name] for name in names} & {numbers[stem] for stem in stems}
    if not (pairing.alike(stems) and shared) and (stems or not _views(names)):
        return None
    episodes = _together(path, dict.fromkeys(media, ""), dict.fromkeys(inside.tables, ""))
    stray = [*inside.pictures, *(f for f in inside.folders if f not in media)]
    left_out = {p.name: "belongs to none of the episodes, by its name" for p in stray}
    left_out |= {p.name: why_not(p) for p in inside.others}
    return FolderLayout("files side by side", episodes, left_out)


def _views(names: list[str]) -> bool:
    """Whether videos alone are of several cameras: ``ep_0_front``, ``ep_0_wrist``."""
    if len(names) < 4:
        return False
    common = set.intersection(*map(pairing.words, names))
    views_of: dict[tuple[int, ...], set[str]] = defaultdict(set)
    for name in names:
        views_of[pairing.numbers(name)].add(pairing.label(name, common, pairing.numbers(name)))
    labels = next(iter(views_of.values()))
    several = len(views_of) > 1 and len(labels) > 1
    equal = several and all(views == labels for views in views_of.values())
    complete = len(names) == len(views_of) * len(labels)
    return equal and complete and all(map(pairing.is_camera, labels))


def across(path: Path, inside: FolderContents, depth: int) -> FolderLayout | None:
    """A folder per camera or kind of file: ``front/ep_0.mp4``, ``actions/ep_0.csv``."""
    sets = [entry for folder in inside.folders for entry in _sets(folder, (folder.name,), depth)]
    media: Items = {}
    tables: Items = {}
    for labels, files in sets:
        media |= dict.fromkeys(media_in(files), ".".join(labels))
        tables |= dict.fromkeys(files.tables, ".".join(labels))
    named = all(pairing.is_kind(name) for labels, _ in sets for name in labels)
    both = any(media_in(files) and files.tables for _, files in sets)
    if pairing.alike([path.stem for path in (*inside.videos, *inside.tables)]):
        media |= dict.fromkeys(inside.videos, "")
        tables |= dict.fromkeys(inside.tables, "")
    several = len({*media.values(), *tables.values()}) > 1
    if not sets or not several or not (named or (media and tables and not both)):
        return None
    used = {*media, *tables, *(path / labels[0] for labels, _ in sets)}
    rest = (*inside.folders, *inside.videos, *inside.tables, *inside.pictures)
    left_out = {
        p.name: "belongs to none of the episodes, by its name" for p in rest if p not in used
    }
    left_out |= {p.name: why_not(p) for p in inside.others}
    return FolderLayout("a folder per camera or kind", _together(path, media, tables), left_out)


def _sets(
    folder: Path, labels: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], FolderContents]]:
    """The folders at or below one in which lie parts of several episodes."""
    inside = read_folder(folder)
    names = [name_of(p) for p in media_in(inside)] or [table.stem for table in inside.tables]
    if pairing.are_episodes(labels, names) and not inside.pictures:
        yield labels, inside
    elif depth > 1 and not (inside.videos or inside.tables or inside.pictures):
        for inner in inside.folders:
            yield from _sets(inner, (*labels, inner.name), depth - 1)


def _together(path: Path, media: Items, tables: Items) -> tuple[EpisodeFiles, ...]:
    """One episode for each number, of all that bear it."""
    items = {**media, **tables}
    names = {item: name_of(item) for item in items}
    numbers = pairing.episode_numbers(
        [names[medium] for medium in media], [names[table] for table in tables]
    )
    if not any(numbers.values()):  # front_0, wrist_0: the number after a camera's word is meant
        numbers = {name: pairing.numbers(name) for name in numbers}
    common = set.intersection(*(pairing.words(name) for name in names.values()))
    files_of: dict[tuple[int, ...], list[Path]] = defaultdict(list)
    for item, name in names.items():
        files_of[numbers[name]].append(item)
    several = any(sum(item in tables for item in group) > 1 for group in files_of.values())
    episodes = []
    for number, group in files_of.items():
        parts = []
        for item in group:
            name = ".".join(filter(None, (items[item], pairing.label(names[item], common, number))))
            if item in tables:
                parts.append(Part(name if several else "", item, "table"))
            else:
                parts.append(Part(name or "video", item, kind_of(item)))
        name = pairing.episode_name([names[item] for item in group], common, number)
        lacking = ""
        if media and tables and not any(item in media for item in group):
            lacking = f"{group[0]}: has no video or folder of pictures of its number."
        elif media and tables and not any(item in tables for item in group):
            lacking = f"{group[0]}: has no table of its number, as others here have."
        broken = with_way_out(lacking) or clash(path, parts)
        episodes.append(EpisodeFiles(name, path / name, tuple(parts), broken=broken))
    return tuple(sorted(episodes, key=lambda files: natural(files.name)))


def clash(folder: Path, parts: list[Part]) -> str:
    """Two tables, or two cameras, of one name; "" if there are none."""
    known: dict[tuple[str, bool], Part] = {}
    for part in parts:
        other = known.setdefault((part.name, part.kind == "table"), part)
        if other is not part:
            return (
                f"{folder}: {other.path.name} and {part.path.name} would both be called "
                f"{part.name!r}. Rename one."
            )
    return ""
