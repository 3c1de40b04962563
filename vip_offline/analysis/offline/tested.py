"""How often each offline number picked the better policy, on simulated tasks.

The constants come from `python -m benchmarks.offline`, whose result is in
``recipes/results/offline/``; a test holds them to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vip_offline.analysis.offline.numbers import NUMBERS
from vip_offline.analysis.offline.validity import Validity


@dataclass(frozen=True)
class Measured:
    """How large the measurement was."""

    tasks: int
    variants: int
    seeds: int  # per variant
    placements: int  # per policy, in closed loop
    steps: int  # of training


# recipes/results/offline/moderate.json
LARGEST = Measured(tasks=6, variants=10, seeds=3, placements=8, steps=2_000)
TESTED: tuple[Validity, ...] = (
    Validity("error", 6, 239, 0.85, 0.74, 0.93, 0.89, 0.83, 0.95),
    Validity("weighted", 6, 239, 0.7, 0.5, 0.85, 0.82, 0.73, 0.9),
    Validity("first", 6, 239, 0.79, 0.73, 0.86, 0.85, 0.82, 0.89),
    Validity("middle", 6, 239, 0.8, 0.68, 0.88, 0.85, 0.78, 0.91),
    Validity("last", 6, 239, 0.8, 0.69, 0.91, 0.86, 0.8, 0.93),
    Validity("worst_dimension", 6, 239, 0.82, 0.75, 0.88, 0.87, 0.83, 0.92),
    Validity("contrast", 6, 239, 0.83, 0.71, 0.91, 0.87, 0.81, 0.93),
    Validity("spread", 6, 239, 0.82, 0.71, 0.92, 0.88, 0.82, 0.94),
)


def sentence_on_numbers(tested: Sequence[Validity], size: Measured) -> str:
    """Say whether any number does better than chance, and on how much that rests."""
    if not tested:
        return "How often these numbers pick the better policy was not measured."
    on = (
        f"{size.tasks} simulated tasks, {size.variants} variants, {size.seeds} seeds x "
        f"{size.placements} placements, {size.steps} training steps"
    )
    headings = {number.key: number.heading for number in NUMBERS}
    better = [headings[row.key] for row in tested if row.beats_chance]
    if not better:
        return (
            f"None of these numbers picked the better of two policies more often than chance in "
            f"our tests ({on}): do not choose a policy by them."
        )
    return (
        f"More often than chance in our tests ({on}): {', '.join(better)}; {len(tested)} numbers "
        "were tried, and so few tasks leave the intervals too narrow. Half of those demonstrations "
        "were failures; where all succeed, nothing was measured."
    )
