"""What can be said of a policy from held-out episodes alone: one set of numbers per variant."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vip_offline.analysis.offline.steps import PHASES, HeldOutSteps, episode_mean
from vip_offline.utils.arrays import Floats


@dataclass(frozen=True)
class OfflineNumber:
    """One number by which policies can be ranked without running them."""

    key: str
    heading: str  # of its column
    meaning: str  # one sentence
    lower_is_better: bool = True


NUMBERS = (
    OfflineNumber("error", "error", "squared action error on held-out successes"),
    OfflineNumber("weighted", "reward", "the same on all held-out steps, weighted by the reward"),
    OfflineNumber("first", "first", "error in the first third of each held-out success"),
    OfflineNumber("middle", "middle", "error in the middle third"),
    OfflineNumber("last", "last", "error in the last third"),
    OfflineNumber("worst_dimension", "worst", "error of the action dimension that errs most"),
    OfflineNumber(
        "contrast",
        "fail/succ",
        "error on held-out failures over that on successes; above 1: nearer to successes",
        lower_is_better=False,
    ),
    OfflineNumber(
        "spread",
        "spread",
        "spread of the predicted actions between seeds over their size, on held-out successes",
    ),
)


@dataclass(frozen=True)
class ArmNumbers:
    """The numbers of one variant, means over seeds; None is what cannot be said."""

    error: float | None
    weighted: float | None
    first: float | None
    middle: float | None
    last: float | None
    worst_dimension: float | None
    contrast: float | None
    spread: float | None
    dimensions: tuple[float, ...]  # (A,) share of `error` that each action dimension has

    def plain(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**asdict(self), "dimensions": list(self.dimensions)}


def arm_numbers(predicted: Floats, steps: HeldOutSteps) -> ArmNumbers:
    """Compare the actions that the seeds of a variant predict with those demonstrated.

    Args:
        predicted: (S, N, A) of each seed, in the scale of ``steps.action``.
        steps: N of them.
    """
    squared = (predicted - steps.action) ** 2  # (S, N, A)
    total = squared.sum(axis=2)
    success = steps.success
    phases = [
        _mean(episode_mean(total, steps, success & (steps.phase == place)))
        for place in range(len(PHASES))
    ]
    per_dimension = tuple(
        value
        for column in np.moveaxis(squared, 2, 0)
        if (value := _mean(episode_mean(column, steps, success))) is not None
    )
    error = _mean(episode_mean(total, steps, success))
    failing = _mean(episode_mean(total, steps, ~success))
    weight = steps.reward_weight
    return ArmNumbers(
        error=error,
        weighted=None if weight is None else float((total * weight).mean()),
        first=phases[0],
        middle=phases[1],
        last=phases[2],
        worst_dimension=max(per_dimension, default=None),
        contrast=failing / error if failing is not None and error else None,
        spread=seed_spread(predicted[:, success]),
        dimensions=per_dimension,
    )


def seed_spread(predicted: Floats) -> float | None:
    """Return how far the seeds' actions lie apart, relative to the size of the actions.

    Root of the variance between seeds, summed over dimensions, over the root mean square of the
    actions: 0 where all seeds act alike, about 1 where they have nothing in common.

    Args:
        predicted: (S, N, A).

    Returns:
        None of one seed, of no step, or where no action differs from 0.
    """
    if len(predicted) < 2 or not predicted.shape[1]:
        return None
    between = predicted.var(axis=0, ddof=1).sum(axis=1).mean()
    size = (predicted**2).sum(axis=2).mean()
    return float(np.sqrt(between / size)) if size > 0 else None


def _mean(per_seed: Floats | None) -> float | None:
    return None if per_seed is None else float(per_seed.mean())
