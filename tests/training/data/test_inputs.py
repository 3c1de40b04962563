from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_cameras import two_cameras

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions, TrainOptions
from vip_offline.policies.policy import read_manifest
from vip_offline.policies.runtime import load_policy
from vip_offline.rewards.policy_cameras import embed_cameras
from vip_offline.rewards.relabel import relabel
from vip_offline.training.data.dataset import training_set
from vip_offline.training.run import train

D = 3072  # of pixels
FRONT = RelabelOptions(encoder="pixels", camera="front", name="of the front")
OPTIONS = TrainOptions(steps=20, hidden=(8,), tau=1.0, weight_by="step")
BOTH = replace(OPTIONS, cameras=("wrist", "front"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Labelled by its front camera, both embedded."""
    path = two_cameras(tmp_path / "two.zarr")
    relabel(path, FRONT)
    embed_cameras(path, FRONT.name, ("wrist",))
    return path


@pytest.mark.slow
def test_the_policy_sees_the_cameras_named_and_the_reward_stays(store: Path) -> None:
    opened = open_store(store)
    wrist, front = (opened.embedding("pixels", each)[0] for each in ("wrist", "front"))
    assert np.abs(wrist - front).max() > 0.1
    alone, both = training_set(store, OPTIONS), training_set(store, BOTH)
    np.testing.assert_array_equal(
        np.concatenate(both.observations)[:, : 2 * D], np.concatenate([wrist, front], axis=1)
    )
    np.testing.assert_array_equal(np.concatenate(alone.observations)[:, :D], front)
    assert alone.weighed.weights is not None
    np.testing.assert_array_equal(both.weighed.weights, alone.weighed.weights)
    assert (both.manifest["camera"], both.manifest["label"]["camera"]) == ("wrist,front", "front")
    assert list(both.manifest["interface"]["frames"]) == ["frame/wrist", "frame/front"]
    assert "cameras: the policy sees wrist, front; the reward saw front" in both.notes
    assert not [note for note in alone.notes if note.startswith("cameras")]
    assert both.manifest["data_sha256"] != alone.manifest["data_sha256"]


@pytest.mark.parametrize("goal", ["successes", "nearest:successes"])
def test_the_distance_to_the_goal_is_the_labels_camera_alone(
    store: Path, tmp_path: Path, goal: str
) -> None:
    relabel(store, replace(FRONT, name="b", goal=(goal,)))
    label = open_store(store).label("b")
    train(store, replace(BOTH, label="b"), tmp_path / "policy")
    policy = load_policy(tmp_path / "policy")
    success = slice(*open_store(store).spans()[0])  # all successes end in one picture
    embedding, _ = open_store(store).embedding("pixels", "wrist,front")
    away = policy.goal_distance(embedding[success])
    assert away is not None
    np.testing.assert_allclose(away, label.distance[success], rtol=1e-5, atol=1e-4)


def test_a_policy_that_does_not_see_its_goal_says_so(store: Path, tmp_path: Path) -> None:
    wrist = replace(OPTIONS, cameras=("wrist",))
    assert any("does not see its goal" in note for note in training_set(store, wrist).notes)
    train(store, wrist, tmp_path / "policy")
    policy = load_policy(tmp_path / "policy")
    assert (policy.goal, policy.goal_set) == (None, None)
    assert policy.goal_distance(np.zeros((2, D), np.float32)) is None
    assert read_manifest(tmp_path / "policy")["options"]["cameras"] == ["wrist"]


@pytest.mark.parametrize(
    ("cameras", "part"),
    [
        (("wirst",), r"no camera 'wirst'.*Did you mean 'wrist'"),
        (("front", "front"), "--cameras front,front: names a camera twice"),
    ],
)
def test_cameras_that_are_not_there(store: Path, cameras: tuple[str, ...], part: str) -> None:
    with pytest.raises(VipOfflineError, match=part):
        training_set(store, replace(OPTIONS, cameras=cameras))


def test_a_camera_that_is_not_embedded_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = two_cameras(tmp_path / "two.zarr")
    relabel(path, replace(FRONT, name="a"))
    command = r"`vip-offline train .*two\.zarr --label a --cameras wrist,front` embeds it"
    with pytest.raises(VipOfflineError, match=rf"camera 'wrist' is not embedded.*{command}"):
        training_set(path, BOTH)


def test_cameras_that_one_encoder_cannot_see_in_one_way(store: Path) -> None:
    """Embeddings of two makings side by side would be of no policy's encoder."""
    other = two_cameras(store.parent / "other.zarr")
    relabel(other, FRONT)
    relabel(other, replace(FRONT, camera="wrist", name="w", fit="pad"))
    with pytest.raises(VipOfflineError, match=r"not of one making \(preprocessing differs\)"):
        training_set(other, replace(BOTH, label=FRONT.name))


def test_cloning_from_pixels_sees_the_camera_named(tmp_path: Path) -> None:
    path, scratch = two_cameras(tmp_path / "two.zarr"), TrainOptions(algo="scratch-bc", steps=20)
    with pytest.raises(VipOfflineError, match=r"sees one camera, not front, wrist.*--cameras"):
        training_set(path, scratch)
    data = training_set(path, replace(scratch, cameras=("wrist",)))
    assert data.manifest["camera"] == "wrist"
    front = training_set(path, replace(scratch, cameras=("front",)))
    assert np.abs(data.observations[0] - front.observations[0]).max() > 0.1
