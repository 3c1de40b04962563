from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from origins import robomimic

from vip_offline.data.importing import import_source
from vip_offline.data.sources.robomimic import Robomimic
from vip_offline.data.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.recipe import ImportOptions


def remove(file: h5py.File, key: str) -> None:
    del file[key]


def replace(file: h5py.File, key: str, values: Any) -> None:
    del file[key]
    file[key] = values


def whole_actions(file: h5py.File) -> None:
    for index, length in enumerate((5, 7, 4)):
        replace(file, f"data/demo_{index}/actions", np.zeros((length, 1), int))


BAD: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "no data": (lambda f: remove(f, "data"), "has no group /data.* It holds: mask"),
    "no actions": (lambda f: remove(f, "data/demo_1/actions"), "demo_1: has no actions"),
    "no column": (lambda f: remove(f, "data/demo_1/obs/object"), "demo_1: has no obs/object"),
    "lengths": (
        lambda f: f["data/demo_1"].attrs.__setitem__("num_samples", 9),
        "demo_1: num_samples says 9, its actions have 7 rows",
    ),
    "short column": (
        lambda f: replace(f, "data/demo_1/obs/object", np.zeros((6, 3))),
        "demo_1: column 'obs/object' has 6 rows; the episode has 7",
    ),
    "no JSON": (lambda f: f["data"].attrs.__setitem__("env_args", "{"), "env_args .* is no JSON"),
    "discrete": (
        whole_actions,
        "discrete actions",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name_and_leave_nothing(tmp_path: Path, name: str) -> None:
    spoil, part = BAD[name]
    path = tmp_path / "set.hdf5"
    robomimic(path)
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(VipOfflineError, match=part):
        import_source(Robomimic(path), tmp_path / "store.zarr", ImportOptions())
    assert [each.name for each in tmp_path.iterdir()] == ["set.hdf5"]


def test_what_is_no_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    robomimic(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(VipOfflineError, match="is no HDF5 file that can be opened"):
        Robomimic(path)


def test_demonstrations_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    robomimic(tmp_path / "set.hdf5", lengths=(2,) * 12)
    names = Robomimic(tmp_path / "set.hdf5").catalogue().names
    assert list(names) == [f"demo_{index}" for index in range(12)]


@pytest.mark.parametrize(("solved", "success"), [((), (1, 1, 1)), ((0, 2), (1, 0, 1))])
def test_failures_are_those_without_a_reward_if_others_have_one(
    tmp_path: Path, solved: tuple[int, ...], success: tuple[int, ...]
) -> None:
    robomimic(tmp_path / "set.hdf5", solved=solved)
    import_source(Robomimic(tmp_path / "set.hdf5"), tmp_path / "s.zarr", ImportOptions())
    assert tuple(open_store(tmp_path / "s.zarr").meta("success")) == success


def test_masks_environment_and_rate_are_kept(tmp_path: Path) -> None:
    robomimic(tmp_path / "set.hdf5")
    import_source(Robomimic(tmp_path / "set.hdf5"), tmp_path / "s.zarr", ImportOptions())
    store = open_store(tmp_path / "s.zarr")
    assert list(store.meta("split_train")) == [True, True, False]
    assert (store.attributes["task"], store.attributes["control_rate"]) == ("Lift", 20.0)
    assert store.cameras == ["agentview"]
    assert store.data("proprio").shape[1] == 5
    assert "obs.object" in store.keys("extras") and "states" in store.keys("extras")
