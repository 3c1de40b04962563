"""robomimic's file, read back with h5py and with our own import."""

import json
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from made_up_exports import (
    SHAPES,
    Shape,
    assert_same,
    imported,
    numbers,
    pictures,
    recorded,
    with_rewards,
)
from store_files import overwrite_attribute

from vip_offline.dataset.exporters.labelled_episodes import open_labelled
from vip_offline.dataset.exporters.robomimic import write_robomimic
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError

ENVIRONMENT = {"env_name": "Lift é", "type": 1, "env_kwargs": {"control_freq": 20}}


def silent(count: int) -> None:
    del count


def write_source(path: Path, shape: Shape) -> None:
    """A file as robomimic's own scripts write it."""
    generator = np.random.default_rng(shape.seed)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        for index, length in enumerate(shape.lengths):
            demo = data.create_group(f"demo_{index}")
            demo.attrs["num_samples"] = length
            demo["actions"] = numbers(generator, length, "float32", (2,)) / 50
            demo["rewards"] = (np.arange(length) == length - 1 - 99 * (index % 2)).astype(float)
            demo["dones"] = demo["rewards"][()].astype(np.int64)
            demo["states"] = numbers(generator, length, "float64", (5,))
            demo["obs/robot0_eef_pos"] = numbers(generator, length, "float64", (3,))
            demo["obs/robot0_gripper_qpos"] = numbers(generator, length, "float32", (2,))
            for name, (dtype, tail) in shape.extras.items():
                demo[f"obs/x{name}"] = numbers(generator, length, dtype, tail)
            for camera in shape.cameras:
                demo[f"obs/{camera}_image"] = pictures(generator, length)
        data.attrs["env_args"] = json.dumps(ENVIRONMENT)
        for place, split in enumerate(shape.splits):
            members = [f"demo_{number}" for number in range(place, len(shape.lengths), 2)]
            file.create_dataset(f"mask/{split}", data=np.array(members, "S"))


@pytest.mark.slow
@given(SHAPES)
@settings(max_examples=8, deadline=None)
def test_import_export_import_loses_nothing(shape: Shape) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "a.hdf5"), Path(folder, "b.hdf5")
        write_source(source, shape)
        before = imported(source, Path(folder, "a.zarr"))
        labelled = with_rewards(before.path)
        write_robomimic(labelled, out, silent)
        after = imported(out, Path(folder, "b.zarr"))
        assert_same(before, after)
        assert after.texts("name") == before.texts("name")
        with h5py.File(source) as original, h5py.File(out) as exported:
            assert json.loads(exported["data"].attrs["env_args"]) == ENVIRONMENT
            assert exported["data"].attrs["total"] == sum(shape.lengths)
            names: list[str] = []
            original["data"].visit(names.append)
            for name in names:
                if isinstance(original["data"][name], h5py.Dataset) and "rewards" not in name:
                    copy = exported["data"][name]
                    # one column of proprioception is float32 in a store
                    np.testing.assert_array_equal(copy[()], original["data"][name][()])
            for index, (start, stop) in enumerate(before.spans()):
                demo = exported[f"data/demo_{index}"]
                assert bool(demo.attrs["success"]) == before.meta("success")[index]
                expected = np.nan_to_num(labelled.label.reward[start:stop])
                np.testing.assert_array_equal(demo["rewards"][()], expected)
            for split in shape.splits:
                assert {*exported["mask"][split]} == {*original["mask"][split]}


def test_a_store_of_another_origin_gets_robomimics_names(tmp_path: Path) -> None:
    labelled = with_rewards(recorded(tmp_path / "a.zarr"))
    done = write_robomimic(labelled, tmp_path / "a.hdf5", silent)
    store = labelled.store
    with h5py.File(tmp_path / "a.hdf5") as file:
        demo = file["data/demo_0"]
        assert {*demo["obs"]} == {"proprio", "front_image", "手_image", "force"}
        assert {*demo} == {"obs", "actions", "rewards", "dones", "succeeded", "true_reward"}
        np.testing.assert_array_equal(demo["obs/手_image"][()], store.frames("手", 0, 5))
        np.testing.assert_array_equal(demo["obs/force"][()], store.extra("force")[:5])
        np.testing.assert_array_equal(demo["actions"][()], store.data("action")[:5])
        assert demo["dones"][()].tolist() == [0, 0, 0, 0, 1]
        assert file["data/demo_1/dones"][()].tolist() == [0, 0, 0]
        assert demo["rewards"][-1] == 0
        assert demo["rewards"][0] == labelled.label.reward[0] != 0
        assert demo.attrs["name"] == "épisode 0"
        assert json.loads(demo.attrs["ep_meta"]) == {"lang": "pick é"}
        assert file["mask/übung"][()].tolist() == [b"demo_0"]
        environment = json.loads(file["data"].attrs["env_args"])
        assert environment["env_name"] == "lift-v0"
        assert environment["env_kwargs"]["control_freq"] == 20
        assert json.loads(file["visual_reward"][()])["label"] == "made"
    assert (done.episodes, done.rows) == (2, 8)


def test_a_row_without_action_is_left_out_and_said(tmp_path: Path) -> None:
    labelled = with_rewards(recorded(tmp_path / "a.zarr", last_action=False))
    done = write_robomimic(labelled, tmp_path / "a.hdf5", silent)
    assert done.rows == 6
    assert "last observation of 2 episodes is left out" in " ".join(done.notes)
    with h5py.File(tmp_path / "a.hdf5") as file:
        demo = file["data/demo_0"]
        assert demo.attrs["num_samples"] == 4
        lengths = {len(demo[name]) for name in ("actions", "rewards", "dones", "obs/front_image")}
        assert lengths == {4}
        assert demo["dones"][()].tolist() == [0, 0, 0, 1]
        np.testing.assert_array_equal(demo["rewards"][()], labelled.label.reward[:4])


def test_actions_out_of_range_are_said(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.zarr")
    with writing(path) as store:
        store.array("data/action")[0, 0] = 3
    done = write_robomimic(with_rewards(path), tmp_path / "a.hdf5", silent)
    assert "reach 3; robomimic expects" in " ".join(done.notes)


def test_columns_whose_names_clash_are_kept_under_another(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.zarr")
    overwrite_attribute(path, "", arrays=None)
    (path / "extras/force").rename(path / "extras/proprio")
    done = write_robomimic(with_rewards(path), tmp_path / "a.hdf5", silent)
    with h5py.File(tmp_path / "a.hdf5") as file:
        np.testing.assert_array_equal(
            file["data/demo_0/obs/proprio_of_source"][()], open_store(path).extra("proprio")[:5]
        )
    assert "proprio is written as obs/proprio_of_source" in " ".join(done.notes)


def test_a_store_without_actions_is_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.zarr")
    with_rewards(path)
    overwrite_attribute(path, "", arrays=None)  # as if it had been written without
    (path / "data/action").rename(tmp_path / "gone")
    labelled = open_labelled(path)
    with pytest.raises(VipOfflineError, match=r"has no actions .* robomimic needs them"):
        write_robomimic(labelled, tmp_path / "a.hdf5", silent)
