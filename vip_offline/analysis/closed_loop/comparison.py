"""What a closed-loop comparison of policies hands to the report, and its summary in numbers."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vip_offline.analysis.closed_loop.conclusions import (
    conclusion,
    controls_of,
    overall_conclusion,
    visual_arm,
)
from vip_offline.analysis.closed_loop.conditions import UNKNOWN
from vip_offline.analysis.closed_loop.statistics import (
    Difference,
    holm,
    mean_interval,
    paired_difference,
)
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.rewards.goal_views import GoalView

WEIGHT_QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to train a policy, and the outcomes of its policies."""

    name: str  # such as "rwr-return"
    description: str  # one sentence for the reader
    success: npt.NDArray[np.bool_]  # (S, P)
    steps: npt.NDArray[np.int64]  # (S, P) environment steps until success, or the horizon
    tau: float  # temperature of the weights
    # of the weights, share of uniform in (0, 1]; 1 for cloning, nan where training found them
    effective_sample_size: float
    weights: npt.NDArray[np.floating[Any]] | None  # (N,) of the N training transitions, mean 1
    weight_on_successes: float = float("nan")  # share that episodes called successes hold


@dataclasses.dataclass(frozen=True)
class DemonstrationCurve:
    """Distances to the goal over one demonstration."""

    episode: int
    kind: str  # such as "expert"
    success: bool
    distance: npt.NDArray[np.floating[Any]]  # (T,) to the goal, in the units of the embedding
    thumbnails: npt.NDArray[np.uint8]  # (K, h, w, 3), evenly spaced in time


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Several arms, each with the same seeds on the same placements."""

    task: str
    encoder: str
    label: str  # name of the labelling whose rewards were used
    seeds: tuple[int, ...]
    placements: tuple[int, ...]  # seeds of the object placements
    horizon: int  # environment steps after which a rollout has failed
    arms: tuple[Arm, ...]
    baseline: str  # name of the arm that the others are compared to
    demonstrations: tuple[DemonstrationCurve, ...]
    goals: tuple[GoalView, ...]  # what the distance is to, stage by stage
    videos: tuple[tuple[str, Path], ...]  # (caption, mp4)
    recipe: str  # resolved, as TOML
    minutes: Mapping[str, float]  # stage -> minutes
    versions: Mapping[str, str]
    backend: str = UNKNOWN  # that computed the policies; several, if they differ
    processor: str = UNKNOWN
    nuisance: str = ""  # of the rollouts' pictures, in words; "": they were clean

    def check(self) -> None:
        """Refuse arms that cannot be compared.

        Raises:
            VipOfflineError: for a missing baseline, a repeated name, outcomes of another shape or
                weights that add up to nothing.
        """
        names = [arm.name for arm in self.arms]
        if self.baseline not in names:
            raise VipOfflineError(
                f"The baseline {self.baseline!r} is not among the variants that ran."
                f"{did_you_mean(self.baseline, names)}"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise VipOfflineError(
                f"More than one variant is called {twice[0]!r}. Rename one of them."
            )
        expected = (len(self.seeds), len(self.placements))
        for arm in self.arms:
            for field, shape in (("success", arm.success.shape), ("steps", arm.steps.shape)):
                if shape != expected:
                    raise VipOfflineError(
                        f"Variant {arm.name!r}: {field} has shape {shape}, but {expected[0]} seeds "
                        f"and {expected[1]} placements were announced. Run the missing rollouts, "
                        "or announce only what all variants ran."
                    )
            if arm.weights is not None and not arm.weights.sum() > 0:
                raise VipOfflineError(
                    f"Variant {arm.name!r}: its {arm.weights.size} training weights add up to "
                    "nothing, so it cannot have been trained. Hand over the weights that training "
                    "used."
                )


def summarise_comparison(comparison: Comparison) -> dict[str, Any]:
    """Return every number and sentence of the report, ready for JSON (nan becomes null).

    The questions asked are each arm against the baseline, and the visual arm against each of its
    controls; `p_holm` allows for having asked that many. Other pairs are listed without it.
    """
    comparison.check()
    arms = {arm.name: arm for arm in comparison.arms}
    primary = _questions(list(arms), comparison.baseline)
    # in the order in which they are asked, the rest after them
    secondary = [
        (b, a)
        for a, b in itertools.combinations(arms, 2)
        if (a, b) not in primary and (b, a) not in primary
    ]
    differences = {
        (a, b): paired_difference(arms[a].success, arms[b].success)
        for a, b in [*primary, *secondary]
    }
    adjusted = holm(np.array([differences[pair].p_value for pair in primary]))
    p_holm = dict(zip(primary, adjusted.tolist(), strict=True))
    size = sample_size(comparison)
    sentences = [
        conclusion(*pair, differences[pair], p_holm[pair], len(primary), size) for pair in primary
    ]
    summary = {
        "task": comparison.task,
        "encoder": comparison.encoder,
        "label": comparison.label,
        "seeds": list(comparison.seeds),
        "placements": list(comparison.placements),
        "horizon": comparison.horizon,
        "baseline": comparison.baseline,
        "arms": [_arm_numbers(arm) for arm in comparison.arms],
        "differences": [
            _difference_numbers(a, b, difference, p_holm.get((a, b), math.nan), (a, b) in primary)
            for (a, b), difference in differences.items()
        ],
        "answer": overall_conclusion(
            comparison.baseline, {pair: differences[pair] for pair in primary}
        ),
        "verdicts": sentences + _notes(comparison),
        "questions": len(primary),
        "comparisons": len(differences),
        "minutes": dict(comparison.minutes),
        "versions": dict(comparison.versions),
        "backend": comparison.backend,
        "processor": comparison.processor,
        "nuisance": comparison.nuisance,
    }
    numbers: dict[str, Any] = plain(summary)
    return numbers


def sample_size(comparison: Comparison) -> str:
    """Format the sample size, such as ``5 seeds × 1 placement``."""
    counts = {"seed": len(comparison.seeds), "placement": len(comparison.placements)}
    return " × ".join(f"{n} {noun}" + "s" * (n != 1) for noun, n in counts.items())


def _questions(names: list[str], baseline: str) -> list[tuple[str, str]]:
    """Return the planned comparisons (a, b), those about vision first."""
    versus = [(name, baseline) for name in names if name != baseline]
    visual = visual_arm(name for name in names if name != baseline)
    if visual is None:
        return versus
    controls = [name for name in controls_of(visual) if name in names and name != baseline]
    return [*((visual, name) for name in controls), *versus]


def _arm_numbers(arm: Arm) -> dict[str, Any]:
    return {
        "name": arm.name,
        "description": arm.description,
        "successes": int(arm.success.sum()),
        "rollouts": arm.success.size,
        "success": dataclasses.asdict(mean_interval(arm.success)),
        "per_seed": arm.success.mean(1).tolist(),
        "per_placement": arm.success.mean(0).tolist(),
        # of the successful rollouts: a failure has no number of steps
        "median_steps": float(np.median(arm.steps[arm.success])) if arm.success.any() else None,
        "tau": arm.tau,
        "effective_sample_size": arm.effective_sample_size,
        "weight_on_successes": arm.weight_on_successes,
        **_weight_numbers(arm),
    }


def _weight_numbers(arm: Arm) -> dict[str, Any]:
    if arm.weights is None:
        return {"transitions": None, "weight_quantiles": None, "weight_of_top_tenth": None}
    weights = np.sort(arm.weights.astype(np.float64))[::-1]
    tenth = max(1, round(len(weights) / 10))
    return {
        "transitions": len(weights),
        "weight_quantiles": {f"{q:g}": float(np.quantile(weights, q)) for q in WEIGHT_QUANTILES},
        "weight_of_top_tenth": float(weights[:tenth].sum() / weights.sum()),
    }


def _difference_numbers(
    a: str, b: str, difference: Difference, p_holm: float, primary: bool
) -> dict[str, Any]:
    return {
        "a": a,
        "b": b,
        **dataclasses.asdict(difference),
        "differs": difference.differs,
        "asked": primary,
        "p_holm": p_holm,
    }


def _notes(comparison: Comparison) -> list[str]:
    """Say where weights are too even to matter: such an arm is the baseline under another name."""
    baseline = next(arm for arm in comparison.arms if arm.name == comparison.baseline)
    return [
        f"{arm.name} weighs all transitions nearly alike (effective sample size "
        f"{100 * arm.effective_sample_size:.1f} % of uniform), so it can hardly do anything that "
        f"{baseline.name} does not."
        for arm in comparison.arms
        if arm.name != baseline.name
        and baseline.effective_sample_size == 1
        and arm.effective_sample_size >= 0.99
        # fewer transitions are a choice of data, which even weights do not undo
        and arm.weights is not None
        and baseline.weights is not None
        and len(arm.weights) == len(baseline.weights)
    ]


def plain(value: Any) -> Any:
    """Return the value with None for nan and infinities, which JSON does not know."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
