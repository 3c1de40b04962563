import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hdf5_files import with_filter
from imported import imported
from origins import demos, robomimic

from vip_offline.dataset.importers.formats.robomimic import Robomimic
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions


def remove(file: h5py.File, key: str) -> None:
    del file[key]


def replace(file: h5py.File, key: str, values: Any) -> None:
    del file[key]
    file[key] = values


def whole_actions(file: h5py.File) -> None:
    for index, length in enumerate((5, 7, 4)):
        replace(file, f"data/demo_{index}/actions", np.zeros((length, 1), int))


def no_rows(file: h5py.File) -> None:
    file["data/demo_1"].attrs.clear()
    for name in ("actions", "obs/object"):
        replace(file, f"data/demo_1/{name}", np.zeros((0, 2)))


def redraw(file: h5py.File, pictures: Callable[[int], Any]) -> None:
    for index, length in enumerate((5, 7, 4)):
        replace(file, f"data/demo_{index}/obs/agentview_image", pictures(length))


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
    "no rows": (no_rows, "demo_1: has no rows. Delete it, or leave such episodes out"),
    "one more observation": (
        lambda f: redraw(f, lambda n: np.zeros((n + 1, 32, 32, 3), np.uint8)),
        r"obs/agentview_image is not per row: its shape is \(6, 32, 32, 3\), the episode has 5",
    ),
    "no scale": (
        lambda f: redraw(f, lambda n: np.full((n, 32, 32, 3), 0.5)),
        "obs/agentview_image is float64",
    ),
    "no word for success": (
        lambda f: f["data/demo_1"].attrs.__setitem__("success", "perhaps"),
        "demo_1: success is 'perhaps', neither true nor false",
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
    assert [entry.name for entry in tmp_path.iterdir()] == ["set.hdf5"]


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


def several(file: h5py.File, name: str, *values: Any) -> None:
    for index, value in enumerate(values):
        file[f"data/demo_{index}/{name}"] = value


def words(file: h5py.File) -> None:
    several(file, "words", *([b"a"] * length for length in (5, 7, 4)))


def encoded(file: h5py.File) -> None:
    for index, length in enumerate((5, 7, 4)):
        kind = h5py.vlen_dtype(np.uint8)
        array = file.create_dataset(f"data/demo_{index}/obs/jpeg", (length,), dtype=kind)
        array[:] = [np.arange(row + 1, dtype=np.uint8) for row in range(length)]


def references(file: h5py.File) -> None:
    for index, length in enumerate((5, 7, 4)):
        name = f"data/demo_{index}/ref"
        file.create_dataset(name, (length,), dtype=h5py.ref_dtype)[:] = file["data"].ref


def circle(file: h5py.File) -> None:
    for index in range(3):
        file[f"data/demo_{index}/obs/again"] = h5py.SoftLink(f"/data/demo_{index}")


# a change, the dataset it is about, and why that is left out
LEFT_OUT: dict[str, tuple[Callable[[h5py.File], Any], str, str]] = {
    "Isaac Lab's first state": (
        lambda f: several(f, "initial_state/robot/pose", *[np.zeros((1, 9))] * 3),
        "initial_state/robot/pose",
        r"is not per row: its shape is (1, 9), the episode has 5 rows",
    ),
    "MimicGen's sources": (
        lambda f: several(f, "src_demo_inds", *[np.arange(2)] * 3),
        "src_demo_inds",
        "is not per row: its shape is (2,), the episode has 5 rows",
    ),
    "a camera matrix": (lambda f: several(f, "K", *[np.eye(3)] * 3), "K", "is not per row"),
    "one number": (lambda f: several(f, "seed", 1, 2, 3), "seed", "its shape is (), the episode"),
    "in one demonstration": (
        lambda f: several(f, "extra", np.zeros((5, 1))),
        "extra",
        "only 1 of 3 demonstrations have it",
    ),
    "text": (words, "words", "is text"),
    "encoded pictures": (encoded, "obs/jpeg", "rows differ in length"),
    "references": (references, "ref", "holds references"),
    "nothing": (
        lambda f: several(f, "none", *[h5py.Empty("f")] * 3),
        "none",
        "is empty",
    ),
    "several numbers at once": (
        lambda f: several(f, "pair", *(np.zeros(n, "i4,f4") for n in (5, 7, 4))),
        "pair",
        "not numbers",
    ),
    "depth": (
        lambda f: several(f, "obs/top_depth", *(np.zeros((n, 32, 32, 1)) for n in (5, 7, 4))),
        "obs/top_depth",
        "depth",
    ),
    "a link to nothing": (
        lambda f: several(f, "gone", *[h5py.SoftLink("/nowhere")] * 3),
        "gone",
        "is it a link to nothing?",
    ),
    "a circle of links": (circle, "obs/again", "is a link to a group that holds it"),
    "no demonstration": (
        lambda f: f["data"].__setitem__("note", 1),
        "data/note",
        "is no group, so no demonstration",
    ),
    "next observations": (lambda f: None, "next_obs", "is obs of the row that follows"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_cannot_be_a_column_is_left_out_by_name(tmp_path: Path, name: str) -> None:
    change, dataset, why = LEFT_OUT[name]
    path = tmp_path / "set.hdf5"
    robomimic(path)
    with h5py.File(path, "r+") as file:
        change(file)
    catalogue = Robomimic(path).catalogue()
    assert dataset not in catalogue.columns and why in catalogue.left_out[dataset]
    assert len(imported(path, tmp_path / "s.zarr")) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda f: [f[f"data/demo_{i}"].attrs.__setitem__("success", i != 1) for i in range(3)],
        lambda f: [f[f"data/demo_{i}"].attrs.__setitem__("success", str(i != 1)) for i in range(3)],
        lambda f: several(f, "success", True, False, np.array([1])),
        lambda f: several(f, "is_success", np.arange(5) > 2, np.zeros(7, bool), np.arange(4) > 2),
    ],
    ids=["attribute", "word", "dataset", "per row"],
)
def test_success_in_the_forms_that_are_written(
    tmp_path: Path, change: Callable[[h5py.File], Any]
) -> None:
    robomimic(tmp_path / "set.hdf5")
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        change(file)
    store = imported(tmp_path / "set.hdf5", tmp_path / "s.zarr")
    assert list(store.meta("success")) == [True, False, True]


def test_where_nothing_says_success_none_is_made_up(tmp_path: Path) -> None:
    robomimic(tmp_path / "set.hdf5")
    assert Robomimic(tmp_path / "set.hdf5").read(0, ["actions"]).success is None


@pytest.mark.parametrize(
    "draw",
    [
        lambda frames: frames.transpose(0, 3, 1, 2),
        lambda frames: frames.astype(np.float64),
        lambda frames: frames[..., 0],
        lambda frames: frames.astype(np.uint16) * 257,
        lambda frames: np.concatenate([frames, np.full_like(frames[..., :1], 255)], axis=-1),
    ],
    ids=["channels first", "float64", "grey", "16 bits", "alpha"],
)
def test_pictures_in_other_forms_are_the_same_pictures(
    tmp_path: Path, draw: Callable[[Any], Any]
) -> None:
    robomimic(tmp_path / "set.hdf5")
    frames = [demo.frames for demo in demos()]
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        for index, pictures in enumerate(frames):
            replace(file, f"data/demo_{index}/obs/agentview_image", draw(pictures))
    store = imported(tmp_path / "set.hdf5", tmp_path / "s.zarr")
    np.testing.assert_array_equal(store.frames("agentview", 0, 16), np.concatenate(frames))


def test_a_filter_that_is_not_there_is_named(tmp_path: Path) -> None:
    robomimic(tmp_path / "set.hdf5")
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        for index, length in enumerate((5, 7, 4)):
            remove(file, f"data/demo_{index}/obs/agentview_image")
            with_filter(file[f"data/demo_{index}/obs"], b"agentview_image", (length, 32, 32, 3))
    with pytest.raises(VipOfflineError, match=r"agentview_image is compressed .* \(number 60000\)"):
        Robomimic(tmp_path / "set.hdf5").catalogue()


def test_links_to_other_files_are_refused(tmp_path: Path) -> None:
    robomimic(tmp_path / "set.hdf5")
    robomimic(tmp_path / "other.hdf5")
    with h5py.File(tmp_path / "set.hdf5", "r+") as file:
        remove(file, "data/demo_0/obs")
        file["data/demo_0/obs"] = h5py.ExternalLink("other.hdf5", "/data/demo_0/obs")
    with pytest.raises(VipOfflineError, match=r"demo_0/obs is a link into the file 'other.hdf5'"):
        Robomimic(tmp_path / "set.hdf5").catalogue()


def test_a_file_that_is_being_written_is_not_called_damaged(tmp_path: Path) -> None:
    robomimic(tmp_path / "set.hdf5")
    with (tmp_path / "set.hdf5").open("r+") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)  # as HDF5 does
        with pytest.raises(VipOfflineError, match="Another program is writing to it"):
            Robomimic(tmp_path / "set.hdf5")


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (("observations", "actions", "rewards", "terminals"), "D4RL's layout: it has no pictures"),
        (("observations/qpos", "observations/images/top", "action"), "as ACT and ALOHA write it"),
        (("traj_0/actions",), "ManiSkill's layout"),
        (("episode_0/actions",), "part of a Minari data set"),
        (("demo_0/actions",), "Move its demo_<i> into a group data"),
    ],
)
def test_other_tools_files_are_refused_by_their_name(
    tmp_path: Path, names: tuple[str, ...], part: str
) -> None:
    with h5py.File(tmp_path / "set.hdf5", "w") as file:
        for name in names:
            file[name] = np.zeros((3, 2))
    with pytest.raises(VipOfflineError, match=part):
        Robomimic(tmp_path / "set.hdf5")


def test_other_tools_names_for_the_arm_and_the_task(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "set.hdf5", "w") as file:
        for index in (0, 1):
            group = file.create_group(f"data/demo_{index}_copy")
            group["actions"] = np.zeros((3, 7), np.float32)
            group["obs/ee_pos"] = np.zeros((3, 3))
            group["obs/gripper_states"] = np.zeros((3, 2))
            group["obs/agentview_rgb"] = np.zeros((3, 16, 16, 3), np.uint8)
        file["data"].attrs["problem_info"] = json.dumps({"language_instruction": ["open", "it"]})
    store = imported(tmp_path / "set.hdf5", tmp_path / "s.zarr")
    assert store.texts("instruction") == ["open it"] * 2
    assert store.data("proprio").shape == (6, 5)
