"""Which format a path is of."""

from collections.abc import Callable
from pathlib import Path

from vip_offline.data.sources.foreign import of_another_tool
from vip_offline.data.sources.guarded import Guarded
from vip_offline.data.sources.source import Source
from vip_offline.errors import VipOfflineError

FORMATS = ("lerobot", "robomimic", "zarr", "minari", "folders")


def format_of(path: Path) -> str:
    """One of `FORMATS`, by what lies at the path.

    Raises:
        VipOfflineError: if nothing is there, or nothing that is known.
    """
    if not path.exists():
        if not path.is_absolute() and len(path.parts) > 1 and "-v" in path.name:
            return "minari"  # an id such as D4RL/kitchen/complete-v2
        raise VipOfflineError(f"{path}: there is nothing. Give a file or folder, or a Minari id.")
    if path.is_file():
        if path.suffix.lower() in (".hdf5", ".h5"):
            return "robomimic"
        if path.name.endswith(".zip"):
            return "zarr"
    elif (path / "meta" / "info.json").exists():
        return "lerobot"
    elif any((path / each).exists() for each in ("zarr.json", ".zgroup", "data/.zgroup")):
        return "zarr"
    elif any((path / each / "metadata.json").exists() for each in ("", "data")):
        return "minari"
    from vip_offline.data.sources.folders import bare_videos, episode_folders

    if bare_videos(path) or episode_folders(path):
        return "folders"
    there = sorted(each.name for each in path.iterdir())[:6] if path.is_dir() else []
    raise VipOfflineError(
        f"{path}: is of no format that is known here (LeRobot: meta/info.json; robomimic: .hdf5; "
        "diffusion_policy: .zarr or .zarr.zip; Minari: data/metadata.json; videos; folders of "
        f"videos, pictures and tables). It holds: {', '.join(there) or 'nothing of these'}."
        f"{of_another_tool(path)}"
    )


def open_source(path: Path, kind: str = "") -> Source:
    """Open an origin of demonstrations; whatever it meets, it raises errors that one can read.

    Args:
        path: a file or folder.
        kind: one of `FORMATS`; by default as recognised.

    Raises:
        VipOfflineError: if it is not of that format.
    """
    return Guarded(path, _reader(kind or format_of(path)))


def _reader(kind: str) -> Callable[[Path], Source]:
    """The class that reads a format; only its own libraries are imported."""
    if kind == "lerobot":
        from vip_offline.data.sources.lerobot import LeRobot

        return LeRobot
    if kind == "robomimic":
        from vip_offline.data.sources.robomimic import Robomimic

        return Robomimic
    if kind == "zarr":
        from vip_offline.data.sources.replay import Replay

        return Replay
    if kind == "minari":
        from vip_offline.data.sources.minari import Minari

        return Minari
    if kind == "folders":
        from vip_offline.data.sources.folders import Folders

        return Folders
    raise VipOfflineError(f"--format {kind}: is none of {', '.join(FORMATS)}.")
