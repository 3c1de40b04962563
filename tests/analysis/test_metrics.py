from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, spearmanr

from vip_offline.analysis.closed_loop.statistics import CONFIDENCE
from vip_offline.analysis.metrics import (
    Noise,
    auc_interval,
    bump_fraction,
    count_difference,
    dense_fit,
    goal_agreement,
    in_plane,
    is_flat,
    leave_one_out_goals,
    noise_of,
    normalised,
    order_correlation,
    reward_histogram,
    separation,
    signal,
)

NAN = float("nan")
Floats = NDArray[np.float64]

# whole numbers: ties are frequent, and sums are exact
curves = arrays(np.float64, st.integers(3, 30), elements=st.integers(0, 20).map(float))


# --- one curve -----------------------------------------------------------------------------


def test_normalised_starts_at_one() -> None:
    np.testing.assert_array_equal(normalised([4, 2, 0, 6]), [1, 0.5, 0, 1.5])
    np.testing.assert_array_equal(normalised([4]), [1])
    np.testing.assert_array_equal(normalised([0, 3]), [0, 3])  # it starts at the goal
    assert np.isnan(normalised([NAN, NAN])).all()


@pytest.mark.parametrize(
    ("distance", "fraction"),
    [
        ([3, 2, 1, 0], 0.0),
        ([0, 1, 2, 3], 1.0),
        ([3, 2, 2.5, 1, 1.5], 0.5),
        ([2, 2, 2, 3], 1 / 3),  # a tie is no bump
        ([1], NAN),
        ([], NAN),
        ([1, NAN, 0], NAN),
        ([NAN, NAN], NAN),
    ],
)
def test_bump_fraction(distance: list[float], fraction: float) -> None:
    assert bump_fraction(distance) == pytest.approx(fraction, nan_ok=True)


@settings(deadline=None)  # a first import takes longer
@given(curves)
def test_bumps_there_and_bumps_back_are_all_but_ties(curve: Floats) -> None:
    ties = float((np.diff(curve) == 0).mean())
    assert bump_fraction(curve) + bump_fraction(curve[::-1]) == pytest.approx(1 - ties)


def test_a_random_walk_has_bumps_half_the_time() -> None:
    walk = np.random.default_rng(0).normal(size=20_000).cumsum()
    assert bump_fraction(walk) == pytest.approx(0.5, abs=0.015)  # four standard errors


@pytest.mark.parametrize(
    ("distance", "correlation"),
    [
        ([9, 4, 1, 0], 1.0),
        ([0, 1, 4, 9], -1.0),
        # ranks of -d are 1 3 2: 1 - 6 (0 + 1 + 1) / (3 * 8)
        ([5, 1, 3], 0.5),
        # ranks of -d are 1 2.5 2.5 4, less their mean -1.5 0 0 1.5: 4.5 / sqrt(4.5 * 5)
        ([3, 2, 2, 1], 4.5 / np.sqrt(22.5)),
        ([2, 2, 2], NAN),
        ([2, 2 + 1e-9, 2], NAN),  # rounding
        ([2, 1], NAN),
        ([1], NAN),
        ([], NAN),
        ([3, NAN, 1, 0], NAN),
        ([NAN] * 4, NAN),
    ],
)
def test_order_correlation(distance: list[float], correlation: float) -> None:
    assert order_correlation(distance) == pytest.approx(correlation, nan_ok=True)


@settings(deadline=None)
@given(curves)
def test_order_correlation_is_spearmans(curve: Floats) -> None:
    if np.ptp(curve) == 0:
        assert np.isnan(order_correlation(curve))
    else:
        expected = spearmanr(-curve, np.arange(len(curve))).statistic
        assert order_correlation(curve) == pytest.approx(expected)


def test_flat_is_up_to_rounding() -> None:
    assert is_flat([5, 5, 5])
    assert is_flat([0, 0])
    assert is_flat([1e6, 1e6 + 0.1])
    assert is_flat([3])
    assert is_flat([])
    assert not is_flat([5, 5.1])
    assert not is_flat([0, 1e-9])  # by its own scale
    assert not is_flat([1, NAN])


# --- successes and failures ----------------------------------------------------------------


def test_separation_by_hand() -> None:
    # of the six pairs 3 > 2, 3 > 1, 3 > 0, 1 = 1 (half), 1 > 0; not 1 > 2
    result = separation([3, 1, 2, 1, 0], [True, True, False, False, False])
    assert result is not None
    assert result.auc == pytest.approx(4.5 / 6)
    assert (result.successes, result.failures) == (2, 3)
    assert result.low < result.auc < result.high


@settings(deadline=None)
@given(
    arrays(np.float64, st.integers(2, 25), elements=st.integers(0, 9).map(float)),
    st.data(),
)
def test_separation_is_mann_and_whitneys(score: Floats, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(score) - 1))
    success = np.arange(len(score)) < cut
    result = separation(score, success)
    assert result is not None
    pairs = cut * (len(score) - cut)
    expected = mannwhitneyu(score[:cut], score[cut:], method="asymptotic").statistic / pairs
    assert result.auc == pytest.approx(expected)
    turned = separation(-score, success)
    assert turned is not None
    assert turned.auc == pytest.approx(1 - result.auc)
    assert (turned.low, turned.high) == pytest.approx((1 - result.high, 1 - result.low), abs=1e-9)


def test_scores_that_are_not_known_are_left_out() -> None:
    result = separation([3, NAN, 1, -np.inf], [True, True, False, False])
    assert result is not None
    assert (result.auc, result.successes, result.failures) == (1.0, 1, 1)


@pytest.mark.parametrize(
    ("score", "success"),
    [
        ([], []),
        ([1, 2], [True, True]),
        ([1, 2], [False, False]),
        ([NAN, 2], [True, False]),
    ],
)
def test_no_separation_without_both(score: list[float], success: list[bool]) -> None:
    assert separation(score, success) is None


@pytest.mark.parametrize("auc", [0.0, 1.0])
def test_the_interval_has_a_width_at_the_ends(auc: float) -> None:
    low, high = auc_interval(auc, 10, 20)
    assert 0 <= low <= auc <= high <= 1
    assert 0.1 < high - low < 0.3
    wider = auc_interval(auc, 3, 3)
    assert wider[1] - wider[0] > high - low


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(1, 50), st.integers(1, 50))
def test_the_interval_holds_the_estimate(auc: float, successes: int, failures: int) -> None:
    low, high = auc_interval(auc, successes, failures)
    assert 0 <= low <= auc <= high <= 1
    assert high > low
    turned = auc_interval(1 - auc, failures, successes)
    # Hanley and McNeil's Q1 and Q2 change places, with weights that Newcombe made equal
    assert turned == pytest.approx((1 - high, 1 - low), abs=1e-6)


def test_an_interval_solves_newcombes_equation() -> None:
    low, high = auc_interval(0.8, 10, 20)
    for theta in (low, high):
        spread = 1 + 14 * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        z = abs(0.8 - theta) / np.sqrt(theta * (1 - theta) * spread / 200)
        assert z == pytest.approx(1.959964, abs=1e-4)


@pytest.mark.parametrize("true", [0.5, 0.8, 0.95])
def test_the_interval_covers_as_often_as_it_says(true: float) -> None:
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    runs, successes, failures = 4000, 10, 20
    # of two normal distributions, sqrt(2) times the quantile apart
    good = rng.normal(np.sqrt(2) * norm.ppf(true), 1, (runs, successes))
    bad = rng.normal(0, 1, (runs, failures))
    above = (good[:, :, None] > bad[:, None]).sum(axis=(1, 2))
    interval = cache(lambda pairs: auc_interval(pairs / 200, successes, failures))
    covered = np.mean(
        [interval(int(count))[0] <= true <= interval(int(count))[1] for count in above]
    )
    assert CONFIDENCE == 0.95
    assert 0.92 <= covered <= 0.995


# --- goals ---------------------------------------------------------------------------------


def test_goal_agreement_by_hand() -> None:
    starts = [[0.0, 4.0], [0.0, -4.0]]
    # the goals lie 2 apart, their mean at 0, each start 4 from it
    assert goal_agreement([[1, 0], [-1, 0]], starts) == pytest.approx(0.5)
    assert goal_agreement([[1, 0]] * 3, [[1, 3]]) == 0
    # 3, 4 and 5 apart, a mean of 4; the mean of the goals is (1, 4/3)
    assert goal_agreement([[0, 0], [3, 0], [0, 4]], [[1, 4 / 3 + 8]]) == pytest.approx(0.5)


def test_goal_agreement_needs_goals_and_starts_elsewhere() -> None:
    assert np.isnan(goal_agreement([[1, 0]], [[0, 0]]))
    assert np.isnan(goal_agreement([[1, 0], [0, 1]], np.zeros((0, 2))))
    assert np.isnan(goal_agreement(np.zeros((3, 2)), np.zeros((2, 2))))


def test_leave_one_out_goals_by_hand() -> None:
    goals = [[0.0, 6.0], [2.0, 0.0], [4.0, 3.0]]
    goals_of_others = leave_one_out_goals(goals, [0, 2, 3], 4)
    np.testing.assert_allclose(goals_of_others, [[3.0, 1.5], [2.0, 3.0], [2.0, 4.5], [1.0, 3.0]])


def test_all_of_an_episodes_goals_are_left_out() -> None:
    goals_of_others = leave_one_out_goals([[1.0], [3.0], [8.0]], [0, 0, 1], 2)
    np.testing.assert_allclose(goals_of_others, [[8], [2]])


def test_where_no_other_goal_is_left_nothing_is_known() -> None:
    # 0.1 + 0.2 - 0.1 - 0.2 is not 0
    goals_of_others = leave_one_out_goals([[0.1], [0.2]], [1, 1], 2)
    assert goals_of_others[0] == pytest.approx(0.15)
    assert np.isnan(goals_of_others[1]).all()
    assert np.isnan(leave_one_out_goals(np.zeros((0, 3)), [], 2)).all()


# --- noise and signal ----------------------------------------------------------------------


def test_noise_is_that_of_identical_pairs() -> None:
    curve = np.tile([0.0, 3, -1], 6)
    same = np.tile([True, False, False], 6)[:-1]  # the steps of 3, six of them
    twice = noise_of([curve, curve], [same, same])
    assert twice == Noise(3.0, 12)
    # six alone are too few: second differences
    assert noise_of([curve], [same]) == noise_of([curve], None)


def test_planted_noise_of_pairs_is_recovered() -> None:
    rng = np.random.default_rng(0)
    planted = 0.3  # of a frame; of a difference sqrt(2) times that
    curves, pairs = [], []
    for _ in range(40):
        still = np.sort(rng.integers(0, 100, 100))  # which of a hundred places; some twice
        curves.append(10 - 0.05 * still + rng.normal(0, planted, 100))
        pairs.append(np.diff(still) == 0)
    noise = noise_of(curves, pairs)
    assert noise is not None
    assert noise.pairs == sum(int(pair.sum()) for pair in pairs)
    assert noise.step == pytest.approx(np.sqrt(2) * planted, rel=0.05)


def test_planted_noise_is_recovered_from_curves_that_are_straight() -> None:
    rng = np.random.default_rng(0)
    straight = [10 - np.linspace(0, speed, 100) for speed in range(1, 41)]
    noise = noise_of([curve + rng.normal(0, 0.3, 100) for curve in straight], None)
    assert noise is not None
    assert noise.pairs == 0
    assert noise.step == pytest.approx(np.sqrt(2) * 0.3, rel=0.1)
    without = noise_of(straight, None)
    assert without is not None
    assert without.step < 1e-12


def test_noise_by_hand() -> None:
    # second differences 2 and -4
    noise = noise_of([[0, 0, 2, 0]], None)
    assert noise is not None
    assert noise.step == pytest.approx(np.sqrt(20 / 2 / 3))
    assert noise.pairs == 0


def test_no_noise_where_there_is_nothing() -> None:
    assert noise_of([], None) is None
    assert noise_of([], []) is None
    assert noise_of([[1, 2], [3]], None) is None
    assert noise_of([[1], [3]], [[], []]) is None


def test_signal_by_hand() -> None:
    curves = [[0.0, 1, 3], [5.0, 1], [7.0]]
    assert signal(curves, 1) == pytest.approx(np.sqrt((1 + 4 + 16) / 3))
    assert signal(curves, 2) == pytest.approx(3)
    assert np.isnan(signal(curves, 3))
    assert np.isnan(signal([], 1))


# --- rewards -------------------------------------------------------------------------------


def test_histogram_by_hand() -> None:
    histogram = reward_histogram([[-1, -0.1, 0, 0.1, 1, 1]], bins=4)
    np.testing.assert_allclose(histogram.edges, [-1, -0.5, 0, 0.5, 1])
    assert histogram.counts[0].tolist() == [
        1,
        1,
        2,
        2,
    ]  # 0 is in the first bin that is not negative


@settings(deadline=None)
@given(
    st.lists(
        arrays(np.float64, st.integers(0, 50), elements=st.floats(-1e6, 1e6)),
        min_size=1,
        max_size=4,
    )
)
@example([np.array([-5e-324])])  # a bin of which would be 0 wide
def test_histograms_count_every_reward(rewards: list[Floats]) -> None:
    histogram = reward_histogram(rewards)
    assert [int(count.sum()) for count in histogram.counts] == [len(reward) for reward in rewards]
    assert len(histogram.edges) == 41
    assert histogram.edges[20] == 0
    np.testing.assert_allclose(histogram.edges, -histogram.edges[::-1])
    for reward, counts in zip(rewards, histogram.counts, strict=True):
        assert int(counts[:20].sum()) == int((reward < 0).sum())


def test_what_lies_far_beyond_is_in_the_outermost_bin() -> None:
    ordinary = np.linspace(-1, 1, 1000)
    histogram = reward_histogram([np.r_[ordinary, 1e6]])
    assert 0.9 < histogram.edges[-1] < 1.1
    assert histogram.counts[0].sum() == 1001


def test_rewards_that_are_not_known_are_not_counted() -> None:
    histogram = reward_histogram([[NAN, 1.0, -1.0], [NAN]], bins=2)
    np.testing.assert_array_equal(histogram.edges, [-1, 0, 1])
    assert [count.tolist() for count in histogram.counts] == [[1, 1], [0, 0]]


def test_a_histogram_of_nothing() -> None:
    assert reward_histogram([]).counts == ()
    histogram = reward_histogram([[], [0.0, 0.0]])
    assert [int(count.sum()) for count in histogram.counts] == [0, 2]
    np.testing.assert_array_equal(histogram.edges[[0, 20, 40]], [-1, 0, 1])


def test_count_difference() -> None:
    a, b = np.array([3, 1, 2, 0]), np.array([2, 2, 0, 0])
    np.testing.assert_array_equal(count_difference(a, b), [0.5, -0.5, NAN, NAN])


def test_dense_fit_is_r_squared() -> None:
    assert dense_fit([1, 2, 3], [5, 3, 1]) == pytest.approx(1)  # a line that falls fits as well
    # covariance 1, variances 2 and 2
    assert dense_fit([0, 1, 2], [0, 2, 1]) == pytest.approx(0.25)
    assert dense_fit([0, 1, 2, NAN, 9], [0, 2, 1, 5, np.inf]) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("reward", "true_reward"),
    [
        ([], []),
        ([1, 2], [1, 2]),
        ([1, 2, NAN], [1, 2, 3]),
        ([1, 1, 1], [1, 2, 3]),
        ([1, 2, 3], [1, 1, 1]),
    ],
)
def test_no_fit_without_three_that_change(reward: list[float], true_reward: list[float]) -> None:
    assert np.isnan(dense_fit(reward, true_reward))


# --- two dimensions ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 7), (8, 30), (50, 3), (30, 2), (3, 5)])
def test_the_plane_is_that_of_the_singular_values(shape: tuple[int, int]) -> None:
    embedding = np.random.default_rng(0).normal(size=shape) * np.geomspace(1, 9, shape[1])
    plane = in_plane(embedding)
    assert plane is not None
    centred = embedding - embedding.mean(axis=0)
    _, strength, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(plane.explained, strength[:2] ** 2 / (strength**2).sum(), atol=1e-9)
    for own, other in zip(plane.axes, axes[:2], strict=True):
        assert abs(own @ other) == pytest.approx(1)  # whichever way it points
    np.testing.assert_allclose(plane.points, plane.of(embedding), atol=1e-9)
    np.testing.assert_allclose(np.abs(plane.points), np.abs(centred @ axes[:2].T), atol=1e-6)


def test_other_points_are_put_in_the_same_plane() -> None:
    embedding = np.array([[3.0, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]])
    plane = in_plane(embedding + 5)
    assert plane is not None
    assert plane.explained == pytest.approx((0.9, 0.1))
    np.testing.assert_allclose(
        np.abs(plane.of([[8, 5, 5], [5, 7, 9]])), [[3, 0], [0, 2]], atol=1e-9
    )


def test_no_plane_of_what_has_none() -> None:
    assert in_plane(np.zeros((2, 5))) is None
    assert in_plane(np.ones((10, 5))) is None
    assert in_plane(np.arange(10.0)[:, None]) is None
    line = in_plane(np.outer(np.arange(5), [1, 2, 2]))
    assert line is not None
    assert line.explained == pytest.approx((1, 0))
