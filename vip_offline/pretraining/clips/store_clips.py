"""Clips in stores of ours: every episode, seen by every camera."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.store import Store, open_store


@dataclass(frozen=True, slots=True)
class StoreClip:
    """One camera's frames of an episode."""

    name: str
    length: int
    identity: str
    take: str  # the episode, whichever camera sees it
    start: int  # row of the store
    frames: Callable[[int, int], NDArray[np.uint8]]  # of rows start to stop

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `Clips.read`."""
        unique, places = np.unique(rows, return_inverse=True)
        # neighbours in one go
        runs = np.split(unique, np.flatnonzero(np.diff(unique) > 1) + 1)
        parts = [
            self.frames(self.start + int(run[0]), self.start + int(run[-1]) + 1) for run in runs
        ]
        frames = np.concatenate(parts)
        return frames if len(places) == len(unique) and (unique == rows).all() else frames[places]


def clips_of(path: Path, camera: str) -> Iterator[tuple[str, StoreClip]]:
    """Yield (camera and episode, clip) of every camera and episode.

    Args:
        path: of the store.
        camera: its name, or several with commas; all of them if none is named.

    Raises:
        VipOfflineError: if it is no store, is unfinished, or has no such camera.
    """
    store = open_store(path)
    store.require_finished()
    # without frames `cameras_of` says so
    cameras = store.cameras if store.cameras and not camera else store.cameras_of(camera)
    for camera_name in cameras:
        frames, contents = store.frame_reader(camera_name), store.content(camera_name)
        for episode, (start, stop) in enumerate(store.spans()):
            identity = contents[episode].tobytes().hex()
            if not contents[episode].any():
                identity = _circumstances(store)
            name = f"{path}, episode {episode}, camera {camera_name}"
            take = f"{path}, episode {episode}"
            yield (
                f"{camera_name}/{episode}",
                StoreClip(name, stop - start, identity, take, start, frames),
            )


def _circumstances(store: Store) -> str:
    """Of a store that older versions wrote, without hashes of its frames."""
    return f"{store.attributes.get('created')} {(store.path / 'zarr.json').stat().st_mtime_ns}"
