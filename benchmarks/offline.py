"""How often each number of `compare --offline` picks the better policy, where success is known.

``python -m benchmarks.offline COMPARISON ...`` takes folders of finished comparisons that hold both
rollouts and held-out episodes (``vip-offline compare STORE --hold-out 3 --hold-out-failures 3``, or
``run`` with a recipe that says so). Without folders it makes its own: it records, labels, trains
and rolls out six simulated tasks, ``--quick`` one of them, small. ``--tasks``, ``--seeds``,
``--placements`` and ``--steps`` set another size; ``--folder`` keeps what was made, and goes on
with it; ``--out`` writes the result, as ``recipes/results/offline/*.json`` hold it.

For each number it takes, task by task, Spearman's rank correlation with true success over the
variants, and the share of pairs of variants in which the number picks the more successful one. The
intervals resample tasks: variants of one task share seeds, placements and data.

Last line: one JSON object with ``tasks``, ``variants``, ``better_than_chance`` (the numbers whose
interval lies above one half) and, for each number, ``picked`` and ``rank``.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from vip_offline.analysis.offline.validity import validities
from vip_offline.config import load_recipe
from vip_offline.experiments.comparison.offline_validity import task_case
from vip_offline.experiments.recipes.run_recipe import run_recipe
from vip_offline.options import (
    CompareOptions,
    Recipe,
    RecordOptions,
    RelabelOptions,
    RolloutOptions,
    TrainOptions,
)
from vip_offline.report.terminal.offline import picked_lines
from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy
from vip_offline.utils.console import Console
from vip_offline.utils.files import write_json

TASKS = ("drawer-close", "push", "window-close", "faucet-open", "plate-slide", "door-close")
ARMS = (*CompareOptions.arms, "rwr-return-permuted", "rwr-return-clock")
QUICK_ARMS = ("bc", "rwr-outcome-permuted", "bc-success")
FULL = Recipe(
    record=RecordOptions(episodes=20, failures=10),
    train=TrainOptions(steps=5_000, hold_out=3, hold_out_failures=3),
    rollout=RolloutOptions(placements=10, videos=0, processes=1),
    compare=CompareOptions(arms=ARMS, seeds=5, processes=1),
)
QUICK = replace(
    FULL,
    record=RecordOptions(episodes=6, failures=3, image_size=64),
    relabel=RelabelOptions(encoder="pixels"),
    train=TrainOptions(steps=300, hidden=(64,), hold_out=1, hold_out_failures=1),
    rollout=RolloutOptions(placements=2, horizon=60, videos=0, processes=1, environments=12),
    compare=CompareOptions(arms=QUICK_ARMS, seeds=2, processes=1),
)


def made(task: str, size: Recipe, folder: Path) -> Recipe:
    """The recipe of one task, in a folder."""
    return replace(
        size,
        name=task,
        store=str(folder / f"{task}.zarr"),
        out=str(folder / task),
        record=replace(size.record, task=task),
    )


def own_cases(tasks: Sequence[str], size: Recipe, folder: Path, console: Console) -> list[Any]:
    """Record, label, train and roll out each task, or go on with what is there."""
    cases = []
    for task in tasks:
        recipe = made(task, size, folder)
        run_recipe(recipe, console.bar, console.say)
        cases.append(task_case(recipe, console.bar))
    return cases


def size_of(options: argparse.Namespace) -> tuple[Sequence[str], Recipe]:
    """The tasks, and what is done with each."""
    size = QUICK if options.quick else FULL
    tasks = options.tasks.split(",") if options.tasks else TASKS[: 1 if options.quick else None]
    compare = replace(size.compare, seeds=options.seeds or size.compare.seeds)
    rollout = replace(size.rollout, placements=options.placements or size.rollout.placements)
    train = replace(size.train, steps=options.steps or size.train.steps)
    return tasks, replace(size, compare=compare, rollout=rollout, train=train)


def main() -> None:
    """Measure, or read, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comparisons", nargs="*", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tasks", default="", help="comma-separated")
    for name in ("seeds", "placements", "steps"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where what is made is kept")
    parser.add_argument("--out", type=Path, help="JSON file of the result")
    options, console = parser.parse_args(), Console(width=80)
    quiet_d3rlpy()
    if options.comparisons:
        recipes = [load_recipe(folder / "recipe.toml") for folder in options.comparisons]
        cases = [task_case(recipe, console.bar) for recipe in recipes]
    else:
        tasks, size = size_of(options)
        with tempfile.TemporaryDirectory() as temporary:
            cases = own_cases(tasks, size, options.folder or Path(temporary), console)
    rows = validities(cases)
    headings, lines = picked_lines(rows)
    table = Table(box=None, title=f"{len(cases)} tasks: how often each number picks the better")
    for place, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if place else "left")
    for line in lines:
        table.add_row(*map(Text, line))
    console.print(table)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_json({"tasks": cases, "numbers": [asdict(row) for row in rows]}, options.out)
    result = {
        "tasks": len(cases),
        "variants": max(len(case["arms"]) for case in cases),
        "better_than_chance": [row.key for row in rows if row.beats_chance],
        **{f"picked_{row.key}": row.picked for row in rows},
        **{f"rank_{row.key}": row.rank for row in rows},
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
