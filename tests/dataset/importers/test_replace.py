from pathlib import Path

import pytest
from people_files import robot, video

from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.replace import import_anew
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions, RelabelOptions


def origin(tmp_path: Path) -> Path:
    robot(tmp_path / "set/ep0")
    video(tmp_path / "set/ep0/front.mp4")
    return tmp_path / "set"


def test_other_settings_are_named_one_by_one_and_overwrite_replaces_the_store(
    tmp_path: Path,
) -> None:
    from vip_offline.rewards.relabel import relabel

    path, store = origin(tmp_path), tmp_path / "s.zarr"
    import_source(open_source(path), store, ImportOptions())
    relabel(store, RelabelOptions(encoder="pixels"))
    other = ImportOptions(size=(32, 48))
    with pytest.raises(VipOfflineError) as error:
        import_source(open_source(path), store, other)
    assert "size nothing, now [32, 48]" in str(error.value) and "--overwrite" in str(error.value)
    assert "key_map" not in str(error.value)  # what is the same is not listed
    import_anew(open_source(path), store, other)
    assert open_store(store).frames("front", 0, 1).shape == (1, 32, 48, 3)
    assert open_store(store).label_names == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["s.zarr", "set"]


def test_an_import_that_fails_leaves_the_older_store(tmp_path: Path) -> None:
    path, store = origin(tmp_path), tmp_path / "s.zarr"
    import_source(open_source(path), store, ImportOptions())
    (path / "ep0/robot.npz").write_bytes(b"PK")
    with pytest.raises(VipOfflineError, match=r"robot\.npz"):
        import_anew(open_source(path), store, ImportOptions(size=(32, 48)))
    assert len(open_store(store)) == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["s.zarr", "set"]


def test_what_is_no_store_is_left(tmp_path: Path) -> None:
    path = origin(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(VipOfflineError, match="is no store"):
        import_anew(open_source(path), tmp_path / "photos", ImportOptions())
    assert (tmp_path / "photos").is_dir()
