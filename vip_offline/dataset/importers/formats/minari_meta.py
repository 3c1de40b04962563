"""Validates the metadata of a Minari data set before the Minari library loads it.

Where its spaces are not stated, Minari builds the environment that it names, by any function of
any module. And it opens HDF5 by h5py's brackets, which follow links into other files.
"""

import json
from pathlib import Path

from vip_offline.dataset.importers.formats.hdf5_tree import datasets_below, member, open_hdf5
from vip_offline.errors import VipOfflineError
from vip_offline.utils.regular_files import require_regular
from vip_offline.utils.size_limits import read_description, require_episodes

HDF5 = "main_data.hdf5"


def require_plain(folder: Path) -> None:
    """Refuse a folder (with metadata.json) whose loading would run code, or of impossible sizes.

    Raises:
        VipOfflineError: names the file.
    """
    file = folder / "metadata.json"
    about = json.loads(read_description(file))
    for key in ("observation_space", "action_space"):
        if not isinstance(about, dict) or not isinstance(about.get(key), str):
            raise VipOfflineError(
                f"{file}: does not state {key}. Minari would build the environment to find it, "
                "which runs code that this file names. If you trust it, write the data set again "
                "with a Minari of 0.5 or later."
            )
    count = about.get("total_episodes")
    if not isinstance(count, int):
        raise VipOfflineError(f"{file}: total_episodes is {count!r}. Restore it.")
    require_episodes(str(file), count)
    if (folder / HDF5).exists():
        with open_hdf5(folder / HDF5) as opened:
            stored = len(opened)
            for name in opened:
                try:
                    member(opened, name)
                except (KeyError, OSError, RuntimeError):
                    continue  # reading its episode says so
    else:
        stored = sum(item.is_dir() for item in folder.iterdir())
    if count > stored:
        raise VipOfflineError(
            f"{file}: total_episodes is {count}, and {stored} are there. Restore the data set."
        )


def require_own(folder: Path, number: int) -> None:
    """Refuse an episode of which a part lies in another file, or in no regular one.

    Raises:
        VipOfflineError: names the part.
    """
    if (folder / HDF5).exists():
        with open_hdf5(folder / HDF5) as opened:
            for _ in datasets_below(member(opened, f"episode_{number}")):
                pass
        return
    for item in (folder / str(number)).rglob("*"):
        if not item.is_dir():
            require_regular(item)
