"""What a user should know of the weights that a training is about to use."""

from collections.abc import Mapping
from typing import Any

from vip_offline.options import TrainOptions

LOOKS_AHEAD = ("return", "advantage", "n-step")  # values of weight_by that sum rewards


def reward_notes(label: Mapping[str, Any], options: TrainOptions) -> list[str]:
    """What a user should know of summing these rewards over steps, as returns do.

    Args:
        label: provenance of the labelling; of one that was written before `n_steps` was an option
            it has no such key, and looks one step ahead.
        options: of the training.
    """
    weighed = options.algo == "rwr" and options.weighs_by in LOOKS_AHEAD
    if not weighed and options.algo not in ("awr", "iql"):
        return []
    summed = f"--weight-by {options.weighs_by}" if weighed else f"--algo {options.algo}"
    steps, notes = int(label.get("n_steps", 1)), []
    if steps > 1:
        notes.append(
            f"rewards: each looks {steps} steps ahead (relabel --n-steps {steps}) and {summed} "
            f"adds them up, so the same progress is counted up to {steps} times. Label with "
            "--n-steps 1 for it, or use --weight-by step"
        )
    if label.get("reward") == "distance":
        notes.append(
            f"rewards: relabel --reward distance gives minus the distance itself, and {summed} "
            "adds it up over time, so it counts how long an episode is near the goal, not what a "
            "step brings, and most weight falls on last frames. For progress label with --reward "
            "difference"
        )
    return notes


def weighting_notes(options: TrainOptions, episodes: int, failures: int) -> list[str]:
    """Whether weights of this kind are known to help on such data (docs/results.md)."""
    if options.algo != "rwr":
        return []
    if options.weighs_by == "outcome" and not failures:
        return [
            f"weights: none of the {episodes} episodes failed, so weights only leave out good "
            "demonstrations. --algo bc learns from all of them alike"
        ]
    if options.weighs_by == "step" and failures:
        return [
            f"weights: {failures} of {episodes} episodes failed. Where some did, weights that look "
            "further did better: --weight-by outcome or return, with --tau auto; or clone those "
            "that end nearest: --algo bc --keep-best 0.33"
        ]
    return []
