"""Writes mp4, and decodes frames of any video file by their time stamps."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vip_offline.dataset.media.orientation import AS_STORED, Orientation, orientation_of
from vip_offline.dataset.media.video_file import (
    first_stream,
    frames_in_order,
    is_counted,
    open_video,
)
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import whole_file

STREAMED = {"movflags": "faststart"}  # the index first, so that a page may play it at once
CACHED = 96  # decoded frames that `FrameReader` keeps, since several threads ask for their shares


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    rate: float,
    options: Mapping[str, str] = {"crf": "20"},
) -> None:
    """Write H.264 that browsers play; the file appears when it is whole.

    Args:
        path: of the mp4; its folder is made.
        frames: T >= 1 of (H, W, 3) uint8 RGB, H and W even; taken one at a time.
        rate: frames per second.
        options: of libx264, such as ``crf`` and ``preset``.
    """
    remaining = iter(frames)
    first = next(remaining)
    with (
        whole_file(path) as partial,
        av.open(str(partial), "w", format="mp4", options=STREAMED) as container,
    ):
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = dict(options)
        for frame in chain([first], remaining):
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def resized(frame: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """(H, W, 3) drawn at `size` (height, width), with antialiasing; None: as it is."""
    if size is None or frame.shape[:2] == size:
        return frame
    picture = Image.fromarray(frame).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(picture)


class Decoder:
    """An open video that decodes forward, and seeks only when it must; 0 threads: one per core."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.path = path
        self._threads = threads
        self.next: int | None = None  # pts that is at or behind the next frame; None: the start
        self._open()

    def _open(self) -> None:
        """Open the file at its start."""
        self._container = open_video(self.path)
        self._stream = first_stream(self._container, self.path)
        self._stream.codec_context.thread_count = self._threads
        self._stream.thread_type = "AUTO" if self._threads != 1 else "NONE"
        self._counted = is_counted(self._container, self._stream)
        self._at_start = True
        self._frames = self._iterator()

    def _iterator(self) -> Iterator[Any]:
        if self._counted:
            return frames_in_order(self._container, self._stream)
        frames: Iterator[Any] = self._container.decode(self._stream)
        return frames

    def __call__(self, stamps: Sequence[int]) -> Iterator[Any]:
        """Every decoded frame up to the last of these ascending pts.

        Raises:
            VipOfflineError: if one of the pts has no frame.
        """
        if self.next is None or stamps[0] < self.next or stamps[0] - self.next > self._far:
            self._seek(stamps[0])
        position = 0
        for frame in self._from(stamps[0]):
            if frame.pts > stamps[position]:
                break
            yield frame
            if frame.pts == stamps[position]:
                position += 1
                if position == len(stamps):
                    return
        seconds = stamps[position] * float(self._stream.time_base)
        raise VipOfflineError(
            f"{self.path}: the picture at {seconds:.3f} s cannot be "
            "decoded. The file is damaged; restore it, or leave out the episodes that need it."
        )

    def _from(self, pts: int) -> Iterator[Any]:
        """Frames from here on; from the start if the first is behind `pts`.

        Where a container has no index, seeking may lead behind the frame that others need.
        """
        at_start = self._at_start
        frames = self._decoded()
        try:
            frame = next(frames, None)
        except VipOfflineError:
            if at_start:
                raise
            frame = None
        if not at_start and (frame is None or frame.pts > pts):
            self._restart()
            frames = self._decoded()
            frame = next(frames, None)
        if frame is not None:
            yield frame
            yield from frames

    @property
    def _far(self) -> float:
        """Units of time beyond which seeking is faster than decoding on."""
        return np.inf if self._counted else int(2 / float(self._stream.time_base))

    def _seek(self, pts: int) -> None:
        if self._counted:
            if not self._at_start:
                self._restart()
            return
        try:
            self._container.seek(pts, stream=self._stream, backward=True)
        except av.error.FFmpegError:
            self._restart()
            return
        self._at_start = False
        self._frames = self._iterator()

    def _restart(self) -> None:
        self.close()
        self._open()

    def _decoded(self) -> Iterator[Any]:
        while True:
            self._at_start = False
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


def decode_frames(
    decoder: Decoder, pts: Sequence[int], size: tuple[int, int] | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The frames at these ascending pts, (H, W, 3) RGB and upright, one after the other.

    They are drawn at a size (height, width); None: as they are.

    Raises:
        VipOfflineError: if a frame is not there or cannot be decoded.
    """
    for frame, turn in _turned(decoder, pts):
        yield resized(turn(frame.to_ndarray(format="rgb24")), size)


def decode_small(decoder: Decoder, pts: Sequence[int], short: int) -> Iterator[NDArray[np.uint8]]:
    """The frames at these ascending pts, upright, their shorter side `short` px at most.

    ffmpeg makes each pixel the mean of its area before it becomes RGB, which takes two thirds of
    the time of `decode_frames` for 1080p.

    Args:
        decoder: of the video.
        pts: see `timeline`.
        short: px of the shorter side; smaller frames stay as they are.

    Raises:
        VipOfflineError: if a frame is not there or cannot be decoded.
    """
    for frame, turn in _turned(decoder, pts):
        share = min(1.0, short / min(frame.height, frame.width))
        size = round(frame.width * share), round(frame.height * share)
        small = frame.reformat(*size, "rgb24", interpolation="AREA")
        yield turn(small.to_ndarray(format="rgb24"))


def _turned(decoder: Decoder, pts: Sequence[int]) -> Iterator[tuple[Any, Orientation]]:
    """Frames at these pts, and how they are turned: as the first one.

    PyAV's side data and its frame hold each other, so a frame that is asked for it is kept until
    the garbage collector comes by, which hundreds of megabytes do not make it do.
    """
    stamps, turn = {*pts}, None
    for frame in decoder(pts):
        if frame.pts in stamps:
            turn = turn or orientation_of(frame, decoder.path)
            yield frame, turn


def stacked(frames: Iterable[NDArray[np.uint8]], path: Path) -> NDArray[np.uint8]:
    """(T, H, W, 3) of T frames of a video.

    Raises:
        VipOfflineError: if their size changes.
    """
    listed = list(frames)
    for frame in listed:
        if frame.shape != listed[0].shape:
            sizes = " px, then ".join(f"{f.shape[0]}x{f.shape[1]}" for f in (listed[0], frame))
            raise VipOfflineError(
                f"{path}: its frames change their size ({sizes} px). Import with --resize, or cut "
                "the video in two."
            )
    return np.stack(listed)


class FrameReader:
    """Frames of several videos by their pts, for several threads that each take a share.

    One decoder goes forward through the file; what it passes on the way is kept for a while,
    so that shares may be asked for in any order. Frames are drawn at a size (height, width); None:
    as they are. They are upright unless a store of an earlier release has them as stored.
    """

    def __init__(self, size: tuple[int, int] | None, *, upright: bool = True) -> None:
        self._size, self._upright = size, upright
        self._lock = threading.Lock()
        self._decoder: Decoder | None = None
        self._cache: OrderedDict[tuple[Path, int], Any] = OrderedDict()
        self._turns: dict[Path, Orientation] = {}

    def __call__(self, path: Path, pts: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(T, H, W, 3) frames at T ascending pts of a file."""
        stamps = [int(stamp) for stamp in pts]
        with self._lock:
            missing = [stamp for stamp in stamps if (path, stamp) not in self._cache]
            frames = {stamp: self._cache[path, stamp] for stamp in stamps if stamp not in missing}
            if missing:
                if self._decoder is None or self._decoder.path != path:
                    self.close()
                    self._decoder = Decoder(path, threads=1)
                requested = {*missing}
                for frame in self._decoder(missing):
                    if frame.pts in requested:
                        frames[frame.pts] = frame
                    self._cache[path, frame.pts] = frame  # another thread may ask for it next
                    if len(self._cache) > CACHED:
                        self._cache.popitem(last=False)
            # under the lock, too: PyAV's frames are not made for two threads at once
            turn = self._turn(frames[stamps[0]], path)
            drawn = (turn(frames[stamp].to_ndarray(format="rgb24")) for stamp in stamps)
            return stacked((resized(pixels, self._size) for pixels in drawn), path)

    def _turn(self, frame: Any, path: Path) -> Orientation:
        """How a video's frames are turned: as the one that was asked first, see `_turned`."""
        if path not in self._turns:
            self._turns[path] = orientation_of(frame, path) if self._upright else AS_STORED
        return self._turns[path]

    def close(self) -> None:
        """Close the file that is open."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None
