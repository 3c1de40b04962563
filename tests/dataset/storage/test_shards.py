import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from conftest import brightness_episode
from numpy.typing import NDArray
from store_files import lose_frame, shard_of, spoil_frame

from vip_offline.dataset import array_writer
from vip_offline.dataset.episode import Episode
from vip_offline.dataset.storage import shards
from vip_offline.dataset.storage.shards import SHARD_ROWS, rows_per_shard
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError

PLAN = {"task": "t"}
LENGTHS = (5, 3, 9, 2)


def noise(length: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (length, 4, 6, 3), np.uint8)


def episode(length: int, seed: int) -> Episode:
    made = brightness_episode(length, True, seed)
    return dataclasses.replace(made, frames={"front": noise(length, seed)})


@pytest.fixture(params=[4, 128])
def few_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Frames of a shard: so few that episodes begin and end within, or more than there are."""
    rows = int(request.param)
    monkeypatch.setattr(array_writer, "rows_per_shard", lambda row: rows)
    return rows


@pytest.fixture
def filled(tmp_path: Path, few_rows: int) -> tuple[Path, NDArray[np.uint8]]:
    path = tmp_path / "x.zarr"
    with writing(path, create=PLAN) as store:
        for seed, length in enumerate(LENGTHS):
            store.append(episode(length, seed))
    return path, np.concatenate([noise(length, seed) for seed, length in enumerate(LENGTHS)])


def test_any_rows_are_those_that_were_put_in(filled: tuple[Path, NDArray[np.uint8]]) -> None:
    path, frames = filled
    read = open_store(path).frame_reader("front")
    for start in range(len(frames)):
        for stop in range(start, len(frames) + 1):
            np.testing.assert_array_equal(read(start, stop), frames[start:stop])


def test_plain_zarr_reads_them(filled: tuple[Path, NDArray[np.uint8]]) -> None:
    path, frames = filled
    array = zarr.open_group(path, mode="r")["data/frames_front"]
    assert isinstance(array, zarr.Array)
    np.testing.assert_array_equal(np.asarray(array[:]), frames)


def test_rows_written_by_plain_zarr_are_read(filled: tuple[Path, NDArray[np.uint8]]) -> None:
    path, frames = filled
    array = zarr.open_group(path, mode="r+")["data/frames_front"]
    assert isinstance(array, zarr.Array)
    array[3:6] = 255 - frames[3:6]
    read = open_store(path).frame_reader("front")
    np.testing.assert_array_equal(read(3, 6), 255 - frames[3:6])
    np.testing.assert_array_equal(read(6, 19), frames[6:])


def test_several_threads_and_more_shards_than_are_held_open(
    filled: tuple[Path, NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, frames = filled
    monkeypatch.setattr(shards, "OPEN_SHARDS", 2)
    read = open_store(path).frame_reader("front")
    rows = np.random.default_rng(0).integers(0, len(frames), 400).tolist()
    with ThreadPoolExecutor(8) as pool:
        for row, frame in zip(rows, pool.map(lambda row: read(row, row + 1), rows), strict=True):
            np.testing.assert_array_equal(frame, frames[row : row + 1])


def test_a_reader_that_is_open_while_another_appends(
    filled: tuple[Path, NDArray[np.uint8]],
) -> None:
    path, frames = filled
    before = open_store(path)
    assert len(before) == len(LENGTHS)  # it stays at what it was asked for first
    read = before.frame_reader("front")
    np.testing.assert_array_equal(read(16, 19), frames[16:])  # holds the last shard open
    with writing(path, create=PLAN) as store:
        for seed in range(10, 14):
            store.append(episode(3, seed))
            np.testing.assert_array_equal(read(0, len(frames)), frames)
            grown = open_store(path)
            start, stop = grown.spans()[-1]
            np.testing.assert_array_equal(grown.frames("front", start, stop), noise(3, seed))
            # rows that its shard did not have when it was opened
            np.testing.assert_array_equal(read(start, stop), noise(3, seed))
    assert len(before) == len(LENGTHS)


def first_byte(path: Path) -> None:
    spoil_frame(path, "front", 6)


def cut_in_the_frame(path: Path) -> None:
    file, offset, size = shard_of(path, "front", 6)
    content = file.read_bytes()
    file.write_bytes(content[: offset + size // 2])


def index(path: Path) -> None:
    file, _, _ = shard_of(path, "front", 6)
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)


def empty(path: Path) -> None:
    shard_of(path, "front", 6)[0].write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "state"),
    [
        (first_byte, r"is damaged \(row 6: its checksum does not match\)"),
        (cut_in_the_frame, r"is damaged \(row 6: (it is cut off|its checksum does not match)\)"),
        (index, r"is damaged \(row 6: (it is cut off|its checksum does not match)\)"),
        (empty, r"is damaged \(row 6: (it is cut off|its checksum does not match)\)"),
        (lambda path: lose_frame(path, "front", 6), r"is damaged \(row 6: it was never written\)"),
        (
            lambda path: shard_of(path, "front", 6)[0].unlink(),
            r"is missing \(row 6: No such file or directory\)",
        ),
    ],
)
def test_what_is_wrong_with_a_frame(
    filled: tuple[Path, NDArray[np.uint8]],
    few_rows: int,
    harm: Callable[[Path], None],
    state: str,
) -> None:
    path, frames = filled
    harm(path)
    place = "rows 4 to 7, episodes 0 to 1" if few_rows == 4 else "rows 0 to 18, episodes 0 to 3"
    read = open_store(path).frame_reader("front")
    for _ in range(2):  # asked again it is no other
        with pytest.raises(VipOfflineError, match=rf"c\.{6 // few_rows}\S* {state}\. .* {place}\."):
            read(6, 7)
    if few_rows == 4:
        np.testing.assert_array_equal(read(8, 19), frames[8:])


@pytest.mark.parametrize("few_rows", [4], indirect=True)
def test_nothing_is_added_to_a_shard_that_was_lost(
    filled: tuple[Path, NDArray[np.uint8]], few_rows: int
) -> None:
    path, frames = filled
    shard_of(path, "front", len(frames) - 1)[0].unlink()
    with (
        pytest.raises(
            VipOfflineError, match=r"frames_front: c\.4\S* is missing.* episodes 2 to 3\."
        ),
        writing(path, create=PLAN) as store,
    ):
        store.append(episode(3, 9))
    np.testing.assert_array_equal(open_store(path).frames("front", 0, 16), frames[:16])


@pytest.mark.parametrize(
    ("row", "rows"),
    [((32, 32, 3), SHARD_ROWS), ((1080, 1920, 3), 5), ((9000, 9000, 3), 1), ((0, 4, 3), 128)],
)
def test_rows_of_a_shard(row: tuple[int, ...], rows: int) -> None:
    assert rows_per_shard(row) == rows
