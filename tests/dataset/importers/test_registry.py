from pathlib import Path

import pytest
from origins import folders, lerobot, minari, replay, robomimic

from vip_offline.dataset.importers.registry import format_of, open_source
from vip_offline.errors import VipOfflineError


def test_each_format_is_recognised(tmp_path: Path) -> None:
    lerobot(tmp_path / "a")
    robomimic(tmp_path / "b.hdf5")
    replay(tmp_path / "c")
    folders(tmp_path / "d")
    minari(tmp_path / "e")
    (tmp_path / "f.zarr.zip").touch()
    names = ("a", "b.hdf5", "c", "d", "e", "f.zarr.zip")
    formats = [format_of(tmp_path / name) for name in names]
    assert formats == ["lerobot", "robomimic", "zarr", "folders", "minari", "zarr"]
    assert format_of(Path("D4RL/kitchen/complete-v2")) == "minari"


def test_what_is_not_there_or_not_known(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="there is nothing"):
        format_of(tmp_path / "x")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(VipOfflineError, match=r"no format that is known .*notes.txt"):
        open_source(tmp_path)
    with pytest.raises(VipOfflineError, match="--format rlds: is none of lerobot"):
        open_source(tmp_path, "rlds")
