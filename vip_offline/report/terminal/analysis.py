"""An analysis in a terminal, 80 columns wide and readable without colour."""

import math

from rich.table import Table
from rich.text import Text

from vip_offline.analysis.metrics import Separation, mean_of
from vip_offline.analysis.results import Analysis, Row
from vip_offline.utils.console import WIDTH, Console

EPISODES_FLAGGED = 12  # suspicious episodes listed; the page has them all


def print_analysis(analysis: Analysis, console: Console) -> None:
    """Print the numbers of labellings beside controls, suspicious episodes and the verdict."""
    width = min(WIDTH, console.width)
    success = int(analysis.success.sum())
    console.print(
        Text(
            f"{analysis.store}: {len(analysis.episodes)} episodes, {success} successes, "
            f"{sum(episode.frames for episode in analysis.episodes)} frames"
        ),
        width=width,
    )
    console.print(numbers_table(analysis), width=width)
    flagged = [episode for episode in analysis.episodes if episode.flags]
    if flagged:
        console.print()
        console.print(_flag_table(analysis), width=width)
        if len(flagged) > EPISODES_FLAGGED:
            console.print(
                f"and {len(flagged) - EPISODES_FLAGGED} more suspicious episodes", width=width
            )
    console.print()
    console.print(Text(analysis.verdict, style="bold"), width=width)
    for sentence in analysis.warnings:
        console.print(Text(f"warning: {sentence}", style="yellow"), width=width)
    for sentence in (
        *analysis.reasons,
        *(f"Left out: {sentence}" for sentence in analysis.left_out),
    ):
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
    for row in analysis.rows:
        table.add_row(
            Text(row.name + " *" * row.control),
            number(mean_of(row.bumps[analysis.judged])),
            number(mean_of(row.order[analysis.judged])),
            number(row.came_closer.auc if row.came_closer else math.nan),
            interval(row.came_closer),
            number(row.came_closer_moved.auc if row.came_closer_moved else math.nan),
            *(number(over_noise(row, n), 1) for n in shown),
            number(row.agreement),
        )
    return table


def over_noise(row: Row, n: int) -> float:
    """Signal over `n` steps, over the noise; nan where either is not known, or there is none."""
    if row.noise is None or row.noise.step == 0:
        return math.nan
    return row.signal[n] / row.noise.step


def number(value: float, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def interval(separation: Separation | None) -> str:
    """Format the 95 % interval of an AUC; a dash for None."""
    return "-" if separation is None else f"{separation.low:.2f} to {separation.high:.2f}"


def _flag_table(analysis: Analysis) -> Table:
    table = Table(box=None, padding=(0, 1), collapse_padding=True, pad_edge=False)
    for heading in ("episode", "suspicious", "because"):
        table.add_column(heading, overflow="fold", justify="left")
    flagged = [episode for episode in analysis.episodes if episode.flags]
    for episode in flagged[:EPISODES_FLAGGED]:
        for place, flag in enumerate(episode.flags):
            name = f"{episode.index} {episode.name}".strip() if not place else ""
            row = "" if flag.row is None else f" (row {flag.row})"
            table.add_row(Text(name), flag.kind, Text(flag.value + row))
    return table
