"""How sure one can be of a success rate, and of a difference between two.

Rollouts come as outcomes of shape (S seeds, P placements). Both are samples - other seeds would
train other networks, other placements would meet other trouble - and rollouts which share a seed
or a placement are alike. Pooling S x P rollouts as if they were independent therefore finds
differences between equal methods in a fifth to over a third of cases; a bootstrap over five
seeds is too narrow as well. What is here treats both as random, as studies with several readers and
several cases do (Dorfman, Berbaum, Metz 1992; Hillis 2007). Its tests
measure how often it is wrong.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import special

from vip_offline.errors import VipOfflineError
from vip_offline.utils.arrays import Floats

Outcomes = npt.NDArray[np.bool_]  # (..., S, P)

POWER = 0.80

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval over seeds and placements."""

    mean: float  # success rate in [0, 1], or a difference of two in [-1, 1]
    low: float  # 95 % interval; nan where there is only one seed
    high: float
    standard_error: float
    degrees_of_freedom: float
    covers: str  # what was varied: "seeds and placements", "seeds" or "nothing"


@dataclasses.dataclass(frozen=True)
class Difference(Estimate):
    """Success rate of one arm minus that of another."""

    p_value: float  # two-sided, of no difference; not adjusted for other comparisons
    smallest_detectable: float  # true difference that would be found in 80 % of such comparisons

    @property
    def differs(self) -> bool:
        """Whether the interval excludes 0; always False with one seed."""
        return bool(self.low > 0 or self.high < 0)


def success_interval(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a success rate from `n` independent rollouts.

    Right for one trained policy on placements drawn once each; rollouts of several seeds are not
    independent, see `mean_interval`.

    Raises:
        VipOfflineError: if there are no rollouts, or more successes than rollouts.
    """
    if not 0 <= successes <= n or n == 0:
        raise VipOfflineError(
            f"{successes} successes in {n} rollouts: no success rate follows. Count again, with at "
            "least one rollout."
        )
    from scipy.stats import binomtest  # slow to import, and needed only here

    interval = binomtest(int(successes), int(n)).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def bernoulli_deviation(rate: float) -> float:
    """Return the standard deviation of one rollout's outcome, which Table 1 prints after its ±."""
    return float(np.sqrt(rate * (1 - rate)))


def two_way_variance(values: Floats) -> tuple[Floats, Floats]:
    """Return the variance of the mean over seeds and placements, and its degrees of freedom.

    Two-way random effects without replication. With MS the mean squares of seeds, placements and
    what is left, Var(mean) = (MS_s + MS_p - MS_e) / (S P), unbiased; its degrees of freedom after
    Satterthwaite. By chance the sum may fall below MS_s or MS_p, which is less than the seeds (or
    the placements) alone would make it, so the larger of those is its lower bound. With one
    placement it is the usual variance over seeds.

    Args:
        values: (..., S, P) with S >= 2; anything with a mean, such as differences of outcomes.

    Returns:
        Two arrays of shape (...).
    """
    S, P = values.shape[-2:]
    grand = values.mean((-2, -1), keepdims=True)
    of_seed = values.mean(-1, keepdims=True)  # (..., S, 1)
    seeds = P * ((of_seed - grand) ** 2).sum((-2, -1)) / (S - 1)
    if P == 1:
        return seeds / S, np.full(seeds.shape, S - 1.0)
    of_placement = values.mean(-2, keepdims=True)  # (..., 1, P)
    placements = S * ((of_placement - grand) ** 2).sum((-2, -1)) / (P - 1)
    rest_df = (S - 1) * (P - 1)
    rest = ((values - of_seed - of_placement + grand) ** 2).sum((-2, -1)) / rest_df
    total = np.maximum(seeds + placements - rest, np.maximum(seeds, placements))
    spread = seeds**2 / (S - 1) + placements**2 / (P - 1) + rest**2 / rest_df
    fewest = float(min(S, P) - 1)
    df = np.divide(total**2, spread, out=np.full(total.shape, fewest), where=spread > 0)
    return total / (S * P), np.clip(df, fewest, float(rest_df))


def paired_moments(a: Outcomes, b: Outcomes) -> tuple[Floats, Floats, Floats]:
    """Return mean, standard error and degrees of freedom of `a` less `b`.

    Differences are taken rollout by rollout: placements are the same in both arms, and a seed
    fixes the initial weights and the order of batches, so that arms with similar weights stay
    alike. Where seeds have nothing in common this loses a little power and stays correct.

    The variance has a floor: that of a difference of paired proportions with half a rollout added
    to each of the four kinds of pair (Agresti and Min 2005), so that two arms which always fail
    do not differ by 0 +- 0.

    Args:
        a: (..., S, P) bool, S >= 2.
        b: same shape.

    Returns:
        Three arrays of shape (...).
    """
    variance, df = two_way_variance(a.astype(np.float64) - b)
    n = a.shape[-2] * a.shape[-1]
    only_a = (a & ~b).sum((-2, -1)) + 0.5
    only_b = (~a & b).sum((-2, -1)) + 0.5
    floor = (only_a + only_b - (only_a - only_b) ** 2 / (n + 2)) / (n + 2) ** 2
    mean = a.mean((-2, -1)) - b.mean((-2, -1))
    return mean, np.sqrt(np.maximum(variance, floor)), df


def paired_difference(a: Outcomes, b: Outcomes) -> Difference:
    """Compare two arms that ran the same seeds on the same placements.

    One seed says nothing about a method, however many placements it met: bounds are then nan. One
    placement leaves an interval which covers seeds only.

    Args:
        a: (S, P) bool, outcomes of the one arm.
        b: (S, P) bool, of the other; same order of seeds and placements.

    Raises:
        VipOfflineError: if the shapes differ, or there is no rollout.
    """
    _check(a)
    if a.shape != b.shape:
        raise VipOfflineError(
            f"Outcomes of shapes {a.shape} and {b.shape} cannot be paired. Run both variants with "
            "the same seeds on the same placements."
        )
    if a.shape[0] == 1:
        nan = float("nan")
        return Difference(float(a.mean() - b.mean()), nan, nan, nan, nan, _covers(a), nan, nan)
    mean, error, df = (float(moment) for moment in paired_moments(a, b))
    width = quantile(df, (1 + CONFIDENCE) / 2) * error
    return Difference(
        mean=mean,
        low=max(mean - width, -1.0),
        high=min(mean + width, 1.0),
        standard_error=error,
        degrees_of_freedom=df,
        covers=_covers(a),
        p_value=2 * float(special.stdtr(df, -abs(mean) / error)),
        smallest_detectable=width + quantile(df, POWER) * error,
    )


def mean_interval(success: Outcomes) -> Estimate:
    """Return the success rate of one arm with its interval over seeds and placements.

    Wilson's interval for as many independent rollouts as would give the same standard error, with
    Student's t for the normal quantile (Korn and Graubard 1998 do so in surveys): it stays inside
    [0, 1] and has a width for an arm that always fails. In simulated cases it holds the truth in
    94-99 %, mean +- t SE in 89-100 %, being worst near 0 and 1.

    Args:
        success: (S, P) bool.

    Raises:
        VipOfflineError: if there is no rollout.
    """
    _check(success)
    mean = float(success.mean())
    if success.shape[0] == 1:
        nan = float("nan")
        return Estimate(mean, nan, nan, nan, nan, _covers(success))
    variance, degrees = two_way_variance(success.astype(np.float64))
    df = float(degrees)
    shrunk = (success.sum() + 2) / (success.size + 4)  # Agresti and Coull 1998
    binomial = shrunk * (1 - shrunk) / (success.size + 4)
    error = float(np.sqrt(max(float(variance), binomial)))
    spread = mean * (1 - mean) or shrunk * (1 - shrunk)
    n = float(np.clip(spread / error**2, 1, success.size))  # rollouts' worth of information
    t2 = quantile(df, (1 + CONFIDENCE) / 2) ** 2
    centre = (mean + t2 / (2 * n)) / (1 + t2 / n)
    width = np.sqrt(t2 * (mean * (1 - mean) / n + t2 / (4 * n * n))) / (1 + t2 / n)
    low, high = max(float(centre - width), 0.0), min(float(centre + width), 1.0)
    # at 0 and at 1 the bound is exact in theory; do not let rounding push it past the mean
    return Estimate(mean, min(low, mean), max(high, mean), error, df, _covers(success))


def quantile(df: float, probability: float) -> float:
    """Return the quantile of Student's t."""
    return float(special.stdtrit(df, probability))


def holm(p_values: Floats) -> Floats:
    """Adjust p values for multiple comparisons (Holm 1979); nan stays nan.

    Args:
        p_values: (n,), those that are nan are not counted.
    """
    adjusted = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def _covers(success: Outcomes) -> str:
    if success.shape[0] == 1:
        return "nothing"
    return "seeds" if success.shape[1] == 1 else "seeds and placements"


def _check(success: Outcomes) -> None:
    if success.ndim != 2 or success.size == 0 or success.dtype != np.bool_:
        raise VipOfflineError(
            f"Outcomes of shape {success.shape} and type {success.dtype} are not those of a "
            "comparison. Give a bool array (seeds, placements) with at least one of each."
        )
