"""The verdict in words, and its reasons.

Constants here come from `python -m benchmarks.verdict recipes/results/*.json`, which tests run.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.decision_rule import Score, gain_of
from vip_offline.analysis.metrics import Separation, mean_of
from vip_offline.analysis.paired_auc import AucDifference, auc_difference
from vip_offline.analysis.results import Row, Weighting
from vip_offline.training.weighting.weights import effective_sample_size, regression_weights
from vip_offline.utils.arrays import Floats

HELPS = 0.535  # gain from which on weighting is likely to help: the best threshold of all cases
TESTED = Score(cases=90, tasks=7, right=73, commonest=49)  # leave one task out
SURELY = Score(cases=90, tasks=7, right=71, commonest=70)  # where intervals must exclude 0
PAPER_TAU = 0.1
UNIFORM = 0.95  # effective sample size above which training is cloning in all but name
AS_GOOD = 0.05  # gain or AUC by which two rewards may differ and still be called equally good
CEILING = 0.95  # of an area under the curve or a correlation
CHANCE = 0.5  # of an area under the curve
TIME_CONTROL = "time"  # the control that is the clock alone
SPOKEN = {  # name of a control -> in a sentence, and its verbs
    "raw pixels": ("raw pixels", "do", "put"),
    "random network": ("a random network", "does", "puts"),
    TIME_CONTROL: ("the length of an episode alone", "does", "puts"),
}
SUCCESS_ONLY = (
    "Where every demonstration succeeded, no weighting helped in our tests, and some harmed (three "
    "simulated tasks, see docs/results.md). Compare before you rely on one."
)
ORDERED = 0.5  # correlation with time below which a success does not look like progress


def recommend(rows: Sequence[Row], success: NDArray[np.bool_]) -> tuple[str, list[str]]:
    """Say whether weighting by these rewards is likely to help, and why.

    Args:
        rows: labellings and controls.
        success: (E,).

    Returns:
        One or two sentences, and further ones.
    """
    labellings = [row for row in rows if not row.control]
    controls = [row for row in rows if row.control]
    reasons = [sentence for row in labellings for sentence in _about(row, success)]
    reasons += [*_as_ordered_as_a_clock(labellings), *_ceilings(controls)]
    has_both_outcomes = bool(success.any() and not success.all())
    if not has_both_outcomes:
        which = "failure" if success.all() else "success"
        verdict = (
            f"No verdict: no episode is marked as a {which}, and the rule rests on how much of the "
            "weight goes to successes."
        )
        return verdict, [SUCCESS_ONLY, *reasons] if success.all() else reasons
    best = ranked(labellings)[0]
    gain, weighting = _best_gain(best), _best(best)
    if weighting is None:
        return "No verdict: no temperature can weight these rewards.", reasons
    if not TESTED.holds:
        return "No verdict: the rule behind it is no better than a guess. See the numbers.", reasons
    sizes = f"{weighting.on_successes:.0%} of the weight on successes, {weighting.of_successes:.0%}"
    how = f"train --label {best.name} --weight-by {weighting.weight_by} --tau auto"
    compared = against_best(rows, success)
    if gain < HELPS:
        heavier = [row for row in labellings if _best_gain(row) >= HELPS]
        verdict = (
            f"RWR cannot be expected to differ from cloning: {'' if heavier else 'even '}{how} "
            f"puts {sizes} of the transitions being theirs."
        )
        for row in heavier:
            verdict += (
                f" --label {row.name} puts {_on_successes(row)} there, but tells successes from "
                "failures less well: see below."
            )
    else:
        verdict = (
            f"RWR is likely to help: {how} puts {sizes} of the transitions being theirs. "
            f"{_beside_controls(best, controls, compared)}"
        )
    return verdict, [
        *_ranking(labellings, compared),
        f"The rule was right in {TESTED.right} of {TESTED.cases} cases when each of {TESTED.tasks} "
        f"simulated tasks was judged by a threshold from the others; always giving the commonest "
        f"answer is right in {TESTED.commonest}. It counts ten points of success as help; where a "
        f"95 % CI must exclude 0, the rule is right in {SURELY.right} and the commonest "
        f"answer, no, in {SURELY.commonest}.",
        "train weighs whole episodes by how near to the goal they ended (--weight-by outcome): "
        "ahead of the return on one task, behind it on another (see docs/results.md).",
        "You know which episodes succeeded: cloning those alone (train --algo bc --only-successes) "
        "needs no reward. On all such tasks but one no other variant did better. Compare it.",
        *reasons,
    ]


def ranked(labellings: Sequence[Row]) -> list[Row]:
    """Sort labellings: first those with weights, then by AUC, then by gain."""

    def place(row: Row) -> tuple[bool, float, float]:
        auc = _auc(row)
        return _best(row) is None, -auc if math.isfinite(auc) else 1.0, -_best_gain(row)

    return sorted(labellings, key=place)


def against_best(rows: Sequence[Row], success: NDArray[np.bool_]) -> tuple[AucDifference, ...]:
    """Return the best labelling's AUC minus that of every other row, with intervals.

    Of time the length of an episode counts, whichever way it points: where failures last longer,
    whoever weighs by length turns it round.

    Args:
        rows: labellings and controls.
        success: (E,).
    """
    best = ranked([row for row in rows if not row.control])[0]
    compared = (
        auc_difference(best.name, _closer(best), row.name, _oriented(row), success)
        for row in rows
        if row is not best
    )
    return tuple(difference for difference in compared if difference is not None)


def _closer(row: Row) -> Floats:
    """(E,) how much nearer to the goal each episode came."""
    return np.array([distance[0] - distance[-1] for distance in row.distances], np.float64)


def _oriented(row: Row) -> Floats:
    return -_closer(row) if row.name == TIME_CONTROL and _auc(row) < CHANCE else _closer(row)


def _beside_controls(best: Row, controls: Sequence[Row], compared: Sequence[AucDifference]) -> str:
    """Whether the best labelling is better than its controls, by AUC and by weight."""
    differences = {difference.b: difference for difference in compared}
    if not all(row.name in differences for row in controls):
        return "No AUC can be had, so nothing says whether a control would do the same."
    same = []
    for control in controls:
        difference, (name, do, put) = differences[control.name], SPOKEN[control.name]
        if difference.high < 0:
            same.append(f"{name} {do} better ({_in_numbers(difference)})")
        elif not difference.surely and difference.difference <= AS_GOOD:
            same.append(f"{name} {do} as well ({_in_numbers(difference)})")
        elif not difference.surely:
            same.append(
                f"it is not significantly different from {name} ({_in_numbers(difference)})"
            )
        elif _best_gain(control) > _best_gain(best) - AS_GOOD:
            same.append(
                f"{name} {put} as much of the weight on successes ({_on_successes(control)})"
            )
    if same:
        return f"But a control would do the same, as far as these episodes tell: {'; '.join(same)}."
    if not controls:
        return "There is no control to compare it with."
    nearest = min(
        (differences[row.name] for row in controls), key=lambda difference: difference.difference
    )
    return (
        "It tells successes from failures better than any control; the nearest is "
        f"{SPOKEN[nearest.b][0]} ({_in_numbers(nearest)})."
    )


def _in_numbers(difference: AucDifference) -> str:
    interval = (
        f"95 % CI {difference.low:.2f} to {difference.high:.2f}"
        if math.isfinite(difference.low)
        else f"too few episodes for an interval: {difference.successes} successes, "
        f"{difference.failures} failures"
    )
    return f"AUC {difference.auc_b:.2f}, difference {difference.difference:.2f}, {interval}"


def _ranking(labellings: Sequence[Row], compared: Sequence[AucDifference]) -> list[str]:
    """Several labellings by AUC, and whether the first is surely ahead."""
    best, *runners_up = ranked(labellings)
    differences = {difference.b: difference for difference in compared}
    known = [differences[row.name] for row in runners_up if row.name in differences]
    if not known or best.came_closer is None:
        return []
    parts = [
        f"{difference.b} ({_in_numbers(difference)}"
        f"{'' if difference.surely else ': not significantly different'})"
        for difference in known
    ]
    closer = best.came_closer
    return [
        f"Of the labellings {best.name} has the highest AUC, {closer.auc:.2f} ({closer.low:.2f} to "
        f"{closer.high:.2f}); then {', '.join(parts)}."
    ]


def _about(row: Row, success: NDArray[np.bool_]) -> list[str]:
    """What is noteworthy of one labelling."""
    sentences = []
    step = next((weighting for weighting in row.weightings if weighting.weight_by == "step"), None)
    if step is not None:
        score = np.concatenate(row.rewards)
        share = effective_sample_size(regression_weights(score, PAPER_TAU))
        if share > UNIFORM:
            sentences.append(
                f"With the paper's tau {PAPER_TAU} the effective sample size is {share:.0%}: that "
                "is cloning in all but name."
            )
    if row.noise is not None and row.noise.step > 0 and 1 in row.signal:
        ratio = row.signal[1] / row.noise.step
        if ratio < 2:
            longest = max(row.signal)
            sentences.append(
                f"One step changes the distance {ratio:.1f} times as much as noise does, {longest} "
                f"steps {row.signal[longest] / row.noise.step:.1f} times: weights that look one "
                "step ahead see mostly noise."
            )
    ordered = row.order[success] if success.any() else row.order
    ordered = ordered[np.isfinite(ordered)]
    if len(ordered) and ordered.mean() < ORDERED:
        sentences.append(
            f"In successes the distance falls with time only to a correlation of "
            f"{ordered.mean():.2f}: much of what they do does not look like progress."
        )
    closer, moved = row.came_closer, row.came_closer_moved
    if closer is not None and closer.low < CHANCE:
        sentences.append(f"The AUC is {_against_chance(closer)}")
    if moved is not None and moved.low < CHANCE:
        sentences.append(
            f"Against failures that moved as far as successes the AUC is {_against_chance(moved)}"
        )
    return [f"{row.name}: {sentence}" for sentence in sentences]


def _against_chance(separation: Separation) -> str:
    """An AUC that is not surely above chance, and what that means."""
    meaning = (
        "it points the wrong way, failures come nearer to the goal than successes."
        if separation.high < CHANCE
        else "it is not significantly different from chance."
    )
    return f"{separation.auc:.2f} ({separation.low:.2f} to {separation.high:.2f}): {meaning}"


def _as_ordered_as_a_clock(labellings: Sequence[Row]) -> list[str]:
    """Labellings whose order in time would make a headline, which any clock has."""
    orders = {row.name: mean_of(row.order) for row in labellings}
    high = [f"{name} ({order:.2f})" for name, order in orders.items() if order >= CEILING]
    if not high:
        return []
    return [
        f"Order correlation of {', '.join(high)}: that of a clock is 1.00, whatever the robot "
        "does, so a high value is no evidence of progress."
    ]


def _ceilings(controls: Sequence[Row]) -> list[str]:
    """Measures by which even a control is as good as can be, so that they say nothing."""
    sentences = []
    for measure, values in (
        ("order correlation", {row.name: mean_of(row.order) for row in controls}),
        ("AUC", {row.name: _auc(row) for row in controls}),
    ):
        # the clock orders time by its making; that is no news
        names = [
            n
            for n, v in values.items()
            if v >= CEILING and (n, measure) != (TIME_CONTROL, "order correlation")
        ]
        if names:
            sentences.append(
                f"{measure}: {' and '.join(names)} reach{'es' * (len(names) == 1)} {CEILING} or "
                "more, so a high value says nothing of an encoder here."
            )
    clock = next((row for row in controls if row.name == TIME_CONTROL), None)
    if clock is not None and clock.came_closer is not None:
        auc = clock.came_closer.auc
        if max(auc, 1 - auc) >= CEILING:
            sentences.append(
                "The length of an episode alone tells successes from failures here "
                f"(AUC of time {auc:.2f})."
            )
    return sentences


def _best(row: Row) -> Weighting | None:
    known = [
        weighting
        for weighting in row.weightings
        if math.isfinite(weighting.on_successes + weighting.tau)
    ]
    return max(known, key=_gain, default=None)


def _on_successes(row: Row) -> str:
    best = _best(row)
    return "none" if best is None else f"{best.on_successes:.0%}"


def _best_gain(row: Row) -> float:
    best = _best(row)
    return -math.inf if best is None else _gain(best)


def _gain(weighting: Weighting) -> float:
    return gain_of(weighting.on_successes, weighting.of_successes)


def _auc(row: Row) -> float:
    return row.came_closer.auc if row.came_closer is not None else math.nan
