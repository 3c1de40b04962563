"""Real simulators: what is observed, what is rewarded, who is drawn."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.encoders.encoder import Encoder, load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.online.environment import Trajectory, VisualEnvironments
from vip_offline.simulation.suites.metaworld import (
    MetaworldSimulator,
    expert_action,
    scripted_expert,
)
from vip_offline.simulation.vector_env import VectorSimulator

pytestmark = [pytest.mark.sim, pytest.mark.slow]

TASK, SIZE, HORIZON = "drawer-close", 48, 5
PLACEMENTS = (3, 8, 5)
NOISE = np.random.default_rng(0).uniform(-1, 1, (3, 100, 4)).astype(np.float32)
GOAL_FRAME = np.full((1, SIZE, SIZE, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def simulators() -> Iterator[VectorSimulator]:
    # two slots for three episodes: one of them begins late
    with VectorSimulator(TASK, SIZE, processes=2, environments=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("pixels")


def random_act(
    observation: NDArray[np.float32], times: Sequence[tuple[int, int]]
) -> NDArray[np.float32]:
    return np.stack([NOISE[time] for time in times])


def rewards_of(episodes: Sequence[Trajectory]) -> list[NDArray[np.float64]]:
    return [episode.reward for episode in episodes]


def test_episodes_are_those_of_single_simulators(
    simulators: VectorSimulator, encoder: Encoder
) -> None:
    goal = encoder(GOAL_FRAME)[0].astype(np.float64)
    environments = VisualEnvironments(simulators, "embedding", "visual", encoder, goal)
    assert environments.action_size == 4
    assert environments.observation_size == encoder.dim + 4
    steps = list[int]()
    episodes, films = environments.collect(
        random_act, PLACEMENTS, HORIZON, filmed={1}, on_steps=steps.append
    )
    assert sum(steps) == 3 * HORIZON
    with MetaworldSimulator(TASK, SIZE) as simulator:
        for index, (placement, episode) in enumerate(zip(PLACEMENTS, episodes, strict=True)):
            simulator.reset(placement)
            seen = [simulator.observe()]
            for step in range(HORIZON):
                simulator.step(NOISE[index, step])
                seen.append(simulator.observe())
            frames = np.stack([observation.frame for observation in seen])
            proprio = np.stack([observation.proprio for observation in seen])
            expected = np.concatenate([encoder(frames), proprio], axis=1)
            np.testing.assert_allclose(episode.observation, expected, atol=1e-5)
            np.testing.assert_array_equal(episode.action, NOISE[index, :HORIZON])
            distance = np.linalg.norm(encoder(frames) - goal, axis=1)
            np.testing.assert_allclose(episode.reward, distance[:-1] - distance[1:], atol=1e-3)
            if index == 1:
                np.testing.assert_array_equal(films[1], frames)
    assert [*films] == [1]


def test_without_an_encoder_nothing_is_drawn_but_what_is_filmed(
    simulators: VectorSimulator,
) -> None:
    dense = VisualEnvironments(simulators, "state", "dense", None, None)
    assert dense.observation_size == 39
    episodes, films = dense.collect(random_act, PLACEMENTS, HORIZON, filmed={2})
    assert films[2].shape == (HORIZON + 1, SIZE, SIZE, 3)
    with MetaworldSimulator(TASK, SIZE) as simulator:
        simulator.reset(PLACEMENTS[0])
        np.testing.assert_allclose(
            episodes[0].observation[0], simulator.state.astype(np.float32), atol=1e-6
        )
        rewards = [simulator.step(NOISE[0, step])[0] for step in range(HORIZON)]
    np.testing.assert_allclose(episodes[0].reward, rewards)
    assert np.isnan(episodes[0].distance).all()
    sparse = VisualEnvironments(simulators, "state", "sparse", None, None)
    unsolved, _ = sparse.collect(random_act, PLACEMENTS, HORIZON)
    np.testing.assert_array_equal(np.concatenate(rewards_of(unsolved)), 0)


def test_sparse_reward_is_success_and_evaluation_ends_with_it(
    simulators: VectorSimulator,
) -> None:
    expert = scripted_expert(TASK)

    def act(
        observation: NDArray[np.float32], times: Sequence[tuple[int, int]]
    ) -> NDArray[np.float32]:
        actions = [expert_action(expert, row.astype(np.float64)) for row in observation]
        return np.clip(np.stack(actions), -1, 1).astype(np.float32)

    environments = VisualEnvironments(simulators, "state", "sparse", None, None)
    (whole,), _ = environments.collect(act, [3], 120)
    (short,), _ = environments.collect(act, [3], 120, until_solved=True)
    assert whole.success and len(whole.reward) == 120
    np.testing.assert_array_equal(whole.reward, whole.solved)
    first = int(np.argmax(whole.solved))
    assert len(short.reward) == first + 1 and short.reward.sum() == 1


def test_an_encoder_that_gives_nan_is_named(simulators: VectorSimulator) -> None:
    class Broken:
        name, dim = "broken", 3

        def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.full((len(frames), 3), np.nan, np.float32)

    with pytest.raises(VipOfflineError, match="Encoder broken gives an embedding"):
        VisualEnvironments(simulators, "embedding", "sparse", Broken(), None)  # type: ignore[arg-type]
