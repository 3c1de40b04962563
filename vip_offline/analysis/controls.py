"""What a reward must beat: raw pixels, a network that never learnt anything, the clock.

On clips from a camera that stands still these can look better than any trained encoder by some
measures (raw pixels have fewer bumps than VIP on its authors' own clips), so a number without its
controls says nothing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vip_offline.options import Fit
from vip_offline.utils.arrays import Floats

NETWORK_SIDE = 64  # px that the random network sees
PIXELS_SIDE = 32  # px of what counts as raw pixels
NETWORK_CHANNELS = (16, 32, 64, 128)  # of the random network, each layer at half the size
CONTROL_SEED = 0  # of its weights
FRAMES_AT_ONCE = 16  # frames at once, of which all that is computed stays in a core's cache


def shrink(
    frames: NDArray[np.uint8], side: int = NETWORK_SIDE, fit: Fit = "squash"
) -> NDArray[np.uint8]:
    """(N, H, W, 3) frames -> (N, side, side, 3), each pixel the mean of its area.

    Args:
        frames: RGB.
        side: px.
        fit: how those that are not square become so, as for the encoder that is looked at (see
            `RelabelOptions.fit`); the bars of pad are black.
    """
    height, width = frames.shape[1:3]
    short = min(height, width)
    if fit == "crop":
        top, left = (height - short) // 2, (width - short) // 2
        frames = frames[:, top : top + short, left : left + short]
    high, wide = side, side
    if fit == "pad":
        high, wide = (
            max(1, round(side * length / max(height, width))) for length in (height, width)
        )
    top, left = (side - high) // 2, (side - wide) // 2
    small = np.zeros((len(frames), side, side, 3), np.uint8)
    for row, frame in enumerate(frames):
        picture = Image.fromarray(frame).resize((wide, high), Image.Resampling.BOX)
        small[row, top : top + high, left : left + wide] = np.asarray(picture)
    return small


def raw_pixels(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, SIDE, SIDE, 3) -> (N, PIXELS_SIDE * PIXELS_SIDE * 3) pixels as one row."""
    return shrink(small, PIXELS_SIDE).reshape(len(small), -1)


def random_weights() -> list[NDArray[np.float32]]:
    """Weights of the random network, (3 * 3 * inputs, outputs) each: He's, with a fixed seed."""
    generator, weights, width = np.random.default_rng(CONTROL_SEED), [], 3
    for channels in NETWORK_CHANNELS:
        spread = (2 / (9 * width)) ** 0.5
        weights.append(spread * generator.standard_normal((9 * width, channels), np.float32))
        width = channels
    return weights


def random_features(
    small: NDArray[np.uint8], weights: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """(N, SIDE, SIDE, 3) -> (N, NETWORK_CHANNELS[-1]) features of the untrained network.

    They are written out: importing torch for them would take longer than computing them, and more
    memory than all the rest.
    """
    blocks = range(0, len(small), FRAMES_AT_ONCE)
    return np.concatenate(
        [_convolved(small[start : start + FRAMES_AT_ONCE], weights) for start in blocks]
    )


def _convolved(
    small: NDArray[np.uint8], weights: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    values = small.astype(np.float32) / np.float32(127.5) - 1
    for kernel in weights:
        height, width = values.shape[1:3]
        padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
        shifted = [
            padded[:, dy : dy + height : 2, dx : dx + width : 2]
            for dy in range(3)
            for dx in range(3)
        ]
        patches = np.concatenate(shifted, axis=-1)  # N, h, w, 9 * C
        values = patches @ kernel
        np.maximum(values, 0, out=values)
    features: NDArray[np.float32] = values.mean((1, 2))
    return features


def clock_distance(lengths: Sequence[int]) -> tuple[Floats, ...]:
    """Per episode (T,) distances that fall linearly with time, with the same slope for all.

    Were the horizon the episode's own length, it would tell successes, which often end early.
    """
    horizon = max(1, max(lengths, default=1) - 1)
    return tuple(1 - np.arange(length) / horizon for length in lengths)
