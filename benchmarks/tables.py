"""What a table recipe costs beyond its parts, what two processes gain, what a kill loses.

``python -m benchmarks.tables [--quick]`` makes a table of two encoders, one task and one seed from
nothing, several times, each in a folder of its own: with one process, with two, and with two but
killed at a random moment and started again. ``--quick`` does so once, with a smaller table.

Last line: one JSON object with

- ``parallel_speedup``: wall-clock time of one process over that of two;
- ``resume_loss``: time of the killed run and the one that goes on, over that of the whole one, less
  1: what a kill costs;
- ``overhead``: time of one process over the sum of its parts alone (recording, labelling, each
  cell), less 1.

A process start, with its imports, is 2 to 4 s of each part, so `--quick` shows mostly those.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from rich.table import Table

from vip_offline.config import dump
from vip_offline.experiments.recipes.table import cells_of, prepare, train_and_roll_out
from vip_offline.experiments.stages import record_stage
from vip_offline.options import (
    CompareOptions,
    RecordOptions,
    RolloutOptions,
    TableOptions,
    TableRecipe,
    TrainOptions,
)
from vip_offline.utils.console import Console, quiet_bar

ROWS = ("VIP-RWR=vip-mini/rwr-return", "pixels-RWR=pixels/rwr-return")
FULL = TableRecipe(
    TableOptions(ROWS),
    name="table",
    tasks=("drawer-close=10+20",),
    train=TrainOptions(steps=5_000),
    rollout=RolloutOptions(placements=20),
    compare=CompareOptions(seeds=1),
)
QUICK = replace(
    FULL,
    tasks=("drawer-close=3+2",),
    record=RecordOptions(image_size=64),
    train=TrainOptions(steps=1_000, hidden=(64,)),
    rollout=RolloutOptions(placements=4, horizon=60),
)


def recipe_in(folder: Path, size: TableRecipe, processes: int) -> TableRecipe:
    """The table, in a folder."""
    return replace(
        size,
        out=str(folder / "out"),
        folder=str(folder / "data"),
        table=replace(size.table, processes=processes),
    )


def started(folder: Path, recipe: TableRecipe) -> subprocess.Popen[bytes]:
    """A process that makes the table."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "table.toml"
    path.write_text(dump(recipe))
    command = [sys.executable, "-m", "vip_offline", "run", str(path)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


def whole(folder: Path, size: TableRecipe, processes: int) -> float:
    """Seconds of a table from nothing."""
    begin = time.perf_counter()
    if started(folder, recipe_in(folder, size, processes)).wait():
        raise SystemExit(f"the table in {folder} failed")
    return time.perf_counter() - begin


def killed(folder: Path, size: TableRecipe, after: float) -> float:
    """Seconds of a table that is killed, and of the run that goes on."""
    begin = time.perf_counter()
    process = started(folder, recipe_in(folder, size, 2))
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    spent = time.perf_counter() - begin
    return spent + whole(folder, size, 2)


def parts(folder: Path, size: TableRecipe) -> float:
    """Seconds of recording, labelling and each cell, one after the other in this process."""
    recipe = recipe_in(folder, size, 1)
    cells = list(dict.fromkeys(cells_of(recipe).values()))
    begin = time.perf_counter()
    record_stage(cells[0].recipe, quiet_bar, 1)
    for cell in cells:
        prepare([cell], recipe.in_domain)
        train_and_roll_out(cell)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    options, console = parser.parse_args(), Console(width=80)
    size, turns = (QUICK, 1) if options.quick else (FULL, 3)
    moment = random.Random(0)
    seconds: dict[str, list[float]] = {"one": [], "two": [], "killed": [], "parts": []}
    with tempfile.TemporaryDirectory() as temporary:
        for turn in range(turns):
            folder = Path(temporary) / str(turn)
            seconds["two"].append(whole(folder / "two", size, 2))
            seconds["one"].append(whole(folder / "one", size, 1))
            after = moment.uniform(0.2, 0.9) * seconds["two"][-1]
            seconds["killed"].append(killed(folder / "killed", size, after))
            seconds["parts"].append(parts(folder / "parts", size))
    middle = {name: median(values) for name, values in seconds.items()}
    table = Table(box=None, title=f"a table of two encoders, one task, one seed ({turns} turns)")
    table.add_column("")
    table.add_column("seconds", justify="right")
    for name, what in (
        ("parts", "recording, labelling and cells, each alone"),
        ("one", "one process"),
        ("two", "two processes; on two cores no less than half of the parts"),
        ("killed", "two processes, killed once and gone on with"),
    ):
        table.add_row(what, f"{middle[name]:.1f}")
    console.print(table)
    result = {
        "parallel_speedup": middle["one"] / middle["two"],
        "resume_loss": middle["killed"] / middle["two"] - 1,
        "overhead": middle["one"] / middle["parts"] - 1,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
