"""Encoders that were trained, in a terminal: 80 columns, beside what each must beat."""

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from vip_offline.analysis.closed_loop.statistics import CONFIDENCE, quantile
from vip_offline.encoders.registry import ENCODERS, is_available
from vip_offline.utils.console import WIDTH, Console

SEED = re.compile(r"-\d+($|-without-)")  # in the name of a run


def encoders_table() -> Table:
    """One row per encoder: dimension, weights, licence, and whether they are on this computer."""
    table = Table(box=None, width=80)
    for heading in ("encoder", "dim", "weights", "licence", "here"):
        table.add_column(heading, justify="right" if heading == "dim" else "left", overflow="fold")
    for name, entry in ENCODERS.items():
        elsewhere = "download" if entry.origin and entry.origin.url else "--weights"
        is_here = "yes" if is_available(name) else elsewhere
        table.add_row(name, str(entry.dim), entry.weights, entry.licence, is_here)
    return table


def print_validation(summary: Mapping[str, Any], console: Console) -> None:
    """Print the validation of a trained encoder, beside raw pixels and a random network."""
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
    """Print the benchmark of encoders on unseen tasks, averaged over seeds."""
    trial = numbers["trial"]
    if not trial:
        return
    levels = levels_of(trial)
    for (level, tasks), (key, title) in itertools.product(
        levels.items(),
        (
            ("order", "value-order correlation (goal: mean last frame of other successes)"),
            ("auc", "success separation (area under the ROC curve)"),
            ("weight", "weight on successes at an effective sample size of 0.1"),
        ),
    ):
        if any(key not in by_task[task] for by_task in trial.values() for task in tasks):
            continue  # of an earlier release
        if len(levels) > 1:
            title = f"nuisance {level}: {title}"
        table = Table(title=Text(title), box=None, width=min(WIDTH, console.width))
        table.add_column("embedding", overflow="fold")
        for heading in [*tasks, "mean"]:
            table.add_column(heading, justify="right", overflow="fold")
        for name, by_task in trial.items():
            values = [_of(by_task[task], key) for task in tasks]
            known = [value for value in values if value is not None]
            mean = sum(known) / len(known) if known else None
            table.add_row(Text(name), *(_number(value) for value in [*values, mean]))
        console.print(table)
        console.print()
    for line in differences(numbers):
        console.print(Text(line), width=min(WIDTH, console.width))


def levels_of(trial: Mapping[str, Mapping[str, Any]]) -> dict[int, list[str]]:
    """Names of the stores that encoders were tried on, by the level of their nuisances."""
    stores = {name: row for by_store in trial.values() for name, row in by_store.items()}
    levels: dict[int, list[str]] = {}
    for name in sorted(stores):
        levels.setdefault(int(stores[name].get("level", 0)), []).append(name)
    return dict(sorted(levels.items()))


def differences(numbers: Mapping[str, Any]) -> list[str]:
    """Return sentences: order and weight of each objective minus those of every other, by task.

    Seeds are averaged first. The interval is Student's t over tasks: what other tasks would be
    expected to give, were these drawn from the same ones.
    """
    levels = levels_of(numbers["trial"])
    lines = []
    for level, tasks in levels.items():
        where = f"nuisance {level}, " if len(levels) > 1 else ""
        for key in ("order", "weight"):
            lines += [where + line for line in _differences(numbers, key, tasks)]
    return lines


def _differences(numbers: Mapping[str, Any], key: str, tasks: Sequence[str]) -> list[str]:
    names: dict[str, list[str]] = {}
    for name in numbers["trial"]:
        is_trained = name in numbers["trained"]
        names.setdefault(SEED.sub(r"\1", name) if is_trained else name, []).append(name)
    trial = numbers["trial"]
    orders = {
        shown: np.mean([_values(trial[member], key, tasks) for member in members], axis=0)
        for shown, members in names.items()
    }
    trained = [shown for shown, members in names.items() if members[0] in numbers["trained"]]
    lines = []
    for place, first in enumerate(orders):
        for second in list(orders)[place + 1 :] if first in trained else ():
            gap = orders[first] - orders[second]
            n = int(np.isfinite(gap).sum())
            if n < 2:
                continue
            mean, error = np.nanmean(gap), np.nanstd(gap, ddof=1) / n**0.5
            width = quantile(n - 1, (1 + CONFIDENCE) / 2) * error
            seeds = f", mean of {len(names[first])} seeds" if len(names[first]) > 1 else ""
            lines.append(
                f"{first} vs {second}: {key} {mean:+.2f} (95 % CI {mean - width:+.2f} to "
                f"{mean + width:+.2f}, {n} tasks{seeds})"
            )
    return lines


def _values(by_task: Mapping[str, Any], key: str, tasks: Sequence[str]) -> NDArray[np.float64]:
    """(K,) of the tasks; nan where it is not known."""
    return np.array([by_task[task].get(key) for task in tasks], np.float64)


def _of(row: Mapping[str, Any], key: str) -> float | None:
    value = row[key]
    if isinstance(value, Mapping):
        value = value["value"]
    return None if value is None else float(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
