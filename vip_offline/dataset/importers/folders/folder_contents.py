"""Files of one folder by kind, and the data classes for parts, episodes and layouts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vip_offline.dataset.importers.base.success import SUCCESS_NAMES
from vip_offline.dataset.importers.folders import pairing
from vip_offline.dataset.tables.file_listing import (
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    natural,
    ordered,
)
from vip_offline.dataset.tables.read_table import NOT_READ, TABLES, read_table
from vip_offline.errors import VipOfflineError

Kind = Literal["video", "pictures", "table"]
LEFTOVERS = ("thumbs.db", "desktop.ini", "icon\r", "__macosx")  # of other systems' file managers
ARRAYS = (".npz", ".npy", ".csv", ".tsv", ".parquet", ".feather", ".arrow")  # that are logs
STORES = ("zarr.json", ".zgroup", ".zarray")


@dataclass(frozen=True)
class Part:
    """One camera's frames, or one table."""

    name: str  # the same in every episode; empty: columns of a table go without
    path: Path
    kind: Kind
    series: str | None = None  # of pictures, those with these words in their names; None: all


@dataclass(frozen=True)
class EpisodeFiles:
    """Files of one episode."""

    name: str
    where: Path  # for messages
    parts: tuple[Part, ...]
    left_out: dict[str, str] = field(default_factory=dict)  # file -> why
    broken: str = ""  # why it cannot be used
    says: dict[str, str] = field(default_factory=dict)  # of it, in a list beside the episodes


@dataclass(frozen=True)
class FolderLayout:
    """Episodes found in a folder."""

    kind: str  # for people
    episodes: tuple[EpisodeFiles, ...]
    left_out: dict[str, str] = field(default_factory=dict)  # file beside them -> why
    notes: tuple[str, ...] = ()  # what had to be guessed


@dataclass(frozen=True)
class FolderContents:
    """Files and folders in one folder by kind, in natural order."""

    folders: tuple[Path, ...]
    videos: tuple[Path, ...]
    tables: tuple[Path, ...]
    pictures: tuple[Path, ...]
    others: tuple[Path, ...]
    per_picture: tuple[Path, ...] = ()  # files that bear the names of pictures


def read_folder(folder: Path) -> FolderContents:
    """List a folder; what is hidden, or left by a file manager, is passed over.

    Raises:
        VipOfflineError: if it cannot be listed.
    """
    kinds: dict[str, list[Path]] = {k: [] for k in ("folders", "videos", "tables", "pictures")}
    others: list[Path] = []
    try:
        paths = sorted(folder.iterdir(), key=lambda path: (natural(name_of(path)), path.name))
    except OSError as error:
        raise VipOfflineError(f"{folder}: cannot be listed ({error.strerror}).") from error
    for path in paths:
        if path.name.startswith(".") or path.name.lower() in LEFTOVERS:
            continue
        suffix = path.suffix.lower()
        if path.is_dir():
            store = suffix == ".zarr" or any((path / name).exists() for name in STORES)
            (others if store else kinds["folders"]).append(path)
        elif suffix in VIDEO_SUFFIXES:
            kinds["videos"].append(path)
        elif suffix in TABLES and (suffix != ".txt" or _has_rows(path)):
            kinds["tables"].append(path)
        elif suffix in PICTURE_SUFFIXES:
            kinds["pictures"].append(path)
        else:
            others.append(path)
    stems = {path.stem for path in kinds["pictures"]}
    notes = [path for path in (*kinds["tables"], *others) if path.suffix.lower() not in ARRAYS]
    beside = [path for path in notes if path.stem in stems]
    if len(beside) > 1 and not kinds["videos"] and not kinds["folders"]:
        kinds["tables"] = [path for path in kinds["tables"] if path not in beside]
        others = [path for path in others if path not in beside]
        kinds["per_picture"] = beside
    return FolderContents(**{k: tuple(v) for k, v in kinds.items()}, others=tuple(others))


def _has_rows(path: Path) -> bool:
    """Whether text is a table of numbers, and no notes."""
    if path.stem.lower() in SUCCESS_NAMES:
        return True
    try:
        table = read_table(path)
        return bool(table.columns or table.values)
    except VipOfflineError:
        return False


def why_not(path: Path) -> str:
    """Why a file or folder is not used."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return "is a store, which was made of demonstrations"
    if suffix == ".txt":
        return "holds no table"
    if suffix in NOT_READ:
        return f"is not read: {NOT_READ[suffix]}"
    return f"files of kind {suffix or path.name!r} are not read here"


def only_pictures(folder: Path) -> bool:
    """Whether a folder holds pictures, and neither videos nor tables."""
    inside = read_folder(folder)
    return bool(inside.pictures) and not inside.videos and not inside.tables


def kind_of(medium: Path) -> Kind:
    """What a camera's frames are in."""
    return "video" if medium.is_file() else "pictures"


def name_of(path: Path) -> str:
    """A file's name without its suffix, or a folder's."""
    return path.name if path.is_dir() else path.stem


def with_way_out(reason: str) -> str:
    """Why an episode is broken, and what to do; "" if it is not."""
    return reason and f"{reason} Restore it, or leave such episodes out with --skip-broken."


def pictures_of(part: Part) -> list[Path]:
    """The pictures of a camera, in the order in which they were taken."""
    names = [path.name for path in part.path.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES]
    if part.series is not None:
        names = [name for name in names if pairing.series_of(Path(name).stem) == part.series]
    return [part.path / name for name in ordered(names)]
