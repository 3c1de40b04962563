import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from vip_offline.analysis.closed_loop.statistics import (
    holm,
    mean_interval,
    paired_difference,
    paired_moments,
    success_interval,
    two_way_variance,
)
from vip_offline.errors import VipOfflineError

Bools = npt.NDArray[np.bool_]


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(8, 10, 0.4901625, 0.9433178), (0, 10, 0.0, 0.2775328), (10, 10, 0.7224672, 1.0)],
)
def test_wilson_interval_has_its_published_values(
    successes: int, n: int, low: float, high: float
) -> None:
    assert success_interval(successes, n) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    with pytest.raises(VipOfflineError, match="rollouts"):
        success_interval(successes, n)


def test_two_way_variance_worked_by_hand() -> None:
    values = np.array([[1.0, 2, 3], [3, 4, 8]])
    # seeds: means 2 and 5, MS 3 (2.25 + 2.25) / 1; placements: means 2, 3 and 5.5,
    # MS 2 (2.25 + 0.25 + 4) / 2; what is left: +-0.5, +-0.5, +-1, MS 3 / 2
    seeds, placements, rest = 13.5, 6.5, 1.5
    variance, df = two_way_variance(values)
    assert variance == pytest.approx((seeds + placements - rest) / 6)
    assert df == pytest.approx(18.5**2 / (seeds**2 / 1 + placements**2 / 2 + rest**2 / 2))


def test_two_way_variance_is_no_less_than_that_of_seeds_alone() -> None:
    values = np.array([[1.0, 2, 3], [4, 3, 2]])  # placements have equal means
    variance, _ = two_way_variance(values)
    of_seed = values.mean(1)
    assert variance == pytest.approx(of_seed.var(ddof=1) / 2)


def test_two_way_variance_of_many_at_once_is_that_of_each() -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 6))
    together = np.stack(two_way_variance(values))
    apart = np.stack([np.stack(two_way_variance(value)) for value in values], axis=1)
    np.testing.assert_allclose(together, apart)


def test_two_way_variance_is_unbiased() -> None:
    rng = np.random.default_rng(0)
    S, P, n = 5, 8, 4000
    values = 1.0 * rng.normal(size=(n, S, 1)) + 0.7 * rng.normal(size=(n, 1, P))
    values = values + 0.5 * rng.normal(size=(n, S, P))
    truth = 1.0 / S + 0.49 / P + 0.25 / (S * P)
    assert values.mean((1, 2)).var() == pytest.approx(truth, rel=0.1)
    assert two_way_variance(values)[0].mean() == pytest.approx(truth, rel=0.05)


def test_one_placement_gives_the_t_interval_over_seeds() -> None:
    a = np.array([1, 1, 1, 1, 0, 0, 1, 1], dtype=bool)[:, None]
    b = np.array([0, 0, 0, 1, 0, 1, 0, 1], dtype=bool)[:, None]
    difference = paired_difference(a, b)
    known = stats.ttest_rel(a[:, 0].astype(float), b[:, 0].astype(float))
    interval = known.confidence_interval()
    assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high))
    assert difference.p_value == pytest.approx(known.pvalue)
    assert difference.covers == "seeds"


@pytest.mark.parametrize("placements", [1, 6])
def test_one_seed_says_nothing_about_a_method(placements: int) -> None:
    a, b = np.ones((1, placements), dtype=bool), np.zeros((1, placements), dtype=bool)
    difference = paired_difference(a, b)
    assert difference.mean == 1
    assert np.isnan(
        [difference.low, difference.high, difference.p_value, difference.smallest_detectable]
    ).all()
    assert not difference.differs
    assert difference.covers == mean_interval(a).covers == "nothing"
    assert np.isnan(mean_interval(a).low)


@pytest.mark.parametrize("value", [False, True])
def test_equal_outcomes_do_not_give_an_empty_interval(value: bool) -> None:
    always = np.full((5, 10), value)
    difference, rate = paired_difference(always, always), mean_interval(always)
    assert not difference.differs
    assert difference.p_value == pytest.approx(1)
    # half a rollout in each of four kinds of pair, of 50 + 2 pairs
    assert difference.standard_error == pytest.approx(1 / 52)
    assert rate.low <= rate.mean <= rate.high
    assert rate.high - rate.low > 0.1


def test_complete_success_against_complete_failure() -> None:
    difference = paired_difference(np.ones((5, 10), dtype=bool), np.zeros((5, 10), dtype=bool))
    assert difference.differs
    assert difference.high == 1
    smoke = paired_difference(np.ones((2, 2), dtype=bool), np.zeros((2, 2), dtype=bool))
    assert not smoke.differs


def test_the_other_way_round_is_the_negative() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((5, 10)) < 0.7, rng.random((5, 10)) < 0.4
    forward, other = paired_difference(a, b), paired_difference(b, a)
    assert (forward.mean, forward.low, forward.high) == pytest.approx(
        (-other.mean, -other.high, -other.low)
    )


def test_placements_are_paired() -> None:
    rng = np.random.default_rng(2)
    easy = np.repeat([0.1, 0.9], 10)  # the same in both arms
    a, b = rng.random((6, 20)) < easy, rng.random((6, 20)) < easy
    unpaired = b[:, rng.permutation(20)]
    paired, not_so = paired_difference(a, b), paired_difference(a, unpaired)
    assert paired.standard_error < 0.7 * not_so.standard_error


def test_smallest_detectable_difference_is_that_of_a_t_test() -> None:
    rng = np.random.default_rng(3)
    difference = paired_difference(rng.random((5, 10)) < 0.5, rng.random((5, 10)) < 0.5)
    t = stats.t(difference.degrees_of_freedom)
    expected = (t.ppf(0.975) + t.ppf(0.80)) * difference.standard_error
    assert difference.smallest_detectable == pytest.approx(expected)


def test_arms_of_unlike_runs_are_not_paired() -> None:
    with pytest.raises(VipOfflineError, match=r"\(2, 3\) and \(2, 4\)"):
        paired_difference(np.ones((2, 3), dtype=bool), np.ones((2, 4), dtype=bool))
    with pytest.raises(VipOfflineError, match="int64"):
        mean_interval(np.ones((2, 3), dtype=np.int64))
    with pytest.raises(VipOfflineError, match=r"\(0, 3\)"):
        mean_interval(np.ones((0, 3), dtype=bool))


def test_holm_worked_by_hand() -> None:
    adjusted = holm(np.array([0.01, np.nan, 0.04, 0.03]))
    np.testing.assert_allclose(adjusted, [0.03, np.nan, 0.06, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


# What follows is the reason for this module's formulas: how often are they wrong? Success is
# Bernoulli with a logit that has an effect of the seed (success rates of about 0.1 to 0.6, as
# closed loops show), one of the placement and one of the arm on the placement.


def simulate(
    rng: np.random.Generator, n: int, S: int, P: int, rates: tuple[float, float], alike: float
) -> tuple[Bools, Bools]:
    """Return outcomes (n, S, P) of two arms with these success rates.

    `alike` is the correlation of the effects that one seed has in the two arms.
    """
    seed, placement, both = 1.25, 1.0, 0.7  # standard deviations on the logit scale
    spread = np.hypot(np.hypot(seed, placement), both)
    shared = rng.normal(size=(n, S, 1))
    easy = placement * rng.normal(size=(n, 1, P))
    draws = rng.normal(size=100_000)
    arms = []
    for rate in rates:
        centres = np.linspace(-6, 6, 121)
        means = [np.mean(1 / (1 + np.exp(-centre - spread * draws))) for centre in centres]
        own = np.sqrt(alike) * shared + np.sqrt(1 - alike) * rng.normal(size=(n, S, 1))
        logit = np.interp(rate, means, centres) + seed * own + easy
        logit = logit + both * rng.normal(size=(n, 1, P))
        arms.append(rng.random((n, S, P)) < 1 / (1 + np.exp(-logit)))
    return arms[0], arms[1]


def found_different(a: Bools, b: Bools) -> float:
    mean, error, df = paired_moments(a, b)
    return float(np.mean(np.abs(mean) > stats.t.ppf(0.975, df) * error))


@pytest.mark.parametrize(("S", "P"), [(5, 10), (10, 20)])
@pytest.mark.parametrize("alike", [0.0, 0.3])
def test_equal_arms_seldom_differ(S: int, P: int, alike: float) -> None:
    a, b = simulate(np.random.default_rng(5), 4000, S, P, (0.35, 0.35), alike)
    assert 0.01 < found_different(a, b) < 0.07
    # the simulation is one in which pooled rollouts mislead, else it would prove nothing
    share = (a.mean((1, 2)) + b.mean((1, 2))) / 2
    z = np.abs(a.mean((1, 2)) - b.mean((1, 2))) / np.sqrt(2 * share * (1 - share) / (S * P))
    assert np.mean(z > 1.96) > 0.15


def test_thirty_points_are_found_with_ten_seeds_but_not_with_five() -> None:
    rng = np.random.default_rng(6)
    ten = found_different(*simulate(rng, 4000, 10, 20, (0.2, 0.5), 0.0))
    five = found_different(*simulate(rng, 4000, 5, 10, (0.2, 0.5), 0.0))
    assert ten > 0.75
    assert 0.25 < five < 0.5


@pytest.mark.parametrize(("S", "P"), [(5, 10), (10, 20)])
@pytest.mark.parametrize("rate", [0.1, 0.35])
def test_mean_interval_holds_the_truth(S: int, P: int, rate: float) -> None:
    a, _ = simulate(np.random.default_rng(7), 1500, S, P, (rate, rate), 0.0)
    intervals = [mean_interval(sample) for sample in a]
    assert np.mean([interval.low <= rate <= interval.high for interval in intervals]) > 0.925
    assert all(0 <= interval.low <= interval.mean <= interval.high <= 1 for interval in intervals)
