"""A clip as a video file, and the few that are open at a time."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.media.video import Decoder, decode_frames
from vip_offline.errors import VipOfflineError

KEPT_OPEN = 8  # videos that stay open between two reads


@dataclass(frozen=True, slots=True)
class Stamps:
    """Time stamps of a video's frames; a regular series takes constant memory."""

    length: int
    content: str  # hash of the compressed pictures
    first: int = 0
    step: int = 0
    listed: NDArray[np.int64] | None = None  # (length,) ascending

    def __call__(self, rows: NDArray[np.int64]) -> list[int]:
        """Time stamps (pts) of some rows."""
        pts = self.first + rows * self.step if self.listed is None else self.listed[rows]
        return [int(value) for value in pts]


def stamps_of(path: str) -> Stamps:
    """Read a video's time stamps; see `timeline`."""
    line = timeline(Path(path))
    content = line.content(line.pts, line.shape[:2]).tobytes().hex()
    steps = np.diff(line.pts)
    if len(steps) and (steps == steps[0]).all():
        return Stamps(len(line.pts), content, int(line.pts[0]), int(steps[0]))
    return Stamps(len(line.pts), content, listed=line.pts)


class Decoders:
    """Pool of open video decoders; each is used by one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Decoder] = []  # the one given back last is the last

    @contextlib.contextmanager
    def lent(self, path: Path, pts: int) -> Iterator[Decoder]:
        """Borrow a decoder of a file, preferably the one closest before `pts`."""
        with self._lock:
            same_video = [decoder for decoder in self._idle if decoder.path == path]
            before = [
                decoder
                for decoder in same_video
                if decoder.next is not None and decoder.next <= pts
            ]
            decoder = max(before or same_video, key=lambda decoder: decoder.next or 0, default=None)
            if decoder is not None:
                self._idle.remove(decoder)
        if decoder is None:
            decoder = Decoder(path, threads=1)
        try:
            yield decoder
        except BaseException:
            decoder.close()
            raise
        with self._lock:
            self._idle.append(decoder)
            closed = self._idle.pop(0) if len(self._idle) > KEPT_OPEN else None
        if closed is not None:
            closed.close()


@dataclass(frozen=True, slots=True)
class VideoClip:
    """Frames of one video, by their time stamps."""

    name: str  # the file
    stamps: Stamps
    decoders: Decoders

    @property
    def length(self) -> int:
        """See `Clip.length`."""
        return self.stamps.length

    @property
    def identity(self) -> str:
        """See `Clip.identity`."""
        return self.stamps.content

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `Clips.read`."""
        unique, places = np.unique(rows, return_inverse=True)
        pts = self.stamps(unique)
        frames: list[NDArray[np.uint8]] = []
        try:
            with self.decoders.lent(Path(self.name), pts[0]) as decoder:
                for frame in decode_frames(decoder, pts):
                    if frames and frame.shape != frames[0].shape:
                        raise VipOfflineError("its size changes there. Cut the video in two.")
                    frames.append(frame)
        except VipOfflineError as error:
            reason = str(error).removeprefix(f"{self.name}: ")
            row = unique[len(frames)]
            raise VipOfflineError(f"{self.name}, frame {row}: {reason}") from error
        return np.stack([frames[place] for place in places])
