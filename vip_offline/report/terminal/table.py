"""A table of methods and tasks in a terminal: 80 columns."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from vip_offline.utils.console import WIDTH, Console


def print_table(numbers: Mapping[str, Any], console: Console) -> None:
    """Print success in percent with intervals, the paper's count beside it, and differences."""
    width = min(WIDTH, console.width)
    table = Table(
        title=Text(f"{numbers['table']}: success in percent (95 % CI)"),
        caption=Text(
            f"Over seeds and {numbers['placements']} placements. In [ ]: rollouts that succeeded "
            "of the first 10 of one policy, as the paper counts. Means over tasks: Student's t."
        ),
        box=None,
        width=width,
    )
    table.add_column("", overflow="fold")
    table.add_column("seeds", justify="right")
    for task in [*numbers["tasks"], "mean"]:
        table.add_column(Text(_breakable(task)), justify="right", overflow="fold")
    for row in numbers["rows"]:
        cells = [
            f"{_stacked(cell)}\n[{cell['paper']}/{cell['paper_rollouts']}]"
            for cell in row["tasks"].values()
        ]
        texts = (row["name"], str(row["seeds"]), *cells, _stacked(row["mean"]))
        table.add_row(*map(Text, texts))
    console.print(table)
    for difference in numbers["differences"]:
        gap = difference["mean"]
        console.print(
            Text(
                f"{numbers['compared_with']} vs {difference['row']}: {signed(gap)} points over "
                f"{len(numbers['tasks'])} tasks"
            ),
            width=width,
        )
    for name in numbers["not_compared"]:
        console.print(Text(f"{name} has other seeds, so it is not compared."), width=width)


def _breakable(task: str) -> str:
    """A task's name in lines that end where a reader would end them."""
    return task.replace("/", "/\n").replace("-", "-\n")


def _stacked(estimate: Mapping[str, float | None]) -> str:
    """``62`` and ``(40 to 80)`` below it, so that four tasks fit in 80 columns."""
    return percent(estimate).replace(" (", "\n(", 1)


def percent(estimate: Mapping[str, float | None]) -> str:
    """``62 (40 to 80)``; without an interval where there is none."""
    return _text(estimate, "{:.0f}")


def signed(estimate: Mapping[str, float | None]) -> str:
    """``+12 (-3 to +27)``."""
    return _text(estimate, "{:+.0f}")


def _text(estimate: Mapping[str, float | None], form: str) -> str:
    mean, low, high = (estimate[key] for key in ("mean", "low", "high"))
    assert mean is not None
    text = form.format(100 * mean)
    if low is None or high is None:
        return text
    return f"{text} ({form.format(100 * low)} to {form.format(100 * high)})"
