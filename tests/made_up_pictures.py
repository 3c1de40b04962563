"""Pictures such as a camera gives."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def pictures(count: int, height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    """Smooth ones, as a camera gives."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (count, 6, 8, 3), np.uint8)
    size = (width, height)
    resized = [Image.fromarray(each).resize(size, Image.Resampling.BICUBIC) for each in small]
    return np.stack([np.asarray(each) for each in resized])
