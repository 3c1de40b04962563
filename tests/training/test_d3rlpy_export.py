"""The dump, loaded by d3rlpy."""

from pathlib import Path

import d3rlpy
import numpy as np
import pytest
import zarr
from d3rlpy.dataset import InfiniteBuffer, ReplayBuffer
from store_files import overwrite, overwrite_attribute

from vip_offline.dataset.exporters.labelled_episodes import open_labelled
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.training.algorithms.replay_buffer import VectorReplayBuffer
from vip_offline.training.d3rlpy_export import write_d3rlpy
from vip_offline.training.data.dataset import training_set


def silent(count: int) -> None:
    del count


def loaded(path: Path) -> ReplayBuffer:
    with path.open("rb") as file:
        return ReplayBuffer.load(file, InfiniteBuffer())


@pytest.mark.slow
def test_d3rlpy_loads_what_training_sees(labelled: Path, tmp_path: Path) -> None:
    counted: list[int] = []
    done = write_d3rlpy(open_labelled(labelled), tmp_path / "buffer.h5", counted.append)
    assert (done.episodes, done.rows, counted, done.notes) == (3, 18, [1, 1, 1], ())
    buffer, data = loaded(tmp_path / "buffer.h5"), training_set(labelled, TrainOptions())
    store, label = open_store(labelled), open_store(labelled).label()
    assert buffer.transition_count == 15
    assert buffer.dataset_info.action_space == d3rlpy.ActionSpace.CONTINUOUS
    for index, (episode, (start, stop)) in enumerate(
        zip(buffer.episodes, store.spans(), strict=True)
    ):
        assert not episode.terminated
        assert np.asarray(episode.observations).dtype == np.float32
        np.testing.assert_array_equal(episode.observations, data.observations[index])
        np.testing.assert_array_equal(episode.actions, data.actions[index])
        assert episode.rewards.shape == (stop - start, 1)
        np.testing.assert_array_equal(episode.rewards[:-1, 0], label.reward[start : stop - 1])
        assert episode.rewards[-1] == 0


def test_what_was_loaded_trains(labelled: Path, tmp_path: Path) -> None:
    write_d3rlpy(open_labelled(labelled), tmp_path / "buffer.h5", silent)
    buffer = VectorReplayBuffer(loaded(tmp_path / "buffer.h5").episodes)
    algo = d3rlpy.algos.BCConfig(batch_size=4).create(device="cpu:0")
    algo.fit(
        buffer,
        n_steps=2,
        n_steps_per_epoch=2,
        show_progress=False,
        logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
    )
    assert np.isfinite(algo.predict(buffer.episodes[0].observations)).all()


def test_an_action_that_was_not_taken_is_0(labelled: Path, tmp_path: Path) -> None:
    overwrite(labelled, "data/action", 4, np.nan)  # the last row of the first episode
    write_d3rlpy(open_labelled(labelled), tmp_path / "buffer.h5", silent)
    episode = loaded(tmp_path / "buffer.h5").episodes[0]
    assert not np.asarray(episode.actions)[-1].any()
    assert np.asarray(episode.actions)[:-1].any()


def test_whole_numbers_are_not_discrete_actions(labelled: Path, tmp_path: Path) -> None:
    root = zarr.open_group(labelled, mode="r+")
    action = root["data/action"]
    assert isinstance(action, zarr.Array)
    action[:] = np.sign(np.asarray(action[:]))
    done = write_d3rlpy(open_labelled(labelled), tmp_path / "buffer.h5", silent)
    assert "action_space=d3rlpy.ActionSpace.CONTINUOUS" in " ".join(done.notes)
    with (tmp_path / "buffer.h5").open("rb") as file:  # as the note says
        episodes = d3rlpy.dataset.load(d3rlpy.dataset.Episode, file)
    buffer = ReplayBuffer(
        InfiniteBuffer(), episodes=episodes, action_space=d3rlpy.ActionSpace.CONTINUOUS
    )
    assert buffer.dataset_info.action_size == 4


def test_a_label_of_other_embeddings_is_refused(labelled: Path, tmp_path: Path) -> None:
    overwrite_attribute(labelled, "labels/pixels", preprocessing="another")
    with pytest.raises(VipOfflineError, match="made from other embeddings"):
        write_d3rlpy(open_labelled(labelled), tmp_path / "buffer.h5", silent)


@pytest.mark.slow
def test_a_store_without_actions_is_refused(labelled: Path, tmp_path: Path) -> None:
    overwrite_attribute(labelled, "", arrays=None)
    (labelled / "data/action").rename(tmp_path / "gone")
    opened = open_labelled(labelled)
    with pytest.raises(VipOfflineError, match=r"has no actions .* d3rlpy needs them"):
        write_d3rlpy(opened, tmp_path / "buffer.h5", silent)
