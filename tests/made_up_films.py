"""Videos in any container, whose frames are known by their grey level."""

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

SIZE = (32, 48)
STEP = 4  # grey levels from frame to frame
# ending -> codec, its options; what PyAV's wheels write
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    **{each: ("libx264", {"bf": "2", "g": "12"}) for each in ("mp4", "mkv", "mov", "avi", "flv")},
    **{each: ("libx264", {"bf": "2", "g": "12"}) for each in ("m4v", "ts", "mts", "3gp")},
    "webm": ("libvpx-vp9", {"g": "12"}),
    "mpg": ("mpeg2video", {"bf": "2", "g": "12", "qscale": "2"}),
    "mpeg": ("mpeg2video", {"bf": "2", "g": "12", "qscale": "2"}),
    "wmv": ("wmv2", {"g": "12"}),
    "gif": ("gif", {}),
}
FORMATS = {"m4v": "mp4", "mts": "mpegts"}


def write(
    path: Path,
    frames: int = 50,
    *,
    turn: tuple[float, bool, bool] | None = None,
    at: NDArray[np.int64] | None = None,
    shift: int = 0,
    size: tuple[int, int] = SIZE,
    **options: str,
) -> Path:
    """Write a grey ramp with a white corner at the top left, at 25 Hz.

    Args:
        path: its ending decides container and codec.
        frames: how many.
        turn: degrees and mirrors of the display matrix.
        at: (frames,) time stamps, in frames.
        shift: of all stamps, in frames; what comes before 0 an edit list cuts off.
        size: (height, width).
        options: of the container.
    """
    suffix = path.suffix.lower()[1:]
    codec, settings = KINDS[suffix]
    with av.open(str(path), "w", format=FORMATS.get(suffix), options=options) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = "gray" if codec == "gif" else "yuv420p"
        stream.options = settings
        if turn:
            stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        for index, picture in enumerate([*ramp(frames, size), None]):
            frame = None
            if picture is not None:
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = index if at is None else int(at[index])
            for packet in stream.encode(frame):
                packet.pts += shift
                packet.dts += shift
                container.mux(packet)
    return path


def turned(film: Path, path: Path, turn: tuple[float, bool, bool]) -> Path:
    """The same compressed pictures, shown otherwise: an encoder may give others."""
    with av.open(str(film)) as source, av.open(str(path), "w") as container:
        given = source.streams.video[0]
        stream: Any = container.add_stream_from_template(given)
        stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        for packet in source.demux(given):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return path


def ramp(frames: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """(frames, *size, 3)."""
    levels = (10 + STEP * np.arange(frames)).astype(np.uint8)
    pictures = np.tile(levels[:, None, None, None], (1, *size, 3))
    pictures[:, :8, :8] = 255
    return pictures
