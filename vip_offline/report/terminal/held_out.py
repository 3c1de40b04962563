"""Variants compared by their action error, in a terminal, 80 columns wide."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from vip_offline.utils.console import WIDTH

Line = tuple[str, str, str, str, str, str]


def held_out_lines(summary: Mapping[str, Any]) -> tuple[Line, list[Line]]:
    """Headings, and a line per variant: mean error, lowest and highest seed, beside the baseline.

    Args:
        summary: of `summarise_held_out`.
    """
    baseline, episodes = summary["baseline"], len(summary["episodes"])
    versus = {
        difference["a"]: difference
        for difference in summary["differences"]
        if difference["b"] == baseline
    }
    lines: list[Line] = []
    for arm in summary["arms"]:
        difference, seeds = versus.get(arm["name"]), arm["per_seed"]
        change = "" if difference is None else f"{100 * difference['change']:+.0f} %"
        lower = "" if difference is None else f"{difference['lower']} of {episodes}"
        numbers = (f"{value:.4f}" for value in (arm["error"], min(seeds), max(seeds)))
        lines.append((arm["name"], *numbers, change, lower))
    headings = ("variant", "error", "lowest seed", "highest seed", f"vs {baseline}", "lower in")
    return headings, lines


def held_out_comparison(summary: Mapping[str, Any]) -> Table:
    """The lines of `held_out_lines` as a table."""
    (first, *further), lines = held_out_lines(summary)
    baseline, count = summary["baseline"], len(summary["seeds"])
    table = Table(
        # names are the user's: Text keeps their [brackets] from being taken for markup
        title=Text(f"{summary['name']}, {summary['encoder']}: {summary['measure']}"),
        caption=Text(
            f"{count} seed(s). lower in: held-out episodes in which every seed errs less than "
            f"every seed of {baseline}"
        ),
        box=None,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
        width=WIDTH,
    )
    table.add_column(first, overflow="fold")
    for heading in further:
        table.add_column(Text(heading), justify="right", overflow="fold")
    for name, *numbers in lines:
        table.add_row(Text(name), *numbers)
    return table
