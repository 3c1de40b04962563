"""The LeRobot data set that a store was imported from."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.exporters.labelled_episodes import LabelledStore
from vip_offline.dataset.importers.formats.lerobot import LeRobot
from vip_offline.errors import VipOfflineError


def lerobot_origin(labelled: LabelledStore) -> LeRobot:
    """Open it where the store says that it is.

    Raises:
        VipOfflineError: if the store is of another origin, or that one is gone.
    """
    if not labelled.comes_from("LeRobotDataset"):
        format_ = labelled.store.attributes.get("source_format") or "recorded here"
        raise VipOfflineError(
            f"{labelled.path}: was not imported from LeRobot ({format_}), so there is no data set "
            "that this could belong to. Export to another format."
        )
    path = Path(str(labelled.store.attributes["source"]))
    if not path.is_dir():
        raise VipOfflineError(
            f"{labelled.path}: was imported from {path}, which is gone. Put it back there, or "
            "import it again from where it is now."
        )
    return LeRobot(path)


def index_of(origin: LeRobot, episode: int, length: int) -> NDArray[np.int64]:
    """(T,) LeRobot's global index of an episode's rows, as its data files have it.

    Asked in ascending order, each file is read once.

    Raises:
        VipOfflineError: if the episode has another length than the store has of it.
    """
    index = np.asarray(origin.read(episode, ["index"]).columns["index"], np.int64).reshape(-1)
    require_length(origin.path, episode, length, len(index))
    return index


def require_length(path: Path, episode: int, stored: int, length: int) -> None:
    """Refuse an origin that changed since it was imported.

    Raises:
        VipOfflineError: with both lengths.
    """
    if stored != length:
        raise VipOfflineError(
            f"{path}, episode {episode}: has {length} rows, the store has {stored} of it. It was "
            "changed since it was imported: restore it, or import and relabel it again."
        )
