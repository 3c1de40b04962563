import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from made_up_policies import copied, noisy_episode, trained_policy
from PIL import Image

from vip_offline.config import options_from
from vip_offline.dataset.edits.delete import delete
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.deployment.export import note_success, ship, ship_if_possible
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions, RolloutOptions, TrainOptions
from vip_offline.policies.brightness import brightness_grid
from vip_offline.policies.checksums import changed_files, read_sums
from vip_offline.policies.policy import read_manifest, write_manifest
from vip_offline.policies.runtime import load_policy
from vip_offline.rewards.relabel import relabel
from vip_offline.simulation.rollout import RESULT
from vip_offline.training.data.dataset import training_set
from vip_offline.training.job import is_trained
from vip_offline.training.run import train
from vip_offline.utils.files import only_writer

DATED = ("created", "shipped")


@pytest.mark.slow
def test_the_manifest_says_it_all(shipped_once: Path) -> None:
    manifest = read_manifest(shipped_once)
    store = open_store(shipped_once.parent / "demos.zarr")
    interface = manifest["interface"]
    assert interface["frames"] == {
        "frame/front": {"shape": [40, 56, 3], "dtype": "uint8", "colour": "RGB"}
    }
    assert interface["proprio"] == ["x [m]", "y [m]", "z", "g"]
    assert interface["action"] == ["action[0]", "action[1]"]
    assert interface["control_rate"] == 20
    taken = [store.data("action", start, stop - 1) for start, stop in store.spans()]
    np.testing.assert_allclose(interface["low"], np.concatenate(taken).min(0))
    np.testing.assert_allclose(interface["high"], np.concatenate(taken).max(0))
    steps = np.concatenate([np.abs(np.diff(actions, axis=0)) for actions in taken])
    np.testing.assert_allclose(interface["largest_step"], steps.max(0), rtol=1e-6)
    frames = store.frames("front", 0, store.rows)
    np.testing.assert_allclose(
        manifest["colour"]["front"]["mean"], frames.mean(axis=(0, 1, 2)), atol=1e-2
    )
    grids = [brightness_grid(frame) for frame in frames]
    np.testing.assert_allclose(
        manifest["colour"]["front"]["grid_mean"], np.mean(grids, axis=0), atol=0.06
    )
    np.testing.assert_allclose(
        manifest["colour"]["front"]["grid_std"], np.std(grids, axis=0), atol=0.06
    )
    assert manifest["goal"]["picture"] == "goal.png"
    last = store.spans()[-1][1]
    with Image.open(shipped_once / "goal.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), store.frames("front", last - 1, last)[0])
    assert manifest["goal"]["weights_sha256"] == manifest["encoder"]["weights_sha256"]
    assert manifest["onnx"]["takes"] == "frames"
    assert {"torch", "numpy", "onnxruntime", "vip-offline"} <= set(manifest["versions"])
    assert manifest["success"] == {}
    assert set(read_sums(shipped_once)) == {
        "README.md", "encoder.safetensors", "goal.png", "manifest.json", "policy.onnx",
        "policy.safetensors", "read.safetensors", "reference.safetensors", "sample_io.npz",
    }  # fmt: skip
    # what was made elsewhere is nobody's secret, and no file is for its owner's eyes alone
    assert str(shipped_once.parent).encode() not in (shipped_once / "policy.onnx").read_bytes()
    modes = {path.stat().st_mode & 0o444 for path in shipped_once.iterdir()}
    assert modes == {0o444}


@pytest.mark.slow
def test_the_same_training_gives_the_same_bytes(tmp_path: Path) -> None:
    """Also from another process's memory layout: each is trained and shipped anew."""
    folders = []
    for name in ("one", "two"):
        place = tmp_path / name
        place.mkdir()
        folders.append(trained_policy(place, "random-resnet18"))
        ship(folders[-1])
    for name in sorted(read_sums(folders[0])):
        first, second = ((folder / name).read_bytes() for folder in folders)
        if name == "manifest.json":
            texts = [json.loads(text) for text in (first, second)]
            for text, where in zip(texts, ("one", "two"), strict=True):
                for key in DATED:
                    text.pop(key)
                text["label"].pop("created")
                text["store"] = text["store"].replace(f"/{where}/", "/")
            assert texts[0] == texts[1]
        elif name == "README.md":
            assert first.replace(b"/one/", b"/") == second.replace(b"/two/", b"/")
        else:
            assert first == second, name


@pytest.mark.slow
def test_another_store_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = trained_policy(tmp_path, "pixels")
    ship(folder)
    before = read_sums(folder)
    with pytest.raises(VipOfflineError, match=r"elsewhere\.zarr"):
        ship(folder, store=tmp_path / "elsewhere.zarr")
    shutil.copytree(tmp_path / "demos.zarr", tmp_path / "moved.zarr")
    ship(folder, store=tmp_path / "moved.zarr")
    with writing(tmp_path / "demos.zarr") as store:
        store.append(noisy_episode(("front",), 6, True, 9, 3.0))
    with pytest.raises(VipOfflineError, match=r"covers 3 of 4 episodes"):
        ship(folder)
    assert read_sums(folder)["policy.onnx"] == before["policy.onnx"]
    assert changed_files(folder) == []


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    folder = trained_policy(tmp_path, "pixels")
    ship(folder)
    manifest = read_manifest(folder)
    manifest["encoder"]["weights_sha256"] = "0" * 64
    write_manifest(folder, manifest)
    with pytest.raises(VipOfflineError, match=r"trained on another encoder.*weights_sha256"):
        ship(folder)
    assert "policy.onnx" in read_sums(folder)  # it is as ready as it was


@pytest.mark.slow
def test_demonstrations_that_were_changed_are_seen(tmp_path: Path) -> None:
    folder = trained_policy(tmp_path, "pixels")
    root = zarr.open_group(tmp_path / "demos.zarr")
    for key, name in (("data/action", "actions"), ("data/proprio", "proprio")):
        array = root[key]
        assert isinstance(array, zarr.Array)
        before = np.asarray(array[2])
        array[2] = before + 0.125
        with pytest.raises(VipOfflineError, match=f"{name} of episode 0 changed"):
            ship(folder)
        array[2] = before
    ship(folder)


@pytest.mark.slow
def test_a_policy_from_before_actions_were_normalised_ships_and_is_told_from_todays(
    tmp_path: Path,
) -> None:
    folder = trained_policy(tmp_path, "pixels")
    manifest = read_manifest(folder)
    for key in ("normalise_actions", "gripper"):
        del manifest["options"][key]
    del manifest["interface"]["grippers"], manifest["action_scale"], manifest["action_outliers"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    ship(folder)
    assert load_policy(folder).interface.grippers == ()
    options = TrainOptions(algo="rwr", steps=20, hidden=(16,))
    with pytest.raises(VipOfflineError, match=r"trained before actions were normalised \(.*'none'"):
        is_trained(folder, tmp_path / "demos.zarr", options)


def test_a_step_is_within_an_episode(tmp_path: Path) -> None:
    """From the last action of one to the first of the next no robot moved."""
    folder = trained_policy(tmp_path, "pixels")
    root = zarr.open_group(tmp_path / "demos.zarr")
    action = root["data/action"]
    assert isinstance(action, zarr.Array)
    for episode in range(3):
        # 0, 1, 0, 1, 0 and, in the last row, what belongs to no transition
        rows = 10.0 * episode + np.array([0, 1, 0, 1, 0, 99])
        action[6 * episode : 6 * episode + 6] = np.stack([rows, 2 * rows], axis=1)
    options = options_from(TrainOptions, read_manifest(folder)["options"], "x")
    interface = training_set(tmp_path / "demos.zarr", options).manifest["interface"]
    assert interface["largest_step"] == [1, 2]
    assert (interface["low"], interface["high"]) == ([0, 0], [21, 42])


@pytest.mark.slow
def test_what_the_user_says_of_it(tmp_path: Path) -> None:
    folder = trained_policy(tmp_path, "pixels")
    described = {"action": ["dx [cm]", "dy [cm]"], "gripper": "none", "control_rate": 25}
    described |= {"action_kind": "delta"}
    ship(folder, described={**described, "key_map": {"proprio": ["joints", "gripper"]}})
    interface = load_policy(folder).interface
    assert interface.action == ("dx [cm]", "dy [cm]")
    assert interface.key_map == {"proprio": ["joints", "gripper"]}
    assert (interface.action_kind, interface.action_kind_guessed) == ("delta", False)
    ship(folder)  # and it is not forgotten
    assert load_policy(folder).interface.control_rate == 25
    card = (folder / "README.md").read_text()
    assert "dx [cm]" in card
    assert "Kind of action: delta." in card
    assert "25 Hz" in card
    with pytest.raises(VipOfflineError, match=r"unknown key 'grip'. Did you mean 'gripper'"):
        ship(folder, described={"grip": ""})
    with pytest.raises(VipOfflineError, match="action has 1 names; the policy has 2"):
        ship(folder, described={"action": ["x"]})
    for wrong in (3, "dx", ["dx", 4]):
        with pytest.raises(VipOfflineError, match=r"--describe: action is .*a list of names"):
            ship(folder, described={"action": wrong})
    with pytest.raises(VipOfflineError, match="--describe: control_rate is 'fast'"):
        ship(folder, described={"control_rate": "fast"})


@pytest.mark.slow
def test_without_the_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is the way out for one that cannot be exported, so nothing is."""
    folder = trained_policy(tmp_path, "vip-mini")

    def refuse(*_: object) -> Path:
        raise VipOfflineError("cannot be made an ONNX graph")

    monkeypatch.setattr("vip_offline.deployment.export.cached_graph", refuse)
    (note,) = ship(folder, takes="embedding")
    assert "the encoder is left out" in note
    assert not (folder / "encoder.safetensors").exists()
    assert "policy.onnx" in read_sums(folder)
    assert "TAKES EMBEDDINGS, NOT FRAMES" in (folder / "README.md").read_text()
    policy = load_policy(folder)  # by the encoder that is on this computer
    assert policy.encoder is not None
    with pytest.raises(VipOfflineError, match=r"has no policy.onnx that takes frames"):
        load_policy(folder, backend="onnx")


def test_what_rollouts_found_goes_into_the_folder(tmp_path: Path) -> None:
    folder, said = trained_policy(tmp_path, "pixels"), list[str]()
    note_success(folder, said.append)  # was not made ready: nothing happens
    ship(folder)
    options = RolloutOptions()
    result = {
        "placements": [options.first_placement + index for index in range(10)],
        "success": [True] * 9 + [False],
        "steps": [1] * 10,
        "horizon": 200,
    }
    (folder / RESULT).write_text(json.dumps(result))
    note_success(folder, said.append)
    assert said == []
    success = read_manifest(folder)["success"]
    assert (success["successes"], success["rollouts"]) == (9, 10)
    assert (success["backend"], success["processor"]) == ("unknown", "unknown")  # an old result
    assert success["interval_95"] == pytest.approx([0.596, 0.982], abs=1e-3)  # Wilson
    assert "**9 of 10 rollouts** (90%; 95 % CI 60% to 98%)" in (folder / "README.md").read_text()
    assert changed_files(folder) == []
    assert "README.md" in read_sums(folder)
    load_policy(folder)

    # one that is not whole is left as it is, so that it stays refused
    (folder / "README.md").unlink()
    (folder / RESULT).write_text(json.dumps({**result, "horizon": 100}))
    note_success(folder, said.append)
    assert "README.md is missing, so its success rate is not noted" in said[0]
    assert read_manifest(folder)["success"] == success
    ship_if_possible(folder, "", said.append)  # as `train` does
    assert read_manifest(folder)["success"]["horizon"] == 100
    assert changed_files(folder) == []


@pytest.mark.parametrize("held", ["policy", "demos.zarr"])
def test_what_another_process_writes_to_is_left_alone(tmp_path: Path, held: str) -> None:
    folder = trained_policy(tmp_path, "pixels")
    sums = read_sums(folder)
    assert set(sums) == {
        "manifest.json",
        "policy.safetensors",
        "read.safetensors",
        "model.d3",
        "metrics.jsonl",
    }
    path = folder if held == "policy" else tmp_path / held
    with only_writer(path), pytest.raises(VipOfflineError, match="another process is writing"):
        ship(folder)
    assert read_sums(folder) == sums
    load_policy(folder, sealed=True)


@pytest.mark.slow
def test_labellings_that_came_later_change_nothing_but_its_own_made_again_does(
    tmp_path: Path,
) -> None:
    folder, store = trained_policy(tmp_path, "pixels"), tmp_path / "demos.zarr"
    relabel(store, RelabelOptions(encoder="pixels", name="second", goal=("last",)))
    ship(folder)
    assert read_manifest(folder)["label"]["name"] == "pixels"
    relabel(store, RelabelOptions(encoder="pixels", goal=("last",)), overwrite=True)
    with pytest.raises(VipOfflineError, match="label 'pixels' was made again"):
        ship(folder)
    delete(store, ["pixels"], [])
    with pytest.raises(VipOfflineError, match=r"label 'pixels', and .*\(there are: second\)"):
        ship(folder)


@pytest.mark.slow
def test_cameras_of_its_own_travel(tmp_path: Path) -> None:
    """In their order, through the graph, onto the card; the goal image is the reward's camera."""
    cameras = ("wrist", "front")
    trained_policy(tmp_path, "pixels", ("front", "wrist"))
    store, folder = tmp_path / "demos.zarr", tmp_path / "other"
    relabel(store, RelabelOptions(encoder="pixels", camera="front", name="front"))
    options = TrainOptions(label="front", cameras=cameras, steps=20, hidden=(16,))
    train(store, options, folder)
    ship(folder)
    robot = copied(folder, tmp_path / "robot")
    opened = open_store(store)
    frames = {f"frame/{camera}": opened.frames(camera, 0, 4) for camera in cameras}
    observation = {**frames, "proprio": opened.data("proprio", 0, 4)}
    graph, torch = (load_policy(robot, backend=text) for text in ("onnx", "torch"))
    assert list(graph.interface.frames) == ["frame/wrist", "frame/front"]
    expected = opened.embedding("pixels", "wrist,front")[0][:4]
    np.testing.assert_allclose(graph.infer(observation).embedding, expected, atol=1e-5)
    np.testing.assert_allclose(graph.act(observation), torch.act(observation), atol=1e-4)
    assert (
        "the policy sees wrist, front; the reward saw front |" in (robot / "README.md").read_text()
    )
    last = opened.spans()[-1][1]
    with Image.open(robot / "goal.png") as picture:
        np.testing.assert_array_equal(
            np.asarray(picture), opened.frames("front", last - 1, last)[0]
        )
