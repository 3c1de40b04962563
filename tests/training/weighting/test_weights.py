import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vip_offline.errors import VipOfflineError
from vip_offline.training.weighting.weights import (
    advantage,
    clock,
    discounted_return,
    effective_sample_size,
    log_mean_exp,
    n_step_return,
    regression_weights,
    return_to_go,
    summarise_weights,
    tau_for,
)

scores = arrays(np.float64, st.integers(20, 60), elements=st.floats(-50, 50))


def test_return_to_go_by_hand() -> None:
    np.testing.assert_allclose(
        return_to_go([1, 2, -1, 4]), [6 / 2, 5 / np.sqrt(3), 3 / np.sqrt(2), 4]
    )


def test_n_step_return_by_hand() -> None:
    np.testing.assert_allclose(
        n_step_return([1, 2, -1, 4], 2), [3 / np.sqrt(2), 1 / np.sqrt(2), 3 / np.sqrt(2), 4]
    )
    # where fewer steps are left it is their number that counts
    np.testing.assert_allclose(n_step_return(np.ones(5), 4), [2, 2, np.sqrt(3), np.sqrt(2), 1])


@given(scores, st.integers(0, 5))
def test_n_steps_lie_between_the_reward_and_the_return(reward: np.ndarray, beyond: int) -> None:
    np.testing.assert_array_equal(n_step_return(reward, 1), reward)
    far = n_step_return(reward, len(reward) + beyond)
    np.testing.assert_array_equal(far, return_to_go(reward))


def test_n_step_returns_of_a_random_walk_are_on_one_scale() -> None:
    reward = np.random.default_rng(0).normal(size=50_000)
    deviations = [n_step_return(reward, n).std() for n in (1, 4, 25)]
    np.testing.assert_allclose(deviations, 1, atol=0.05)


def test_discounted_return_by_hand() -> None:
    reward = np.array([1.0, 2.0, -1.0, 4.0])
    np.testing.assert_allclose(discounted_return(reward, 0.5), [2.25, 2.5, 1, 4])
    np.testing.assert_allclose(discounted_return(reward, 1), [6, 5, 3, 4])
    np.testing.assert_array_equal(discounted_return(reward, 0), [1, 2, -1, 4])
    np.testing.assert_array_equal(reward, [1, 2, -1, 4])  # it is not summed up in place


Arrays = list[np.ndarray]


def demonstrations(signal: float, luck: float, noise: float) -> tuple[Arrays, Arrays, Arrays]:
    """Scores, observations that tell the signal and which episode it is, and what is left."""
    generator = np.random.default_rng(0)
    score, observation, left = [], [], []
    for index in range(12):
        length = 20 + index
        seen = generator.normal(size=length + 1).astype(np.float32)
        which = np.zeros((length + 1, 12), np.float32)
        which[:, index] = 1
        own = luck * (-1) ** index + noise * generator.normal(size=length)
        score.append(signal * seen[:-1].astype(np.float64) + own)
        observation.append(np.concatenate([seen[:, None], which], 1))
        left.append(own)
    return score, observation, left


def test_what_the_observation_predicts_is_no_advantage() -> None:
    score, observation, left = demonstrations(signal=3.0, luck=0.0, noise=0.1)
    found = advantage(score, observation)
    assert [each.shape for each in found] == [each.shape for each in score]
    assert np.corrcoef(np.concatenate(found), np.concatenate(left))[0, 1] > 0.95
    assert np.concatenate(found).std() == pytest.approx(0.1, rel=0.1)


def test_an_episodes_own_luck_is_not_explained_away() -> None:
    score, observation, left = demonstrations(signal=0.0, luck=1.0, noise=0.1)
    found = np.concatenate(advantage(score, observation))
    assert np.corrcoef(found, np.concatenate(left))[0, 1] > 0.95
    assert found.std() > 0.9


def test_an_episode_that_looks_like_no_other_does_not_take_it_all() -> None:
    score, observation, _ = demonstrations(signal=1.0, luck=0.0, noise=0.1)
    generator = np.random.default_rng(1)
    for index, each in enumerate(observation):
        # a pixel that is all but dark, and in one episode is not; and one far off
        each[:, 5] = 1e-6 * generator.normal(size=len(each))
        if index == 3:
            each[:, 5] = 1
            each[:, 0] += 100
    found = np.concatenate(advantage(score, observation))
    assert np.abs(found).max() < 10


def test_advantage_is_the_same_each_time_and_does_not_see_the_last_row() -> None:
    score, observation, _ = demonstrations(signal=1.0, luck=1.0, noise=1.0)
    first = advantage(score, observation)
    for each in observation:
        each[-1] = 1e6
    for once, again in zip(first, advantage(score, observation), strict=True):
        np.testing.assert_array_equal(once, again)


def test_one_episode_has_no_others_to_be_better_than() -> None:
    score, observation, _ = demonstrations(signal=1.0, luck=1.0, noise=1.0)
    with pytest.raises(VipOfflineError, match="there is only one"):
        advantage(score[:1], observation[:1])
    assert len(advantage(score[:2], observation[:2])) == 2  # fewer than the five folds


def test_the_clock_knows_the_time_and_nothing_else() -> None:
    np.testing.assert_allclose(np.asarray(clock(4, 4)), np.sqrt([4, 3, 2, 1]) / 4)
    # an episode that ends early, as successes do, looks like the beginning of a long one
    np.testing.assert_array_equal(clock(3, 9), clock(9, 9)[:3])


def test_weights_are_eq_7_up_to_a_factor() -> None:
    score = np.array([0.0, 1.0, 3.0])
    weights = regression_weights(score, 0.5)
    np.testing.assert_allclose(weights / weights[0], np.exp(0.5 * score))
    assert weights.mean() == pytest.approx(1)


def test_a_cap_is_in_units_of_the_mean_before_it() -> None:
    score = np.log([1.0, 1.0, 1.0, 5.0])
    np.testing.assert_allclose(regression_weights(score, 1.0), [0.5, 0.5, 0.5, 2.5])
    np.testing.assert_allclose(regression_weights(score, 1.0, 2.0), [0.5, 0.5, 0.5, 2])
    np.testing.assert_allclose(regression_weights(score, 1.0, 3.0), [0.5, 0.5, 0.5, 2.5])


def test_large_exponents_do_not_overflow() -> None:
    weights = regression_weights([0.0, 5000.0], 1.0)
    np.testing.assert_allclose(weights, [0, 2])
    assert log_mean_exp([5000.0, 5000.0]) == pytest.approx(5000)


def test_effective_sample_size_by_hand() -> None:
    assert effective_sample_size([1, 1, 1, 1]) == pytest.approx(1)
    assert effective_sample_size([0, 0, 0, 7]) == pytest.approx(0.25)
    assert effective_sample_size([1, 3]) == pytest.approx(16 / 20)


def test_tau_zero_is_uniform() -> None:
    np.testing.assert_array_equal(regression_weights([1.0, -4.0, 9.0], 0.0), 1)


@given(scores, st.floats(0.2, 0.95))
def test_tau_meets_its_target(score: np.ndarray, target: float) -> None:
    assume(np.ptp(score) > 1e-3)
    score = score.round(3)  # scores that almost tie behave like ties
    assume((score == score.max()).mean() < target * 0.5)
    tau = tau_for(score, target)
    assert effective_sample_size(regression_weights(score, tau)) == pytest.approx(target, abs=1e-3)


def test_tau_follows_the_scale_of_the_embedding() -> None:
    score = np.random.default_rng(0).normal(size=500)
    assert tau_for(score * 1000, 0.4) == pytest.approx(tau_for(score, 0.4) / 1000, rel=1e-6)


def test_no_temperature_can_do_the_impossible() -> None:
    with pytest.raises(VipOfflineError, match="scores are the same"):
        tau_for(np.ones(5), 0.4)
    with pytest.raises(VipOfflineError, match=r"below 0\.500"):
        tau_for(np.array([0.0, 0.0, 1.0, 1.0]), 0.4)
    for target in (0.0, 1.0, -1.0):
        with pytest.raises(VipOfflineError, match="must be above 0 and below 1"):
            tau_for(np.arange(5.0), target)


def test_summary_by_hand() -> None:
    weights = np.ones(200)
    weights[:2] = 51.0
    summary = summarise_weights(weights / weights.mean(), 0.7)
    assert summary.transitions == 200
    assert summary.tau == 0.7
    assert summary.top_percent_share == pytest.approx(102 / 300)
    assert summary.quantiles[2] == pytest.approx(200 / 300)
