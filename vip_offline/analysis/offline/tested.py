"""How often each offline number picked the better policy, on simulated tasks.

The constants come from `python -m benchmarks.offline`, whose result is in
``recipes/results/offline/``; a test holds them to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vip_offline.analysis.offline.validity import Validity


@dataclass(frozen=True)
class Measured:
    """How large the measurement was."""

    tasks: int
    variants: int
    seeds: int  # per variant
    placements: int  # per policy, in closed loop
    steps: int  # of training


LARGEST = Measured(tasks=0, variants=0, seeds=0, placements=0, steps=0)
TESTED: tuple[Validity, ...] = ()


def sentence_on_numbers(tested: Sequence[Validity], size: Measured) -> str:
    """Say whether any number does better than chance, and on how much that rests."""
    if not tested:
        return "How often these numbers pick the better policy was not measured."
    on = (
        f"{size.tasks} simulated tasks, {size.variants} variants, {size.seeds} seeds x "
        f"{size.placements} placements, {size.steps} training steps"
    )
    better = [row.key for row in tested if row.beats_chance]
    if not better:
        return (
            f"None of these numbers picked the better of two policies more often than chance in "
            f"our tests ({on}): do not choose a policy by them."
        )
    return (
        f"More often than chance in our tests ({on}): {', '.join(better)}; {len(tested)} numbers "
        "were tried, and so few tasks leave the intervals too narrow. Elsewhere it may differ."
    )
