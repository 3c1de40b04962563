"""Time stamps of a video's frames, and hashes of its compressed pictures."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.media.orientation import AS_STORED, Orientation, orientation_of
from vip_offline.dataset.media.video_file import (
    first_stream,
    frames_in_order,
    is_counted,
    open_video,
    video_streams,
)
from vip_offline.errors import VipOfflineError

CLOCKS = ("mpegts", "flv")  # containers whose time starts anywhere


@dataclass(frozen=True)
class Timeline:
    """Presentation times of a video's frames; at most one frame is decoded to find them."""

    pts: NDArray[np.int64]  # (F,) ascending, in units of `time_base`
    time_base: Fraction  # seconds
    shape: tuple[int, int, int]  # (H, W, 3), upright
    turn: Orientation  # by which stored frames are upright
    start: int  # pts at which time starts
    counted: bool  # the k-th frame is shown k-th, whatever its packet says
    views: int  # video streams in the file, of which this is the first
    # in the order of the file, which may be another than that of time:
    _packets: NDArray[np.int64]  # (F,) pts
    _keys: NDArray[np.bool_]  # (F,) whether decoding may begin there
    _digests: NDArray[np.uint8]  # (F, 16) hash of the compressed picture

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) times in seconds."""
        return np.multiply(self.pts - self.start, float(self.time_base), dtype=np.float64)

    def as_stored(self) -> "Timeline":
        """The same timeline for frames that are not rotated upright."""
        height, width, _ = self.shape
        return replace(self, shape=self.turn.shape(height, width), turn=AS_STORED)

    def content(self, pts: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """(16,) hash that determines the frames at `pts`, resized to `size` (height, width).

        A frame depends on the compressed pictures since the last key frame: these are hashed.
        """
        begin, end = 0, len(self._packets)
        if not self.counted:
            places = np.flatnonzero((self._packets >= pts[0]) & (self._packets <= pts[-1]))
            alone = np.flatnonzero(self._keys[: places[0] + 1])
            begin, end = int(alone[-1]) if len(alone) else 0, int(places[-1]) + 1
        about = (size, self.shape, len(pts), *(() if self.turn == AS_STORED else (self.turn,)))
        digest = hashlib.blake2b(repr(about).encode(), digest_size=16)
        digest.update((pts - self._packets[begin]).tobytes())
        digest.update(self._digests[begin:end].tobytes())
        return np.frombuffer(digest.digest(), np.uint8)


def timeline(path: Path) -> Timeline:
    """Read a video's time stamps and hash its compressed pictures; the first one is decoded.

    Raises:
        VipOfflineError: if it cannot be opened, holds no picture, its stamps are missing, or it is
            turned by anything but quarters.
    """
    with open_video(path) as container:
        stream = first_stream(container, path)
        stream.codec_context.thread_count = 1  # for one frame
        first, whole, counted = None, True, is_counted(container, stream)
        stamps: list[int] = []
        keys: list[bool] = []
        digests: list[bytes] = []
        with _undamaged(path, stamps):
            for packet in container.demux(stream):
                if first is None and not counted:
                    try:
                        first = next(iter(packet.decode()), None)
                    except av.error.FFmpegError:  # whoever needs that frame says so
                        whole = False
                if packet.size == 0:  # the end
                    continue
                if packet.pts is None and not counted:
                    if not stamps and not packet.is_keyframe:
                        continue  # what it needs was cut off: it is never shown
                    raise VipOfflineError(
                        f"{path}: picture {len(stamps)} has no time stamp. Encode it again at "
                        "the rate it was taken, e.g. ffmpeg -framerate 30 -i IN OUT.mp4."
                    )
                if getattr(packet, "is_discard", False):
                    continue
                stamps.append(packet.pts or 0)
                keys.append(packet.is_keyframe)
                digests.append(hashlib.blake2b(bytes(packet), digest_size=16).digest())
        if not stamps or not stream.height * stream.width:
            raise VipOfflineError(f"{path}: holds no picture.")
        packets = np.array(stamps, np.int64)
        pts = np.unique(packets)
        if counted:
            first, pts = _counted_frames(path)
        elif first is not None and first.pts is not None and whole:
            pts = pts[pts >= first.pts]  # what was cut off from the frames it needs is never shown
        turn = AS_STORED if first is None else orientation_of(first, path)
        return Timeline(
            pts=pts,
            time_base=Fraction(stream.time_base),
            shape=turn.shape(stream.height, stream.width),
            turn=turn,
            start=int(pts[0]) if container.format.name in CLOCKS else 0,
            counted=counted,
            views=len(video_streams(container)),
            _packets=packets,
            _keys=np.array(keys, bool),
            _digests=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16),
        )


@contextlib.contextmanager
def _undamaged(path: Path, pictures: Sequence[int]) -> Iterator[None]:
    """Say of a damaged video after how many pictures it is."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise VipOfflineError(
            f"{path}: is damaged after picture {len(pictures)} ({error.strerror}). Restore it, or "
            "leave out the episodes that need it."
        ) from error


def _counted_frames(path: Path) -> tuple[Any, NDArray[np.int64]]:
    """The first frame, and the stamps of all: a video is decoded once to know their order."""
    with open_video(path) as container:
        pts: list[int] = []
        first = None
        with _undamaged(path, pts):
            for frame in frames_in_order(container, first_stream(container, path)):
                first = first or frame
                pts.append(frame.pts)
        if first is None:
            raise VipOfflineError(f"{path}: holds no picture.")
        return first, np.array(pts, np.int64)
