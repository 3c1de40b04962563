import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_policies import SIZE, copied, trained_policy
from numpy.typing import NDArray

from vip_offline.dataset.store import open_store
from vip_offline.deployment.export import ship
from vip_offline.encoders.encoder import load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.options import Fit, RelabelOptions, TrainOptions
from vip_offline.policies.checksums import read_sums, write_sums
from vip_offline.policies.policy import (
    Policy,
    read_manifest,
    read_tensors,
    write_manifest,
    write_tensors,
)
from vip_offline.policies.runtime import load_policy
from vip_offline.policies.verify import verify
from vip_offline.rewards.relabel import relabel
from vip_offline.training.run import train


def observations(
    count: int, cameras: tuple[str, ...] = ("front",)
) -> dict[str, NDArray[np.generic]]:
    generator = np.random.default_rng(5)
    frames: dict[str, NDArray[np.generic]] = {
        f"frame/{camera}": generator.integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)
        for camera in cameras
    }
    return {**frames, "proprio": generator.normal(size=(count, 4)).astype(np.float32)}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_it_acts_as_what_was_trained(shipped: Path, backend: str) -> None:
    given = observations(3)
    encoder, network = load_encoder("vip-mini"), Policy.load(shipped)
    expected = network.act(encoder(given["frame/front"]), given["proprio"])  # type: ignore[arg-type]
    policy = load_policy(shipped, backend=backend)  # type: ignore[arg-type]
    policy.reset()
    np.testing.assert_allclose(policy.act(given), expected, atol=1e-4)
    assert np.abs(expected).max() > 1.2  # in the store's unit, beyond [-1, 1]
    action = policy.act({key: value[1] for key, value in given.items()})
    assert action.shape == (2,)
    np.testing.assert_allclose(action, expected[1], atol=1e-4)
    assert policy.backend.startswith({"onnx": "ONNX Runtime", "torch": "torch"}[backend])
    inferred = policy.infer(given)
    assert inferred.novelty is not None
    assert inferred.embedding.shape == (3, 128)


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["pad", "squash"])
def test_it_sees_frames_as_its_training_set_was_seen(tmp_path: Path, fit: Fit) -> None:
    folder = trained_policy(tmp_path, fit=fit)
    ship(folder)
    store = open_store(tmp_path / "demos.zarr")
    given = {"frame/front": store.frames("front", 0, 6), "proprio": store.data("proprio", 0, 6)}
    expected = store.embedding("vip-mini", "front")[0][:6]
    elsewhere = copied(folder, tmp_path / "robot")
    policies = [load_policy(elsewhere, backend=text) for text in ("onnx", "torch")]
    # a rollout that names the encoder loads it without knowing the policy
    policies.append(load_policy(folder, encoder=load_encoder("vip-mini")))
    for policy in policies:
        inferred = policy.infer(given).embedding
        np.testing.assert_allclose(inferred, expected, rtol=1e-3, atol=1e-3, err_msg=policy.backend)
    assert np.abs(load_encoder("vip-mini")(given["frame/front"]) - expected).max() > 0.1
    assert verify(elsewhere).problems == ()
    assert f"| fit of its frames | {fit} |" in (elsewhere / "README.md").read_text()


@pytest.mark.slow
def test_the_table_of_encoders_changes_no_policy(tmp_path: Path) -> None:
    """An earlier release brought the frames to its encoder in another way."""
    folder = trained_policy(tmp_path)
    manifest = dict(read_manifest(folder))
    manifest["encoder"]["preprocessing"]["resize"] = 80
    write_manifest(folder, manifest)
    write_sums(folder, read_sums(folder))
    policy, given = load_policy(folder, backend="torch"), observations(2)
    encoder = load_encoder("vip-mini")
    expected = encoder.seeing(replace(encoder.preprocessing, resize=80))(given["frame/front"])  # type: ignore[arg-type]
    np.testing.assert_allclose(policy.infer(given).embedding, expected, atol=1e-4)
    assert np.abs(encoder(given["frame/front"]) - expected).max() > 0.1  # type: ignore[arg-type]


def test_novelty_of_the_training_set_and_of_noise(shipped_once: Path) -> None:
    policy = load_policy(shipped_once)
    with np.load(shipped_once / "sample_io.npz") as file:
        known = policy.infer({key: file[key] for key in ("frame/front", "proprio")}).novelty
    black = np.zeros((1, *SIZE, 3), np.uint8)
    strange = policy.infer({"frame/front": black, "proprio": np.zeros((1, 4))}).novelty
    assert known is not None
    assert strange is not None
    assert known.max() < 0.01  # they are among what is kept
    assert strange[0] > known.max() + 0.5


@pytest.mark.slow
def test_neither_d3rlpy_nor_zarr_nor_a_simulator(shipped: Path) -> None:
    """In a fresh interpreter that has none of them, nor a network; and nothing is unpickled."""
    code = f"""
import sys
for name in ("d3rlpy", "zarr", "metaworld", "mujoco", "gymnasium", "h5py", "matplotlib"):
    sys.modules[name] = None
def refuse(event, args):
    assert event not in ("pickle.find_class", "socket.connect", "socket.getaddrinfo"), event
sys.addaudithook(refuse)
import numpy as np
from vip_offline.policies.runtime import load_policy
for backend in ("onnx", "torch"):
    policy = load_policy({str(shipped)!r}, backend=backend)
    picture = np.zeros({(*SIZE, 3)}, np.uint8)
    print(policy.act({{"frame/front": picture, "proprio": np.zeros(4, np.float32)}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=shipped
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_the_graph_needs_onnx_runtime_alone(shipped: Path) -> None:
    code = f"""
import sys
for name in ("torch", "vip_offline", "onnx"):
    sys.modules[name] = None
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession({str(shipped / "policy.onnx")!r})
with np.load({str(shipped / "sample_io.npz")!r}) as file:
    given = {{each.name: file[each.name] for each in session.get_inputs()}}
    (action,) = session.run(["action"], given)
    np.testing.assert_allclose(action, file["action"], atol=1e-4)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["policy.onnx", "reference.safetensors", "encoder.safetensors"])
def test_a_missing_file(shipped: Path, name: str) -> None:
    (shipped / name).unlink()
    with pytest.raises(VipOfflineError, match=f"{name} is missing. Copy the folder again"):
        load_policy(shipped)


def test_a_manifest_that_was_edited(shipped: Path) -> None:
    path = shipped / "manifest.json"
    path.write_text(path.read_text().replace('"drawer-close"', '"push"'))
    with pytest.raises(VipOfflineError, match=r"manifest.json was changed.*vip-offline ship"):
        load_policy(shipped)


def rewritten(folder: Path) -> None:
    write_sums(folder, [path.name for path in folder.iterdir() if path.name != "SHA256SUMS"])


def test_a_graph_of_another_opset_or_interface(shipped: Path) -> None:
    import onnx

    path = shipped / "policy.onnx"
    model = onnx.load(path)
    model.opset_import[0].version = 999
    path.write_bytes(model.SerializeToString())
    rewritten(shipped)
    with pytest.raises(VipOfflineError, match=r"ONNX Runtime .* cannot load it.*backend torch"):
        load_policy(shipped)
    load_policy(shipped, backend="torch")
    model.opset_import[0].version = 20
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = "state" if name == "proprio" else name
    next(node for node in model.graph.input if node.name == "proprio").name = "state"
    path.write_bytes(model.SerializeToString())
    rewritten(shipped)
    with pytest.raises(VipOfflineError, match=r"policy.onnx: takes \['frame/front', 'state'\]"):
        load_policy(shipped)


def test_a_reference_of_another_encoder(shipped: Path) -> None:
    write_tensors(
        shipped / "reference.safetensors",
        {"embedding": np.ones((3, 1280), np.float32), "scale": np.ones(1)},
    )
    rewritten(shipped)
    with pytest.raises(VipOfflineError, match=r"no embeddings of width 128.*another encoder"):
        load_policy(shipped)


def test_a_goal_of_another_encoder(shipped: Path) -> None:
    path = shipped / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["goal"]["encoder"] = "lite0"
    path.write_text(json.dumps(manifest))
    rewritten(shipped)
    with pytest.raises(VipOfflineError, match=r"goal is embedded by another encoder.*'lite0', not"):
        load_policy(shipped)
    tensors = read_tensors(shipped / "policy.safetensors")
    write_tensors(shipped / "policy.safetensors", tensors | {"goal": np.ones((1, 9), np.float32)})
    rewritten(shipped)
    with pytest.raises(VipOfflineError, match="is not the network"):
        load_policy(shipped)


@pytest.mark.slow
def test_the_nearest_of_several_goals(tmp_path: Path) -> None:
    store, folder = trained_policy(tmp_path).parent / "demos.zarr", tmp_path / "near"
    one_goal = load_policy(tmp_path / "policy")
    relabel(store, RelabelOptions("vip-mini", name="near", goal=("nearest:successes",)))
    train(store, TrainOptions(label="near", steps=20, hidden=(16,)), folder)
    ship(folder)
    policy = load_policy(folder)
    label = open_store(store).label("near")
    assert policy.goal is None
    assert policy.goal_set is not None
    np.testing.assert_array_equal(policy.goal_set, label.goal_set)
    assert policy.manifest["goal"]["said"] == label.provenance["goal"]
    assert (folder / "goal.png").exists()
    embedding, _ = open_store(store).embedding("vip-mini", "front")
    away = np.linalg.norm(embedding[:, None] - policy.goal_set[None], axis=2)  # (N, G)
    nearest, to_mean = policy.goal_distance(embedding), one_goal.goal_distance(embedding)
    assert nearest is not None
    assert to_mean is not None
    assert one_goal.goal is not None
    np.testing.assert_allclose(nearest, away.min(axis=1), atol=1e-4)
    expected = np.linalg.norm(embedding - one_goal.goal[-1], axis=1)
    np.testing.assert_allclose(to_mean, expected, atol=1e-4)
    tensors = read_tensors(folder / "policy.safetensors")
    narrow = np.ones((2, 9), np.float32)
    write_tensors(folder / "policy.safetensors", tensors | {"goal_set": narrow})
    with pytest.raises(VipOfflineError, match="is not the network"):
        Policy.load(folder)


def test_an_encoder_of_another_kind(shipped: Path) -> None:
    tensors = read_tensors(shipped / "encoder.safetensors")
    tensors.pop(next(tensor for tensor in tensors if tensor.endswith("weight")))
    write_tensors(shipped / "encoder.safetensors", tensors)
    rewritten(shipped)
    with pytest.raises(VipOfflineError, match=r"encoder.safetensors: does not fit .* is missing"):
        load_policy(shipped, backend="torch")


@pytest.mark.slow
def test_a_folder_that_was_not_made_ready(tmp_path: Path) -> None:
    folder = trained_policy(tmp_path, "pixels", cameras=("left", "right"))
    policy = load_policy(folder)
    given = observations(2, ("left", "right"))
    inferred = policy.infer(given)
    assert inferred.novelty is None
    encoder = load_encoder("pixels")
    left, right = (encoder(given[f"frame/{text}"]) for text in ("left", "right"))  # type: ignore[arg-type]
    np.testing.assert_array_equal(inferred.embedding, np.concatenate([left, right], axis=1))
    with pytest.raises(VipOfflineError, match=r"has no policy.onnx.*vip-offline ship"):
        load_policy(folder, backend="onnx")
    with pytest.raises(VipOfflineError, match=r"trained on another encoder.*'pixels', not"):
        load_policy(folder, encoder=load_encoder("vip-mini"))
    # and made ready, through both cameras of the graph
    ship(folder)
    robot = copied(folder, tmp_path / "robot")
    graph = load_policy(robot, backend="onnx").infer(given)
    np.testing.assert_allclose(graph.embedding, inferred.embedding, atol=1e-6)
    np.testing.assert_allclose(graph.action, inferred.action, atol=1e-4)


@pytest.mark.slow
def test_pixels_without_an_encoder(tmp_path: Path) -> None:
    folder = trained_policy(tmp_path, algo="scratch-bc")
    before = load_policy(folder).act(observations(2))
    ship(folder)
    np.testing.assert_allclose(
        load_policy(folder, backend="onnx").act(observations(2)), before, atol=1e-4
    )


def test_an_older_folder(shipped: Path) -> None:
    manifest = json.loads((shipped / "manifest.json").read_text())
    del manifest["interface"]
    (shipped / "manifest.json").write_text(json.dumps(manifest))
    (shipped / "SHA256SUMS").unlink()
    with pytest.raises(VipOfflineError, match="its interface is not what this program wrote"):
        load_policy(shipped)
    shutil.rmtree(shipped)
    with pytest.raises(VipOfflineError, match="is not a policy folder"):
        load_policy(shipped)


def test_a_gripper_keeps_its_side_until_reset_and_a_batch_has_no_history(
    shipped: Path,
) -> None:
    manifest = json.loads((shipped / "manifest.json").read_text())
    raw = load_policy(shipped).infer(observations(8)).action[:, 1]
    low, high = (float(end) for end in np.quantile(raw, [0.25, 0.75]))
    manifest["interface"]["grippers"] = [
        {"dimension": 1, "low": -5.0, "high": 5.0, "low_below": low, "high_above": high}
    ]
    (shipped / "manifest.json").write_text(json.dumps(manifest))
    write_sums(shipped, [path.name for path in shipped.iterdir() if path.name != "SHA256SUMS"])
    policy, given = load_policy(shipped), observations(8)
    np.testing.assert_array_equal(policy.infer(given).action[:, 1], raw)  # as in sample_io.npz
    np.testing.assert_array_equal(policy.act(given)[:, 1], np.where(raw > 0, 5, -5))

    def one(row: int) -> float:
        return float(policy.act({key: value[row] for key, value in given.items()})[1])

    between = int(np.argsort(raw)[4])
    assert low < raw[between] < high
    actions = []
    for row in (int(raw.argmax()), between, int(raw.argmin()), between):
        actions.append(one(row))
    assert actions == [5, 5, -5, -5]
    policy.reset()
    assert one(between) == (5 if raw[between] > 0 else -5)


def test_what_it_reads_must_be_listed(shipped: Path) -> None:
    names = [path.name for path in shipped.iterdir() if path.name != "SHA256SUMS"]
    (shipped / "rollouts.json").write_text("{}")  # not read to act
    load_policy(shipped, sealed=True)
    for left_out in ("policy.onnx", "policy.safetensors"):
        write_sums(shipped, [name for name in names if name != left_out])
        with pytest.raises(VipOfflineError, match=f"{left_out} is not listed in SHA256SUMS"):
            load_policy(shipped)
    (shipped / "SHA256SUMS").unlink()
    load_policy(shipped)
    with pytest.raises(VipOfflineError, match=r"has no SHA256SUMS.*vip-offline ship.*--unsealed"):
        load_policy(shipped, sealed=True)
