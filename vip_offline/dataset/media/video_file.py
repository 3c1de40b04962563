"""Opens untrusted video files: allowed containers, the video stream, the frame order."""

import errno
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from vip_offline.errors import VipOfflineError
from vip_offline.utils.regular_files import require_regular
from vip_offline.utils.size_limits import FRAME_PIXELS, require_pixels

OPEN_VIDEOS = 8  # videos at a time: of cameras that advance side by side
REORDERED = ("h264", "hevc")  # codecs whose frames in an AVI come in another order than it says
# that hold pictures themselves: ffmpeg knows an mp4 by its content, which may be a playlist's
CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,mjpeg,asf,gif,flv,ogg,nut,mxf,"
    "dv,yuv4mpegpipe"
)
ALONE = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}


def open_video(path: Path) -> Any:
    """A PyAV container of a regular file, which may name no other file.

    Raises:
        VipOfflineError: if it is none of `CONTAINERS`, or cannot be opened.
    """
    require_regular(path)
    try:
        # absolute: of "ep:0/a.mp4", ep would be a protocol
        return av.open(str(path.absolute()), options=ALONE)
    except (OSError, av.error.FFmpegError) as error:
        if error.errno == errno.EINVAL:
            raise VipOfflineError(
                f"{path}: is in none of the containers that are read here ({CONTAINERS}): it may "
                "be a playlist, which names other files. Give the video itself."
            ) from error
        raise VipOfflineError(
            f"{path}: is no video that can be opened ({error.strerror or error}). Restore it, or "
            "leave out the episodes that need it."
        ) from error


def video_streams(container: Any) -> list[Any]:
    """Video streams of a container, without cover pictures."""
    cover = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & cover]


def first_stream(container: Any, path: Path) -> Any:
    """The first video stream, ready to be decoded.

    Raises:
        VipOfflineError: if there is none, its codec is unknown, or its frames are too large.
    """
    views = video_streams(container)
    if not views:
        raise VipOfflineError(f"{path}: holds no video stream.")
    stream = views[0]
    if stream.codec_context is None:
        raise VipOfflineError(
            f"{path}: is coded in a way that is not read here. Encode it again, e.g. "
            "ffmpeg -i IN OUT.mp4."
        )
    require_pixels(str(path), stream.height, stream.width)
    stream.codec_context.options = {
        "max_pixels": str(FRAME_PIXELS)
    }  # what the file says may be untrue
    return stream


def is_counted(container: Any, stream: Any) -> bool:
    """Whether stamps cannot be trusted, so that the k-th frame decoded is the k-th shown.

    An AVI has stamps of the order of storage alone, which of these codecs ffmpeg does not mend. In
    an MPEG program stream one stamp may stand for several pictures, and ffmpeg's guesses repeat.
    """
    name = container.format.name
    return name == "mpeg" or (name == "avi" and stream.codec_context.name in REORDERED)


def frames_in_order(container: Any, stream: Any) -> Iterator[Any]:
    """All frames as they are shown, with stamps that ascend; see `is_counted`.

    In an AVI these are the packets' (it leaves gaps for dropped frames), else those of the rate.
    """
    step, shown = 1, 0
    if container.format.name != "avi" and stream.average_rate:
        step = max(1, round(1 / (stream.average_rate * stream.time_base)))
    stamps: deque[int] = deque()
    for packet in container.demux(stream):
        if packet.size and container.format.name == "avi" and packet.pts is not None:
            stamps.append(packet.pts)
        for frame in packet.decode():
            frame.pts = stamps.popleft() if stamps else shown * step
            shown += 1
            yield frame
