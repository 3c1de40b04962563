"""An analysis in a terminal, 80 columns wide and readable without colour."""

import math

import numpy as np
from rich.table import Table
from rich.text import Text

from vip_offline.analysis.metrics import Floats, Separation
from vip_offline.analysis.results import Analysis, Row
from vip_offline.utils.console import Console

WIDTH = 80  # columns
FLAGGED = 12  # suspicious episodes listed; the page has them all


def print_analysis(analysis: Analysis, console: Console) -> None:
    """Print the numbers of labellings beside controls, suspicious episodes and the verdict."""
    width = min(WIDTH, console.width)
    success = int(analysis.success.sum())
    console.print(
        Text(
            f"{analysis.store}: {len(analysis.episodes)} episodes, {success} successes, "
            f"{sum(each.frames for each in analysis.episodes)} frames"
        ),
        width=width,
    )
    console.print(numbers_table(analysis), width=width)
    flagged = [each for each in analysis.episodes if each.flags]
    if flagged:
        console.print()
        console.print(_flag_table(analysis), width=width)
        if len(flagged) > FLAGGED:
            console.print(f"and {len(flagged) - FLAGGED} more suspicious episodes", width=width)
    console.print()
    console.print(Text(analysis.verdict, style="bold"), width=width)
    for sentence in analysis.warnings:
        console.print(Text(f"warning: {sentence}", style="yellow"), width=width)
    for sentence in (*analysis.reasons, *(f"Left out: {each}" for each in analysis.left_out)):
        # a grid indents the lines that follow the first
        row = Table.grid(padding=(0, 1))
        row.add_row("-", Text(sentence))
        console.print(row, width=width)


def numbers_table(analysis: Analysis) -> Table:
    """Return one row per labelling, then one per control."""
    steps = list(analysis.rows[0].signal)
    shown = [steps[0], steps[-1]] if len(steps) > 1 else steps
    table = Table(
        caption=Text(
            "* a control. Of successes, bumps: share of steps that rise (Table 5); order: "
            "correlation with time. AUC: successes against failures by d(first) - d(last), and "
            "against failures that moved as far; S/N: change of the distance over so many steps, "
            "over its noise; goals: their distance from each other over that from the starts."
        ),
        caption_justify="left",
        box=None,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("", overflow="fold")
    for heading in (
        "bumps", "order", "AUC", "95 %", "moved", *(f"S/N {n}" for n in shown), "goals"
    ):  # fmt: skip
        table.add_column(heading, justify="right", overflow="fold")
    for each in analysis.rows:
        table.add_row(
            Text(each.name + " *" * each.control),
            number(mean_of(each.bumps[analysis.judged])),
            number(mean_of(each.order[analysis.judged])),
            number(each.came_closer.auc if each.came_closer else math.nan),
            interval(each.came_closer),
            number(each.came_closer_moved.auc if each.came_closer_moved else math.nan),
            *(number(over_noise(each, n), 1) for n in shown),
            number(each.agreement),
        )
    return table


def mean_of(values: Floats) -> float:
    """Mean of what is finite; nan of nothing."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def over_noise(row: Row, n: int) -> float:
    """Signal over `n` steps, over the noise; nan where either is not known, or there is none."""
    if row.noise is None or row.noise.step == 0:
        return math.nan
    return row.signal[n] / row.noise.step


def number(value: float, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def interval(found: Separation | None) -> str:
    """Of an area under the curve."""
    return "-" if found is None else f"{found.low:.2f} to {found.high:.2f}"


def _flag_table(analysis: Analysis) -> Table:
    table = Table(box=None, padding=(0, 1), collapse_padding=True, pad_edge=False)
    for heading in ("episode", "suspicious", "because"):
        table.add_column(heading, overflow="fold", justify="left")
    flagged = [each for each in analysis.episodes if each.flags]
    for each in flagged[:FLAGGED]:
        for place, flag in enumerate(each.flags):
            name = f"{each.index} {each.name}".strip() if not place else ""
            row = "" if flag.row is None else f" (row {flag.row})"
            table.add_row(Text(name), flag.kind, Text(flag.value + row))
    return table
