from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import Any

import d3rlpy
import numpy as np
import pytest
from d3rlpy.algos import CalQLConfig, IQLConfig
from d3rlpy.constants import ActionSpace
from d3rlpy.dataset import Episode, EpisodeBase, InfiniteBuffer, ReplayBuffer, TransitionMiniBatch
from d3rlpy.logging import NoopAdapterFactory
from d3rlpy.models.encoders import VectorEncoderFactory
from d3rlpy.torch_utility import TorchMiniBatch
from numpy.typing import NDArray

from vip_offline.training.algorithms.replay_buffer import VectorReplayBuffer, vector_buffer
from vip_offline.training.algorithms.rwr import RWRConfig

SMALL = VectorEncoderFactory(hidden_units=[8])
# rows, and whether the world ended; one row that leads nowhere is no transition
ENDS = ((5, True), (4, False), (1, True), (1, False), (7, False), (3, True))


def vectors(length: int, generator: np.random.Generator) -> NDArray[Any]:
    return generator.normal(size=(length, 3)).astype(np.float32)


def doubles(length: int, generator: np.random.Generator) -> NDArray[Any]:
    return generator.normal(size=(length, 3))


def pictures(length: int, generator: np.random.Generator) -> NDArray[Any]:
    return generator.integers(0, 255, (length, 1, 4, 4), np.uint8)


def made_up(observed: Callable[..., NDArray[Any]] = vectors) -> list[EpisodeBase]:
    generator = np.random.default_rng(0)
    return [
        Episode(
            observed(length, generator),
            generator.uniform(-1, 1, (length, 2)).astype(np.float32),
            generator.normal(size=(length, 1)).astype(np.float32),
            terminated=terminated,
        )
        for length, terminated in ENDS
    ]


def both(episodes: Sequence[EpisodeBase]) -> tuple[ReplayBuffer, VectorReplayBuffer]:
    return ReplayBuffer(InfiniteBuffer(), episodes=episodes), VectorReplayBuffer(episodes)


def assert_same(theirs: TransitionMiniBatch, ours: TransitionMiniBatch) -> None:
    assert len(theirs.transitions) == len(ours.transitions)
    for field in fields(TransitionMiniBatch):
        if field.name != "transitions":
            expected, found = getattr(theirs, field.name), getattr(ours, field.name)
            assert found.dtype == expected.dtype, field.name
            np.testing.assert_array_equal(found, expected, strict=True, err_msg=field.name)
    for expected, found in zip(theirs.transitions, ours.transitions, strict=True):
        for name, value in asdict(expected).items():
            np.testing.assert_array_equal(getattr(found, name), value, strict=True, err_msg=name)


@pytest.mark.parametrize("observed", [vectors, doubles, pictures])
def test_batches_are_d3rlpys_own_to_the_bit(observed: Callable[..., NDArray[Any]]) -> None:
    theirs, ours = both(made_up(observed))
    assert ours.transition_count == theirs.transition_count == 5 + 3 + 1 + 0 + 6 + 3
    assert ours.dataset_info == theirs.dataset_info
    batches = []
    for buffer in (theirs, ours):
        d3rlpy.seed(7)
        batches.append([buffer.sample_transition_batch(size) for size in (1, 2, 200)])
    for expected, found in zip(*batches, strict=True):
        assert_same(expected, found)
    # 200 of 18: both kinds of ends are among them
    ended = batches[1][-1].terminals[:, 0] > 0
    assert 0 < ended.sum() < 200
    assert not np.asarray(batches[1][-1].next_observations)[ended].any()
    assert not batches[1][-1].next_actions[ended].any()


def test_whole_numbers_are_discrete_actions_as_in_d3rlpy() -> None:
    episodes = [
        Episode(
            np.ones((4, 2), np.float32), np.arange(4)[:, None], np.ones((4, 1), np.float32), True
        )
    ]
    theirs, ours = both(episodes)
    assert ours.dataset_info.action_space == ActionSpace.DISCRETE
    assert ours.dataset_info == theirs.dataset_info
    d3rlpy.seed(0)
    expected = theirs.sample_transition_batch(9)
    d3rlpy.seed(0)
    assert_same(expected, ours.sample_transition_batch(9))


def test_a_batch_is_nobodys_view() -> None:
    _, buffer = both(made_up())
    before = [each.observations.copy() for each in buffer.episodes]  # type: ignore[union-attr]
    d3rlpy.seed(0)
    first = buffer.sample_transition_batch(50)
    kept = np.array(first.observations)
    np.asarray(first.observations)[:] = 0
    d3rlpy.seed(0)
    np.testing.assert_array_equal(np.asarray(buffer.sample_transition_batch(50).observations), kept)
    for episode, observations in zip(buffer.episodes, before, strict=True):
        np.testing.assert_array_equal(np.asarray(episode.observations), observations)


def test_transitions_of_a_batch_are_a_sequence() -> None:
    _, buffer = both(made_up())
    batch = buffer.sample_transition_batch(6)
    rewards = np.array([transition.reward for transition in batch.transitions])
    np.testing.assert_array_equal(rewards, batch.rewards)
    tail = batch.transitions[4:]
    np.testing.assert_array_equal([each.reward for each in tail], batch.rewards[4:])
    np.testing.assert_array_equal(batch.transitions[-1].reward, batch.rewards[-1])
    with pytest.raises(IndexError):
        batch.transitions[6]


def test_returns_to_go_are_d3rlpys() -> None:
    returns = []
    for buffer in both(made_up()):
        d3rlpy.seed(3)
        batch = TorchMiniBatch.from_batch(
            buffer.sample_transition_batch(40),
            gamma=0.9,
            compute_returns_to_go=True,
            device="cpu",
        )
        returns.append(batch.returns_to_go.numpy())
    assert np.ptp(returns[0]) > 0
    np.testing.assert_array_equal(returns[0], returns[1], strict=True)


CONFIGS = {
    "rwr": RWRConfig(batch_size=8, encoder_factory=SMALL),
    "iql": IQLConfig(
        batch_size=8,
        actor_encoder_factory=SMALL,
        critic_encoder_factory=SMALL,
        value_encoder_factory=SMALL,
    ),
    # reads each transition's rewards to go
    "cal-ql": CalQLConfig(
        batch_size=8, actor_encoder_factory=SMALL, critic_encoder_factory=SMALL, n_action_samples=2
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_fit_ends_in_the_same_weights_to_the_bit(name: str) -> None:
    trained: list[Any] = []
    for buffer in both(made_up()):
        d3rlpy.seed(1)
        algo: Any = CONFIGS[name].create()
        algo.fit(
            buffer,
            n_steps=15,
            n_steps_per_epoch=15,
            logger_adapter=NoopAdapterFactory(),
            show_progress=False,
        )
        policy = algo.impl.policy
        trained.append([parameter.detach().numpy() for parameter in policy.parameters()])
    for theirs, ours in zip(*trained, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_episodes_cannot_come_later() -> None:
    episodes = made_up()
    buffer = VectorReplayBuffer(episodes)
    with pytest.raises(TypeError, match="Make another buffer"):
        buffer.append_episode(episodes[0])
    assert buffer.transition_count == 18


def test_observations_of_several_parts_are_refused() -> None:
    parts = [np.ones((3, 2), np.float32), np.ones((3, 4), np.float32)]
    actions = np.linspace(0, 0.5, 6, dtype=np.float32).reshape(3, 2)
    episode = Episode(parts, actions, np.ones((3, 1), np.float32), terminated=True)
    with pytest.raises(TypeError, match="several parts"):
        VectorReplayBuffer([episode])


def test_demonstrations_end_by_timeout_and_keep_to_continuous_actions() -> None:
    observed = [np.arange(8, dtype=np.float32).reshape(4, 2), np.zeros((3, 2), np.float32)]
    acted = [np.array([[1], [0], [-1], [1]], np.float32), np.ones((3, 1), np.float32)]
    buffer = vector_buffer(observed, acted, [np.array([0.5, 1.5, 2.5]), np.zeros(2)])
    assert buffer.dataset_info.action_space == ActionSpace.CONTINUOUS
    assert buffer.dataset_info.action_size == 1
    assert buffer.transition_count == 5  # the last row closes an episode
    batch = buffer.sample_transition_batch(100)
    assert not batch.terminals.any()
    assert set(batch.rewards[:, 0]) == {0.5, 1.5, 2.5, 0.0}
    row = int(np.argmax(batch.rewards))  # of the transition from row 2 to row 3
    np.testing.assert_array_equal(np.asarray(batch.observations)[row], observed[0][2])
    np.testing.assert_array_equal(np.asarray(batch.next_observations)[row], observed[0][3])
    np.testing.assert_array_equal(batch.actions[row], [-1])


def test_nothing_is_added_step_by_step() -> None:
    buffer = vector_buffer(
        [np.zeros((3, 2), np.float32)], [np.zeros((3, 1), np.float32)], [np.zeros(2)]
    )
    with pytest.raises(TypeError, match="complete"):
        buffer.append(np.zeros(2, np.float32), np.zeros(1, np.float32), 0.0)
    with pytest.raises(TypeError, match="complete"):
        buffer.clip_episode(terminated=True)
    assert buffer.transition_count == 2
