"""What earlier releases wrote opens, and means what it meant; see `make_old_files`."""

import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import d3rlpy
import numpy as np
import pytest
import tiny_encoder
from conftest import PROGRAM
from make_old_files import (
    ALGOS,
    LINKED,
    LONGER,
    MODEL,
    STEPS,
    STORE,
    levels,
    pretraining,
    quiet,
    sha256,
    stopped,
    training,
)
from numpy.typing import NDArray

from vip_offline.dataset.store import open_store
from vip_offline.dataset.validation.run import check
from vip_offline.deployment.export import note_success
from vip_offline.encoders.encoder import load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.options import Computing, RelabelOptions, RolloutOptions
from vip_offline.policies.policy import Policy
from vip_offline.policies.runtime import load_policy
from vip_offline.policies.verify import verify
from vip_offline.pretraining.run import pretrain_stage
from vip_offline.pretraining.trainer import LOSSES
from vip_offline.rewards.relabel import relabel
from vip_offline.simulation.rollout import existing_rollouts
from vip_offline.training.job import is_trained
from vip_offline.training.run import train

WRITTEN = Path(__file__).parent / "written_by"
RELEASES = ("0.1.0",)


@pytest.fixture(scope="session", params=RELEASES)
def unpacked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The files of a release, not to be changed, and what they meant to it."""
    folder = tmp_path_factory.mktemp("written")
    with tarfile.open(WRITTEN / f"{request.param}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder, json.loads((WRITTEN / f"{request.param}.json").read_text())


@pytest.fixture
def meant(
    unpacked: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """A copy of them as the current folder; gives what they meant."""
    folder, numbers = unpacked
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    tiny_encoder.register(monkeypatch)
    return numbers


def values(numbers: Any) -> NDArray[np.float64]:
    """JSON's null is NaN."""
    return np.array(numbers, float)


def assert_near(given: NDArray[Any], numbers: Any, within: float = 1e-4) -> None:
    """But for what another processor may round otherwise."""
    np.testing.assert_allclose(given, values(numbers), rtol=within, atol=within)


def observation() -> dict[str, NDArray[Any]]:
    store = open_store(STORE)
    return {"frame/corner": store.frames("corner", 0, 3), "proprio": store.data("proprio", 0, 3)}


def test_a_store_is_whole(meant: dict[str, Any]) -> None:
    store = open_store(STORE)
    store.require_finished()
    assert (len(store), store.rows, store.cameras) == (4, 23, ["corner"])
    assert (store.attributes["task"], store.attributes["control_rate"]) == ("drawer-close", 20.0)
    assert store.meta("success").tolist() == [True, False, True, True]
    assert sha256(store.frames("corner", 0, store.rows)) == meant["frames"]
    assert not check(STORE).wrong


def test_rewards_are_what_they_were(meant: dict[str, Any]) -> None:
    store = open_store(STORE)
    assert store.label_names == ["pixels", "tiny-shaping"] == sorted(meant["rewards"])
    for name in store.label_names:
        label = store.label(name)
        np.testing.assert_allclose(label.reward, values(meant["rewards"][name]), atol=1e-6)
        np.testing.assert_allclose(label.distance, values(meant["distances"][name]), atol=1e-6)


def test_a_labelling_made_again_is_there_already(meant: dict[str, Any]) -> None:
    done = relabel(STORE, RelabelOptions(encoder="pixels"))
    assert (done.written, done.embedded_frames) == (False, 0)
    other = RelabelOptions(encoder="pixels", name="again", reward="distance")
    done = relabel(STORE, other)  # of the embeddings that are there
    assert (done.written, done.embedded_frames) == (True, 0)


def test_a_store_of_linked_videos(meant: dict[str, Any]) -> None:
    moved(LINKED, Path("videos"))
    store = open_store(LINKED)
    np.testing.assert_allclose(levels(store), meant["linked"]["levels"], atol=0.5)
    reward = store.label().reward
    np.testing.assert_allclose(reward, values(meant["linked"]["rewards"]), atol=1e-5)
    assert store.texts("instruction") == ["pick é"] * 3
    assert store.extra("force").shape == (16, 2, 2)


# what a training then did and a default of today does otherwise
AS_THEN: dict[str, Any] = {
    "normalise_actions": "none",
    "gripper": "regress",
    "tau": 0.1,
    "weight_by": "step",
}


def moved(store: Path, videos: Path) -> None:
    """Say in a store that its videos lie elsewhere: it holds their folder's full path."""
    metadata = store / "zarr.json"
    said = json.loads(metadata.read_text())
    said["attributes"]["videos"] = os.fspath(videos.absolute())
    metadata.write_text(json.dumps(said), encoding="utf-8")


@pytest.mark.parametrize("algo", ALGOS)
def test_a_policy_acts_as_it_did(meant: dict[str, Any], algo: str) -> None:
    folder = Path("policies") / algo
    policy = load_policy(folder)
    assert_near(policy.act(observation()), meant["actions"][algo])
    assert is_trained(folder, STORE, replace(training(algo), **AS_THEN))
    with pytest.raises(VipOfflineError, match="trained before actions were normalised"):
        is_trained(folder, STORE, training(algo))
    assert policy.interface.control_rate == 20


def test_rollouts_count_as_done(meant: dict[str, Any]) -> None:
    result = existing_rollouts(
        Path("policies/bc"), RolloutOptions(placements=2, horizon=3, videos=1)
    )
    assert result is not None
    assert (result.placements, result.success) == ((100_000, 100_001), (False, False))
    assert result.steps == (3, 3)
    assert (result.backend, result.processor) == ("unknown", "unknown")
    note_success(Path("shipped"), print)
    assert verify(Path("shipped")).manifest["success"]["rollouts"] == 2


@pytest.mark.slow
def test_old_rollouts_say_that_their_making_is_unknown(meant: dict[str, Any]) -> None:
    """And that the demonstrations had another rate than the simulator."""
    wanted = ["--placements", "2", "--horizon", "3", "--videos", "1"]
    result = subprocess.run(
        [*PROGRAM, "rollout", "policies/bc", *wanted], capture_output=True, text=True, check=True
    )
    said = " ".join(result.stdout.split())
    assert "Computed by unknown on unknown." in said
    assert "note: policies/bc: trained on demonstrations at 20 Hz, but the simulator" in said
    assert "acts at 80 Hz" in said


def test_a_policy_for_another_computer(meant: dict[str, Any]) -> None:
    verified = verify(Path("shipped"))
    assert verified.problems == ()
    assert [each.backend.split()[0] for each in verified.backends] == ["ONNX", "torch"]
    for backend in ("onnx", "torch"):
        policy = load_policy("shipped", backend=backend)
        assert_near(policy.act(observation()), meant["shipped"])
    novelty = policy.infer(observation()).novelty
    assert novelty is not None
    assert (novelty < 1e-3).all()  # frames of the training set


def test_its_pickle_opens_in_d3rlpy(meant: dict[str, Any]) -> None:
    algo: Any = d3rlpy.load_learnable("shipped/model.d3", device="cpu:0")
    frames = observation()
    embedding = load_encoder(tiny_encoder.NAME, MODEL)(frames["frame/corner"])
    given = algo.predict(np.concatenate([embedding, frames["proprio"]], axis=1))
    assert_near(given, meant["shipped"])


@pytest.mark.parametrize("algo", STEPS)
def test_a_training_that_stopped_goes_on(meant: dict[str, Any], algo: str) -> None:
    taken: list[int] = []
    options = replace(stopped(algo), **AS_THEN)
    train(STORE, options, Path("unfinished") / algo, on_steps=taken.append)
    assert 0 < taken[0] < sum(taken) == STEPS[algo]
    frames = observation()
    encoder = load_encoder(tiny_encoder.NAME, MODEL, computing=Computing("torch"))
    embedding = encoder(frames["frame/corner"])
    given = Policy.load(Path("unfinished") / algo).act(embedding, frames["proprio"])
    assert_near(given, meant["finished"][algo], 1e-3)


def test_an_encoder_embeds_as_it_did(meant: dict[str, Any]) -> None:
    encoder = load_encoder(tiny_encoder.NAME, MODEL)
    assert_near(encoder(observation()["frame/corner"]), meant["embedding"])


def test_a_pretraining_goes_on(meant: dict[str, Any]) -> None:
    out, said = Path("encoder"), list[str]()
    pretrain_stage([STORE], replace(pretraining(), steps=LONGER), out, quiet, said.append)
    assert "goes on from step 4" in said
    losses = [json.loads(line)["loss"] for line in (out / LOSSES).read_text().splitlines()]
    assert_near(np.array(losses), meant["losses"], 1e-3)
    assert (out / "checkpoints" / f"step-{LONGER}.pt").exists()
