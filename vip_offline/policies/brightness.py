"""Where a picture is bright and where dark, coarsely: enough to tell its top from its bottom."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

GRID_SIDE = 6  # cells: fewer miss a horizon, more see the robot's every move


def brightness_grid(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean brightness of each cell of a picture.

    Args:
        frame: (H, W, 3), of any size.

    Returns:
        (SIDE, SIDE), 0 to 255; a picture smaller than that repeats its pixels.
    """
    grey: NDArray[Any] = frame.mean(axis=2, dtype=np.float64)
    for axis in (0, 1):
        size = grey.shape[axis]
        starts = np.arange(GRID_SIDE) * size // GRID_SIDE
        widths = np.maximum(np.diff(np.append(starts, size)), 1)
        grey = np.add.reduceat(grey, starts, axis=axis) / np.expand_dims(widths, 1 - axis)
    return grey
