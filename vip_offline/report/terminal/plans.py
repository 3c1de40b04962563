"""Tasks solved by planning, a row per task, view and reward, 80 columns wide."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from vip_offline.analysis.closed_loop.conclusions import points
from vip_offline.report.terminal.comparison import span
from vip_offline.utils.console import WIDTH, Console

CAPTION = (
    "solved: at any step, with the 95 % interval over the seeds (of all tasks: over seeds and "
    "tasks); steps: median of those; "
    "error: of the objects' pose to the goal's, at the end; r: correlation of the reward with the "
    "simulator's dense one. Assets and controller are not the paper's: compare rows with each "
    "other."
)


def plans_table(summary: Mapping[str, Any]) -> Table:
    """Return one row per task, view, reward and number of sequences, then the rewards over all.

    Args:
        summary: what `summarise` gives, of one recipe.
    """
    cells = summary["cells"]
    first, counts = cells[0], dict.fromkeys(str(cell["sequences"]) for cell in cells)
    seeds = f"{first['episodes']} seed{'s' * (first['episodes'] > 1)}"
    nuisance = f", {first['nuisance']}" if first["nuisance"] else ""
    table = Table(
        box=None,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
        width=WIDTH,
        title=Text(
            f"{seeds}, {first['start']} start, {len(first['per_step'])} steps, "
            f"{first['optimizer']} with {' or '.join(counts)} sequences{nuisance}"
        ),
        caption=Text(CAPTION),
        caption_justify="left",
    )
    for heading in ("task", "view", "reward"):
        table.add_column(heading, overflow="fold")
    for heading in ("solved %", "95 %", "steps", "error", "r"):
        table.add_column(heading, justify="right")
    several = len({cell["sequences"] for cell in cells}) > 1
    for cell in cells:
        table.add_row(Text(cell["task"]), Text(cell["view"]), *_columns(cell, several))
    rewards = summary["rewards"]
    if len(cells) > len(rewards):
        table.add_section()
        for reward in rewards:
            table.add_row(
                f"all {reward['tasks']}", Text(reward["view"]), *_columns(reward, several)
            )
    return table


def _columns(row: Mapping[str, Any], several: bool) -> tuple[str | Text, ...]:
    """Those that a task has as well as all of them together."""
    number = f", {row['sequences']}" if several else ""
    return (
        Text(row["encoder"] + number),
        points(row["success"], sign=False),
        "-" if row["low"] is None else span(row["low"], row["high"], sign=False),
        _number(row["median_steps"], ".0f"),
        _number(row.get("last_object_error"), ".2f"),
        _number(row["pearson"], ".2f"),
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def print_plans(summary: Mapping[str, Any], console: Console) -> None:
    """Print the table of a recipe's plans."""
    console.print(plans_table(summary))
