"""Frames to mp4, and back out of any video file by their time stamps."""

import errno
import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vip_offline.dataset.media.frame_rate import RATE, rate_of
from vip_offline.dataset.media.orientation import AS_STORED, Orientation, orientation_of
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import whole_file
from vip_offline.utils.regular_files import require_regular
from vip_offline.utils.size_limits import PIXELS, require_pixels

STREAMED = {"movflags": "faststart"}  # the index first, so that a page may play it at once
CLOCKS = ("mpegts", "flv")  # containers whose time starts anywhere
REORDERED = ("h264", "hevc")  # codecs whose frames in an AVI come in another order than it says
# that hold pictures themselves: ffmpeg knows an mp4 by its content, which may be a playlist's
CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,mjpeg,asf,gif,flv,ogg,nut,mxf,"
    "dv,yuv4mpegpipe"
)
ALONE = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
KEPT = 96  # decoded frames that `FrameReader` keeps, since several threads ask for their shares


def write_video(path: Path, frames: NDArray[np.uint8], rate: float) -> None:
    """Write H.264 that browsers play; the file appears when it is whole.

    Args:
        path: of the mp4; its folder is made.
        frames: (T, H, W, 3) uint8 RGB, H and W even.
        rate: frames per second.
    """
    with (
        whole_file(path) as partial,
        av.open(str(partial), "w", format="mp4", options=STREAMED) as container,
    ):
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20"}
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@dataclass(frozen=True)
class Timeline:
    """When each frame of a video is shown, found without decoding more than one."""

    pts: NDArray[np.int64]  # (F,) ascending, in units of `time_base`
    time_base: Fraction  # seconds
    shape: tuple[int, int, int]  # (H, W, 3), upright
    rate: float | None  # usual frames per second, by what the file says where its stamps agree
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
        """The same of frames that are left as the file holds them."""
        height, width, _ = self.shape
        return replace(self, shape=self.turn.shape(height, width), turn=AS_STORED)

    def content(self, pts: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.uint8]:
        """(16,) hash of what decides the frames at `pts` when they are drawn at `size`.

        Pictures depend on those before them, down to one that stands alone: the hash is of the
        compressed pictures from there on.
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


def _opened(path: Path) -> Any:
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


def _views(container: Any) -> list[Any]:
    """Its video streams, without a cover: a picture that players show beside the file's name."""
    cover = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & cover]


def _stream(container: Any, path: Path) -> Any:
    views = _views(container)
    if not views:
        raise VipOfflineError(f"{path}: holds no video stream.")
    stream = views[0]
    if stream.codec_context is None:
        raise VipOfflineError(
            f"{path}: is coded in a way that is not read here. Encode it again, e.g. "
            "ffmpeg -i IN OUT.mp4."
        )
    require_pixels(str(path), stream.height, stream.width)
    stream.codec_context.options = {"max_pixels": str(PIXELS)}  # what the file says may be untrue
    return stream


def _counted(container: Any, stream: Any) -> bool:
    """Whether stamps cannot be trusted, so that the k-th frame decoded is the k-th shown.

    An AVI has stamps of the order of storage alone, which of these codecs ffmpeg does not mend. In
    an MPEG program stream one stamp may stand for several pictures, and ffmpeg's guesses repeat.
    """
    name = container.format.name
    return name == "mpeg" or (name == "avi" and stream.codec_context.name in REORDERED)


def _in_order(container: Any, stream: Any) -> Iterator[Any]:
    """All frames as they are shown, with stamps that ascend; see `_counted`.

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


def timeline(path: Path) -> Timeline:
    """Read a video's time stamps and hash its compressed pictures; the first one is decoded.

    Raises:
        VipOfflineError: if it cannot be opened, holds no picture, its stamps are missing, or it is
            turned by anything but quarters.
    """
    with _opened(path) as container:
        stream = _stream(container, path)
        stream.codec_context.thread_count = 1  # for one frame
        first, whole, counted = None, True, _counted(container, stream)
        stamps: list[int] = []
        keys: list[bool] = []
        digests: list[bytes] = []
        try:
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
        except av.error.FFmpegError as error:
            raise VipOfflineError(
                f"{path}: is damaged after picture {len(stamps)} ({error.strerror}). Restore it, "
                "or leave out the episodes that need it."
            ) from error
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
            rate=_rate(stream, pts),
            turn=turn,
            start=int(pts[0]) if container.format.name in CLOCKS else 0,
            counted=counted,
            views=len(_views(container)),
            _packets=packets,
            _keys=np.array(keys, bool),
            _digests=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16),
        )


def _counted_frames(path: Path) -> tuple[Any, NDArray[np.int64]]:
    """The first frame, and the stamps of all: a video is decoded once to know their order."""
    with _opened(path) as container:
        pts: list[int] = []
        first = None
        try:
            for frame in _in_order(container, _stream(container, path)):
                first = first or frame
                pts.append(frame.pts)
        except av.error.FFmpegError as error:
            raise VipOfflineError(
                f"{path}: is damaged after picture {len(pts)} ({error.strerror}). Restore it, or "
                "leave out the episodes that need it."
            ) from error
        if first is None:
            raise VipOfflineError(f"{path}: holds no picture.")
        return first, np.array(pts, np.int64)


def _rate(stream: Any, pts: NDArray[np.int64]) -> float | None:
    """Usual frames per second: where frames were dropped the file gives a mean over the gaps."""
    declared = float(stream.average_rate) if stream.average_rate else None
    own = rate_of(np.multiply(pts, float(stream.time_base), dtype=np.float64))
    return declared if own is None or (declared and abs(own / declared - 1) <= RATE) else own


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
        self._threads = threads
        self.next: int | None = None  # pts that is at or behind the next frame; None: the start
        self._open()

    def _open(self) -> None:
        """Stand at the start."""
        self._container = _opened(self.path)
        self._stream = _stream(self._container, self.path)
        self._stream.codec_context.thread_count = self._threads
        self._stream.thread_type = "AUTO" if self._threads != 1 else "NONE"
        self._counted = _counted(self._container, self._stream)
        self._at_start = True
        self._frames = self._iterator()

    def _iterator(self) -> Iterator[Any]:
        if self._counted:
            return _in_order(self._container, self._stream)
        frames: Iterator[Any] = self._container.decode(self._stream)
        return frames

    def __call__(self, stamps: Sequence[int]) -> Iterator[Any]:
        """Every frame that is passed, up to the last of these ascending pts.

        Raises:
            VipOfflineError: if one of them does not come.
        """
        if self.next is None or stamps[0] < self.next or stamps[0] - self.next > self._far:
            self._seek(stamps[0])
        at = 0
        for frame in self._from(stamps[0]):
            if frame.pts > stamps[at]:
                break
            yield frame
            if frame.pts == stamps[at]:
                at += 1
                if at == len(stamps):
                    return
        seconds = stamps[at] * float(self._stream.time_base)
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


def decode(
    decoder: Decoder, pts: Sequence[int], size: tuple[int, int] | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The frames at these ascending pts, (H, W, 3) RGB and upright, one after the other.

    Args:
        decoder: of the video.
        pts: see `timeline`.
        size: (height, width) to draw them at; None: as they are.

    Raises:
        VipOfflineError: if a frame is not there or cannot be decoded.
    """
    stamps = {*pts}
    for frame in decoder(pts):
        if frame.pts in stamps:
            yield resized(_pixels(frame, decoder.path), size)


def _pixels(frame: Any, path: Path, *, upright: bool = True) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a decoded frame."""
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    return orientation_of(frame, path)(pixels) if upright else pixels


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
    so that shares may be asked for in any order.

    Args:
        size: (height, width) to draw frames at; None: as they are.
        upright: whether frames are turned; a store of an earlier release has them as stored.
    """

    def __init__(self, size: tuple[int, int] | None, *, upright: bool = True) -> None:
        self._size, self._upright = size, upright
        self._lock = threading.Lock()
        self._decoder: Decoder | None = None
        self._kept: OrderedDict[tuple[Path, int], Any] = OrderedDict()

    def __call__(self, path: Path, pts: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(T, H, W, 3) frames at T ascending pts of a file."""
        stamps = [int(stamp) for stamp in pts]
        with self._lock:
            missing = [stamp for stamp in stamps if (path, stamp) not in self._kept]
            frames = {stamp: self._kept[path, stamp] for stamp in stamps if stamp not in missing}
            if missing:
                if self._decoder is None or self._decoder.path != path:
                    self.close()
                    self._decoder = Decoder(path, threads=1)
                requested = {*missing}
                for frame in self._decoder(missing):
                    if frame.pts in requested:
                        frames[frame.pts] = frame
                    self._kept[path, frame.pts] = frame  # another thread may ask for it next
                    if len(self._kept) > KEPT:
                        self._kept.popitem(last=False)
            # under the lock, too: PyAV's frames are not made for two threads at once
            drawn = (_pixels(frames[stamp], path, upright=self._upright) for stamp in stamps)
            return stacked((resized(pixels, self._size) for pixels in drawn), path)

    def close(self) -> None:
        """Close the file that is open."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None
