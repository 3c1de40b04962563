"""The table of an analysis: a line per measure, a column per labelling and control."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vip_offline.analysis.metrics import Separation, mean_of
from vip_offline.analysis.results import Analysis, Weighting
from vip_offline.report.figures.analysis import PAPERS_TAU
from vip_offline.report.terminal.analysis import number, over_noise
from vip_offline.utils.arrays import Floats

PERCENT = "\N{NO-BREAK SPACE}%"

Cell = tuple[str, str]  # a number, and in small print what belongs to it


@dataclass(frozen=True)
class TableLine:
    """One line of the table."""

    heading: str
    note: str  # what it is in a few words
    cells: tuple[Cell, ...]  # one per row of the analysis


def known_measures(analysis: Analysis) -> list[TableLine]:
    """The lines of the table in which at least one row has a number."""
    missing = number(math.nan)
    return [
        TableLine(heading, note, tuple(cells))
        for heading, note, cells in _measures(analysis)
        if any(text != missing for text, _ in cells)
    ]


def _measures(analysis: Analysis) -> list[tuple[str, str, list[Cell]]]:
    """Heading, what it is in a few words, and a cell per row."""
    rows, judged = analysis.rows, analysis.judged
    kind = "successes" if analysis.success.any() else "episodes"
    over = f"{int(judged.sum())} {kind}"
    closer = [row.came_closer for row in rows]
    moved = [row.came_closer_moved for row in rows]
    measures = [
        ("AUC", _against(closer), [_auc(separation) for separation in closer]),
        ("AUC, moved as far", _against(moved), [_auc(separation) for separation in moved]),
        ("order", f"mean ± deviation, {over}", [_spread(row.order[judged]) for row in rows]),
        (
            "bumps",
            f"of the T − 1 transitions of T frames; mean ± deviation, {over}",
            [_spread(row.bumps[judged]) for row in rows],
        ),
        ("goal agreement", "0 is one goal", [(number(row.agreement), "") for row in rows]),
    ]
    for n in sorted({n for row in rows for n in row.signal}):
        ratios = [over_noise(row, n) if n in row.signal else math.nan for row in rows]
        steps = f"{n} step" + "s" * (n > 1)
        cells = [(number(ratio, 1), "") for ratio in ratios]
        measures.append((f"signal / noise, {steps}", "1 is as much as noise", cells))
    measures.append(("R²", "with the true reward", [(number(row.dense_fit), "") for row in rows]))
    for weight_by in dict.fromkeys(w.weight_by for row in rows for w in row.weightings):
        mine = [next((w for w in row.weightings if w.weight_by == weight_by), None)
                for row in rows]  # fmt: skip
        known = [weighting for weighting in mine if weighting is not None]
        size, share = percentage(known[0].target_ess), whole_percentage(known[0].of_successes)
        for heading, note, of, show in (
            ("sample size at tau 0.1", "100 % is cloning", _at_papers_tau, percentage),
            (f"tau for {size}", "of the transitions", lambda w: w.tau, _significant),
            (
                "weight on successes",
                f"they have {share} of the transitions",
                lambda w: w.on_successes if math.isfinite(w.tau) else math.nan,
                whole_percentage,
            ),
        ):
            cells = [
                (show(math.nan if weighting is None else of(weighting)), "") for weighting in mine
            ]
            measures.append((f"{heading}, by {weight_by}", note, cells))
    return measures


def _against(separations: Sequence[Separation | None]) -> str:
    """How many successes and failures were compared; rows may differ where a goal is missing."""
    known = {
        (separation.successes, separation.failures)
        for separation in separations
        if separation is not None
    }
    counts = "; ".join(f"{good} against {bad}" for good, bad in sorted(known, reverse=True))
    return f"with 95 % CI; 0.5 is chance; {counts}"


def _auc(separation: Separation | None) -> Cell:
    if separation is None:
        return number(math.nan), ""
    return number(separation.auc), f"{separation.low:.2f}–{separation.high:.2f}"


def _spread(values: Floats) -> Cell:
    known = values[np.isfinite(values)]
    beside = f"± {known.std(ddof=1):.3f}" if len(known) > 1 else ""
    return number(mean_of(values), 3), beside


def percentage(share: float) -> str:
    """A share as a percentage of three digits; a dash for nan."""
    return f"{100 * share:.3g}{PERCENT}" if math.isfinite(share) else number(math.nan)


def whole_percentage(share: float) -> str:
    """A share as a whole percentage; a dash for nan."""
    return f"{100 * share:.0f}{PERCENT}" if math.isfinite(share) else number(math.nan)


def _significant(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else number(math.nan)


def _at_papers_tau(weighting: Weighting) -> float:
    logs = np.log(weighting.taus)
    return float(np.interp(np.log(PAPERS_TAU), logs, weighting.effective_sample_size))
