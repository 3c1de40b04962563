"""How many frames a second, by their times."""

import numpy as np
from numpy.typing import NDArray

RATE_TOLERANCE = 0.02  # share by which two frame rates may differ: 29.97 is 30


def rate_of(seconds: NDArray[np.float64]) -> float | None:
    """Frames per second by (F,) times; None of fewer than two."""
    if len(seconds) < 2 or seconds[-1] <= seconds[0]:
        return None
    mean = (len(seconds) - 1) / float(seconds[-1] - seconds[0])
    usual = 1 / float(np.median(np.diff(seconds)))
    # gaps lower the mean; a container that counts milliseconds rounds the usual step
    return usual if abs(usual / mean - 1) > RATE_TOLERANCE else mean
