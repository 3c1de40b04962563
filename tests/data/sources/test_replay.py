import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from origins import demos, replay

from vip_offline.data.importing import import_source
from vip_offline.data.sources.replay import Replay
from vip_offline.data.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.recipe import ImportOptions


def zipped(path: Path) -> Path:
    replay(path / "set.zarr")
    shutil.make_archive(str(path / "set.zarr"), "zip", path / "set.zarr")
    shutil.rmtree(path / "set.zarr")
    return path / "set.zarr.zip"


def test_an_archive_is_read_where_it_is(tmp_path: Path) -> None:
    path = zipped(tmp_path)
    import_source(Replay(path), tmp_path / "s.zarr", ImportOptions(key_map=("proprio=state",)))
    store = open_store(tmp_path / "s.zarr")
    wanted = np.concatenate([each.frames for each in demos()])
    np.testing.assert_array_equal(store.frames("img", 0, 16), wanted)
    assert {each.name for each in tmp_path.iterdir()} == {"set.zarr.zip", "s.zarr"}


def test_an_archive_that_is_cut_off(tmp_path: Path) -> None:
    path = zipped(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(VipOfflineError, match=r"set.zarr.zip: is no whole zip archive"):
        Replay(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "data/../../x", "C:\\x"])
def test_an_archive_that_leads_out_of_itself(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(VipOfflineError, match="leads out of the archive"):
        Replay(path)


def test_pictures_of_an_unknown_scale(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    root = zarr.open_group(tmp_path / "set.zarr", mode="r+")
    array = root["data/img"]
    assert isinstance(array, zarr.Array)
    array[6] = 0.5
    with pytest.raises(VipOfflineError, match=r"episode 1: data/img is float32 and, in row 1,"):
        import_source(Replay(tmp_path / "set.zarr"), tmp_path / "s.zarr", ImportOptions())


@pytest.mark.parametrize(
    ("ends", "part"),
    [([5, 5, 16], r"episode_ends\[1\] is 5"), ([5, 12, 17], "data/action has shape .* end at 17")],
)
def test_ends_that_cannot_be(tmp_path: Path, ends: list[int], part: str) -> None:
    replay(tmp_path / "set.zarr")
    root = zarr.open_group(tmp_path / "set.zarr", mode="r+")
    array = root["meta/episode_ends"]
    assert isinstance(array, zarr.Array)
    array[:] = ends
    with pytest.raises(VipOfflineError, match=part):
        Replay(tmp_path / "set.zarr").catalogue()


def test_what_is_no_buffer(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "x.zarr", mode="w")
    with pytest.raises(VipOfflineError, match="is no replay buffer"):
        Replay(tmp_path / "x.zarr")


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    (tmp_path / "set.zarr/data/action/0.0").write_bytes(b"x")
    with pytest.raises(VipOfflineError, match=r"episode 0: data/action, rows 0 to 5"):
        Replay(tmp_path / "set.zarr").read(0, ["action"])
