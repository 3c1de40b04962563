"""Encoders that were trained, in a terminal: 80 columns, beside what each must beat."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 80  # columns


def print_validation(summary: Mapping[str, Any], console: Console) -> None:
    """What an encoder makes of the videos that were held out, beside pixels and random."""
    rows = summary["validation"]
    if not rows:
        console.print("No video was held out, so nothing says whether it learnt.")
        return
    table = Table(
        title=Text(f"{summary['held_out']} videos held out"),
        caption=Text(
            "bumps: share of steps away from the video's own last frame; order: Spearman's "
            "correlation of nearness with time, to that frame and to the mean one of the others"
        ),
        box=None,
        width=min(WIDTH, console.width),
    )
    table.add_column("embedding")
    for heading in ("bumps", "order", "order, others' goal"):
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        table.add_row(
            Text(name), *(_number(row[key]) for key in ("bumps", "order", "order_others"))
        )
    console.print(table)


def print_trial(numbers: Mapping[str, Any], console: Console) -> None:
    """Encoders on tasks that none was trained on, averaged over seeds where there are several."""
    trial = numbers["trial"]
    if not trial:
        return
    tasks = sorted({task for found in trial.values() for task in found})
    for key, title in (
        ("order", "value-order correlation (goal: mean last frame of other successes)"),
        ("auc", "success separation (area under the ROC curve)"),
    ):
        table = Table(title=Text(title), box=None, width=min(WIDTH, console.width))
        table.add_column("embedding", overflow="fold")
        for heading in [*tasks, "mean"]:
            table.add_column(heading, justify="right", overflow="fold")
        for name, found in trial.items():
            values = [_of(found[task], key) for task in tasks]
            known = [each for each in values if each is not None]
            mean = sum(known) / len(known) if known else None
            table.add_row(Text(name), *(_number(each) for each in [*values, mean]))
        console.print(table)
        console.print()


def _of(row: Mapping[str, Any], key: str) -> float | None:
    value = row[key]
    if isinstance(value, Mapping):
        value = value["value"]
    return None if value is None else float(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
