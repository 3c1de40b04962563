"""Variants compared without a simulator: the action error on demonstrations that none has seen.

It needs no robot and says less than a rollout: errors that add up in closed loop count like errors
that cancel. With a handful of episodes and seeds there is no interval worth the name, so the rule
is plain: a difference counts only if it is there in every episode, whatever the seed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vip_offline.analysis.closed_loop.conclusions import controls_of, visual_arm
from vip_offline.utils.arrays import Floats

CAVEAT = (
    "A low action error is no success rate: small errors add up in closed loop. Try the policies "
    "on the robot, in turns and from the same initial positions."
)


@dataclass(frozen=True)
class HeldOutArm:
    """One way to train a policy, and the errors of its policies."""

    name: str  # such as "rwr-outcome"
    description: str  # one sentence for the reader
    errors: Floats  # (S, E) mean squared action error of each seed on each held-out episode


@dataclass(frozen=True)
class ErrorDifference:
    """The error of `a` beside that of `b`."""

    a: str
    b: str
    change: float  # of the mean error, as a share of b's: -0.1 is ten percent lower
    lower: int  # episodes in which every seed of a errs less than every seed of b
    higher: int  # in which every seed of a errs more
    episodes: int  # E

    @property
    def verdict(self) -> Literal["lower", "higher", "unclear"]:
        """Whether one errs less in every episode, whatever the seed."""
        if self.lower == self.episodes:
            return "lower"
        return "higher" if self.higher == self.episodes else "unclear"


def error_difference(a: HeldOutArm, b: HeldOutArm) -> ErrorDifference:
    """Compare two variants, episode by episode, over all pairs of their seeds."""
    return ErrorDifference(
        a.name,
        b.name,
        float(a.errors.mean() / b.errors.mean() - 1),
        int((a.errors.max(axis=0) < b.errors.min(axis=0)).sum()),
        int((a.errors.min(axis=0) > b.errors.max(axis=0)).sum()),
        a.errors.shape[1],
    )


def summarise_held_out(
    arms: Iterable[HeldOutArm], baseline: str, episodes: Iterable[int], seeds: Iterable[int]
) -> dict[str, Any]:
    """Return every number and sentence of the report, ready for JSON.

    Args:
        arms: with errors of the same seeds on the same episodes.
        baseline: name of the one that the others are compared to.
        episodes: (E,) that were held out.
        seeds: (S,).
    """
    known = {arm.name: arm for arm in arms}
    differences = [
        error_difference(known[a], known[b]) for a, b in _questions(list(known), baseline)
    ]
    seeds = list(seeds)
    return {
        "measure": "squared action error on held-out episodes",
        "baseline": baseline,
        "seeds": seeds,
        "episodes": list(episodes),
        "arms": [
            {
                "name": arm.name,
                "description": arm.description,
                "error": float(arm.errors.mean()),
                "per_seed": arm.errors.mean(axis=1).tolist(),
                "per_episode": [
                    {"mean": float(row.mean()), "low": float(row.min()), "high": float(row.max())}
                    for row in arm.errors.T
                ],
            }
            for arm in known.values()
        ],
        "differences": [
            {
                "a": difference.a,
                "b": difference.b,
                "change": difference.change,
                "lower": difference.lower,
                "higher": difference.higher,
                "verdict": difference.verdict,
            }
            for difference in differences
        ],
        "answer": _answer(differences, baseline, len(seeds)),
        "verdicts": [*(_sentence(d, len(seeds)) for d in differences), CAVEAT],
    }


def _questions(names: list[str], baseline: str) -> list[tuple[str, str]]:
    """Each variant against the baseline, and the visual one against its controls."""
    visual = visual_arm(names)
    asked = [(name, baseline) for name in names if name != baseline]
    controls = controls_of(visual) if visual else {}
    return asked + [(visual, name) for name in controls if visual and name in names]


def _sentence(difference: ErrorDifference, seeds: int) -> str:
    a, b = difference.a, difference.b
    side = "below" if difference.change < 0 else "above"
    by = f"{a}: the error is {100 * abs(difference.change):.0f} % {side} that of {b}"
    if seeds < 2:
        return f"{by} (one seed), which may be luck."
    if difference.verdict != "unclear":
        return f"{by}, in all {difference.episodes} held-out episodes and whatever the seed."
    agreeing = difference.lower if difference.change < 0 else difference.higher
    return (
        f"{by}, but whatever the seed in {agreeing} of {difference.episodes} held-out episodes "
        "only: no difference that counts."
    )


def _answer(differences: list[ErrorDifference], baseline: str, seeds: int) -> str:
    if not differences:
        return f"Only {baseline} was trained, so there is nothing to compare it with."
    if seeds < 2:
        return (
            "One seed was run, so nothing can be concluded about any variant: another seed may "
            "reverse every difference. Run three or more."
        )
    against = {(difference.a, difference.b): difference.verdict for difference in differences}
    visual = visual_arm(a for a, b in against if b == baseline)
    if visual is None:
        lower = [a for (a, b), verdict in against.items() if b == baseline and verdict == "lower"]
        if not lower:
            return f"No variant can be shown to err less than {baseline}."
        return f"Less than {baseline} {'errs' if len(lower) == 1 else 'err'} {', '.join(lower)}."
    return _on_vision(visual, baseline, against)


def _on_vision(visual: str, baseline: str, against: Mapping[tuple[str, str], str]) -> str:
    """Whether the visual reward lowers the error, and more than its controls do."""
    verdict = against[visual, baseline]
    if verdict == "higher":
        return f"The visual reward did harm here: {visual} errs more than {baseline}."
    if verdict == "unclear":
        return (
            f"Nothing here shows that the visual reward helped: the errors of {visual} and "
            f"{baseline} overlap. That is not the same as no effect."
        )
    controls = [b for a, b in against if a == visual and b != baseline]
    level = [name for name in controls if against[visual, name] != "lower"]
    gain = f"{visual} errs less than {baseline}"
    if not controls:
        return f"{gain}, but no control was trained, so whether the camera was the cause is open."
    if level:
        return (
            f"{gain}, but not less than {', '.join(level)}: nothing here shows that the gain comes "
            "from the camera."
        )
    return f"{gain}, and less than its controls: {', '.join(controls)}."
