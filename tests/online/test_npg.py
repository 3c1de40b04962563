import numpy as np
import pytest
from made_up_point_mass import PointMass

from vip_offline.online.environment import Trajectory
from vip_offline.online.npg import NaturalPolicyGradient
from vip_offline.online.running_statistics import RunningStatistics
from vip_offline.options import NpgOptions

HORIZON, EPISODES = 20, 60
WARM = RunningStatistics.none(3).updated(
    np.random.default_rng(0).uniform(-1, 1, (100, 3)).astype(np.float32)
)


def learner(options: NpgOptions | None = None) -> NaturalPolicyGradient:
    return NaturalPolicyGradient(1, options or NpgOptions(hidden=(8,)), WARM, seed=0)


def episodes(
    policy: NaturalPolicyGradient, iteration: int, count: int = EPISODES
) -> list[Trajectory]:
    shape = count, HORIZON, 1
    noise = np.random.default_rng(iteration).standard_normal(shape, np.float32)
    collected, _ = PointMass().collect(
        lambda seen, times: policy.explore(seen, np.stack([noise[time] for time in times])),
        range(iteration * count, (iteration + 1) * count),
        HORIZON,
    )
    return collected


def success(policy: NaturalPolicyGradient) -> float:
    tried, _ = PointMass().collect(
        lambda seen, times: policy.exploit(seen), range(100_000, 100_050), HORIZON
    )
    return float(np.mean([episode.success for episode in tried]))


@pytest.mark.slow
def test_it_learns_to_come_to_the_goal() -> None:
    policy = learner(NpgOptions(hidden=(8,), step_size=0.02))
    before = success(policy)
    returns = []
    for iteration in range(14):
        batch = episodes(policy, iteration, 100)
        returns.append(np.mean([episode.reward.sum() for episode in batch]))
        policy.learn(batch, iteration)
    assert before < 0.3
    assert success(policy) > 0.8
    assert returns[-1] > returns[0] + 0.2


@pytest.mark.parametrize(("step_size", "tolerance"), [(1e-5, 0.1), (1e-3, 0.25)])
def test_the_divergence_is_half_the_step_size(step_size: float, tolerance: float) -> None:
    """To second order: the smaller the step, the nearer."""
    policy = learner(NpgOptions(hidden=(8,), step_size=step_size))
    for iteration in range(2):
        numbers = policy.learn(episodes(policy, iteration), iteration)
        assert numbers["divergence"] == pytest.approx(step_size / 2, rel=tolerance)
        assert numbers["surrogate"] > 0


def test_without_a_reward_the_policy_stays() -> None:
    """Advantages are then nothing but the value function's errors."""
    policy = learner()
    silent = [
        Trajectory(e.observation, e.action, np.zeros(HORIZON), e.solved, e.distance)
        for e in episodes(policy, 0)
    ]
    before = policy.exploit(np.eye(3, dtype=np.float32))
    assert policy.learn(silent, 0)["divergence"] == 0
    np.testing.assert_allclose(policy.exploit(np.eye(3, dtype=np.float32)), before, atol=1e-6)


def test_more_statistics_do_not_move_the_policy() -> None:
    policy = learner()
    policy.learn(episodes(policy, 0), 0)
    seen = np.random.default_rng(1).uniform(-1, 1, (20, 3)).astype(np.float32)
    before, scaling = policy.exploit(seen), policy.policy()["std"]
    policy._take_in([3 * seen + 1])
    assert not np.allclose(policy.policy()["std"], scaling)
    np.testing.assert_allclose(policy.exploit(seen), before, atol=1e-5)


def test_the_weights_are_the_policy() -> None:
    policy = learner()
    policy.learn(episodes(policy, 0), 0)
    seen = np.random.default_rng(1).uniform(-1, 1, (20, 3)).astype(np.float32)
    tensors = policy.policy()
    scaled = np.clip((seen - tensors["mean"]) / tensors["std"], -10, 10)
    hidden = np.tanh(scaled @ tensors["hidden.0.weight"].T + tensors["hidden.0.bias"])
    mean = hidden @ tensors["out.weight"].T + tensors["out.bias"]
    np.testing.assert_allclose(mean, policy.exploit(seen), atol=1e-5)


def test_it_goes_on_bit_for_bit() -> None:
    whole, first = learner(), learner()
    for policy in (whole, first):
        policy.learn(episodes(policy, 0), 0)
    second = learner()
    second.restore({key: array.copy() for key, array in first.arrays().items()})
    for policy in (whole, second):
        policy.learn(episodes(policy, 1), 1)
    for key, array in whole.arrays().items():
        np.testing.assert_array_equal(array, second.arrays()[key], err_msg=key)
