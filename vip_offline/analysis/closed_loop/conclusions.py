"""Numbers into plain sentences: which arm succeeds more often, and whether seeing was the cause.

"Not significantly different" is never turned into "the same"; the smallest difference that would
have shown is given beside it.
"""

import math
from collections.abc import Iterable, Mapping

from vip_offline.analysis.closed_loop.statistics import Difference

# arms weighted by what the camera saw, the first one that ran counts -> weights as uneven that know
# nothing of the camera: where these are beaten, seeing is the cause
BLIND = {
    "rwr-outcome": {
        "rwr-outcome-permuted": "shuffled weights, a control",
        "rwr-outcome-length": "weights from the episode's length, a control without a camera",
    },
    "rwr-return": {
        "rwr-return-permuted": "shuffled weights, a control",
        "rwr-return-clock": "time-based weights, a control without a camera",
    },
}
# told which episodes succeeded: what a person could do without any reward
LABEL = {"bc-success": "a success label instead of a reward"}


def visual_arm(names: Iterable[str]) -> str | None:
    """Return the arm that represents the visual reward; None if none does."""
    present = set(names)
    return next((name for name in BLIND if name in present), None)


def controls_of(visual: str) -> dict[str, str]:
    """Return the controls of a visual arm, each with its description."""
    return BLIND[visual] | LABEL


def points(value: float, sign: bool = True) -> str:
    """Return a rate or difference as whole percentage points, ``+42``, ``−3``; tenths near 0."""
    digits = 1 if 0 < abs(value) < 0.01 else 0
    text = f"{100 * value:{'+' if sign else ''}.{digits}f}"
    if float(text) == 0:
        return "0"
    return text.replace("-", "−")


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share as percent, a dash where there is none."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.{digits}f}"


def conclusion(
    a: str, b: str, difference: Difference, p_holm: float, questions: int, size: str
) -> str:
    """Compare `a` with `b` in one sentence.

    Args:
        a: name of an arm.
        b: name of the arm it is compared to.
        difference: of `a` less `b`.
        p_holm: its p value, adjusted for `questions`.
        questions: how many such sentences there are.
        size: such as "5 seeds × 10 placements".
    """
    by = f"{points(difference.mean)} points"
    if difference.covers == "nothing":
        return f"{a} against {b}: {by} ({size}), which may be luck."
    interval = f"95 % CI {points(difference.low)} to {points(difference.high)}"
    caveat = "; with one placement this says nothing about others" * (difference.covers == "seeds")
    if difference.differs:
        often = "more" if difference.mean > 0 else "less"
        if p_holm >= 0.05:
            caveat += (
                f"; not beyond doubt, as one of {questions} questions asked at once "
                f"(Holm-adjusted p = {p_holm:.2f})"
            )
        return f"{a} succeeded {often} often than {b}: {by} ({interval}; {size}){caveat}."
    smallest = difference.smallest_detectable
    limit = (
        "no difference, however large, would be likely to show"
        if smallest >= 1
        else f"only differences of {points(smallest, sign=False)} points or more would be likely "
        "to show"
    )
    return (
        f"{a} and {b} are not significantly different: {by} ({interval}); with this many seeds "
        f"{limit}{caveat}."
    )


def overall_conclusion(baseline: str, primary: Mapping[tuple[str, str], Difference]) -> str:
    """Summarise the planned comparisons in one or two sentences.

    Where the visual arm ran: whether its reward did anything that its controls could not. That
    claim needs every one of several differences, so it needs no adjustment for their number.

    Args:
        baseline: name of an arm.
        primary: the planned comparisons, (a, b) -> success rate of a minus that of b; in
            particular (arm, baseline) and (visual arm, control).
    """
    if any(difference.covers == "nothing" for difference in primary.values()):
        return (
            "One seed was run, so nothing can be concluded about any variant: another seed may "
            "reverse every difference. Run five or more."
        )
    if not primary:
        return f"Only {baseline} was run, so there is nothing to compare it with."
    visual = visual_arm(a for a, b in primary if b == baseline)
    if visual is None:
        better = [a for (a, b), d in primary.items() if b == baseline and d.differs and d.mean > 0]
        if better:
            text = f"More often than {baseline} succeeded {_and(better)}."
        else:
            text = f"No variant can be shown to succeed more often than {baseline}."
    else:
        controls = {b: d for (a, b), d in primary.items() if a == visual and b != baseline}
        text = _on_vision(baseline, visual, primary[visual, baseline], controls)
    if any(difference.covers == "seeds" for difference in primary.values()):
        text += " All this on one placement; on others it may be different."
    return text


def _on_vision(
    baseline: str, arm: str, visual: Difference, controls: Mapping[str, Difference]
) -> str:
    known = controls_of(arm)
    blind = {name: d for name, d in controls.items() if name in BLIND[arm]}
    beaten = [name for name, d in blind.items() if d.differs and d.mean > 0]
    lost = [name for name, d in blind.items() if d.differs and d.mean < 0]
    tied = [name for name in blind if name not in beaten and name not in lost]
    label = _on_label({name: d for name, d in controls.items() if name in LABEL})

    if visual.differs and visual.mean < 0:
        return (
            f"The visual reward did harm here: {arm} succeeded less often than {baseline}.{label}"
        )
    if not visual.differs:
        also = f", though it did succeed more often than {_and(beaten)}" if beaten else ""
        return (
            f"This run does not show that the visual reward helped: {arm} is not significantly "
            f"different from {baseline}{also}. That is not the same as no effect: see the "
            "intervals."
            f"{label}"
        )
    gain = f"{arm} succeeded more often than {baseline}"
    if not controls:
        return f"{gain}, but no control was run, so whether the camera was the cause is open."
    absent = [name for name in known if name not in controls and name != baseline]
    missing = f" Not run, so open: {_explained(absent, known)}." if absent else ""
    if beaten and not tied and not lost:
        text = f"The visual reward helped: {gain}, and more often than {_explained(beaten, known)}."
        return f"{text}{label}{missing}"
    if not blind:
        return f"{gain}.{label}{missing}"
    clauses = []
    if tied:
        clauses.append(f"is not significantly different from {_explained(tied, known)}")
    if lost:
        clauses.append(f"succeeded less often than {_explained(lost, known)}")
    return (
        f"{gain}, but it {' and '.join(clauses)}: this run does not show that the gain comes "
        f"from the camera.{label}{missing}"
    )


def _on_label(controls: Mapping[str, Difference]) -> str:
    """Say whether a person's label of success would have done as well; empty if it was not run."""
    text = ""
    for name, difference in controls.items():
        control = f"{LABEL[name]} ({name})"
        if not difference.differs:
            text += f" It is not significantly different from {control}."
        elif difference.mean > 0:
            text += f" It also did more than {control}."
        else:
            text += f" But {control} did better: where there is one, use it."
    return text


def _explained(names: list[str], known: Mapping[str, str]) -> str:
    return _and([f"{name} ({known[name]})" for name in names])


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
