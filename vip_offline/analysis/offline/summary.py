"""The offline numbers of a comparison and their sentences, ready for JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.offline.numbers import ArmNumbers
from vip_offline.analysis.offline.steps import HeldOutSteps
from vip_offline.analysis.offline.tested import LARGEST, TESTED, sentence_on_numbers
from vip_offline.analysis.offline.validity import Validity

FAVOURS_BC = (
    "The unweighted error favours bc by construction: it is what bc is trained to make small, and "
    "a variant that turns away from part of the data is charged for it. A higher error is no proof "
    "of a worse policy."
)


def summarise_numbers(
    numbers: Mapping[str, ArmNumbers],
    steps: HeldOutSteps,
    dimensions: Sequence[str],
    novelty: Sequence[tuple[int, bool, NDArray[np.float64] | None]],
    tested: Sequence[Validity] = TESTED,
) -> dict[str, Any]:
    """Everything that the table and the page show of the offline numbers.

    Args:
        numbers: of each variant.
        steps: that they were measured on.
        dimensions: (A,) names.
        novelty: of each held-out episode its index, whether it succeeded, and (T,) values.
        tested: how often each number picked the better policy.
    """
    return {
        "held_out": {
            "successes": steps.successes,
            "failures": steps.failures,
            "steps": len(steps.episode),
        },
        "numbers": {name: arm.plain() for name, arm in numbers.items()},
        "dimensions": list(dimensions),
        "novelty": [
            _episode_novelty(episode, success, values) for episode, success, values in novelty
        ],
        "notes": [FAVOURS_BC, *_missing(numbers, steps), sentence_on_numbers(tested, LARGEST)],
    }


def _episode_novelty(
    episode: int, success: bool, values: NDArray[np.float64] | None
) -> dict[str, Any]:
    known = values is not None and len(values) > 0
    return {
        "episode": int(episode),
        "success": bool(success),
        "median": float(np.median(values)) if known and values is not None else None,
        "largest": float(values.max()) if known and values is not None else None,
        "beyond": float((values > 1).mean()) if known and values is not None else None,
    }


def _missing(numbers: Mapping[str, ArmNumbers], steps: HeldOutSteps) -> list[str]:
    """What cannot be said, and why."""
    sentences = []
    if not steps.failures:
        sentences.append(
            f"{steps.successes} successes and 0 failures are held out, so fail/succ cannot be "
            "said, and the weights of the reward tell steps of successes apart only. Hold failures "
            "out as well with --hold-out-failures."
        )
    if steps.reward_weight is None:
        sentences.append(
            "The rewards of the held-out steps are all the same or nearly so: no error weighted by "
            "the reward can be had."
        )
    if all(arm.spread is None for arm in numbers.values()):
        sentences.append(
            "One seed was run, so no agreement between seeds can be said. Run three or more "
            "(--seeds 3)."
        )
    return sentences
