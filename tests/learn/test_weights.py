import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vip_offline.errors import VipOfflineError
from vip_offline.learn.weights import (
    clock,
    effective_sample_size,
    log_mean_exp,
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


def test_the_clock_knows_the_time_and_nothing_else() -> None:
    np.testing.assert_allclose(np.asarray(clock(4, 4)), np.sqrt([4, 3, 2, 1]) / 4)
    # an episode that ends early, as successes do, looks like the beginning of a long one
    np.testing.assert_array_equal(clock(3, 9), clock(9, 9)[:3])


def test_weights_are_eq_7_up_to_a_factor() -> None:
    score = np.array([0.0, 1.0, 3.0])
    weights = regression_weights(score, 0.5)
    np.testing.assert_allclose(weights / weights[0], np.exp(0.5 * score))
    assert weights.mean() == pytest.approx(1)


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
    top = score >= score.max() - 1e-9
    assume(top.mean() < target * 0.5)
    # scores that almost tie behave like ties
    assume(np.sort(score)[-2] < score.max() - 1e-3 or top.sum() > 1)
    tau = tau_for(score, target)
    assert effective_sample_size(regression_weights(score, tau)) == pytest.approx(target, abs=1e-3)


def test_tau_follows_the_scale_of_the_embedding() -> None:
    score = np.random.default_rng(0).normal(size=500)
    assert tau_for(score * 1000, 0.4) == pytest.approx(tau_for(score, 0.4) / 1000, rel=1e-6)


def test_no_temperature_can_do_the_impossible() -> None:
    with pytest.raises(VipOfflineError, match="same score"):
        tau_for(np.ones(5), 0.4)
    with pytest.raises(VipOfflineError, match=r"below 0\.500"):
        tau_for(np.array([0.0, 0.0, 1.0, 1.0]), 0.4)
    for target in (0.0, 1.0, -1.0):
        with pytest.raises(VipOfflineError, match="share of uniform"):
            tau_for(np.arange(5.0), target)


def test_summary_by_hand() -> None:
    weights = np.ones(200)
    weights[:2] = 51.0
    summary = summarise_weights(weights / weights.mean(), 0.7)
    assert summary.transitions == 200
    assert summary.tau == 0.7
    assert summary.top_percent_share == pytest.approx(102 / 300)
    assert summary.quantiles[2] == pytest.approx(200 / 300)
