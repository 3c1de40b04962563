import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr
from origins import replay

from vip_offline.dataset.storage.zarr_arrays import array_at, array_keys
from vip_offline.dataset.zarr_frames import open_zarr
from vip_offline.errors import VipOfflineError

KEYS = ["data/action", "data/img", "data/n_contacts", "data/state"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_arrays_are_listed_without_being_opened(tmp_path: Path, zarr_format: int) -> None:
    replay(tmp_path / "set.zarr", zarr_format=zarr_format)
    description = ".zarray" if zarr_format == 2 else "zarr.json"
    (tmp_path / "set.zarr/data/img" / description).write_text("{")
    root = open_zarr(tmp_path / "set.zarr")
    assert array_keys(tmp_path / "set.zarr", root, "data") == KEYS
    assert array_keys(tmp_path / "set.zarr", root, "labels") == []
    assert array_at(root, "data/state", "set").shape == (16, 3)
    with pytest.raises(VipOfflineError, match=r"^set: data/img cannot be opened"):
        array_at(root, "data/img", "set")
    with pytest.raises(VipOfflineError, match=r"^set: data is no array"):
        array_at(root, "data", "set")


def test_a_summary_of_the_descriptions_is_enough_and_may_be_old(tmp_path: Path) -> None:
    path = tmp_path / "set.zarr"
    replay(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is no part of zarr's specification
        zarr.consolidate_metadata(path, zarr_format=2)
    for file in (path / "data").rglob(".z*"):
        file.unlink()
    zarr.open_group(path, mode="r+").create_array("data/later", data=np.zeros(16))
    root = open_zarr(path)
    assert array_keys(path, root, "data") == sorted([*KEYS, "data/later"])
    assert array_at(root, "data/later", "set").shape == (16,)
    assert array_at(root, "data/img", "set").shape == (16, 32, 32, 3)
