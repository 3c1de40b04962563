from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.training.weighting.scores import LARGEST_AWR_WEIGHT, Weighed, weigh
from vip_offline.training.weighting.weights import (
    WeightSummary,
    advantage,
    clock,
    discounted_return,
    effective_sample_size,
    n_step_return,
    regression_weights,
    return_to_go,
    tau_for,
)

RWR = TrainOptions(tau=2.0, weight_by="step")
LENGTHS = (9, 14, 11, 9, 12, 10)  # transitions

generator = np.random.default_rng(0)
REWARDS = [generator.normal(0.1, 0.3, size=length) for length in LENGTHS]
OBSERVATIONS = [generator.normal(size=(n + 1, 3)).astype(np.float32) for n in LENGTHS]


def weighed(scale: float = 1.0, **changes: Any) -> Weighed:
    """By an encoder whose embeddings are `scale` times as long."""
    options = replace(RWR, **changes)
    # a power of two changes no rounding
    seen = [np.float32(scale) * each for each in OBSERVATIONS]
    return weigh([scale * each for each in REWARDS], seen, options)


def told(found: Weighed) -> tuple[np.ndarray, WeightSummary]:
    """Weights and their summary, of one that has them."""
    assert found.weights is not None
    assert found.summary is not None
    return found.weights, found.summary


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert [each.shape for each in found] == [each.shape for each in expected]
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), rtol=1e-12)


@pytest.mark.parametrize(
    ("weight_by", "scores"),
    [
        ("step", REWARDS),
        ("n-step", [n_step_return(each, 4) for each in REWARDS]),
        ("return", [return_to_go(each) for each in REWARDS]),
        ("advantage", advantage([return_to_go(each) for each in REWARDS], OBSERVATIONS)),
    ],
)
def test_regression_takes_the_score_and_its_exponential(
    weight_by: str, scores: list[np.ndarray]
) -> None:
    found = weighed(weight_by=weight_by, n_steps=4)
    weights, summary = told(found)
    same(found.slot, scores)
    assert found.tau == summary.tau == 2.0
    np.testing.assert_allclose(weights, regression_weights(np.concatenate(scores), 2.0))
    assert summary.effective_sample_size == effective_sample_size(weights)
    assert summary.transitions == sum(LENGTHS)


@pytest.mark.parametrize("algo", ["bc", "scratch-bc"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_by": "return", "tau": "auto"},
        {"control": "permuted"},
        {"control": "clock", "weight_by": "advantage"},
    ],
)
def test_cloning_weighs_all_alike(algo: str, changes: dict[str, Any]) -> None:
    found = weighed(algo=algo, **changes)
    weights, summary = told(found)
    same(found.slot, REWARDS)
    assert (found.tau, summary.effective_sample_size) == (0.0, 1.0)
    assert summary.helpful_tau is None
    np.testing.assert_array_equal(weights, 1)


@pytest.mark.parametrize("weight_by", ["step", "n-step", "return", "advantage"])
def test_the_length_of_embeddings_changes_no_weight_by_an_auto_tau(weight_by: str) -> None:
    own, _ = told(weighed(weight_by=weight_by, tau="auto"))
    longer, _ = told(weighed(1024, weight_by=weight_by, tau="auto"))
    np.testing.assert_allclose(longer, own, rtol=1e-6)
    raw, _ = told(weighed(1024, weight_by=weight_by))
    assert not np.allclose(raw, own)


def test_auto_meets_its_target_and_is_the_helpful_temperature() -> None:
    found = weighed(weight_by="return", tau="auto", target_ess=0.3)
    weights, summary = told(found)
    assert effective_sample_size(weights) == pytest.approx(0.3)
    _, by_hand = told(weighed(weight_by="return", tau=0.1, target_ess=0.3))
    assert by_hand.tau == 0.1
    assert by_hand.helpful_tau == summary.helpful_tau == found.tau
    assert found.tau == tau_for(np.concatenate([return_to_go(each) for each in REWARDS]), 0.3)


def test_no_temperature_helps_where_all_scores_are_alike() -> None:
    alike = [np.full(length, 0.1) for length in LENGTHS]
    found = weigh(alike, OBSERVATIONS, RWR)
    _, summary = told(found)
    assert summary.helpful_tau is None
    assert summary.effective_sample_size == pytest.approx(1)
    with pytest.raises(VipOfflineError, match="scores are the same"):
        weigh(alike, OBSERVATIONS, replace(RWR, tau="auto"))


def test_the_cap_holds_and_is_in_the_summary() -> None:
    free, _ = told(weighed())
    capped, summary = told(weighed(weight_cap=1.5))
    assert free.max() > 1.5
    np.testing.assert_array_equal(capped, np.minimum(free, 1.5))
    assert summary.quantiles[-1] == 1.5
    assert summary.effective_sample_size > effective_sample_size(free)


def test_permuted_scores_are_the_same_ones_elsewhere() -> None:
    plain = weighed(weight_by="return", tau="auto")
    dealt = [weighed(weight_by="return", tau="auto", control="permuted", seed=s) for s in (0, 0, 1)]
    for each in dealt:
        assert each.tau == plain.tau
        assert [len(scores) for scores in each.slot] == list(LENGTHS)
        np.testing.assert_array_equal(
            np.sort(np.concatenate(each.slot)), np.sort(np.concatenate(plain.slot))
        )
        np.testing.assert_allclose(np.sort(told(each)[0]), np.sort(told(plain)[0]))
    first, again, other = (np.concatenate(each.slot) for each in dealt)
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9  # the seed deals them out
    # over all episodes: what an episode had is spread
    assert not any(np.isin(*each).all() for each in zip(dealt[0].slot, plain.slot, strict=True))
    assert (first != np.concatenate(plain.slot)).mean() > 0.9


@pytest.mark.parametrize("tau", [2.0, "auto"])
def test_the_clock_is_as_strong_as_the_reward_is(tau: float | str) -> None:
    plain = weighed(weight_by="return", tau=tau)
    found = weighed(weight_by="return", tau=tau, control="clock")
    same(found.slot, [clock(length, max(LENGTHS)) for length in LENGTHS])
    weights, summary = told(found)
    assert summary.effective_sample_size == pytest.approx(effective_sample_size(told(plain)[0]))
    np.testing.assert_allclose(weights, regression_weights(np.concatenate(found.slot), found.tau))


def test_the_clock_of_a_reward_that_weighs_all_alike_does_so_too() -> None:
    alike = [np.full(length, 0.1) for length in LENGTHS]
    found = weigh(alike, OBSERVATIONS, replace(RWR, control="clock"))
    assert found.tau == 0
    np.testing.assert_array_equal(told(found)[0], 1)


def test_only_the_permuted_control_knows_the_seed() -> None:
    every: list[dict[str, Any]] = [
        {},
        {"control": "clock"},
        {"weight_by": "advantage"},
        {"algo": "awr"},
    ]
    for each in every:
        same(weighed(seed=1, **each).slot, weighed(seed=0, **each).slot)


def test_awr_takes_returns_of_unit_deviation() -> None:
    found = weighed(algo="awr", beta=2.0, discount=0.9)
    returns = [discounted_return(each, 0.9) for each in REWARDS]
    deviation = np.concatenate(returns).std()
    same(found.slot, [each / deviation for each in returns])
    assert found.tau == 0.5
    # its weights, before it has learnt a value, by a value from the other episodes
    estimate = np.exp(0.5 * np.concatenate(advantage(found.slot, OBSERVATIONS)))
    weights, summary = told(found)
    np.testing.assert_allclose(weights, estimate / estimate.mean())
    assert (summary.tau, summary.helpful_tau) == (0.5, None)


def test_awrs_estimate_is_capped_as_its_weights_are() -> None:
    weights, _ = told(weighed(algo="awr", beta=0.01))
    assert (weights == weights.max()).sum() > len(weights) / 4
    assert weights.mean() == pytest.approx(1)
    better = np.concatenate(advantage(weighed(algo="awr").slot, OBSERVATIONS))
    expected = np.minimum(np.exp(100 * better), LARGEST_AWR_WEIGHT)
    np.testing.assert_allclose(weights, expected / expected.mean())


def test_awr_of_one_episode_has_no_estimate() -> None:
    found = weigh(REWARDS[:1], OBSERVATIONS[:1], replace(RWR, algo="awr"))
    assert (found.weights, found.summary) == (None, None)
    assert found.slot[0].std() == pytest.approx(1)


def test_iql_takes_the_reward_in_deviations_of_the_return() -> None:
    found = weighed(algo="iql", discount=0.9)
    deviation = np.concatenate([discounted_return(each, 0.9) for each in REWARDS]).std()
    same(found.slot, [each / deviation for each in REWARDS])
    assert (found.tau, found.weights, found.summary) == (0.0, None, None)


@pytest.mark.parametrize("algo", ["awr", "iql"])
def test_the_length_of_embeddings_changes_no_return(algo: str) -> None:
    same(weighed(1024, algo=algo).slot, weighed(algo=algo).slot)
    nothing = weigh([np.zeros(n) for n in LENGTHS], OBSERVATIONS, replace(RWR, algo=algo))
    np.testing.assert_array_equal(np.concatenate(nothing.slot), 0)
