"""Online trainings of a recipe, one after the other, and what they came to over their seeds."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.analysis.closed_loop.statistics import Estimate, mean_interval, paired_difference
from vip_offline.config import dump
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.no_demonstrations.online import check_run, default_folder, online_stage
from vip_offline.online.run_folder import PROGRESS, SUMMARY
from vip_offline.options import OnlineRecipe, OnlineRun
from vip_offline.report.figures.online import save_trainings
from vip_offline.training.checkpoint import read_checkpoint
from vip_offline.utils.console import Bar
from vip_offline.utils.files import read_json, replace_file, require_writable, write_json

TRAININGS = "trainings.json"


def run_online_recipe(recipe: OnlineRecipe, bar: Bar, say: Callable[[str], None]) -> dict[str, Any]:
    """Do the trainings that are not done, and go on with those that were interrupted.

    Args:
        recipe: with the folder of the runs.
        bar: of progress of one training, in environment steps.
        say: called with sentences for the user.

    Returns:
        The summary, also written to the recipe's folder with a figure.

    Raises:
        VipOfflineError: see `online_stage`; all trainings are checked before the first begins.
    """
    out = Path(recipe.out)
    checked = ([check_run(run) for run in group] for group in recipe.groups())
    # a task or an encoder that is named twice, or an encoder that nobody looks through
    groups = [*{_folder(out, group[0]): group for group in checked}.values()]
    for run in (run for group in groups for run in group):
        _check_length(_folder(out, run), run)
    require_writable(out)
    replace_file(out / "recipe.toml", dump(recipe).encode())
    runs = [run for group in groups for run in group]
    for number, run in enumerate(runs, 1):
        say(f"training {number} of {len(runs)}")
        online_stage(run, _folder(out, run), bar, say)
    trainings = [
        summarise_training(group, [_ended(_folder(out, run)) for run in group]) for group in groups
    ]
    summary = {
        "placements": recipe.online.placements,
        "trainings": trainings,
        "differences": differences(trainings),
    }
    write_json(summary, out / TRAININGS)
    save_trainings(trainings, out)
    return summary


def _folder(out: Path, run: OnlineRun) -> Path:
    return out.joinpath(*default_folder(run).parts[-2:])


def _check_length(folder: Path, run: OnlineRun) -> None:
    """Refuse a training that went further than the others will.

    Raises:
        VipOfflineError: naming its folder.
    """
    checkpoint = read_checkpoint(folder) if folder.is_dir() else None
    if checkpoint and (steps := int(checkpoint.metrics[-1]["steps"])) > run.total_steps:
        raise VipOfflineError(
            f"{folder}: holds a training of {steps:,} steps, the recipe asks for "
            f"{run.total_steps:,} with the warm-up. Raise steps to that, or choose another out."
        )


def _ended(folder: Path) -> dict[str, Any]:
    """What a training left."""
    lines = [json.loads(line) for line in (folder / PROGRESS).read_text().splitlines()]
    return {**(read_json(folder / SUMMARY) or {}), "progress": lines}


def summarise_training(
    runs: Sequence[OnlineRun], ended: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One task and reward over its seeds.

    Args:
        runs: that differ in their seeds.
        ended: of each, what stands in its ``online.json`` and as ``progress`` in its lines.

    Returns:
        JSON values: success at the start, at the end and what was gained, with 95 % intervals over
        seeds and placements (none with one seed), and the curves.
    """
    start, end = (
        np.array([run[key]["outcomes"] for run in ended], bool) for key in ("start", "end")
    )
    # a training that was prolonged was also evaluated where it ended before
    rates = [{line["steps"]: line["success"] for line in run["progress"] if "success" in line}
             for run in ended]  # fmt: skip
    evaluated = [steps for steps in rates[0] if all(steps in rate for rate in rates)]
    first = runs[0]
    return {
        "task": first.task,
        "algo": first.online.algo,
        "reward": first.online.reward,
        "encoder": first.online.encoder,
        "observe": first.online.observe,
        "seeds": len(runs),
        "steps": ended[0]["end"]["steps"],
        "start": _numbers(mean_interval(start)),
        "end": _numbers(mean_interval(end)),
        "gain": _numbers(paired_difference(end, start)),
        "outcomes": end.tolist(),
        "evaluated_steps": evaluated,
        "success": [[rate[steps] for steps in evaluated] for rate in rates],
        "trained_steps": [line["steps"] for line in ended[0]["progress"]],
        "return": [[line["return_mean"] for line in run["progress"]] for run in ended],
        "train_success": [[line["train_success"] for line in run["progress"]] for run in ended],
        "seconds": [sum(line["seconds"] for line in run["progress"]) for run in ended],
    }


def differences(trainings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Success at the end of the first training of a task less that of each other one.

    Returns:
        JSON values: ``a`` and ``b`` (places in the list), and the paired difference over seeds and
        placements with its 95 % interval.
    """
    rows = []
    for b, training in enumerate(trainings):
        a = next(i for i, first in enumerate(trainings) if first["task"] == training["task"])
        if a < b:
            ours, theirs = (np.array(trainings[i]["outcomes"], bool) for i in (a, b))
            rows.append({"a": a, "b": b, **_numbers(paired_difference(ours, theirs))})
    return rows


def _numbers(estimate: Estimate) -> dict[str, Any]:
    values = {key: asdict(estimate)[key] for key in ("mean", "low", "high")}
    return {key: None if np.isnan(value) else value for key, value in values.items()}
