"""One pass over a camera's frames: all that an analysis needs of them, in little memory."""

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.controls import (
    NETWORK_SIDE,
    random_features,
    random_weights,
    raw_pixels,
    shrink,
)
from vip_offline.dataset.frame_storage import VideoFrames
from vip_offline.dataset.store import Store
from vip_offline.dataset.validation.checks import LOSSY, mark_frames
from vip_offline.options import Fit
from vip_offline.utils.console import OnFrames
from vip_offline.utils.parallel import threaded_map

THUMBNAILS = 8  # per episode
THUMBNAIL_HEIGHT = 72  # px of a thumbnail
LENGTH = 256  # frames that are in memory at once, per thread


@dataclass(frozen=True)
class FrameFeatures:
    """Features of the T frames of one episode."""

    pixels: NDArray[np.uint8]  # (T, 32 * 32 * 3), the control
    random: NDArray[np.float32]  # (T, D), the other one
    repeats: NDArray[np.bool_]  # (T,) whether a frame equals the one before
    black: NDArray[np.bool_]  # (T,)
    thumbnails: NDArray[np.uint8]  # (K, h, w, 3), evenly spaced in time


def read_frame_features(
    store: Store, camera: str, on_frames: OnFrames, fit: Fit = "crop"
) -> list[FrameFeatures]:
    """Compute features of every frame of a camera in one pass.

    Args:
        store: whose frames are there.
        camera: one.
        on_frames: called with the number of frames after each episode.
        fit: by which the controls see a frame: that of the encoder they are held against.

    Raises:
        VipOfflineError: if a frame is gone or damaged.
    """
    read, weights = store.frame_reader(camera), random_weights()
    # a codec changes a picture that stood still, so frames of videos are compared loosely
    tolerance = LOSSY if isinstance(store.frame_storage(camera), VideoFrames) else 0

    def episode(span: tuple[int, int]) -> FrameFeatures:
        start, stop = span
        shown = thumbnail_rows(stop - start)
        parts, pictures, before = [], [], None
        for begin in range(start, stop, LENGTH):
            frames = read(begin, min(begin + LENGTH, stop))
            small = shrink(frames, NETWORK_SIDE, fit)
            again, dark, before = mark_frames(frames, before, tolerance)
            parts.append((raw_pixels(small), random_features(small, weights), again, dark))
            pictures += [thumbnail(frames[row + start - begin]) for row in shown
                         if begin <= row + start < begin + len(frames)]  # fmt: skip
        pixels, random, repeats, black = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        return FrameFeatures(pixels, random, repeats, black, np.stack(pictures))

    features = []
    for episode_features in threaded_map(episode, store.spans(), len(os.sched_getaffinity(0))):
        features.append(episode_features)
        on_frames(len(episode_features.repeats))
    return features


def thumbnail_rows(length: int) -> list[int]:
    """Return the rows of an episode that are shown as thumbnails."""
    rows = np.linspace(0, length - 1, min(THUMBNAILS, length)).round()
    return [int(row) for row in rows]


def thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) -> (h, w, 3), HEIGHT px high at most."""
    from PIL import Image

    height, width = frame.shape[:2]
    if height <= THUMBNAIL_HEIGHT:
        return frame
    size = (max(1, round(width * THUMBNAIL_HEIGHT / height)), THUMBNAIL_HEIGHT)
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))
