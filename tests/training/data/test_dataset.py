import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from conftest import LENGTHS
from made_up_policies import trained_policy
from numpy.typing import NDArray
from store_files import overwrite, overwrite_attribute

from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.options import NormaliseActions, RelabelOptions, TrainOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.training.algorithms.replay_buffer import vector_buffer
from vip_offline.training.data.action_scale import to_reach
from vip_offline.training.data.dataset import Differences, differences, identity, training_set

SMALL = TrainOptions(steps=40, hidden=(8,), tau=1.0, weight_by="step")


def test_every_transition_and_no_other(labelled: Path) -> None:
    data = training_set(labelled, SMALL)
    assert [len(each) for each in data.weighed.slot] == [length - 1 for length in LENGTHS]
    assert data.weighed.summary is not None
    assert data.weighed.summary.transitions == sum(LENGTHS) - 3
    reward = open_store(labelled).label().reward
    np.testing.assert_array_equal(np.concatenate(data.weighed.slot), reward[~np.isnan(reward)])
    embedding, _ = open_store(labelled).embedding("pixels", "front")
    np.testing.assert_array_equal(data.observations[0][:, :3072], embedding[: LENGTHS[0]])
    np.testing.assert_array_equal(
        data.observations[1][:, 3072:], open_store(labelled).data("proprio")[5:12]
    )


def write_reward(path: Path, reward: NDArray[Any]) -> None:
    """As a labelling of its own making, not as one that was edited."""
    label = open_store(path).label()
    with writing(path) as store:
        store.write_label(replace(label, reward=reward.astype(np.float32)))


def test_d3rlpy_sees_the_stores_rows(labelled: Path) -> None:
    """Observation, action and reward of row t make transition t, read back from the store."""
    last = np.cumsum(LENGTHS) - 1
    reward = np.arange(sum(LENGTHS), dtype=np.float32) / np.float32(
        10
    )  # that differ: a shift would show
    reward[last] = np.nan
    write_reward(labelled, reward)
    data = training_set(labelled, SMALL)
    buffer = vector_buffer(data.observations, data.actions, data.weighed.slot)
    store = open_store(labelled)
    assert buffer.transition_count == sum(LENGTHS) - 3
    embedding, _ = store.embedding("pixels", "front")
    for (start, stop), episode in zip(store.spans(), buffer.episodes, strict=True):
        for row in range(start, stop - 1):
            transition = buffer.transition_picker(episode, row - start)
            observation = np.asarray(transition.observation)
            np.testing.assert_array_equal(observation[:3072], embedding[row])
            np.testing.assert_array_equal(observation[3072:], store.data("proprio")[row])
            np.testing.assert_array_equal(transition.action, store.data("action")[row])
            np.testing.assert_allclose(np.asarray(transition.reward), [row / 10], rtol=1e-6)


def test_what_was_done_in_the_last_observation_changes_nothing(labelled: Path) -> None:
    before = training_set(labelled, SMALL)
    for row, value in zip(np.cumsum(LENGTHS) - 1, (np.nan, 50.0, np.nan), strict=True):
        overwrite(labelled, "data/action", row, value)
    after = training_set(labelled, SMALL)
    np.testing.assert_array_equal(after.action_range, before.action_range)
    np.testing.assert_array_equal(after.transitions.action, before.transitions.action)
    assert all(np.isfinite(action).all() for action in after.actions)


def test_the_columns_are_those_rows_scaled(labelled: Path) -> None:
    data = training_set(labelled, SMALL)
    rows = np.concatenate([observation[:-1] for observation in data.observations])
    changing = np.ptp(rows, axis=0) > 0
    np.testing.assert_allclose(data.transitions.observation.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(data.transitions.observation.std(0)[changing], 1, atol=0.1)
    actions = np.concatenate([action[:-1] for action in data.actions])
    np.testing.assert_array_equal(data.transitions.action, to_reach(actions, data.action_range))
    np.testing.assert_allclose(np.abs(data.transitions.action).max(axis=0), 1 / 1.1, rtol=1e-5)
    assert data.weighed.weights is not None
    np.testing.assert_allclose(data.transitions.weight[:, 0], data.weighed.weights, rtol=1e-6)
    raw = training_set(labelled, replace(SMALL, standardise=False, normalise_actions="none"))
    np.testing.assert_array_equal(raw.transitions.observation, rows)
    np.testing.assert_array_equal(raw.transitions.action, actions)


def test_only_successes(labelled: Path) -> None:
    data = training_set(labelled, replace(SMALL, only_successes=True))
    assert data.manifest["episodes"] == [0, 2]
    assert len(data.observations) == 2


def test_held_out_episodes_are_successes_and_the_same_for_all(labelled: Path) -> None:
    kept = [
        training_set(labelled, replace(SMALL, hold_out=1, **changes)).manifest
        for changes in ({}, {"seed": 5}, {"algo": "bc"}, {"only_successes": True})
    ]
    assert all(each["held_out"] == kept[0]["held_out"] for each in kept)
    (episode,) = kept[0]["held_out"]
    assert episode in (0, 2)
    assert all(episode not in each["episodes"] for each in kept)
    data = training_set(labelled, replace(SMALL, hold_out=1))
    assert [each.episode for each in data.held_out] == [episode]
    start, stop = open_store(labelled).spans()[episode]
    actions = open_store(labelled).data("action")[start : stop - 1]
    np.testing.assert_array_equal(data.held_out[0].action, to_reach(actions, data.action_range))
    with pytest.raises(VipOfflineError, match=r"--hold-out 2: the store has 2 successful episodes"):
        training_set(labelled, replace(SMALL, hold_out=2))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"algo": "rwrr"}, "Did you mean 'rwr'"),
        ({"steps": 0}, "--steps 0: must be at least 1"),
        ({"tau": -1.0}, "--tau -1: must be at least 0"),
        ({"tau": float("nan")}, "--tau nan"),
        ({"target_ess": 1.5}, r"--target-ess 1\.5"),
        ({"seed": -1}, "--seed -1"),
        ({"hidden": ()}, "--hidden"),
        ({"hidden": (8, 0)}, "--hidden 8,0: must be at least 1"),
        ({"learning_rate": 0.0}, "--learning-rate 0: must be above 0"),
        ({"n_steps": 0}, "--n-steps 0"),
        ({"weight_cap": float("inf")}, "--weight-cap inf"),
        ({"weight_cap": -1.0}, "--weight-cap -1: must be at least 0"),
        ({"discount": 1.5}, r"--discount 1\.5"),
        ({"beta": 0.0}, "--beta 0: must be above 0"),
        ({"label": "pixel"}, "Did you mean 'pixels'"),
    ],
)
def test_settings_that_cannot_train(labelled: Path, options: dict[str, object], part: str) -> None:
    with pytest.raises(VipOfflineError, match=part):
        training_set(labelled, replace(SMALL, **options))  # type: ignore[arg-type]


def test_a_store_without_labels_says_what_to_do(store_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="vip-offline relabel"):
        training_set(store_path, SMALL)


def test_rewards_that_cannot_be_learnt_from(labelled: Path) -> None:
    reward = open_store(labelled).label().reward
    reward[6] = np.nan
    write_reward(labelled, reward)
    with pytest.raises(VipOfflineError, match="episode 1: reward of row 1 in label 'pixels'"):
        training_set(labelled, SMALL)


def test_an_episode_without_a_transition_is_not_dropped_silently(
    make_store: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # this program's own writer refuses it; other programs write stores too
    monkeypatch.setattr("vip_offline.dataset.episode.Episode.check", lambda self, where: None)
    path = make_store(lengths=(5, 1, 6))
    relabel(path, RelabelOptions("pixels"))
    with pytest.raises(VipOfflineError, match=r"episode 1: has 1 row, and a transition needs two"):
        training_set(path, SMALL)


def test_a_label_of_other_embeddings_is_refused(labelled: Path) -> None:
    overwrite_attribute(labelled, "labels/pixels", weights_sha256="0" * 64)
    with pytest.raises(VipOfflineError, match=r"other embeddings.*weights_sha256 differs"):
        training_set(labelled, SMALL)


@pytest.mark.parametrize(
    ("key", "row", "part"),
    [
        ("data/proprio", 6, r"episode 1: proprio\[1, 0\] is nan"),
        ("data/action", 7, r"episode 1: action\[2, 0\] is nan"),
        ("embeddings/pixels/front", 6, r"the embedding pixels/front of episode 1 is outdated"),
    ],
)
def test_values_that_are_not_finite(labelled: Path, key: str, row: int, part: str) -> None:
    overwrite(labelled, key, row, np.nan)
    with pytest.raises(VipOfflineError, match=part):
        training_set(labelled, SMALL)


def test_actions_are_normalised_and_it_is_said(labelled: Path) -> None:
    overwrite(labelled, "data/action", slice(None), np.tile([0.001, 40.0, -1.0, 0.5], (18, 1)))
    overwrite(labelled, "data/action", 7, [0.003, 42.0, 1.0, 0.5])
    data = training_set(labelled, SMALL)
    assert data.action_range is not None
    low, high = [0.0009, 39.9, -1.1, 0.4995], [0.0031, 42.1, 1.1, 0.5005]
    np.testing.assert_allclose(data.action_range, [low, high], rtol=1e-6)
    assert data.manifest["action_scale"]["method"] == "quantile"
    np.testing.assert_array_equal(data.manifest["action_scale"]["high"], data.action_range[1])
    np.testing.assert_allclose(data.transitions.action[:, 3], 0, atol=1e-3)
    (note,) = [note for note in data.notes if note.startswith("actions")]
    assert "0: 0.0009 to 0.0031, 1: 39.9 to 42.1" in " ".join(note.split())
    assert max(len(line) for line in note.splitlines()) < 80


def test_actions_that_the_network_cannot_give_as_they_are(labelled: Path) -> None:
    overwrite(labelled, "data/action", 7, 3.0)
    with pytest.raises(VipOfflineError, match=r"episode 1: action\[2, 0\] is 3.*actions quantile"):
        training_set(labelled, replace(SMALL, normalise_actions="none"))


@pytest.mark.parametrize(
    ("method", "highest", "learnt"), [("quantile", 1.09, 0.99), ("limits", 1050, 1000)]
)
def test_an_outlier_is_named_and_opens_no_limit(
    make_store: Callable[..., Path], method: NormaliseActions, highest: float, learnt: float
) -> None:
    path = make_store(lengths=(40, 40, 40))
    relabel(path, RelabelOptions("pixels"))
    overwrite(path, "data/action", 50, [1000.0, 0, 0, 0])
    data = training_set(path, replace(SMALL, normalise_actions=method))
    assert data.manifest["action_outliers"] == [
        {"episode": 1, "row": 10, "dimension": 0, "value": 1000.0}
    ]
    note = " ".join(next(each for each in data.notes if "outlier" in each).split())
    assert "1 outlier" in note and "episode 1, action[10, 0] = 1000" in note
    assert ("clipped" in note) == (method == "quantile")
    interface = data.manifest["interface"]
    assert max(interface["high"]) <= 1 and max(interface["largest_step"]) <= 2
    assert data.action_range is not None
    assert data.action_range[1, 0] == pytest.approx(highest, rel=0.01)
    assert data.actions[1][10, 0] == pytest.approx(learnt, rel=0.05)  # d3rlpy learns from these
    assert np.abs(data.transitions.action).max() < 0.92


def test_an_action_of_two_values_is_recognised_unless_it_is_to_be_a_regression(
    labelled: Path,
) -> None:
    action = open_store(labelled).data("action").copy()
    action[:, 3] = np.where(np.arange(len(action)) % 5 < 2, 0.9, -1)
    overwrite(labelled, "data/action", slice(None), action)
    data = training_set(labelled, SMALL)
    (gripper,) = data.manifest["interface"]["grippers"]
    assert (gripper["dimension"], gripper["low"]) == (3, -1)
    assert gripper["high"] == pytest.approx(0.9)
    (note,) = [note for note in data.notes if note.startswith("gripper")]
    assert "action 3 is -1 or 0.9" in note
    assert max(len(line) for line in note.splitlines()) < 80
    plain = training_set(labelled, replace(SMALL, gripper="regress"))
    assert plain.manifest["interface"]["grippers"] == []
    np.testing.assert_array_equal(plain.transitions.action, data.transitions.action)


def written_down(store: Path) -> dict[str, Any]:
    """What makes a policy this one, as a file gives it back."""
    known = identity(store, SMALL)
    read = known.pop("read")
    return {**json.loads(json.dumps(known)), "read": read}


def test_a_policy_from_before_actions_were_normalised_is_told_from_todays(labelled: Path) -> None:
    old = written_down(labelled)
    assert differences(old, labelled, SMALL) == Differences((), ())
    del old["options"]["normalise_actions"]
    assert differences(old, labelled, SMALL).settings == (
        "trained before actions were normalised (normalise_actions 'none'), now 'quantile'",
    )
    as_then = replace(SMALL, normalise_actions="none")
    assert differences(old, labelled, as_then) == Differences((), ())


def test_a_label_is_known_by_its_name_however_many_came_since(labelled: Path) -> None:
    """Trained on the only labelling, gone on with by its name; cameras are younger than it."""
    old = written_down(labelled)
    del old["options"]["cameras"]
    relabel(labelled, RelabelOptions(encoder="pixels", name="b", goal=("last",)))
    assert differences(old, labelled, replace(SMALL, label="pixels")) == Differences((), ())
    other = differences(old, labelled, replace(SMALL, label="b"))
    assert other.settings[0] == "label 'pixels', now 'b'"
    named = replace(SMALL, label="pixels", cameras=("front",))
    assert differences(old, labelled, named).settings == ("cameras [], now ['front']",)


def test_inputs_that_never_change_are_not_blown_up(labelled: Path) -> None:
    for row in range(sum(LENGTHS)):
        overwrite(labelled, "data/proprio", row, 7.0)
    data = training_set(labelled, SMALL)
    assert data.statistics is not None
    np.testing.assert_array_equal(data.statistics.std[3072:], 1)
    moved = data.statistics.scaled(data.observations[0][:1] + 1)
    assert np.abs(moved[:, 3072:]).max() < 1.01
    assert any("4 of 3076 never change" in note for note in data.notes)


@pytest.mark.slow
def test_inputs_that_hardly_change_are_counted(labelled: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 1e-5, sum(LENGTHS))
    proprio = open_store(labelled).data("proprio").copy()
    proprio[:, 1] = 0.3 + noise
    overwrite(labelled, "data/proprio", slice(None), proprio)
    assert any("1 of 3076 hardly change" in note for note in training_set(labelled, SMALL).notes)


def test_pixels_need_no_label(store_path: Path) -> None:
    data = training_set(store_path, replace(SMALL, algo="scratch-bc"))
    assert data.observations[0].shape == (LENGTHS[0], 3 * 64 * 64 + 4)
    assert data.manifest["encoder"]["encoder"] == "pixels-64"
    assert data.weighed.weights is not None
    np.testing.assert_array_equal(data.weighed.weights, 1)
    assert identity(store_path, replace(SMALL, algo="scratch-bc"))["label"] == {}


@pytest.mark.slow
def test_scratch_bc_sees_the_whole_frame_where_it_is_told(tmp_path: Path) -> None:
    store = trained_policy(tmp_path, "pixels", fit="pad").parent / "demos.zarr"
    cropped, padded = (
        training_set(store, replace(SMALL, algo="scratch-bc", fit=fit)) for fit in ("crop", "pad")
    )
    picture = padded.observations[0][0, : 3 * 64 * 64].reshape(3, 64, 64)
    assert not picture[:, :9].any()  # the black bar above frames of 40 x 56 px
    assert picture[:, 9:55].any(axis=(0, 2)).all()
    assert padded.manifest["encoder"]["preprocessing"]["fit"] == "pad"
    assert "fit" not in cropped.manifest["encoder"]["preprocessing"]


@pytest.mark.slow
def test_what_a_label_saw_is_not_chosen_again(tmp_path: Path) -> None:
    store = trained_policy(tmp_path, "pixels", fit="pad").parent / "demos.zarr"
    assert training_set(store, SMALL).manifest["encoder"]["preprocessing"]["fit"] == "pad"
    with pytest.raises(VipOfflineError, match=r"--fit squash: label 'pixels' was made with .*pad"):
        training_set(store, replace(SMALL, fit="squash"))
    # embeddings that were made anew by another fit: the way out names it
    shutil.rmtree(store / "embeddings")
    relabel(store, RelabelOptions(encoder="pixels", fit="squash", name="new"))
    with pytest.raises(VipOfflineError, match=r"the embedding .* of episodes 0, 1, 2 changed"):
        training_set(store, replace(SMALL, label="pixels"))


def test_the_kind_of_action_is_said_or_guessed(make_store: Callable[..., Path]) -> None:
    path, options = make_store("kinds", (12, 12, 12)), TrainOptions(algo="scratch-bc")

    def kind() -> tuple[str, bool]:
        interface = training_set(path, options).manifest["interface"]
        return interface["action_kind"], interface["action_kind_guessed"]

    assert kind() == ("", False)  # noise
    store = zarr.open_group(path)
    action, proprio = store["data/action"], store["data/proprio"]
    assert isinstance(action, zarr.Array) and isinstance(proprio, zarr.Array)
    action[:] = np.asarray(proprio[:]) + 0.01
    assert kind() == ("position", True)
    overwrite_attribute(path, "", source="metaworld")
    assert kind() == ("delta", False)
    overwrite_attribute(path, "", action_kind="velocity")
    assert kind() == ("velocity", False)
    overwrite_attribute(path, "", action_kind="speed")
    with pytest.raises(VipOfflineError, match=r"kinds\.zarr: action_kind is 'speed'"):
        kind()


def test_actions_are_named_as_whoever_recorded_them_said(
    make_store: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_store("named")
    options = TrainOptions(algo="scratch-bc")
    interface = training_set(path, options).manifest["interface"]
    assert interface["action"] == [f"action[{place}]" for place in range(4)]
    names = ["dx [m]", "dy [m]", "dz [m]", "grip"]
    overwrite_attribute(path, "", action=names, gripper="1 closes")
    interface = training_set(path, options).manifest["interface"]
    assert (interface["action"], interface["gripper"]) == (names, "1 closes")
    overwrite_attribute(path, "", source="metaworld", action=[])
    interface = training_set(path, options).manifest["interface"]
    assert interface["action"][3] == "gripper effort"
    assert interface["gripper"].startswith("the last action")
