"""What runs of `plan` were worth: of an episode, of a task and reward, of a reward over tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from vip_offline.analysis.closed_loop.statistics import mean_interval, success_interval
from vip_offline.options import nuisance_text
from vip_offline.planning.episode import Trajectory
from vip_offline.planning.goals import Goal
from vip_offline.planning.metrics import agreement, cumulative, first_solved, pose_error
from vip_offline.simulation.simulators import kind_of
from vip_offline.utils.arrays import Floats


def episode_numbers(
    task: str, trajectory: Trajectory, distances: Floats | None, goal: Goal
) -> dict[str, Any]:
    """What an episode was worth, as JSON values; what is not known is None."""
    errors: dict[str, Any] = {"robot_error": None, "object_error": None}
    if goal.state is not None:
        kind, states = kind_of(task), trajectory.states[1:]
        errors = {
            "robot_error": _rounded(pose_error(states, goal.state, kind.robot_columns)),
            "object_error": _rounded(pose_error(states, goal.state, kind.object_columns)),
        }
    agreed = None if distances is None else agreement(distances, trajectory.rewards)
    known = agreed is not None and np.isfinite(agreed.pearson)
    return {
        "success": bool(trajectory.solved.any()),
        "first_solved": first_solved(trajectory.solved),
        "solved": trajectory.solved.tolist(),
        **errors,
        "distance": None if distances is None else _rounded(distances),
        "dense_reward": _rounded(trajectory.rewards),
        "score_spread": _rounded(trajectory.spread),
        "pearson": round(agreed.pearson, 4) if known and agreed else None,
        "spearman": round(agreed.spearman, 4) if known and agreed else None,
        "r_squared": round(agreed.r_squared, 4) if known and agreed else None,
    }


def _rounded(values: Floats) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def summarise_cell(numbers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One task, view and encoder over its seeds.

    Args:
        numbers: of each run, at least one.

    Returns:
        JSON values: success at any step with Wilson's 95 % interval over the seeds, medians of the
        steps it took, and means of all else; errors are (T,).
    """
    settings, successes = numbers[0]["settings"], sum(run["success"] for run in numbers)
    low, high = success_interval(successes, len(numbers))
    solved = np.array([run["solved"] for run in numbers])
    steps = [run["first_solved"] for run in numbers if run["first_solved"] is not None]
    summary: dict[str, Any] = {
        key: settings[key] for key in ("task", "view", "encoder", "start", "sequences", "optimizer")
    }
    errors = {
        key: [run[key] for run in numbers if run[key]] for key in ("robot_error", "object_error")
    }
    return summary | {
        "nuisance": nuisance_text(settings),
        "episodes": len(numbers),
        "successes": successes,
        "success": successes / len(numbers),
        "low": low,
        "high": high,
        "per_step": solved.mean(axis=0).tolist(),
        "cumulative": cumulative(solved).mean(axis=0).tolist(),
        "median_steps": float(np.median(steps)) if steps else None,
        "outcomes": [run["success"] for run in numbers],
        **{key: np.mean(rows, axis=0).tolist() if rows else None for key, rows in errors.items()},
        **{f"last_{key}": _mean([row[-1] for row in rows]) for key, rows in errors.items()},
        "pearson": _mean([run["pearson"] for run in numbers]),
        "spearman": _mean([run["spearman"] for run in numbers]),
        "seconds_per_step": _mean([run["seconds"] / len(run["solved"]) for run in numbers]),
    }


def summarise(cells: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """A whole recipe.

    Args:
        cells: of each task, view, reward and number of sequences the numbers of its runs.

    Returns:
        JSON values: ``cells``, see `summarise_cell`, and ``rewards``, see `summarise_rewards`.
    """
    summaries = [summarise_cell(cell) for cell in cells]
    return {"cells": summaries, "rewards": summarise_rewards(summaries)}


def summarise_rewards(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each reward, number of sequences and view over all tasks, as the paper's figures.

    Args:
        cells: what `summarise_cell` gives, all of as many seeds.

    Returns:
        JSON values: success at any step, with its 95 % interval over seeds *and* tasks, both of
        them seen as samples; none with one seed.
    """
    rewards = []
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["encoder"], cell["sequences"], cell["view"]), []).append(cell)
    for (encoder, sequences, view), own in groups.items():
        # (S, tasks)
        estimate = mean_interval(np.array([cell["outcomes"] for cell in own], bool).T)
        bounds = {
            key: None if np.isnan(value) else value
            for key, value in asdict(estimate).items()
            if key in ("low", "high")
        }
        steps = [cell["median_steps"] for cell in own if cell["median_steps"] is not None]
        rewards.append(
            {
                "encoder": encoder,
                "sequences": sequences,
                "view": view,
                "tasks": len(own),
                "episodes": sum(cell["episodes"] for cell in own),
                "success": estimate.mean,
                **bounds,
                "median_steps": float(np.median(steps)) if steps else None,
                "pearson": _mean([cell["pearson"] for cell in own]),
                "seconds_per_step": _mean([cell["seconds_per_step"] for cell in own]),
            }
        )
    return rewards


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
