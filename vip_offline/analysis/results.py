"""What an analysis found: plain numbers and pictures, for a page, a terminal, a notebook."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.metrics import Noise, Separation
from vip_offline.analysis.paired_auc import AucDifference
from vip_offline.rewards.goal_views import GoalView
from vip_offline.utils.arrays import Floats

FlagKind = Literal[
    "no-progress",
    "goal-not-reached",
    "reaches-the-goal-but-failed",
    "frozen-camera",
    "repeated-frames",
    "black-frames",
    "cut",
    "colour-order",
    "too-short",
]


@dataclass(frozen=True)
class Flag:
    """Why an episode is suspicious."""

    kind: FlagKind
    value: str  # what was found, for people
    row: int | None = None  # of the episode, where it is at one place


@dataclass(frozen=True)
class EpisodeView:
    """One demonstration."""

    index: int
    name: str  # as its origin called it; empty: it had none
    kind: str  # such as "expert"
    success: bool
    frames: int  # T
    thumbnails: NDArray[np.uint8] | None  # (K, h, w, 3), evenly spaced in time, first and last too
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class HeavyTransition:
    """A transition of large weight."""

    episode: int
    step: int  # row t
    ahead: int  # steps that its weight looks ahead: row t + ahead is the second picture
    weight: float  # the mean is 1
    pictures: NDArray[np.uint8] | None  # (2, h, w, 3), rows t and t + ahead


@dataclass(frozen=True)
class Weighting:
    """Weights that ``train --algo rwr --weight-by ...`` would compute from the rewards."""

    weight_by: str  # step, n-step or return
    taus: Floats  # (G,), ascending
    effective_sample_size: Floats  # (G,) at these, shares of uniform
    target_ess: float
    tau: float  # at which the sample has that size; nan: no temperature does
    on_successes: float  # share of the weight on successes there; nan: no success or no failure
    of_successes: float  # share of the transitions that are theirs
    heaviest: tuple[HeavyTransition, ...]


@dataclass(frozen=True)
class Row:
    """One labelling, or a control. Per episode in the order of `Analysis.episodes`.

    Distances are to a goal made of *other* episodes' pictures wherever it is made of episodes.
    """

    name: str
    control: bool
    made_of: str  # encoder, camera, goal: one line for people
    goal_from_others: bool  # False: a picture, words, or stages, which no episode is part of
    distances: tuple[Floats, ...]  # (T,) each
    own: tuple[Floats, ...]  # (T,) each, to the episode's own last frame, as in Fig. 6; () for time
    rewards: tuple[Floats, ...]  # (T - 1,) each: the labelling's; of a control Eq. 1 of `distances`
    bumps: Floats  # (E,) of `own`, Table 5; nan of one frame
    order: Floats  # (E,) value-order correlation of `distances`; nan of fewer than three frames
    came_closer: Separation | None  # by d(first) - d(last), which Eq. 1 sums to
    came_closer_moved: Separation | None  # against failures that moved as far as successes
    agreement: float  # of the goal images, see `progress.goal_agreement`; nan: one or none
    noise: Noise | None
    signal: dict[int, float]  # n -> root mean square change of the distance over n steps
    dense_fit: float  # R^2 with the store's true reward; nan: it has none
    weightings: tuple[Weighting, ...]
    plane: tuple[Floats, ...] | None  # (T, 2) each: the embedding's two main directions
    explained: tuple[float, float] | None  # shares of the variance in them
    mean_goal: bool = True  # False: of several goal images the nearest counts, not their mean


@dataclass(frozen=True)
class Analysis:
    """Results of the analysis of a store's labellings and controls."""

    store: str
    task: str
    episodes: tuple[EpisodeView, ...]
    rows: tuple[Row, ...]  # labellings, then controls
    true_rewards: tuple[Floats, ...] | None  # (T - 1,) each
    left_out: tuple[str, ...]  # what could not be done, and why: sentences
    verdict: str  # one sentence
    reasons: tuple[str, ...]  # sentences
    against_best: tuple[AucDifference, ...] = ()  # the best labelling against every other row
    # names of labellings, and the goal that they share, stage by stage
    goals: tuple[tuple[str, tuple[GoalView, ...]], ...] = ()
    warnings: tuple[str, ...] = ()  # of goals that no reward can be measured by: sentences

    @property
    def labellings(self) -> tuple[Row, ...]:
        """Rows of labellings, without controls."""
        return tuple(row for row in self.rows if not row.control)

    @property
    def controls(self) -> tuple[Row, ...]:
        """Rows of the controls: raw pixels, a random network, time."""
        return tuple(row for row in self.rows if row.control)

    @property
    def success(self) -> NDArray[np.bool_]:
        """(E,) whether each episode succeeded."""
        return np.array([episode.success for episode in self.episodes], bool)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(E,) episodes whose bumps and order are averaged: successes; all if none succeeded."""
        return self.success if self.success.any() else np.ones(len(self.episodes), bool)


def summarise_analysis(analysis: Analysis) -> dict[str, Any]:
    """Return all numbers as JSON values: nan becomes null, pictures are left out."""
    return {
        "store": analysis.store,
        "task": analysis.task,
        "verdict": analysis.verdict,
        "reasons": list(analysis.reasons),
        "against_best": [
            {k: _number(v) if isinstance(v, float) else v for k, v in asdict(difference).items()}
            for difference in analysis.against_best
        ],
        "warnings": list(analysis.warnings),
        "left_out": list(analysis.left_out),
        "episodes": [
            {
                "index": episode.index,
                "name": episode.name,
                "kind": episode.kind,
                "success": episode.success,
                "frames": episode.frames,
                "flags": [asdict(flag) for flag in episode.flags],
            }
            for episode in analysis.episodes
        ],
        "rows": [_row(row, analysis.judged) for row in analysis.rows],
    }


def _row(row: Row, judged: NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "name": row.name,
        "control": row.control,
        "made_of": row.made_of,
        "goal_from_others": row.goal_from_others,
        "bump_fraction": {**_spread(row.bumps[judged]), "per_episode": _plain(row.bumps)},
        "order_correlation": {**_spread(row.order[judged]), "per_episode": _plain(row.order)},
        "came_closer": row.came_closer and asdict(row.came_closer),
        "came_closer_moved": row.came_closer_moved and asdict(row.came_closer_moved),
        "goal_agreement": _number(row.agreement),
        "noise": row.noise and {"step": _number(row.noise.step), "pairs": row.noise.pairs},
        "signal": {str(n): _number(value) for n, value in row.signal.items()},
        "dense_fit": _number(row.dense_fit),
        "weightings": [
            {
                "weight_by": weighting.weight_by,
                "target_ess": weighting.target_ess,
                "tau": _number(weighting.tau),
                "on_successes": _number(weighting.on_successes),
                "of_successes": _number(weighting.of_successes),
                "taus": _plain(weighting.taus),
                "effective_sample_size": _plain(weighting.effective_sample_size),
                "heaviest": [
                    {"episode": t.episode, "step": t.step, "ahead": t.ahead, "weight": t.weight}
                    for t in weighting.heaviest
                ],
            }
            for weighting in row.weightings
        ],
        "explained": None if row.explained is None else [_number(share) for share in row.explained],
        "distances": [_plain(distance) for distance in row.distances],
        "rewards": [_plain(reward) for reward in row.rewards],
    }


def _spread(values: Floats) -> dict[str, Any]:
    """Mean and standard deviation over episodes, as Table 5 has them."""
    known = values[np.isfinite(values)]
    deviation = float(known.std(ddof=1)) if len(known) > 1 else None
    return {"mean": float(known.mean()) if len(known) else None, "std": deviation,
            "episodes": len(known)}  # fmt: skip


def _plain(values: Floats) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
