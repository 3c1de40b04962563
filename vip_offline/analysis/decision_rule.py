"""The rule behind the verdict, and how often it is right on tasks that it was not made from.

What weighted regression can do, where some demonstrations failed, is to clone the good ones. So
the rule looks at how far the weights go from cloning everything (0) towards cloning the successes
alone (1), and says "helps" from a threshold on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WORTH = 0.10  # a difference in success that counts as help: ten points


@dataclass(frozen=True)
class Case:
    """One weighted arm compared with cloning, on one task."""

    task: str
    encoder: str
    arm: str
    gain: float  # see `gain_of`
    difference: float  # success less that of cloning, from -1 to 1
    low: float  # 95 % interval
    high: float

    @property
    def helped(self) -> bool:
        """Whether the gain in success counts as help, regardless of its interval; see `surely`."""
        return self.difference >= WORTH

    @property
    def surely(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low > 0


@dataclass(frozen=True)
class Score:
    """Accuracy of the rule and of the commonest answer."""

    cases: int
    tasks: int
    right: int  # by the rule, each task with a threshold from the others
    commonest: int  # by always giving the commonest answer, known beforehand

    @property
    def holds(self) -> bool:
        """Whether the rule is more accurate than the commonest answer."""
        return self.right > self.commonest


def gain_of(on_successes: float, of_successes: float) -> float:
    """Gain: 0 if weights are those of cloning everything, 1 if of cloning successes alone.

    Args:
        on_successes: share of the weight that successes hold.
        of_successes: share of the transitions that are theirs.

    Returns:
        Below 0 where weights prefer failures; 0 where there is no failure to turn away from.
    """
    failures = 1 - of_successes
    return (on_successes - of_successes) / failures if failures > 1e-9 else 0.0


def cases_of(summary: Mapping[str, Any]) -> list[Case]:
    """The cases in one comparison, as `closed_loop.comparison.summarise_comparison` writes it.

    Every arm that weighs by the reward is one; controls and cloning of successes are none.
    """
    arms = {arm["name"]: arm for arm in summary["arms"]}
    share = arms[summary["baseline"]]["weight_on_successes"]
    cases = []
    for difference in summary["differences"]:
        name = difference["a"]
        control = any(mark in name for mark in ("-permuted", "-clock", "-length"))
        if difference["b"] != summary["baseline"] or not name.startswith("rwr-") or control:
            continue
        gain = gain_of(arms[name]["weight_on_successes"], share)
        cases.append(
            Case(summary["task"], summary["encoder"], name, gain,
                 difference["mean"], difference["low"], difference["high"])
        )  # fmt: skip
    return cases


def best_threshold(gain: Sequence[float], helped: Sequence[bool]) -> float:
    """Return the threshold on the gain with the most correct answers; inf: never answer "helps".

    Of several that are as good the middle one, halfway between two cases.
    """
    gains, truth = np.asarray(gain, np.float64), np.asarray(helped, bool)
    order = np.sort(np.unique(gains))
    cuts = np.r_[-np.inf, (order[1:] + order[:-1]) / 2, np.inf]
    right = np.array([((gains >= cut) == truth).sum() for cut in cuts])
    best = np.flatnonzero(right == right.max())
    return float(cuts[best[len(best) // 2]])


def leave_one_task_out(cases: Sequence[Case], *, surely: bool = False) -> Score:
    """Predict each task with the threshold fitted on the other tasks.

    Args:
        cases: of at least two tasks.
        surely: a case counts as help only where its interval excludes 0.
    """
    tasks = sorted({case.task for case in cases})

    def truth(case: Case) -> bool:
        return case.surely if surely else case.helped

    right = 0
    for task in tasks:
        other_tasks = [case for case in cases if case.task != task]
        cut = best_threshold(
            [case.gain for case in other_tasks], [truth(case) for case in other_tasks]
        )
        right += sum((case.gain >= cut) == truth(case) for case in cases if case.task == task)
    helped = sum(truth(case) for case in cases)
    return Score(len(cases), len(tasks), right, max(helped, len(cases) - helped))
