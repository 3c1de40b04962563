"""Clips' frames, decoded by several threads and written in order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.media.video import resized
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.cache import checksum
from vip_offline.pretraining.clips.clip import Clips, check_skipped
from vip_offline.utils.parallel import threaded_map

FRAME_BLOCK = 64  # frames that are read at once, or fewer of large ones
DECODED_BYTES = 64 * 2**20
SEGMENT = 256  # frames of a clip that one thread reads forward and hands on


def downscaled_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width in px with a short side of `side`; never enlarged."""
    short = min(height, width)
    if short <= side:
        return height, width
    return round(height * side / short), round(width * side / short)


@dataclass(frozen=True)
class _Segment:
    """Some of a clip's frames, as one thread hands them on."""

    clip: int
    start: int
    stop: int
    frames: list[NDArray[np.uint8]]
    damage: str = ""  # why there are none


@dataclass
class WrittenFrames:
    """Sizes and offsets of the frames in the file so far, and the clips that are damaged."""

    kept: list[int] = field(default_factory=list)  # (K,) clips
    offsets: list[int] = field(default_factory=list)  # (K,) bytes
    sizes: list[tuple[int, int]] = field(default_factory=list)  # (K,) height and width, px
    checksums: list[int] = field(default_factory=list)  # of each frame
    frames_before: int = 0  # the clip that is being written
    damaged: dict[int, str] = field(default_factory=dict)  # clip -> why it is left out


def write_frames(
    clips: Clips,
    side: int,
    file: BinaryIO,
    threads: int,
    max_skipped: float,
    on_frames: Callable[[int], None],
) -> WrittenFrames:
    """Append every clip's frames to a file, with the short side `side`.

    A clip that turns out damaged, or changes its size, is taken back.

    Raises:
        VipOfflineError: if more than the share `max_skipped` are, or all.
    """
    written = WrittenFrames()
    total = len(clips.lengths) + len(clips.skipped)

    def segments() -> Iterator[tuple[int, int, int]]:
        for clip, length in enumerate(clips.lengths):
            for start in range(0, int(length), SEGMENT):
                yield clip, start, min(start + SEGMENT, int(length))

    def decoded(segment: tuple[int, int, int]) -> _Segment:
        clip, start, stop = segment
        if clip in written.damaged:
            return _Segment(clip, start, stop, [])
        try:
            return _Segment(clip, start, stop, list(_small_frames(clips, *segment, side)))
        except VipOfflineError as error:
            return _Segment(clip, start, stop, [], str(error))

    for segment in threaded_map(decoded, segments(), threads):
        if segment.clip not in written.damaged:
            damage = segment.damage or _write_segment(clips, segment, file, written)
            if damage:
                _take_back(segment.clip, file, written)
                written.damaged[segment.clip] = damage
                check_skipped((*clips.skipped, *written.damaged.values()), total, max_skipped)
        on_frames(segment.stop - segment.start)
    if not written.kept:
        raise VipOfflineError(
            f"None of the {total} clips can be decoded. The first: {written.damaged[0]}"
        )
    return written


def _small_frames(
    clips: Clips, clip: int, start: int, stop: int, side: int
) -> Iterator[NDArray[np.uint8]]:
    """Frames `start` to `stop`; the first alone, since its size says how many to read at once."""
    upto = start + 1
    while start < stop:
        frames = clips.read(clip, np.arange(start, upto))
        size = downscaled_size(frames.shape[1], frames.shape[2], side)
        yield from (resized(frame, size) for frame in frames)
        start = upto
        upto = min(stop, start + max(1, min(FRAME_BLOCK, DECODED_BYTES // frames[0].nbytes)))


def _write_segment(clips: Clips, segment: _Segment, file: BinaryIO, written: WrittenFrames) -> str:
    """Append frames; or say why not, if their size changes within the clip."""
    clip = segment.clip
    if segment.start == 0:
        height, width, _ = segment.frames[0].shape
        written.offsets.append(file.tell())
        written.sizes.append((height, width))
        written.kept.append(clip)
        written.frames_before = len(written.checksums)
    for row, frame in enumerate(segment.frames, segment.start):
        if frame.shape[:2] != written.sizes[-1]:
            return (
                f"{clips.name(clip)}, frame {row}: its size is not that of the frames before it. "
                "Give a clip's frames one size."
            )
        frame = np.ascontiguousarray(frame)
        file.write(frame.data)
        written.checksums.append(checksum(frame))
    return ""


def _take_back(clip: int, file: BinaryIO, written: WrittenFrames) -> None:
    """Remove what was written of a clip."""
    if written.kept and written.kept[-1] == clip:
        written.kept.pop()
        written.sizes.pop()
        del written.checksums[written.frames_before :]
        file.seek(written.offsets.pop())
        file.truncate()
