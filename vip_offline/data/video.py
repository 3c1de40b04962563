"""Frames to mp4, and back out of any video file by their time stamps."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vip_offline.errors import VipOfflineError

STREAMED = {"movflags": "faststart"}  # the index first, so that a page may play it at once
KEPT = 96  # decoded frames that `FrameReader` keeps, since several threads ask for their shares


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


@dataclass(frozen=True)
class Timeline:
    """When each frame of a video is shown, found without decoding."""

    pts: NDArray[np.int64]  # (F,) ascending, in units of `time_base`
    time_base: Fraction  # seconds
    shape: tuple[int, int, int]  # (H, W, 3)
    rate: float | None  # frames per second, as the file says
    # in the order of the file, which may be another than that of time:
    _packets: NDArray[np.int64]  # (F,) pts
    _keys: NDArray[np.bool_]  # (F,) whether decoding may begin there
    _digests: NDArray[np.uint8]  # (F, 16) hash of the compressed picture

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) times in seconds."""
        return np.multiply(self.pts, float(self.time_base), dtype=np.float64)

    def content(self, pts: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """(16,) hash of what decides the frames at `pts` when they are drawn at `size`.

        Pictures depend on those before them, down to one that stands alone: the hash is of the
        compressed pictures from there on.
        """
        places = np.flatnonzero((self._packets >= pts[0]) & (self._packets <= pts[-1]))
        alone = np.flatnonzero(self._keys[: places[0] + 1])
        begin = int(alone[-1]) if len(alone) else 0
        digest = hashlib.blake2b(repr((size, self.shape, len(pts))).encode(), digest_size=16)
        digest.update((pts - self._packets[begin]).tobytes())
        digest.update(self._digests[begin : places[-1] + 1].tobytes())
        return np.frombuffer(digest.digest(), np.uint8)


def _opened(path: Path) -> Any:
    try:
        return av.open(str(path))
    except (OSError, av.error.FFmpegError) as error:
        raise VipOfflineError(
            f"{path}: is no video that can be opened ({error.strerror or error}). Restore it, or "
            "leave out the episodes that need it."
        ) from error


def _stream(container: Any, path: Path) -> Any:
    if not container.streams.video:
        raise VipOfflineError(f"{path}: holds no video stream.")
    return container.streams.video[0]


def timeline(path: Path) -> Timeline:
    """Read a video's time stamps and hash its compressed pictures; nothing is decoded.

    Raises:
        VipOfflineError: if it cannot be opened, holds no picture, or its stamps are missing.
    """
    with _opened(path) as container:
        stream = _stream(container, path)
        stamps: list[int] = []
        keys: list[bool] = []
        digests: list[bytes] = []
        try:
            for packet in container.demux(stream):
                if packet.size == 0:  # the end
                    continue
                if packet.pts is None:
                    raise VipOfflineError(
                        f"{path}: picture {len(stamps)} has no time stamp. Put it into a "
                        "container that has them, e.g. ffmpeg -i IN -c copy OUT.mp4."
                    )
                if getattr(packet, "is_discard", False):
                    continue
                stamps.append(packet.pts)
                keys.append(packet.is_keyframe)
                digests.append(hashlib.blake2b(bytes(packet), digest_size=16).digest())
        except av.error.FFmpegError as error:
            raise VipOfflineError(
                f"{path}: is damaged after picture {len(stamps)} ({error.strerror}). Restore it, "
                "or leave out the episodes that need it."
            ) from error
        if not stamps:
            raise VipOfflineError(f"{path}: holds no picture.")
        packets = np.array(stamps, np.int64)
        rate = stream.average_rate
        return Timeline(
            pts=np.unique(packets),
            time_base=Fraction(stream.time_base),
            shape=(stream.height, stream.width, 3),
            rate=float(rate) if rate else None,
            _packets=packets,
            _keys=np.array(keys, bool),
            _digests=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16),
        )


def resized(frame: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """(H, W, 3) drawn at `size` (height, width), with antialiasing; None: as it is."""
    if size is None or frame.shape[:2] == size:
        return frame
    picture = Image.fromarray(frame).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(picture)


class Decoder:
    """A video that is open, at some frame; it goes forward, and seeks when it must.

    Args:
        path: of the video.
        threads: that decode; 0: one per core.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.path = path
        self._container = _opened(path)
        self._stream = _stream(self._container, path)
        self._stream.codec_context.thread_count = threads
        self._stream.thread_type = "AUTO" if threads != 1 else "NONE"
        self._frames: Iterator[Any] = self._container.decode(self._stream)
        self.next: int | None = None  # pts that is at or behind the next frame; None: the start

    def __call__(self, wanted: Sequence[int]) -> Iterator[Any]:
        """Every frame that is passed, up to the last of these ascending pts.

        Raises:
            VipOfflineError: if one of them does not come.
        """
        if self.next is None or wanted[0] < self.next or wanted[0] - self.next > self._far:
            self._seek(wanted[0])
        at = 0
        for frame in self._decoded():
            if frame.pts > wanted[at]:
                break
            yield frame
            if frame.pts == wanted[at]:
                at += 1
                if at == len(wanted):
                    return
        seconds = wanted[at] * float(self._stream.time_base)
        raise VipOfflineError(
            f"{self.path}: the picture at {seconds:.3f} s cannot be "
            "decoded. The file is damaged; restore it, or leave out the episodes that need it."
        )

    @property
    def _far(self) -> int:
        """Units of time beyond which seeking is faster than decoding on."""
        return int(2 / float(self._stream.time_base))

    def _seek(self, pts: int) -> None:
        try:
            self._container.seek(pts, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            self._container.seek(0, stream=self._stream, backward=True)
        self._frames = self._container.decode(self._stream)

    def _decoded(self) -> Iterator[Any]:
        while True:
            try:
                frame = next(self._frames, None)
            except av.error.FFmpegError as error:
                self.next = None  # whoever asks next is served from another place, if that is whole
                raise VipOfflineError(
                    f"{self.path}: cannot be decoded ({error.strerror}). The file is damaged; "
                    "restore it, or leave out the episodes that need it."
                ) from error
            if frame is None:
                self.next = None
                return
            if frame.pts is not None:
                self.next = frame.pts + 1
                yield frame

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def decode(
    decoder: Decoder, pts: Sequence[int], size: tuple[int, int] | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The frames at these ascending pts, (H, W, 3) RGB, one after the other.

    Args:
        decoder: of the video.
        pts: see `timeline`.
        size: (height, width) to draw them at; None: as they are.

    Raises:
        VipOfflineError: if a frame is not there or cannot be decoded.
    """
    wanted = {*pts}
    for frame in decoder(pts):
        if frame.pts in wanted:
            yield resized(frame.to_ndarray(format="rgb24"), size)


class FrameReader:
    """Frames of several videos by their pts, for several threads that each take a share.

    One decoder goes forward through the file; what it passes on the way is kept for a while,
    so that shares may be asked for in any order.
    """

    def __init__(self, size: tuple[int, int] | None) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._decoder: Decoder | None = None
        self._kept: OrderedDict[tuple[Path, int], Any] = OrderedDict()

    def __call__(self, path: Path, pts: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(T, H, W, 3) frames at T ascending pts of a file."""
        wanted = [int(each) for each in pts]
        with self._lock:
            missing = [each for each in wanted if (path, each) not in self._kept]
            found = {each: self._kept[path, each] for each in wanted if each not in missing}
            if missing:
                if self._decoder is None or self._decoder.path != path:
                    self.close()
                    self._decoder = Decoder(path, threads=1)
                asked = {*missing}
                for frame in self._decoder(missing):
                    if frame.pts in asked:
                        found[frame.pts] = frame
                    self._kept[path, frame.pts] = frame  # another thread may ask for it next
                    if len(self._kept) > KEPT:
                        self._kept.popitem(last=False)
            # under the lock, too: PyAV's frames are not made for two threads at once
            return np.stack(
                [resized(found[each].to_ndarray(format="rgb24"), self._size) for each in wanted]
            )

    def close(self) -> None:
        """Close the file that is open."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None
