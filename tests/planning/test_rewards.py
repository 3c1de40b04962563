import numpy as np
import pytest
import torch

from vip_offline.encoders.encoder import load_encoder, load_network, rebuild_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.options import SearchOptions
from vip_offline.planning.optimizers import optimizer_of
from vip_offline.planning.rewards import DenseReward, to_goal
from vip_offline.planning.shooting import Ends, shoot
from vip_offline.simulation.simulators import make_simulator
from vip_offline.utils.arrays import Floats, Pixels


def grey(*levels: int) -> Pixels:
    return np.stack([np.full((32, 32, 3), level, np.uint8) for level in levels])


def test_a_score_is_minus_the_distance_to_the_goal() -> None:
    """By raw pixels in [0, 1] at 32 px: every one of 3,072 numbers is as far away."""
    reward = to_goal(load_encoder("pixels"), grey(51)[0], 32)
    scores = reward(Ends(grey(51, 0, 102), np.zeros(3), np.zeros(3, bool)))
    np.testing.assert_allclose(scores, [0, -0.2 * np.sqrt(3072), -0.2 * np.sqrt(3072)], atol=1e-5)
    assert reward.draws and "pixels" in reward.name


def test_a_goal_of_another_size_is_seen_as_frames_are() -> None:
    large = np.repeat(np.repeat(grey(51)[0], 5, axis=0), 5, axis=1)
    reward = to_goal(load_encoder("pixels"), large, 32)
    np.testing.assert_allclose(reward.distances(grey(51)), [0], atol=1e-5)


def test_the_true_reward_needs_no_picture() -> None:
    reward = DenseReward()
    ends = Ends(None, np.array([1.0, 2.0]), np.zeros(2, bool))
    np.testing.assert_array_equal(reward(ends), [1, 2])
    assert not reward.draws and reward.distances(grey(0)) is None


def test_an_encoder_that_gives_no_number_is_refused_by_name() -> None:
    network, sha256 = load_network("vip-mini")
    state = {
        key: torch.full_like(value, torch.nan) if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }
    encoder = rebuild_encoder("vip-mini", state, sha256)
    with pytest.raises(VipOfflineError, match=r"Encoder vip-mini .* 1 of 1 frames"):
        to_goal(encoder, grey(51)[0], 32)


@pytest.mark.sim
@pytest.mark.slow
def test_ends_alone_decide_as_the_authors_code_does_by_every_state() -> None:
    """They draw and embed both ends of every step, a picture at a time: 24 times as many."""
    encoder, options = load_encoder("pixels"), SearchOptions(horizon=12, sequences=4)
    with make_simulator("drawer-close", 32) as simulator:
        simulator.reset(0)
        goal, saved = simulator.frame(), simulator.save()
        reward = to_goal(encoder, goal, 32)
        embedded = 0

        def distance() -> float:
            nonlocal embedded
            embedded += 1
            distances = reward.distances(simulator.frame()[None])
            return float(distances[0])

        def every_state(sequences: Floats) -> Floats:
            totals = []
            for actions in sequences:
                simulator.restore(saved)
                total = 0.0
                for action in actions:
                    before = distance()
                    simulator.step(action)
                    total += before - distance()  # Eq. 1
                totals.append(total)
            return np.array(totals)

        def ends_alone(sequences: Floats) -> Floats:
            nonlocal embedded
            embedded += len(sequences)
            return reward(shoot(simulator, saved, sequences, draw=True))

        plans, counts = [], []
        for score in every_state, ends_alone:
            embedded = 0
            generator = np.random.default_rng(5)
            start = np.zeros((options.horizon, simulator.action_size))
            plans.append(optimizer_of(options)(score, start, generator))
            counts.append(embedded)
    np.testing.assert_allclose(plans[1].actions, plans[0].actions, atol=1e-6)
    assert plans[1].scores.std() > 0.01  # they do differ
    assert counts[0] == 24 * counts[1]
