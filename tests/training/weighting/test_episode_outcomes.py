from dataclasses import replace

import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.rewards.functions import potential_difference
from vip_offline.training.weighting.episode_outcomes import best_share, controlled, outcome
from vip_offline.training.weighting.scores import weigh
from vip_offline.training.weighting.weights import discounted_return, effective_sample_size

OPTIONS = TrainOptions(tau=2.0, weight_by="outcome")
LENGTHS = (9, 14, 11, 9, 12, 10, 8, 13)
OUTCOMES = [-1.0, -3.0, -0.5, -2.0, -4.0, -0.7, -3.5, -2.5]
REWARDS = [np.full(length, 0.1) for length in LENGTHS]
OBSERVATIONS = [np.zeros((length + 1, 2), np.float32) for length in LENGTHS]


def test_the_outcome_is_the_return_less_what_the_state_decides() -> None:
    distance = np.random.default_rng(0).uniform(1, 5, 12)
    to_go = discounted_return(potential_difference(distance)[:-1], 1.0)
    np.testing.assert_allclose(to_go - distance[:-1], outcome(distance))


def test_every_transition_of_an_episode_has_its_weight() -> None:
    found = weigh(REWARDS, OBSERVATIONS, OPTIONS, OUTCOMES)
    assert found.weights is not None and found.summary is not None
    parts = np.split(found.weights, np.cumsum(LENGTHS)[:-1])
    per_episode = np.array([part[0] for part in parts])
    assert all(np.ptp(part) == 0 for part in parts)
    np.testing.assert_allclose(per_episode / per_episode[0], np.exp(2 * (np.array(OUTCOMES) + 1)))
    assert found.weights.mean() == pytest.approx(1)
    # the sample is one of episodes, however long they are
    assert found.summary.episodes == len(LENGTHS)
    share = effective_sample_size(per_episode)
    assert found.summary.effective_sample_size == pytest.approx(share)


def test_auto_aims_at_a_number_of_episodes() -> None:
    found = weigh(REWARDS, OBSERVATIONS, replace(OPTIONS, tau="auto", target_ess=0.25), OUTCOMES)
    assert found.summary is not None
    assert found.summary.effective_sample_size == pytest.approx(0.25)
    # a tenth of eight episodes is less than one
    few = weigh(REWARDS, OBSERVATIONS, replace(OPTIONS, tau="auto"), OUTCOMES)
    assert few.summary is not None
    assert few.summary.effective_sample_size == pytest.approx(2 / 8)
    two = weigh(REWARDS[:2], OBSERVATIONS[:2], replace(OPTIONS, tau="auto"), OUTCOMES[:2])
    assert two.tau == 0
    with pytest.raises(VipOfflineError, match="All 8 scores are the same"):
        weigh(REWARDS, OBSERVATIONS, replace(OPTIONS, tau="auto"), [-1.0] * 8)


def test_controls_keep_the_unevenness_and_lose_the_outcome() -> None:
    auto = replace(OPTIONS, tau="auto", target_ess=0.3)
    by_outcome = weigh(REWARDS, OBSERVATIONS, auto, OUTCOMES)
    permuted = weigh(REWARDS, OBSERVATIONS, replace(auto, control="permuted"), OUTCOMES)
    by_length = weigh(REWARDS, OBSERVATIONS, replace(auto, control="length"), OUTCOMES)
    for found in (permuted, by_length):
        assert found.summary is not None
        assert found.summary.effective_sample_size == pytest.approx(0.3)
    assert permuted.tau == by_outcome.tau
    assert sorted(each[0] for each in permuted.slot) == sorted(OUTCOMES)
    assert [each[0] for each in permuted.slot] != OUTCOMES
    assert [each[0] for each in by_length.slot] == [-length for length in LENGTHS]


@pytest.mark.parametrize(
    ("share", "kept"), [(0.25, [2, 5]), (0.01, [2]), (1.0, list(range(8))), (0.5, [0, 2, 3, 5])]
)
def test_the_best_share(share: float, kept: list[int]) -> None:
    assert best_share(OUTCOMES, share) == kept


def test_equal_outcomes_keep_the_order_of_the_store() -> None:
    assert best_share([1.0, 2.0, 1.0, 1.0], 0.5) == [0, 1]


def test_controls_of_the_best_share() -> None:
    assert best_share(controlled(OUTCOMES, LENGTHS, "length", 0), 0.25) == [0, 6]
    drawn = {
        tuple(best_share(controlled(OUTCOMES, LENGTHS, "permuted", s), 0.25)) for s in range(9)
    }
    assert len(drawn) > 3


def test_lengths_that_are_equal_share_what_the_control_gives() -> None:
    lengths = (9, 9, 9, 20, 20, 20, 20, 20)
    rewards = [np.full(length, 0.1) for length in lengths]
    options = replace(OPTIONS, tau="auto", target_ess=0.25, control="length")
    found = weigh(rewards, [np.zeros((n + 1, 2), np.float32) for n in lengths], options, OUTCOMES)
    assert found.summary is not None
    assert found.summary.effective_sample_size == pytest.approx(3 / 8)
