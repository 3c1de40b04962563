"""Decode clips once, so that training reads their frames instead."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.cache import (
    PACK_FRAMES,
    PACK_INDEX,
    PackedClips,
    PackIndex,
    open_pack,
)
from vip_offline.pretraining.clips.clip import Clips, check_skipped
from vip_offline.pretraining.clips.decode import downscaled_size, write_frames
from vip_offline.utils.console import Advance
from vip_offline.utils.files import flush

PARTIAL = ".partial"
LOCK = ".lock"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PROBED = 10  # clips of a group of which one must be readable


def pack_clips(
    clips: Clips,
    side: int,
    folder: Path,
    *,
    threads: int = 2,
    max_skipped: float = 0.01,
    advance: Advance = lambda amount=0, total=None: None,
) -> PackedClips:
    """Decode clips into a file of small frames in `folder`, unless it exists already.

    Of several processes that ask for the same, one decodes and the others wait.

    Args:
        clips: to pack.
        side: px that the short side gets; smaller frames stay as they are.
        folder: where packs lie; each has a folder of its own.
        threads: that decode.
        max_skipped: share of the clips that may be left out, those left out so far among them.
        advance: told the frames to decode in total, if they are not there, then those that were.

    Raises:
        VipOfflineError: if more clips are damaged than that, or the disk is full; nothing is left
            behind then.
    """
    name = f"{clips.fingerprint[:16]}-{side}"
    total = len(clips.lengths) + len(clips.skipped)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{name}{LOCK}"):
            pack = open_pack(folder / name)
            if pack is None:
                _remove_leftovers(folder, name)
                advance(total=int(clips.lengths.sum()))
                _pack(clips, side, folder / name, threads, max_skipped, advance)
                pack = open_pack(folder / name)
    except OSError as error:
        if error.errno in FULL:
            size = packed_bytes(clips, side) / 2**30
            raise VipOfflineError(
                f"{folder}: has no room for the decoded frames, about {size:.1f} GiB "
                f"({error.strerror}). Make room, name a folder on another disk, or take a smaller "
                "side."
            ) from error
        raise VipOfflineError(
            f"{folder}: the decoded frames cannot be written there ({error.strerror or error}). "
            "Name another folder, or make this one writable."
        ) from error
    if pack is None:
        raise VipOfflineError(f"{folder / name}: was changed by another program. Run this again.")
    # it may have been made when more were allowed
    check_skipped(pack.skipped, total, max_skipped)
    return pack


def packed_bytes(clips: Clips, side: int) -> int:
    """Estimate the bytes that `pack_clips` writes from one frame of each group.

    Raises:
        VipOfflineError: if of a group's first clips none can be read.
    """
    total = 0
    for group in np.unique(clips.groups):
        members = np.flatnonzero(clips.groups == group)
        total += _probed(clips, members, side) * int(clips.lengths[members].sum())
    return total


def _probed(clips: Clips, members: NDArray[np.int64], side: int) -> int:
    """Bytes of a small frame of the first of these clips that can be read."""
    for clip in members[: min(PROBED, len(members)) - 1]:
        try:
            return _frame_bytes(clips, int(clip), side)
        except VipOfflineError:
            continue
    return _frame_bytes(clips, int(members[min(PROBED, len(members)) - 1]), side)


def _frame_bytes(clips: Clips, clip: int, side: int) -> int:
    frame = clips.read(clip, np.zeros(1, np.int64))[0]
    height, width = downscaled_size(frame.shape[0], frame.shape[1], side)
    return height * width * 3


def _pack(
    clips: Clips,
    side: int,
    target: Path,
    threads: int,
    max_skipped: float,
    on_frames: Callable[[int], None],
) -> None:
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=PARTIAL))
    try:
        with (partial / PACK_FRAMES).open("wb") as file:
            written = write_frames(clips, side, file, threads, max_skipped, on_frames)
            file.flush()
            os.fsync(file.fileno())
        sizes = np.array(written.sizes, np.int64).reshape(-1, 2)
        index = PackIndex(
            offsets=np.array(written.offsets, np.int64),
            heights=sizes[:, 0],
            widths=sizes[:, 1],
            lengths=clips.lengths[written.kept],
            groups=clips.groups[written.kept],
            takes=clips.takes[written.kept],
            checksums=np.array(written.checksums, np.uint32),
            group_names=clips.group_names,
            names=tuple(clips.name(clip) for clip in written.kept),
            skipped=(*clips.skipped, *written.damaged.values()),
            fingerprint=f"{clips.fingerprint}-{side}",
        )
        index.save(partial / PACK_INDEX)
        flush(partial)
        if target.exists():  # and is not whole
            shutil.rmtree(target)
        partial.rename(target)
        flush(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _remove_leftovers(folder: Path, name: str) -> None:
    """Remove what killed runs left, of this pack and of others that nobody is at."""
    for leftover in folder.glob(f".*{PARTIAL}"):
        owner = leftover.name[1:].split(".")[0]
        if owner == name:
            shutil.rmtree(leftover, ignore_errors=True)
            continue
        try:
            with FileLock(folder / f".{owner}{LOCK}", timeout=0):
                shutil.rmtree(leftover, ignore_errors=True)
        except Timeout:
            continue
