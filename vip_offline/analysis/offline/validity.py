"""How often an offline number picks the better policy: beside true success in closed loop.

Variants of one task are compared with each other; tasks are what is resampled. Variants of a task
share their data, seeds and placements, so their pairs are not independent; tasks are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.offline.numbers import NUMBERS, OfflineNumber

RESAMPLES = 10_000
FEWEST_TASKS = 3  # of which an interval is drawn at all
CHANCE = 0.5  # of picking the better of two


@dataclass(frozen=True)
class TaskAgreement:
    """One number on one task."""

    rank: float | None  # Spearman's, over variants; None: all succeed alike, or have one number
    right: float  # pairs in which the number picks the better variant; ties count half
    pairs: int  # of variants that differ in true success, and that both have the number


@dataclass(frozen=True)
class Validity:
    """One number over tasks, with 95 % intervals that resample tasks."""

    key: str
    tasks: int  # with at least one pair
    pairs: int
    rank: float | None  # mean over tasks of the rank correlation with success; 1 is best
    rank_low: float | None
    rank_high: float | None
    picked: float | None  # mean over tasks of the share of pairs in which it picks the better
    low: float | None
    high: float | None

    @property
    def beats_chance(self) -> bool:
        """Whether the interval of the share of pairs lies above one half."""
        return self.low is not None and self.low > CHANCE


def agreement(
    number: OfflineNumber, values: Sequence[float | None], success: Sequence[float]
) -> TaskAgreement:
    """Compare one number with true success, over the variants of one task.

    Args:
        number: what it is, which says whether lower is better.
        values: (V,) of each variant; None: cannot be said.
        success: (V,) true rates.
    """
    known = [place for place, value in enumerate(values) if value is not None]
    sign = -1.0 if number.lower_is_better else 1.0
    score = np.array([sign * float(values[place] or 0.0) for place in known])
    truth = np.array([success[place] for place in known])
    first, second = np.triu_indices(len(known), 1)
    better = np.sign(truth[first] - truth[second])
    picked = np.sign(score[first] - score[second])
    differing = better != 0
    right = float(((picked * better)[differing] + 1).sum() / 2)
    return TaskAgreement(_rank(score, truth), right, int(differing.sum()))


def validity(number: OfflineNumber, tasks: Sequence[Mapping[str, Any]]) -> Validity:
    """Summarise one number over tasks.

    Args:
        number: one of `NUMBERS`.
        tasks: each with ``arms``, whose ``success`` is a rate and ``numbers`` a table by key.
    """
    measured = [
        agreement(
            number,
            [arm["numbers"].get(number.key) for arm in task["arms"]],
            [arm["success"] for arm in task["arms"]],
        )
        for task in tasks
    ]
    shares = np.array([task.right / task.pairs for task in measured if task.pairs])
    ranks = np.array([task.rank for task in measured if task.rank is not None])
    rank_low, rank_high = task_interval(ranks)
    low, high = task_interval(shares)
    return Validity(
        key=number.key,
        tasks=len(shares),
        pairs=sum(task.pairs for task in measured),
        rank=_rounded(ranks.mean()) if len(ranks) else None,
        rank_low=rank_low,
        rank_high=rank_high,
        picked=_rounded(shares.mean()) if len(shares) else None,
        low=low,
        high=high,
    )


def validities(tasks: Sequence[Mapping[str, Any]]) -> tuple[Validity, ...]:
    """All of `NUMBERS` over tasks."""
    return tuple(validity(number, tasks) for number in NUMBERS)


def task_interval(per_task: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Percentile bootstrap of the mean over tasks; None of fewer than `FEWEST_TASKS`.

    With a handful of tasks it is too narrow: read it as the least that is unsure.
    """
    if len(per_task) < FEWEST_TASKS:
        return None, None
    drawn = np.random.default_rng(0).integers(0, len(per_task), (RESAMPLES, len(per_task)))
    low, high = np.quantile(per_task[drawn].mean(axis=1), (0.025, 0.975))
    return _rounded(low), _rounded(high)


def _rank(score: NDArray[np.float64], truth: NDArray[np.float64]) -> float | None:
    if len(score) < 2 or np.ptp(score) == 0 or np.ptp(truth) == 0:
        return None
    from scipy.stats import spearmanr  # slow to import, and needed only here

    return float(spearmanr(score, truth).statistic)


def _rounded(value: float) -> float:
    return round(float(value), 2)
