"""Does one score tell successes from failures better than another, on the same episodes?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vip_offline.analysis.closed_loop.statistics import CONFIDENCE
from vip_offline.utils.arrays import Floats

RESAMPLES = 4000
BOOTSTRAP_SEED = 0
FEW_EPISODES = 5  # successes or failures below which resampling says nothing: no claim is made
RESAMPLE_BLOCK = 250  # resamples at once


@dataclass(frozen=True)
class AucDifference:
    """The area under the ROC curve of `a` less that of `b`."""

    a: str
    b: str
    auc_a: float
    auc_b: float
    difference: float
    low: float  # 95 % interval; nan: too few episodes
    high: float
    successes: int  # that both scores know
    failures: int

    @property
    def surely(self) -> bool:
        """Whether `a` is better: the interval excludes 0."""
        return self.low > 0


def auc_difference(
    a: str, score_a: ArrayLike, b: str, score_b: ArrayLike, success: ArrayLike
) -> AucDifference | None:
    """Compare two scores by a paired bootstrap: both are seen on the same resampled episodes.

    Successes and failures are resampled apart, so that none of the resamples lacks either; the
    interval is of percentiles. A score that is perfect on all episodes is so on every resample,
    hence an interval of width 0 where both are, and no claim below `FEW_EPISODES` of either kind.

    Args:
        a: name of the one.
        score_a: (E,), more for a success; infinite or nan is left out.
        b: name of the other.
        score_b: (E,).
        success: (E,) bool.

    Returns:
        None where no success or no failure is known to both.
    """
    scores = np.array([score_a, score_b], np.float64)  # 2, E
    known, success = np.isfinite(scores).all(axis=0), np.asarray(success, bool)
    good, bad = scores[:, known & success], scores[:, known & ~success]
    (_, successes), (_, failures) = good.shape, bad.shape
    if not successes or not failures:
        return None
    once = np.ones((1, successes)), np.ones((1, failures))
    auc_a, auc_b = (float(_aucs(good[row], bad[row], *once)[0]) for row in (0, 1))
    low = high = float("nan")
    if min(successes, failures) >= FEW_EPISODES:
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(_resampled(good, bad), (tail, 1 - tail)).tolist()
    return AucDifference(a, b, auc_a, auc_b, auc_a - auc_b, low, high, successes, failures)


def _resampled(good: Floats, bad: Floats) -> Floats:
    """(2, S) and (2, F) scores -> (RESAMPLES,) differences."""
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    differences = []
    for _ in range(RESAMPLES // RESAMPLE_BLOCK):
        # how often each episode is drawn: the same for both scores
        times = [
            generator.multinomial(n, np.full(n, 1 / n), RESAMPLE_BLOCK)
            for n in (good.shape[1], bad.shape[1])
        ]
        auc_a, auc_b = (_aucs(good[row], bad[row], *times) for row in (0, 1))
        differences.append(auc_a - auc_b)
    return np.concatenate(differences)


def _aucs(good: Floats, bad: Floats, of_good: NDArray[Any], of_bad: NDArray[Any]) -> Floats:
    """Areas under the ROC curve of (S,) and (F,) scores that count (B, S) and (B, F) times."""
    order = np.argsort(bad)
    below = np.pad(np.cumsum(of_bad[:, order], axis=1), ((0, 0), (1, 0)))  # B, F + 1
    less, no_more = (np.searchsorted(bad[order], good, side) for side in ("left", "right"))
    beaten = (below[:, less] + below[:, no_more]) / 2  # ties count half
    return np.asarray((of_good * beaten).sum(axis=1) / (len(good) * len(bad)))
