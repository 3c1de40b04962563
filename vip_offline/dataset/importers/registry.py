"""Recognises the format of a path and opens it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from vip_offline.dataset.importers.base.guarded import GuardedSource, readable_errors
from vip_offline.dataset.importers.base.other_formats import of_another_tool
from vip_offline.dataset.importers.base.rates import parse_rates
from vip_offline.dataset.importers.base.source import Source
from vip_offline.dataset.tables.file_listing import VIDEO_SUFFIXES
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportedData
from vip_offline.options.fields import OptionError
from vip_offline.utils.regular_files import require_regular

IMPORT_FORMATS = ("lerobot", "robomimic", "zarr", "minari", "folders")


def format_of(path: Path) -> str:
    """The format of a path, one of `IMPORT_FORMATS`.

    Raises:
        VipOfflineError: if nothing is there, or nothing that is known or can be looked at.
    """
    with readable_errors(str(path), "Restore it."):
        return _format_of(path)


def _format_of(path: Path) -> str:
    if not path.exists():
        if not path.is_absolute() and len(path.parts) > 1 and "-v" in path.name:
            return "minari"  # an id such as D4RL/kitchen/complete-v2
        raise VipOfflineError(f"{path}: there is nothing. Give a file or folder, or a Minari id.")
    if not path.is_dir():
        require_regular(path)
    foreign = of_another_tool(path)
    if "Git LFS" in foreign:
        raise VipOfflineError(f"{path}: cannot be read.{foreign}")
    if path.is_file():
        if path.suffix.lower() in (".hdf5", ".h5"):
            return "robomimic"
        if path.name.endswith(".zip"):
            return "zarr"
    elif (path / "meta" / "info.json").exists():
        return "lerobot"
    elif any((path / name).exists() for name in ("zarr.json", ".zgroup", "data/.zgroup")):
        return "zarr"
    elif any((path / name / "metadata.json").exists() for name in ("", "data")):
        return "minari"
    if path.is_dir() and foreign:
        raise VipOfflineError(f"{path}: is of no format that is read here.{foreign}")
    if path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES:
        from vip_offline.dataset.importers.folders.layout import NoEpisode, layout

        try:
            layout(path)
        except NoEpisode:
            pass
        else:
            return "folders"
    names = sorted(entry.name for entry in path.iterdir())[:6] if path.is_dir() else []
    raise VipOfflineError(
        f"{path}: is of no format that is known here (LeRobot: meta/info.json; robomimic: .hdf5; "
        "diffusion_policy: .zarr or .zarr.zip; Minari: data/metadata.json; videos; folders of "
        f"videos, pictures and tables). It holds: {', '.join(names) or 'nothing of these'}."
        f"{foreign}"
    )


def open_source(
    path: Path, kind: str = "", rates: Sequence[str] = (), key_map: Sequence[str] = ()
) -> Source:
    """Open an origin of demonstrations; every error is a `VipOfflineError`.

    Args:
        path: a file or folder.
        kind: one of `IMPORT_FORMATS`; by default as recognised.
        rates: see `ImportOptions`; of files in folders.
        key_map: of which a column of times is known before anything is read.

    Raises:
        VipOfflineError: if it is not of that format.
    """
    return GuardedSource(path, _reader(kind or format_of(path), rates, key_map))


def _reader(kind: str, rates: Sequence[str], key_map: Sequence[str]) -> Callable[[Path], Source]:
    """The class that reads a format; only its own libraries are imported."""
    if kind == "lerobot":
        from vip_offline.dataset.importers.formats.lerobot import LeRobot

        return LeRobot
    if kind == "robomimic":
        from vip_offline.dataset.importers.formats.robomimic import Robomimic

        return Robomimic
    if kind == "zarr":
        from vip_offline.dataset.importers.formats.replay_buffer import ReplayBuffer

        return ReplayBuffer
    if kind == "minari":
        from vip_offline.dataset.importers.formats.minari import Minari

        return Minari
    if kind == "folders":
        from vip_offline.dataset.importers.folders.folder_source import FolderSource
        from vip_offline.dataset.importers.folders.parts import Clock

        times = [option.removeprefix("time=") for option in key_map if option.startswith("time=")]
        clock = Clock(parse_rates(rates), times[-1] if times else None)
        return partial(FolderSource, clock=clock)
    raise OptionError(ImportedData, "format", kind, f"is none of {', '.join(IMPORT_FORMATS)}.")
