import dataclasses

import numpy as np
import pytest
from made_up_held_out import make_steps

from vip_offline.analysis.offline.numbers import NUMBERS, ArmNumbers, arm_numbers, seed_spread
from vip_offline.analysis.offline.steps import reward_weights, thirds
from vip_offline.training.weighting.weights import effective_sample_size


def test_there_is_a_number_for_every_column() -> None:
    assert {number.key for number in NUMBERS} == {
        field.name for field in dataclasses.fields(ArmNumbers)
    } - {"dimensions"}


def test_an_error_is_seen_where_it_is_made() -> None:
    """In the last third of successes, in one dimension, 0.5 off."""
    steps = make_steps(successes=2, failures=1, length=9)
    predicted = np.repeat(steps.action[None], 2, axis=0)
    predicted[:, steps.success & (steps.phase == 2), 1] += 0.5
    numbers = arm_numbers(predicted, steps)
    assert (numbers.first, numbers.middle) == (0, 0)
    assert numbers.last == pytest.approx(0.25)
    assert numbers.error == pytest.approx(0.25 / 3)
    assert numbers.dimensions == pytest.approx((0, 0.25 / 3, 0, 0))
    assert numbers.worst_dimension == pytest.approx(0.25 / 3)
    assert numbers.contrast == 0  # failures are predicted exactly
    assert numbers.spread == 0


def test_a_policy_that_turns_away_from_failures_has_a_high_contrast() -> None:
    steps = make_steps(successes=1, failures=2)
    predicted = steps.action[None] + np.where(steps.success, 0.1, 0.3)[:, None]
    assert arm_numbers(predicted, steps).contrast == pytest.approx(9)


def test_the_reward_decides_which_errors_count() -> None:
    steps = make_steps(successes=1, failures=1, length=10)
    weight = np.where(steps.success, 2.0, 0.0)
    steps = dataclasses.replace(steps, reward_weight=weight)
    predicted = steps.action[None].copy()
    predicted[:, ~steps.success] += 1
    assert arm_numbers(predicted, steps).weighted == 0
    predicted[:, steps.success] += 1
    assert arm_numbers(predicted, steps).weighted == pytest.approx(4)


def test_what_cannot_be_said_is_none() -> None:
    steps = dataclasses.replace(make_steps(successes=2, failures=0), reward_weight=None)
    numbers = arm_numbers(steps.action[None] + 0.1, steps)
    assert (numbers.contrast, numbers.weighted, numbers.spread) == (None, None, None)
    assert numbers.error == pytest.approx(0.04)
    # an episode of one step has no middle
    short = arm_numbers(make_steps(1, 0, 1).action[None], make_steps(1, 0, 1))
    assert (short.first, short.middle, short.last) == (0, None, None)


def test_long_episodes_count_as_short_ones() -> None:
    steps = make_steps(successes=2, failures=0, length=10)
    episode = np.repeat([3, 4], [2, 18])
    steps = dataclasses.replace(steps, episode=episode)
    predicted = steps.action[None] + np.where(episode == 3, 1.0, 0.0)[:, None]
    assert arm_numbers(predicted, steps).error == pytest.approx(2)


def test_spread_is_relative_to_the_size_of_the_actions() -> None:
    generator = np.random.default_rng(0)
    one = generator.normal(size=(1, 2000, 3))
    noise = generator.normal(size=(4, 2000, 3))
    assert seed_spread(one + 0.1 * noise) == pytest.approx(0.1, rel=0.05)
    assert seed_spread(10 * (one + 0.1 * noise)) == pytest.approx(0.1, rel=0.05)
    assert seed_spread(noise) == pytest.approx(1, rel=0.05)
    assert seed_spread(one) is None
    assert seed_spread(np.zeros((2, 3, 1))) is None


def test_thirds_are_of_time() -> None:
    assert thirds(7).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert thirds(1).tolist() == [0]


def test_half_of_the_steps_count_by_the_reward() -> None:
    rewards = [np.random.default_rng(seed).normal(size=20) for seed in range(3)]
    weights = reward_weights(rewards)
    assert weights is not None and weights.mean() == pytest.approx(1)
    assert effective_sample_size(weights) == pytest.approx(0.5, abs=1e-3)
    assert reward_weights([np.zeros(5)]) is None
