"""The verdict in words, and its reasons.

Constants here come from `python -m benchmarks.verdict recipes/results/*.json`, which tests run.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vip_offline.learn.weights import effective_sample_size, regression_weights
from vip_offline.report.analysis.evidence import Row, Weighting
from vip_offline.report.analysis.progress import Floats, Separation
from vip_offline.report.analysis.ruling import Score, gain_of

HELPS = 0.535  # gain from which on weighting is likely to help: the best threshold of all cases
TESTED = Score(cases=90, tasks=7, right=73, commonest=49)  # leave one task out
SURELY = Score(cases=90, tasks=7, right=71, commonest=70)  # where intervals must exclude 0
PAPER_TAU = 0.1
UNIFORM = 0.95  # effective sample size above which training is cloning in all but name
AS_GOOD = 0.05  # gain by which two rewards may differ and still be called equally good
CEILING = 0.95  # of an area under the curve or a correlation
CHANCE = 0.5  # of an area under the curve
ORDERED = 0.5  # correlation with time below which a success does not look like progress


def judge(rows: Sequence[Row], success: NDArray[np.bool_]) -> tuple[str, list[str]]:
    """Say whether weighting by these rewards is likely to help, and why.

    Args:
        rows: labellings and controls.
        success: (E,).

    Returns:
        One sentence, and further ones.
    """
    labellings = [each for each in rows if not each.control]
    controls = [each for each in rows if each.control]
    reasons = [sentence for each in labellings for sentence in _about(each, success)]
    reasons += _ceilings(controls)
    told = bool(success.any() and not success.all())
    if not told:
        which = "failure" if success.all() else "success"
        verdict = (
            f"No verdict: no episode is marked as a {which}, and the rule rests on how much of the "
            "weight goes to successes."
        )
        return verdict, [_success_only(), *reasons] if success.all() else reasons
    best = max(labellings, key=_best_gain)
    gain, weighting = _best_gain(best), _best(best)
    if weighting is None:
        return "No verdict: no temperature can weight these rewards.", reasons
    if not TESTED.holds:
        return "No verdict: the rule behind it is no better than a guess. See the numbers.", reasons
    sizes = f"{weighting.on_successes:.0%} of the weight on successes, {weighting.of_successes:.0%}"
    how = f"--label {best.name} --weight-by {weighting.weight_by} --tau auto"
    beaten = [each for each in controls if _best_gain(each) > gain - AS_GOOD]
    if gain < HELPS:
        verdict = (
            f"RWR cannot be expected to differ from cloning: even {how} puts {sizes} of the "
            "transitions being theirs."
        )
    elif beaten:
        verdict = (
            f"RWR is likely to help ({how} puts {sizes} of the transitions being theirs), but this "
            f"reward is no better than {' or '.join(each.name for each in beaten)}, by which the "
            "weights would fall as well."
        )
    else:
        verdict = (
            f"RWR is likely to help: {how} puts {sizes} of the transitions being theirs, more than "
            "any control."
        )
    return verdict, [
        f"The rule was right in {TESTED.right} of {TESTED.cases} cases when each of {TESTED.tasks} "
        f"simulated tasks was judged by a threshold from the others; always giving the commonest "
        f"answer is right in {TESTED.commonest}. It counts ten points of success as help; where a "
        f"95 % interval must exclude 0, the rule is right in {SURELY.right} and the commonest "
        f"answer, no, in {SURELY.commonest}.",
        "train weighs whole episodes by how near to the goal they ended (--weight-by outcome): "
        "ahead of the return on one task, behind it on another (see the README).",
        "You know which episodes succeeded: cloning those alone (--algo bc --only-successes) needs "
        "no reward, and was the best arm or level with it on all such tasks but one. Compare it.",
        *reasons,
    ]


def _success_only() -> str:
    return (
        "Among successes alone no weighting was seen to help, and some harm (three simulated "
        "tasks, see the README); compare before you rely on one."
    )


def _about(row: Row, success: NDArray[np.bool_]) -> list[str]:
    """What is noteworthy of one labelling."""
    said = []
    step = next((each for each in row.weightings if each.weight_by == "step"), None)
    if step is not None:
        score = np.concatenate(row.rewards)
        share = effective_sample_size(regression_weights(score, PAPER_TAU))
        if share > UNIFORM:
            said.append(
                f"With the paper's tau {PAPER_TAU} the effective sample size is {share:.0%}: that "
                "is cloning in all but name."
            )
    if row.noise is not None and row.noise.step > 0 and 1 in row.signal:
        ratio = row.signal[1] / row.noise.step
        if ratio < 2:
            longest = max(row.signal)
            said.append(
                f"One step changes the distance {ratio:.1f} times as much as noise does, {longest} "
                f"steps {row.signal[longest] / row.noise.step:.1f} times: weights that look one "
                "step ahead see mostly noise."
            )
    ordered = row.order[success] if success.any() else row.order
    ordered = ordered[np.isfinite(ordered)]
    if len(ordered) and ordered.mean() < ORDERED:
        said.append(
            f"In successes the distance falls with time only to a correlation of "
            f"{ordered.mean():.2f}: much of what they do does not look like progress."
        )
    closer, moved = row.came_closer, row.came_closer_moved
    if closer is not None and closer.high < CHANCE:
        said.append(f"The AUC is {_against_chance(closer)}")
    if moved is not None and moved.low < CHANCE:
        said.append(
            f"Against failures that moved as far as successes the AUC is {_against_chance(moved)}"
        )
    return [f"{row.name}: {each}" for each in said]


def _against_chance(found: Separation) -> str:
    """An AUC that is not surely above chance, and what that means."""
    meaning = (
        "it points the wrong way, failures come nearer to the goal than successes."
        if found.high < CHANCE
        else "it cannot be told from a guess."
    )
    return f"{found.auc:.2f} ({found.low:.2f} to {found.high:.2f}): {meaning}"


def _ceilings(controls: Sequence[Row]) -> list[str]:
    """Measures by which even a control is as good as can be, so that they say nothing."""
    said = []
    for measure, values in (
        ("order correlation", {each.name: _mean(each.order) for each in controls}),
        ("AUC", {each.name: _auc(each) for each in controls}),
    ):
        # the clock orders time by its making; that is no news
        names = [
            n
            for n, v in values.items()
            if v >= CEILING and (n, measure) != ("time", "order correlation")
        ]
        if names:
            said.append(
                f"{measure}: {' and '.join(names)} reach{'es' * (len(names) == 1)} {CEILING} or "
                "more, so a high value says nothing of an encoder here."
            )
    clock = next((each for each in controls if each.name == "time"), None)
    if clock is not None and clock.came_closer is not None:
        auc = clock.came_closer.auc
        if max(auc, 1 - auc) >= CEILING:
            said.append(
                "The length of an episode alone tells successes from failures here "
                f"(AUC of time {auc:.2f})."
            )
    return said


def _best(row: Row) -> Weighting | None:
    known = [each for each in row.weightings if math.isfinite(each.on_successes + each.tau)]
    return max(known, key=_gain, default=None)


def _best_gain(row: Row) -> float:
    best = _best(row)
    return -math.inf if best is None else _gain(best)


def _gain(weighting: Weighting) -> float:
    return gain_of(weighting.on_successes, weighting.of_successes)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _auc(row: Row) -> float:
    return row.came_closer.auc if row.came_closer is not None else math.nan
