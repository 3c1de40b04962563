"""Minari's data sets, read back with Minari itself and with our own import."""

import json
import tempfile
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium.spaces import Box
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
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage
from store_files import overwrite_attribute

from vip_offline.dataset.exporters import minari as exports
from vip_offline.dataset.exporters.labelled_episodes import open_labelled
from vip_offline.dataset.exporters.minari import write_minari
from vip_offline.errors import VipOfflineError

KITCHEN = "D4RL/kitchen-v3"


def silent(count: int) -> None:
    del count


def write_source(path: Path, shape: Shape) -> None:
    """A data set as Minari itself writes it, without loss."""
    generator = np.random.default_rng(shape.seed)

    def buffer(steps: int) -> EpisodeBuffer:
        inner: dict[str, Any] = {
            name: numbers(generator, steps + 1, dtype, tail)
            for name, (dtype, tail) in shape.extras.items()
        }
        return EpisodeBuffer(
            observations={
                "observation": numbers(generator, steps + 1, "float64", (3,)),
                "images": {name: pictures(generator, steps + 1) for name in shape.cameras},
                **({"goal": inner} if inner else {}),
            },
            actions=numbers(generator, steps, "float32", (2,)),
            rewards=numbers(generator, steps, "float64", ()),
            terminations=np.arange(steps) == steps - 1,
            truncations=np.zeros(steps, bool),
            infos={
                "success": np.arange(steps + 1) >= steps,
                "qpos": {"é": np.ones((steps + 1, 2))},
            },
        )

    buffers = [buffer(length - 1) for length in shape.lengths]

    def space(node: Any) -> Any:
        if isinstance(node, dict):
            return gymnasium.spaces.Dict({name: space(child) for name, child in node.items()})
        if node.dtype == bool:
            return gymnasium.spaces.MultiBinary(node.shape[1:] or 1)
        high = 255 if node.dtype == np.uint8 else 1000
        return Box(0 if high == 255 else -1000, high, node.shape[1:], node.dtype.type)

    path.mkdir()
    storage = MinariStorage.new(
        path / "data",
        observation_space=space(buffers[0].observations),
        action_space=Box(-100, 100, (2,), np.float32),
        env_spec=gymnasium.envs.registration.EnvSpec(KITCHEN),
        jpeg_encoding=False,
    )
    storage.update_metadata({"dataset_id": "some/é-v3", "minari_version": minari.__version__})
    storage.update_episodes(buffers)


def padded(values: Any) -> Any:
    """As our import stores what belongs to steps: one row more."""
    empty = np.nan if values.dtype.kind == "f" else 0
    return np.concatenate([values, np.full((1, *values.shape[1:]), empty, values.dtype)])


@pytest.mark.slow
@given(SHAPES)
@settings(max_examples=6, deadline=None)
def test_import_export_import_loses_nothing(shape: Shape) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "a"), Path(folder, "b")
        write_source(source, shape)
        before = imported(source, Path(folder, "a.zarr"))
        labelled = with_rewards(before.path)
        done = write_minari(labelled, out, silent)
        assert not done.notes
        after = imported(out, Path(folder, "b.zarr"))
        assert_same(before, after)
        original, exported = (minari.MinariDataset(folder / "data") for folder in (source, out))
        assert (exported.id, exported.env_spec.id) == ("some/é-v3", KITCHEN)
        for first, second in zip(
            original.iterate_episodes(), exported.iterate_episodes(), strict=True
        ):
            np.testing.assert_array_equal(first.actions, second.actions)
            for camera in shape.cameras:
                np.testing.assert_array_equal(
                    first.observations["images"][camera], second.observations["images"][camera]
                )
            for name in first.observations.get("goal", {}):
                column = second.observations["goal"][name]
                assert column.dtype == first.observations["goal"][name].dtype
                np.testing.assert_array_equal(column, first.observations["goal"][name])
            np.testing.assert_array_equal(first.terminations, second.terminations)
            assert second.truncations.dtype == bool
            np.testing.assert_array_equal(first.infos["qpos"]["é"], second.infos["qpos"]["é"])
            start, stop = before.spans()[first.id]
            np.testing.assert_array_equal(second.rewards, labelled.label.reward[start : stop - 1])


def test_minari_reads_frames_without_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "BATCH", 2)
    # Minari takes nothing smaller than 32 px for a picture, and leaves it as it is
    labelled = with_rewards(recorded(tmp_path / "a.zarr", (5, 3, 4), frame=(32, 36, 3)))
    counted: list[int] = []
    done = write_minari(labelled, tmp_path / "b", counted.append)
    assert counted == [1, 1, 1]
    assert (done.episodes, done.rows) == (3, 9)
    assert "the last action of 3 episodes is left out" in " ".join(done.notes)
    exported, store = minari.MinariDataset(tmp_path / "b/data"), labelled.store
    assert (exported.total_episodes, exported.total_steps) == (3, 9)
    assert exported.id == "vip-offline/a-v0"
    for index, (start, stop) in enumerate(store.spans()):
        (episode,) = exported.iterate_episodes([index])
        for camera in ("front", "手"):
            np.testing.assert_array_equal(
                episode.observations[camera], store.frames(camera, start, stop)
            )
        assert len(episode.actions) == stop - start - 1
        for name, values in episode.observations.items():
            assert exported.observation_space[name].contains(values[0]), name
        assert exported.action_space.contains(episode.actions[0])
        np.testing.assert_array_equal(episode.actions, store.data("action")[start : stop - 1])
        np.testing.assert_array_equal(episode.rewards, labelled.label.reward[start : stop - 1])
        assert episode.truncations.tolist() == [False] * (stop - start - 2) + [True]
        assert not episode.terminations.any()
        np.testing.assert_array_equal(episode.infos["force"], store.extra("force")[start:stop])
    (about, *_) = exported.storage.get_episode_metadata([0])
    assert (about["name"], about["task"]) == ("épisode 0", "pick é")
    assert list(about["splits"]) == ["übung"]
    names = [metadata["name"] for metadata in exported.storage.get_episode_metadata(range(3))]
    assert names == ["épisode 0", "épisode 1", "épisode 2"]
    assert about["success"]
    assert json.loads(exported.storage.metadata["visual_reward"])["label"] == "made"


@pytest.mark.slow
def test_a_recorded_store_comes_back(tmp_path: Path) -> None:
    before = with_rewards(recorded(tmp_path / "a.zarr", last_action=False)).store
    done = write_minari(with_rewards(before.path), tmp_path / "b", silent)
    assert not done.notes
    after = imported(tmp_path / "b", tmp_path / "b.zarr", "reward=infos.true_reward")
    for key in ("proprio", "action", "succeeded", "true_reward"):
        np.testing.assert_array_equal(after.data(key), before.data(key), err_msg=key)
    assert after.meta("success").tolist() == [True, False]
    np.testing.assert_array_equal(after.extra("infos.force"), before.extra("force"))


def test_a_store_without_actions_is_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.zarr")
    with_rewards(path)
    overwrite_attribute(path, "", arrays=None)  # as if it had been written without
    (path / "data/action").rename(tmp_path / "gone")
    labelled = open_labelled(path)
    with pytest.raises(VipOfflineError, match=r"has no actions .* Minari needs them"):
        write_minari(labelled, tmp_path / "b", silent)
