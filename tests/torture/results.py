"""Trials on disk, one JSON line each, and the table of them."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from .launch import PACKAGE
from .trials import Trial

TRIALS, COUNTS = "trials.jsonl", "counts.json"
SHORT = {
    "kill at a change": "kill#",
    "int at a change": "int#",
    "disk full": "full",
    "no inodes": "inode",
    "read-only": "ro",
    "two at once": "two",
    "copied": "copy",
}


def code_of() -> str:
    """By which the package that was tried is known: a hash of its sources."""
    made = hashlib.blake2b(digest_size=6)
    for path in sorted(PACKAGE.rglob("*.py")):
        made.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return made.hexdigest()


def keep(state: Path, trial: Trial, code: str) -> None:
    """Add a trial."""
    with (state / TRIALS).open("a", encoding="utf-8") as file:
        file.write(json.dumps({**asdict(trial), "code": code}) + "\n")


def kept(state: Path, code: str) -> tuple[list[Trial], int]:
    """Trials of this code, and how many of another one there are."""
    path = state / TRIALS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    ours, others = [], 0
    for line in lines:
        try:
            said: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue  # cut off where a run was stopped
        if said.pop("code") != code:
            others += 1
            continue
        ours.append(Trial(**{**said, "wrong": tuple(said["wrong"])}))
    return ours, others


def counts(trials: Iterable[Trial]) -> dict[str, Any]:
    """Per command and fault: trials, those that met the command at work, those passed."""
    rows: dict[str, dict[str, dict[str, int]]] = {}
    total = {"trials": 0, "hit": 0, "passed": 0}
    for trial in trials:
        cell = rows.setdefault(trial.command, {}).setdefault(
            trial.fault, {"trials": 0, "hit": 0, "passed": 0}
        )
        for each in (cell, total):
            each["trials"] += 1
            each["hit"] += trial.hit
            each["passed"] += not trial.wrong
    return {"total": total, "commands": rows}


def table(trials: Sequence[Trial]) -> Table:
    """Passed of trials, per command and fault; 80 columns wide."""
    rows = counts(trials)["commands"]
    faults = list(dict.fromkeys(fault for cells in rows.values() for fault in cells))
    shown = Table(box=None, width=80, padding=(0, 1, 0, 0), pad_edge=False)
    shown.add_column("passed of trials", overflow="fold")
    for fault in faults:
        shown.add_column(SHORT.get(fault, fault), justify="right", no_wrap=True)
    for command, cells in rows.items():
        line = [Text(command)]
        for fault in faults:
            cell = cells.get(fault)
            if cell is None:
                line.append(Text("-", style="dim"))
            elif cell["passed"] == cell["trials"]:
                line.append(Text(str(cell["trials"])))
            else:
                line.append(Text(f"{cell['passed']}/{cell['trials']}", style="bold red"))
        shown.add_row(*line)
    return shown


def failures(trials: Iterable[Trial]) -> list[str]:
    """One line per kind of failure, with the trial that showed it first."""
    first: dict[tuple[str, str, str], tuple[Trial, int]] = {}
    for trial in trials:
        for wrong in trial.wrong:
            key = trial.command, trial.fault, wrong.split(":")[0]
            shown, count = first.get(key, (trial, 0))
            first[key] = shown, count + 1
    return [
        f"{command}, {fault}, seed {trial.seed} ({trial.how}), {count} of the kind: "
        + next(each for each in trial.wrong if each.split(":")[0] == kind)
        for (command, fault, kind), (trial, count) in first.items()
    ]
