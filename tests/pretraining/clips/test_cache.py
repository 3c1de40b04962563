import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from made_up_clips import pictures, rows

from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.cache import (
    PACK_FRAMES,
    PACK_INDEX,
    PackedClips,
    PackIndex,
    checksum,
    open_pack,
)

CLIPS = pictures(5), pictures(3, 1, (8, 8))


def write_pack(folder: Path) -> PackIndex:
    folder.mkdir()
    (folder / PACK_FRAMES).write_bytes(b"".join(clip.tobytes() for clip in CLIPS))
    index = PackIndex(
        offsets=np.array([0, CLIPS[0].nbytes]),
        heights=np.array([16, 8]),
        widths=np.array([24, 8]),
        lengths=np.array([5, 3]),
        groups=np.array([1, 0]),
        takes=np.array([4, 2]),
        checksums=np.array([checksum(frame.reshape(-1)) for clip in CLIPS for frame in clip]),
        group_names=("a", "é"),
        names=("a/0", os.fsdecode(b"b\xff/1")),
        skipped=("c: is broken\nthere",),
        fingerprint="f-16",
    )
    index.save(folder / PACK_INDEX)
    return index


def opened(folder: Path) -> PackedClips:
    pack = open_pack(folder)
    assert pack is not None
    return pack


def test_what_was_written_is_read(tmp_path: Path) -> None:
    index = write_pack(tmp_path / "pack")
    clips = opened(tmp_path / "pack")
    assert clips.lengths.tolist() == [5, 3] and clips.groups.tolist() == [1, 0]
    assert clips.takes.tolist() == [4, 2]
    assert (clips.group_names, clips.skipped) == (index.group_names, index.skipped)
    assert clips.fingerprint == "f-16" and clips.name(1) == index.names[1]
    for clip, frames in enumerate(CLIPS):
        for requested in (rows(0), rows(2, 0, 2, 1), np.arange(len(frames))):
            np.testing.assert_array_equal(clips.read(clip, requested), frames[requested])


def test_threads_get_what_one_gets(tmp_path: Path) -> None:
    write_pack(tmp_path / "pack")
    clips = opened(tmp_path / "pack")
    random = np.random.default_rng(0)
    asked = [random.integers(0, 5, 4) for _ in range(200)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda value: clips.read(0, value), asked))
    for requested, frames in zip(asked, together, strict=True):
        np.testing.assert_array_equal(frames, CLIPS[0][requested])


@pytest.mark.parametrize("damage", ["cut", "longer", "index cut", "no index", "no frames"])
def test_a_pack_that_is_not_whole_is_none(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "pack"
    write_pack(folder)
    frames, index = (folder / PACK_FRAMES).read_bytes(), (folder / PACK_INDEX).read_bytes()
    match damage:
        case "cut":
            (folder / PACK_FRAMES).write_bytes(frames[:-1])
        case "longer":
            (folder / PACK_FRAMES).write_bytes(frames + b"0")
        case "index cut":
            (folder / PACK_INDEX).write_bytes(index[:-30])
        case "no index":
            (folder / PACK_INDEX).unlink()
        case _:
            (folder / PACK_FRAMES).unlink()
    assert open_pack(folder) is None


def test_frames_that_are_cut_off_later(tmp_path: Path) -> None:
    write_pack(tmp_path / "pack")
    clips = opened(tmp_path / "pack")
    os.truncate(tmp_path / "pack" / PACK_FRAMES, CLIPS[0].nbytes + 10)
    assert clips.read(0, rows(4)).shape == (1, 16, 24, 3)
    with pytest.raises(VipOfflineError, match=r"frames.bin: ends before frame 2 of b"):
        clips.read(1, rows(2))


@pytest.mark.parametrize("place", [0, CLIPS[0].nbytes - 1, CLIPS[0].nbytes, -1])
def test_a_byte_that_was_changed(tmp_path: Path, place: int) -> None:
    write_pack(tmp_path / "pack")
    frames = bytearray((tmp_path / "pack" / PACK_FRAMES).read_bytes())
    frames[place] ^= 1
    (tmp_path / "pack" / PACK_FRAMES).write_bytes(frames)
    clips = opened(tmp_path / "pack")
    clip, row = {0: (0, 0), CLIPS[0].nbytes - 1: (0, 4), CLIPS[0].nbytes: (1, 0), -1: (1, 2)}[place]
    match = f"frames.bin: frame {row} of .* another checksum .* remove its folder"
    with pytest.raises(VipOfflineError, match=match):
        clips.read(clip, rows(row))
    clips.read(clip, rows(1))


def test_the_file_is_closed_with_the_clips(tmp_path: Path) -> None:
    write_pack(tmp_path / "pack")
    before = len(list(Path("/proc/self/fd").iterdir()))
    clips = opened(tmp_path / "pack")
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
    del clips
    assert len(list(Path("/proc/self/fd").iterdir())) == before
