"""Tables that hold several episodes, of which none is made one."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.importers.folders.column_roles import action_of, last
from vip_offline.errors import VipOfflineError

EPISODE_COLUMN = re.compile(
    r"episode|(episode|trajectory|traj|demo)[ _-]?(index|idx|id|nr|no|number)"
)
ENDS = ("episode_ends", "episode_starts", "episode_lengths", "traj_ends")
DONE = re.compile(r"terminals?|dones?|terminated|truncated|timeouts?|is_last|is_terminal")


def refuse_several(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a table in which several episodes lie one after another.

    Raises:
        VipOfflineError: names what says so, and the way out.
    """
    actions = action_of([*columns])
    for name, values in columns.items():
        why = ""
        if EPISODE_COLUMN.fullmatch(last(name)) and values.ndim == 1:
            count = len(np.unique(values))
            why = f"{name} has {count} values" if count > 1 else ""
        elif last(name) in ENDS and len(values) > 1:
            why = f"{name} has {len(values)} values"
        elif DONE.fullmatch(last(name)) and values.size == len(values):
            ends = int((np.diff((values.reshape(-1) > 0).astype(np.int8)) < 0).sum())
            why = f"{name} ends {ends} times before the last row" if ends else ""
        elif name in actions and values.ndim > 2:
            why = f"{name} is {values.shape}, and of one episode would be (rows, values)"
        if why:
            raise VipOfflineError(
                f"{path}: {why}, so it holds several episodes. Write one file per episode, each in "
                "its own folder or with its video's name; or a zarr with meta/episode_ends, or "
                "robomimic's HDF5. Rename the column if it says something else."
            )
