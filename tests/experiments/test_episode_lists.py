"""The lists that a curation leaves, in the words of the tools that the data came from."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from imported import imported
from in_process import refusal
from origins import lerobot, robomimic

from vip_offline.errors import VipOfflineError
from vip_offline.experiments.curate import curate_stage
from vip_offline.options import CurateOptions, RelabelOptions, TrainOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.training.data.dataset import training_set
from vip_offline.utils.console import Console

LENGTHS = (1, 12, 9, 10)  # an episode of one row is left out by --skip-broken


def curated(
    make: Callable[..., object], origin: Path, store: Path, out: Path
) -> tuple[list[int], list[str]]:
    make(origin, lengths=LENGTHS)
    assert len(imported(origin, store, skip_broken=True)) == len(LENGTHS) - 1
    relabel(store, RelabelOptions("pixels"))
    curation, lines = curate_stage(store, CurateOptions(), out, Console().bar)
    assert 0 < len(curation.kept) < len(LENGTHS) - 1
    return curation.kept, lines


def test_lerobots_own_numbers_of_a_part_of_its_episodes(tmp_path: Path) -> None:
    store = tmp_path / "demos.zarr"
    kept, _ = curated(lerobot, tmp_path / "set", store, tmp_path / "out")
    keep, drop = (
        json.loads((tmp_path / "out" / f"{name}-lerobot.json").read_text())
        for name in ("keep", "drop")
    )
    assert keep == [number + 1 for number in kept]
    assert sorted([*keep, *drop]) == [1, 2, 3]
    assert not (tmp_path / "out/keep-robomimic.json").exists()


def test_robomimics_names_make_a_mask(tmp_path: Path) -> None:
    origin, store = tmp_path / "demo.hdf5", tmp_path / "demos.zarr"
    kept, _ = curated(robomimic, origin, store, tmp_path / "out")
    names = json.loads((tmp_path / "out/keep-robomimic.json").read_text())
    assert names["keep"] == [f"demo_{number + 1}" for number in kept]
    with h5py.File(origin, "a") as file:  # as the guide says
        file["mask/keep"] = np.array(names["keep"], dtype="S")
    again = imported(origin, tmp_path / "again.zarr", skip_broken=True)
    assert np.flatnonzero(again.meta("split_keep")).tolist() == kept


def test_names_are_not_guessed_where_the_file_is_gone(tmp_path: Path) -> None:
    origin, store, out = tmp_path / "demo.hdf5", tmp_path / "demos.zarr", tmp_path / "out"
    curated(robomimic, origin, store, out)
    origin.rename(tmp_path / "elsewhere.hdf5")
    _, lines = curate_stage(store, CurateOptions(), out, Console().bar)
    assert any("keep-robomimic.json is not written" in line for line in lines)
    assert not (out / "keep-robomimic.json").exists()  # nor is that of before left


@pytest.mark.parametrize("name", ["keep-lerobot.json", "keep-robomimic.json"])
def test_training_takes_the_stores_own_numbers_alone(name: str, tmp_path: Path) -> None:
    store, file = tmp_path / "demos.zarr", tmp_path / "out" / name
    make = lerobot if "lerobot" in name else robomimic
    curated(make, tmp_path / "demo.hdf5", store, tmp_path / "out")
    with pytest.raises(VipOfflineError, match=rf"{name}.* keep\.json beside it"):
        training_set(store, TrainOptions(algo="bc", episodes=str(file)))
    assert "keep.json" in refusal("train", store, "--algo", "bc", "--episodes", file)
