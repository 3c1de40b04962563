"""Choose a rule and its unsure band, and measure both on episodes that they did not see."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline.rewards.success.bounds import upper_bound
from vip_offline.rewards.success.rules import (
    FAILURE,
    RULES,
    SUCCESS,
    VERDICTS,
    Rule,
    auc,
    discriminant,
    edges,
    end_score,
    span_of,
    verdict,
)
from vip_offline.utils.arrays import Floats

LEAST = 3  # of each class: one is left out, and two have a spread
# one episode at a time is left out to measure; of more than this, one of five parts
LEAVE_ONE_OUT, PARTS = 20, 5
CHOOSING_PARTS = 5  # that are left out in turn to choose a rule and its band


@dataclass(frozen=True)
class Sample:
    """The end of an episode, early frames that stand for a failure, or a goal picture."""

    last: NDArray[np.float32]  # (K, D) frames that are judged, at most `hold`
    first: NDArray[np.float32]  # (D,) of its episode
    success: bool
    group: int  # samples of one episode, and its goal, are left out together


@dataclass(frozen=True)
class GoalRows:
    """Goals, and which group each is left out with; -1: never."""

    embeddings: NDArray[np.float32]  # (G, D)
    groups: NDArray[np.int64]  # (G,)


@dataclass(frozen=True)
class FirstFrames:
    """First frames of episodes, labelled or not, by which pictures of one state are known."""

    embeddings: NDArray[np.float32]  # (M, D)
    groups: NDArray[np.int64]  # (M,) those of left-out samples are left out, too


@dataclass(frozen=True)
class ClassResult:
    """Verdicts on the episodes of one class, each judged without itself."""

    n: int
    success: int
    failure: int
    unsure: int
    wrong: int  # called the other class

    @classmethod
    def of(cls, verdicts: Sequence[str], *, success: bool) -> Self:
        """Count the verdicts on the episodes of one class.

        Args:
            verdicts: one per episode.
            success: whether these are the successes.
        """
        counts = {name: verdicts.count(name) for name in VERDICTS}
        return cls(n=len(verdicts), wrong=counts[FAILURE if success else SUCCESS], **counts)

    @property
    def rate(self) -> float:
        """Share of episodes that are called the other class."""
        return self.wrong / self.n if self.n else float("nan")

    @property
    def upper(self) -> float:
        """Its one-sided 95 % upper bound."""
        return upper_bound(self.wrong, self.n)

    def plain(self) -> dict[str, Any]:
        """Convert to JSON values, with rate (None without episodes) and bound."""
        rate = round(self.rate, 4) if self.n else None
        return {**asdict(self), "rate": rate, "upper": round(self.upper, 4)}


@dataclass(frozen=True)
class Fitted:
    """A rule, its band, and what it does on episodes that it did not see."""

    rule: Rule
    band: tuple[float, float]
    successes: ClassResult
    failures: ClassResult
    auc: float  # of the chosen rule, its choice included: of left-out episodes
    auc_by_rule: dict[str, float] = field(default_factory=dict)


class _Problem:
    """Samples and goals, with what is computed from them once."""

    def __init__(
        self, samples: Sequence[Sample], goals: GoalRows, hold: int, background: FirstFrames | None
    ) -> None:
        self.samples, self.goals, self.hold = samples, goals, hold
        self.success = np.array([sample.success for sample in samples])
        self.group = np.array([sample.group for sample in samples])
        if background is None:
            of_samples = np.stack([sample.first for sample in samples])
            background = FirstFrames(of_samples, self.group)
        self.background_groups = background.groups
        last = np.stack([sample.last.mean(axis=0, dtype=np.float64) for sample in samples])
        first = np.stack([sample.first.astype(np.float64) for sample in samples])
        spread = background.embeddings - background.embeddings.mean(axis=0, dtype=np.float64)
        self.basis = span_of(np.concatenate([last, first, spread]))
        self.points = {"classes": last @ self.basis, "change": (last - first) @ self.basis}
        self.background = spread @ self.basis

    def folds(
        self, members: NDArray[np.int64], at_most: int, otherwise: int
    ) -> Iterator[NDArray[np.int64]]:
        """Parts of the members that are left out in turn: whole groups, both classes in each.

        Args:
            members: places of samples.
            at_most: groups that are left out one by one; of more, so many parts as `otherwise`.
            otherwise: see `at_most`.
        """
        order = np.lexsort((self.group[members], self.success[members]))
        groups = list(dict.fromkeys(self.group[members[order]].tolist()))
        parts = len(groups) if len(groups) <= at_most else otherwise
        for part in range(parts):
            yield members[np.isin(self.group[members], groups[part::parts])]

    def rule(self, name: str, members: NDArray[np.int64]) -> Rule:
        """The rule of this name from these samples, and the goals of their groups."""
        known = np.isin(self.goals.groups, [-1, *self.group[members]])
        goals = self.goals.embeddings[known]
        if name not in self.points:
            return Rule(name, goals)
        left_out = np.setdiff1d(self.group, self.group[members])
        weight, offset = discriminant(
            self.points[name][members],
            self.success[members],
            self.background[~np.isin(self.background_groups, left_out)],
        )
        return Rule(name, goals, (self.basis @ weight).astype(np.float32), offset)

    def scores(self, rule: Rule, members: NDArray[np.int64]) -> Floats:
        """(M,) held scores of samples."""
        chosen = [self.samples[index] for index in members]
        lengths = [len(sample.last) for sample in chosen]
        firsts = np.repeat(np.stack([sample.first for sample in chosen]), lengths, axis=0)
        rows = rule.scores(np.concatenate([sample.last for sample in chosen]), firsts)
        parts = np.split(rows, np.cumsum(lengths)[:-1])
        return np.array([end_score(part, self.hold) for part in parts])

    def left_out(self, name: str, members: NDArray[np.int64]) -> Floats:
        """Score of each member by the rule of the others."""
        scores = np.empty(len(self.samples))
        for part in self.folds(members, CHOOSING_PARTS, CHOOSING_PARTS):
            scores[part] = self.scores(self.rule(name, np.setdiff1d(members, part)), part)
        return scores[members]

    def choose(
        self, names: Sequence[str], members: NDArray[np.int64], error: float
    ) -> tuple[Rule, tuple[float, float], dict[str, float]]:
        """The rule that tells left-out members apart best, its band, and every rule's AUC."""
        of = self.success[members]
        scores = {name: self.left_out(name, members) for name in names}
        areas = {name: auc(values[of], values[~of]) for name, values in scores.items()}
        best = max(names, key=lambda name: (areas[name], _gap(scores[name], of)))
        band = edges(scores[best][of], scores[best][~of], error)
        return self.rule(best, members), band, areas


def _gap(scores: Floats, success: NDArray[np.bool_]) -> float:
    """Distance of the classes' means in standard deviations."""
    one, other = scores[success], scores[~success]
    spread = np.sqrt((one.var() + other.var()) / 2)
    return float((other.mean() - one.mean()) / max(spread, 1e-12))


def choose_rule(
    samples: Sequence[Sample],
    goals: GoalRows,
    *,
    hold: int,
    error: float,
    rules: Sequence[str] = RULES,
    background: FirstFrames | None = None,
) -> tuple[Rule, tuple[float, float]]:
    """The rule and the band of `fit`, not measured."""
    problem = _Problem(samples, goals, hold, background)
    rule, band, _ = problem.choose(rules, np.arange(len(samples)), error)
    return rule, band


def fit(
    samples: Sequence[Sample],
    goals: GoalRows,
    *,
    hold: int,
    error: float,
    rules: Sequence[str] = RULES,
    background: FirstFrames | None = None,
) -> Fitted:
    """Choose a rule and a band, and judge every sample by a choice made without it.

    Args:
        samples: `LEAST` groups of each class or more.
        goals: those of a group are left out with it.
        hold: frames over which a score must hold.
        error: accepted share of errors, see `edges`.
        rules: to choose from, simplest first.
        background: first frames; default: those of the samples.
    """
    problem, members = _Problem(samples, goals, hold, background), np.arange(len(samples))
    rule, band, areas = problem.choose(rules, members, error)
    verdicts = np.full(len(samples), "", object)
    judged = np.empty(len(samples))  # in widths of each choice's own band
    for part in problem.folds(members, LEAVE_ONE_OUT, PARTS):
        chosen, its_band, _ = problem.choose(rules, np.setdiff1d(members, part), error)
        center, width = sum(its_band) / 2, max(its_band[1] - its_band[0], 1e-12)
        for index, score in zip(part, problem.scores(chosen, part), strict=True):
            verdicts[index] = verdict(float(score), its_band)
            judged[index] = (score - center) / width
    of = problem.success
    return Fitted(
        rule,
        band,
        ClassResult.of(verdicts[of].tolist(), success=True),
        ClassResult.of(verdicts[~of].tolist(), success=False),
        auc(judged[of], judged[~of]),
        areas,
    )
