"""Videos of a red block that crosses a coloured scene."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vip_offline.dataset.media.video import write_video


def crossing(
    frames: int = 24, size: tuple[int, int] = (96, 96), scene: int = 0, *, way: float = 1.0
) -> NDArray[np.uint8]:
    """(frames, H, W, 3), the block at the left in the first and at a share of the way in the last.

    Args:
        frames: how many.
        size: height and width in px.
        scene: seed of the background.
        way: share of the width that the block has crossed at the end.
    """
    (height, width), side = size, min(size) // 3
    cells = np.random.default_rng(scene).integers(40, 200, (4, 4, 3), np.uint8)
    background = Image.fromarray(cells).resize((width, height), Image.Resampling.BILINEAR)
    video = np.repeat(np.asarray(background)[None], frames, 0).copy()
    for frame, share in zip(video, np.linspace(0, way, frames), strict=True):
        left = round(share * (width - side))
        frame[side : 2 * side, left : left + side] = (220, 30, 30)
    return video


def write_crossing(path: Path, rate: float = 12, **about: float | tuple[int, int]) -> Path:
    """An mp4 of `crossing`."""
    write_video(path, crossing(**about), rate)  # type: ignore[arg-type]
    return path
