"""Whether frames look as if red and blue were swapped: OpenCV's order in place of RGB."""

import numpy as np
from numpy.typing import NDArray

COLOR_FRAMES = 10  # that must agree, so that one odd picture warns nobody
FAR_COLORS = 3.0  # standard deviations off as they are: nearer is ordinary
BETTER = 2.0  # times nearer with red and blue swapped
LEAST_STD = 2.0  # of 255: a camera's own noise; a static scene has less


def sample_pixels(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) -> about (64, 64, 3) evenly spread pixels, enough for a mean."""
    return frame[:: max(1, len(frame) // 64), :: max(1, frame.shape[1] // 64)]


def looks_swapped(
    means: NDArray[np.float64], mean: NDArray[np.float64], std: NDArray[np.float64]
) -> bool:
    """Whether pictures fit the training set's colours clearly better with R and B swapped.

    A darker or brighter room is off as much either way round, and says nothing.

    Args:
        means: (N, 3) R, G, B of each frame, 0 to 255.
        mean: (3,) of the training set's frame means.
        std: (3,) of them.
    """
    if len(means) < COLOR_FRAMES:
        return False
    recent = means[-COLOR_FRAMES:].mean(0)
    spread = np.maximum(std, LEAST_STD)
    # green stays where it is and would only dilute the comparison
    as_is, swapped = (
        np.sqrt(np.mean(((channels - mean) / spread)[[0, 2]] ** 2))
        for channels in (recent, recent[::-1])
    )
    return bool(as_is > FAR_COLORS and as_is > BETTER * swapped)
