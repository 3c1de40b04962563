"""Clips as files, small and known by their pixels."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.media.video import write_video
from vip_offline.dataset.store_writer import writing

HEIGHT, WIDTH = 16, 24


def pictures(
    count: int, seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> NDArray[np.uint8]:
    """(count, H, W, 3) of noise, the first pixel's red telling the frame."""
    frames = np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8)
    frames[:, 0, 0, 0] = np.arange(count)
    return frames


def write_clip(folder: Path, frames: NDArray[np.uint8], names: Iterable[str] = ()) -> Path:
    """A folder of pictures, ``0.png`` and so on unless they are named."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame, name in zip(
        frames, list(names) or [f"{i}.png" for i in range(len(frames))], strict=True
    ):
        Image.fromarray(frame).save(folder / name)
    return folder


def write_film(path: Path, count: int = 6, offset: int = 0, rate: float = 20) -> Path:
    """An mp4 whose frames are known by their grey level, 10 apart."""
    levels = (np.arange(count) * 10 + offset).astype(np.uint8)
    grey = np.broadcast_to(levels[:, None, None, None], (count, 32, 48, 3))
    write_video(path, np.ascontiguousarray(grey), rate)
    return path


def write_two_cameras(path: Path) -> Path:
    """A store of two episodes, of 4 and 3 frames, seen from the left and from the right."""
    with writing(path, create={"task": "t"}) as store:
        for seed, length in enumerate((4, 3)):
            store.append(
                Episode(
                    frames={"left": pictures(length, seed), "right": pictures(length, 10 + seed)},
                    proprio=np.zeros((length, 0), np.float32),
                    action=np.zeros((length, 0), np.float32),
                    succeeded=np.zeros(length, bool),
                    true_reward=np.full(length, np.nan, np.float32),
                    success=False,
                    kind="",
                    placement=-1,
                )
            )
    return path


def write_manifest(folder: Path, lines: Iterable[str]) -> Path:
    """A table as Ego4D's by R3M."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.csv"
    path.write_text("\n".join([",path,len,txt", *lines]) + "\n")
    return path


def rows(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)
