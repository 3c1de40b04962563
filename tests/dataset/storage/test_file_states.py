import os
from pathlib import Path

import numpy as np
import pytest

from vip_offline.dataset.storage.file_states import STATE, file_hash, states_of, touched

SPANS = [(0, 3), (3, 10), (10, 12), (12, 20)]  # of files of five rows: 0, 0-1, 2, 2-3


def test_a_state_is_size_time_and_inode(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    os.utime(file, ns=(0, 1_700_000_000_123_456_789))
    (state,) = states_of([file])
    assert state.tolist() == [3, 1_700_000_000_123_456_789, file.stat().st_ino]


@pytest.mark.parametrize("change", ["size", "time", "another file", "gone"])
def test_each_change_of_a_file_shows(tmp_path: Path, change: str) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"abc")
    other.write_bytes(b"abc")
    times = (0, file.stat().st_mtime_ns)
    before = states_of([file])
    if change == "size":
        file.write_bytes(b"abcd")
        os.utime(file, ns=times)
    elif change == "time":
        os.utime(file, ns=(0, times[1] + 1))
    elif change == "another file":
        os.utime(other, ns=times)
        other.replace(file)
    else:
        file.unlink()
        assert not states_of([file]).any()
    assert (states_of([file]) != before).any()


@pytest.mark.parametrize("change", ["file deep within", "name", "new file"])
def test_each_change_under_a_folder_shows(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "set.zarr"
    (folder / "a/b").mkdir(parents=True)
    deep = folder / "a/b/c.0"
    deep.write_bytes(b"abc")
    before = states_of([folder])
    np.testing.assert_array_equal(states_of([folder, folder]), np.concatenate([before] * 2))
    if change == "file deep within":
        os.utime(deep, ns=(0, 5))
    elif change == "name":
        deep.rename(deep.with_name("c.1"))
    else:
        (folder / "a/d").touch()
    assert (states_of([folder]) != before).any()


def test_episodes_of_a_file_that_was_touched() -> None:
    then = np.arange(1, 4 * STATE + 1).reshape(4, STATE)
    assert not touched(then, then, SPANS, 5).any()
    for file, episodes in enumerate(([0, 1], [1], [2, 3], [3])):
        now = then.copy()
        now[file, 1] += 1
        assert np.flatnonzero(touched(then, now, SPANS, 5)).tolist() == episodes


def test_files_of_which_nothing_was_written_down_or_that_are_gone_are_touched() -> None:
    now = np.arange(1, 4 * STATE + 1, dtype=np.int64).reshape(4, STATE)
    assert touched(now[:2], now, SPANS, 5).tolist() == [False, False, True, True]
    gone = now * np.array([[1], [0], [1], [1]], np.int64)
    assert touched(gone, gone, SPANS, 5).tolist() == [False, True, False, False]


def test_the_hash_of_a_file_is_of_its_bytes_and_of_its_record(tmp_path: Path) -> None:
    file = tmp_path / "a"
    assert file_hash(file, b"1") == 0
    file.write_bytes(b"abc")
    known = file_hash(file, b"1")
    assert known == file_hash(file, b"1") != 0
    assert known != file_hash(file, b"2")
    file.write_bytes(b"abd")
    assert known != file_hash(file, b"1")
