"""Encoders that were trained, in a terminal: 80 columns, beside what each must beat."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from vip_offline.analysis.closed_loop.statistics import CONFIDENCE, quantile
from vip_offline.encoders.registry import ENCODERS, here
from vip_offline.utils.console import Console

WIDTH = 80  # columns


def encoders_table() -> Table:
    """One row per encoder: dimension, weights, licence, and whether they are on this computer."""
    table = Table(box=None, width=80)
    for heading in ("encoder", "dim", "weights", "licence", "here"):
        table.add_column(heading, justify="right" if heading == "dim" else "left", overflow="fold")
    for name, entry in ENCODERS.items():
        elsewhere = "download" if entry.origin and entry.origin.url else "--weights"
        is_here = "yes" if here(name) else elsewhere
        table.add_row(name, str(entry.dim), entry.weights, entry.licence, is_here)
    return table


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
    table.add_column("embedding", overflow="fold")
    for heading in ("bumps", "order", "order, others' goal"):
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        table.add_row(
            Text(name), *(_number(row[key]) for key in ("bumps", "order", "order_others"))
        )
    console.print(table)


def print_runs(numbers: Mapping[str, Any], file: Path, console: Console) -> None:
    """Print each trained encoder, how it does on other tasks, and where the numbers lie."""
    for name, trained in numbers["trained"].items():
        console.print(f"\n{name}", style="bold")
        print_validation(trained, console)
    console.print()
    print_trial(numbers, console)
    console.say(f"-> {file}")


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
    for line in differences(numbers):
        console.print(Text(line), width=min(WIDTH, console.width))


def differences(numbers: Mapping[str, Any]) -> list[str]:
    """Each objective's value-order correlation less that of every other, task by task.

    Seeds are averaged first. The interval is Student's t over tasks: what other tasks would be
    expected to give, were these drawn from the same ones.
    """
    names: dict[str, list[str]] = {}
    for name in numbers["trial"]:
        own = name in numbers["trained"]
        names.setdefault(name.rpartition("-")[0] or name if own else name, []).append(name)
    orders = {
        shown: np.mean([_orders(numbers["trial"][each]) for each in members], axis=0)
        for shown, members in names.items()
    }
    trained = [shown for shown, members in names.items() if members[0] in numbers["trained"]]
    lines = []
    for place, one in enumerate(orders):
        for other in list(orders)[place + 1 :] if one in trained else ():
            gap = orders[one] - orders[other]
            n = int(np.isfinite(gap).sum())
            if n < 2:
                continue
            mean, error = np.nanmean(gap), np.nanstd(gap, ddof=1) / n**0.5
            width = quantile(n - 1, (1 + CONFIDENCE) / 2) * error
            seeds = f", mean of {len(names[one])} seeds" if len(names[one]) > 1 else ""
            lines.append(
                f"{one} less {other}: order {mean:+.2f} (95 % interval {mean - width:+.2f} to "
                f"{mean + width:+.2f}, {n} tasks{seeds})"
            )
    return lines


def _orders(found: Mapping[str, Any]) -> NDArray[np.float64]:
    return np.array([found[task]["order"] for task in sorted(found)], np.float64)


def _of(row: Mapping[str, Any], key: str) -> float | None:
    value = row[key]
    if isinstance(value, Mapping):
        value = value["value"]
    return None if value is None else float(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
