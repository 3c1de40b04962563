import fcntl
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import only_writer, require_writable


def test_a_commit_flushes_each_file_written_and_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> Any:
        flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        return real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    durable = DurableStore(tmp_path / "x.zarr")
    array = zarr.create_group(durable).create_array("a", shape=(4,), chunks=(2,), dtype="int8")
    array[:] = np.arange(1, 5)
    durable.sync()
    root = str(tmp_path / "x.zarr")
    for name in ("/zarr.json", "/a/zarr.json", "/a/c/0", "/a/c/1", "", "/a", "/a/c"):
        assert root + name in flushed
    flushed.clear()
    durable.sync()
    assert not flushed


def test_the_version_of_a_description_changes_whoever_writes_it(tmp_path: Path) -> None:
    durable = DurableStore(tmp_path / "x.zarr")
    array = zarr.create_group(durable).create_array("a", shape=(4,), chunks=(2,), dtype="int8")
    seen = [durable.version("a")]
    array.attrs["unit"] = "m"
    seen.append(durable.version("a"))
    array.attrs["unit"] = "s"  # as long as before
    seen.append(durable.version("a"))
    zarr.open_group(DurableStore(tmp_path / "x.zarr"), mode="r+")["a"].attrs["unit"] = "mm"
    seen.append(durable.version("a"))
    array[:] = 1  # its description stays
    assert None not in seen and len({*seen}) == 4
    assert durable.version("a") == seen[-1]
    (tmp_path / "x.zarr/a/zarr.json").unlink()
    assert durable.version("a") is None
    assert durable.version("b") is None


def test_the_lock_is_given_back(tmp_path: Path) -> None:
    with (
        only_writer(tmp_path),
        pytest.raises(VipOfflineError, match="another process"),
        only_writer(tmp_path),
    ):
        pass
    with only_writer(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("again", [False, True])
def test_the_lock_of_a_folder_that_was_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    folder = tmp_path / "x.zarr"
    folder.mkdir()
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        folder.rename(tmp_path / "old")  # a folder made at once may get the same inode
        if again:
            folder.mkdir()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(VipOfflineError, match="removed it just now"), only_writer(folder):
        pass


def test_whether_files_can_be_written_to_a_folder(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        require_writable(tmp_path / "file" / "x")
    with pytest.raises(OSError, match="/proc"):  # a folder that takes no files, not even of root
        require_writable(Path("/proc/self"))
