"""Stores of two cameras whose pictures differ."""

from dataclasses import replace
from pathlib import Path

from conftest import brightness_episode

from vip_offline.dataset.store_writer import writing


def two_cameras(path: Path, task: str = "x") -> Path:
    """Three episodes; the wrist sees half the brightness of the front."""
    with writing(path, create={"task": task}) as store:
        for index, success in enumerate((True, False, True)):
            episode = brightness_episode(5 + index, success, index)
            frames = {"front": episode.frames["front"], "wrist": episode.frames["front"] // 2}
            store.append(replace(episode, frames=frames))
    return path
