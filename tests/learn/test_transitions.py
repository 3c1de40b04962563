import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from conftest import LENGTHS
from made_up_policies import trained_policy
from store_files import overwrite

from vip_offline.data.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.label.relabel import relabel
from vip_offline.learn.buffer import vector_buffer
from vip_offline.learn.transitions import action_range, identity, to_reach, training_set
from vip_offline.recipe import RelabelOptions, TrainOptions

SMALL = TrainOptions(steps=40, hidden=(8,), tau=1.0)


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


def test_d3rlpy_sees_the_stores_rows(labelled: Path) -> None:
    """Observation, action and reward of row t make transition t, read back from the store."""
    last = np.cumsum(LENGTHS) - 1
    for row in range(sum(LENGTHS)):  # rewards that differ, or a shift would not show
        if row not in last:
            overwrite(labelled, "labels/pixels/reward", row, row / 10)
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
    assert after.action_range is None
    np.testing.assert_array_equal(after.columns.action, before.columns.action)
    assert all(np.isfinite(each).all() for each in after.actions)


def test_the_columns_are_those_rows_scaled(labelled: Path) -> None:
    data = training_set(labelled, SMALL)
    rows = np.concatenate([each[:-1] for each in data.observations])
    changing = np.ptp(rows, axis=0) > 0
    np.testing.assert_allclose(data.columns.observation.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(data.columns.observation.std(0)[changing], 1, atol=0.1)
    np.testing.assert_array_equal(
        data.columns.action, np.concatenate([each[:-1] for each in data.actions])
    )
    assert data.weighed.weights is not None
    np.testing.assert_allclose(data.columns.weight[:, 0], data.weighed.weights, rtol=1e-6)
    raw = training_set(labelled, replace(SMALL, standardise=False))
    np.testing.assert_array_equal(raw.columns.observation, rows)


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
    np.testing.assert_array_equal(
        data.held_out[0].action, open_store(labelled).data("action")[start : stop - 1]
    )
    with pytest.raises(VipOfflineError, match=r"hold_out 2: the store has 2 successful episodes"):
        training_set(labelled, replace(SMALL, hold_out=2))


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"algo": "rwrr"}, "Did you mean 'rwr'"),
        ({"steps": 0}, "steps 0"),
        ({"tau": -1.0}, r"tau -1\.0"),
        ({"tau": float("nan")}, "tau nan"),
        ({"target_ess": 1.5}, r"target_ess 1\.5"),
        ({"seed": -1}, "seed -1"),
        ({"hidden": ()}, "hidden"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"n_steps": 0}, "n_steps 0"),
        ({"weight_cap": -1.0}, r"weight_cap -1\.0"),
        ({"discount": 1.5}, r"discount 1\.5"),
        ({"beta": 0.0}, r"beta 0\.0"),
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
    overwrite(labelled, "labels/pixels/reward", 6, np.nan)
    with pytest.raises(VipOfflineError, match="episode 1: reward of row 1 in label 'pixels'"):
        training_set(labelled, SMALL)


def test_an_episode_without_a_transition_is_not_dropped_silently(
    make_store: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # this program's own writer refuses it; other programs write stores too
    monkeypatch.setattr("vip_offline.data.episode.Episode.check", lambda self, where: None)
    path = make_store(lengths=(5, 1, 6))
    relabel(path, RelabelOptions("pixels"))
    with pytest.raises(VipOfflineError, match=r"episode 1: has 1 row, and a transition needs two"):
        training_set(path, SMALL)


def test_a_label_of_other_embeddings_is_refused(labelled: Path) -> None:
    overwrite_attribute(labelled, "labels/pixels", "weights_sha256", "0" * 64)
    with pytest.raises(VipOfflineError, match=r"other embeddings.*weights_sha256 differs"):
        training_set(labelled, SMALL)


def overwrite_attribute(path: Path, group: str, key: str, value: str) -> None:
    import zarr

    zarr.open_group(path, mode="r+")[group].attrs[key] = value


@pytest.mark.parametrize(
    ("key", "row", "part"),
    [
        ("data/proprio", 6, r"episode 1: proprio\[1, 0\] is nan"),
        ("data/action", 7, r"episode 1: action\[2, 0\] is nan"),
        ("embeddings/pixels/front", 6, r"episode 1: .*not finite"),
    ],
)
def test_values_that_are_not_finite(labelled: Path, key: str, row: int, part: str) -> None:
    overwrite(labelled, key, row, np.nan)
    with pytest.raises(VipOfflineError, match=part):
        training_set(labelled, SMALL)


def test_actions_beyond_reach_are_scaled_and_it_is_said(labelled: Path) -> None:
    inside = training_set(labelled, SMALL)
    assert inside.action_range is None
    overwrite(labelled, "data/action", 7, 3.0)  # a whole row
    data = training_set(labelled, SMALL)
    assert data.action_range is not None
    assert data.action_range[1].tolist() == [3.0] * 4
    assert data.columns.action.max() == 1
    assert data.columns.action.min() == -1
    assert any("scaled" in note and "to 3" in note for note in data.notes)


def test_only_dimensions_that_reach_beyond_are_scaled() -> None:
    actions = np.array([[0.5, -4.0, 2.0], [-0.5, 2.0, 2.0]], np.float32)
    reach = action_range([actions])
    assert reach is not None
    np.testing.assert_array_equal(reach, [[-1, -4, 1], [1, 2, 3]])
    np.testing.assert_allclose(to_reach(actions, reach), [[0.5, -1, 0], [-0.5, 1, 0]], atol=1e-6)
    assert action_range([actions[:, :1]]) is None
    assert to_reach(actions, None) is actions


def test_inputs_that_never_change_are_not_blown_up(labelled: Path) -> None:
    for row in range(sum(LENGTHS)):
        overwrite(labelled, "data/proprio", row, 7.0)
    data = training_set(labelled, SMALL)
    assert data.statistics is not None
    np.testing.assert_array_equal(data.statistics.std[3072:], 1)
    moved = data.statistics.scaled(data.observations[0][:1] + 1)
    assert np.abs(moved[:, 3072:]).max() < 1.01
    assert any("4 of 3076 never change" in note for note in data.notes)


def test_pixels_need_no_label(store_path: Path) -> None:
    data = training_set(store_path, replace(SMALL, algo="scratch-bc"))
    assert data.observations[0].shape == (LENGTHS[0], 3 * 64 * 64 + 4)
    assert data.manifest["encoder"]["encoder"] == "pixels-64"
    assert data.weighed.weights is not None
    np.testing.assert_array_equal(data.weighed.weights, 1)
    assert identity(store_path, replace(SMALL, algo="scratch-bc"))["label"] == {}


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


def test_what_a_label_saw_is_not_chosen_again(tmp_path: Path) -> None:
    store = trained_policy(tmp_path, "pixels", fit="pad").parent / "demos.zarr"
    assert training_set(store, SMALL).manifest["encoder"]["preprocessing"]["fit"] == "pad"
    with pytest.raises(VipOfflineError, match=r"--fit squash: label 'pixels' was made with .*pad"):
        training_set(store, replace(SMALL, fit="squash"))
    # embeddings that were made anew by another fit: the way out names it
    shutil.rmtree(store / "embeddings")
    relabel(store, RelabelOptions(encoder="pixels", fit="squash", name="new"))
    with pytest.raises(VipOfflineError, match=r"preprocessing differs.*--fit squash --name pixels"):
        training_set(store, replace(SMALL, label="pixels"))


def test_actions_are_named_as_whoever_recorded_them_said(
    make_store: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_store("named")
    options = TrainOptions(algo="scratch-bc")
    interface = training_set(path, options).manifest["interface"]
    assert interface["action"] == [f"action[{place}]" for place in range(4)]
    names = ["dx [m]", "dy [m]", "dz [m]", "grip"]
    zarr.open_group(path).attrs.update({"action": names, "gripper": "1 closes"})
    interface = training_set(path, options).manifest["interface"]
    assert (interface["action"], interface["gripper"]) == (names, "1 closes")
    zarr.open_group(path).attrs.update({"source": "metaworld", "action": []})
    interface = training_set(path, options).manifest["interface"]
    assert interface["action"][3] == "gripper effort"
    assert interface["gripper"].startswith("the last action")
