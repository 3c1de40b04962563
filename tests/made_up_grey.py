"""Stores of grey frames: distances by the encoder `pixels` are known by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from conftest import SIZE, brightness_episode

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store_writer import writing

GREY = np.sqrt(3 * 32 * 32) / 255  # distance of two grey frames a level apart, by `pixels`


def grey_episode(levels: Sequence[float], success: bool, index: int) -> Episode:
    """Frames of one grey level each."""
    like = brightness_episode(len(levels), success, index)
    grey = np.array(levels, np.uint8)[:, None, None, None]
    frames = np.ascontiguousarray(np.broadcast_to(grey, (len(levels), SIZE, SIZE, 3)))
    return Episode(**{**vars(like), "frames": {"front": frames}})


def make(path: Path, *episodes: tuple[Sequence[float], bool]) -> Path:
    with writing(path, create={"task": "grey"}) as store:
        for index, (levels, success) in enumerate(episodes):
            store.append(grey_episode(levels, success, index))
    return path
