"""Frames to mp4."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

STREAMED = {"movflags": "faststart"}  # the index first, so that a page may play it at once


def write_video(path: Path, frames: NDArray[np.uint8], rate: float) -> None:
    """Write H.264 that browsers play; the file appears when it is whole.

    Args:
        path: of the mp4; its folder is made.
        frames: (T, H, W, 3) uint8 RGB, H and W even.
        rate: frames per second.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with av.open(str(partial), "w", format="mp4", options=STREAMED) as container:
            stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": "20"}
            for frame in frames:
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
