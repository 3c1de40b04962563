"""Rollouts of policies by the command of this name, with notes and a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from vip_offline.analysis.closed_loop.conditions import conditions, joined_names, rate_notes
from vip_offline.experiments.stages import download_stage
from vip_offline.options import RolloutOptions, SuccessByOptions, nuisance_text
from vip_offline.policies.policy import find_policies, read_manifest
from vip_offline.report.terminal.rollouts import rollout_table
from vip_offline.report.terminal.success import judged_table
from vip_offline.rewards.success.judge import Judge
from vip_offline.rewards.success.model import load_success_model
from vip_offline.simulation.rollout import Rollouts, rollout
from vip_offline.simulation.simulators import check_task, kind_of
from vip_offline.utils.console import Bar


def rollout_stage(
    policies: Sequence[Path] | None,
    options: RolloutOptions,
    bar: Bar,
    say: Callable[[str], None],
    *,
    judging: SuccessByOptions | None = None,
    encoder: str = "",
    weights: str = "",
) -> dict[Path, Rollouts]:
    """Roll out policies on unseen placements.

    Args:
        policies: folders; None: the only ones under ``runs/``.
        options: placements and processes; at most all placements are filmed.
        bar: of progress.
        say: called with notes that belong beside the numbers.
        judging: success model that judges the rollouts, too.
        encoder: of the frames; empty: the policy's own.
        weights: checkpoint file of that encoder.

    Raises:
        VipOfflineError: see `rollout` and `Judge.load`.
    """
    folders, notes = find_policies(policies or [Path("runs")], named=bool(policies)), list[str]()
    judge = None
    if judging and judging.success_by:
        judge = _judge(judging.success_by, judging.success_weights, folders, bar, say)
    with bar("rollout", 0, "rollout") as advance:
        results = rollout(
            folders,
            replace(options, videos=min(options.videos, options.placements)),
            encoder=encoder,
            weights=weights,
            judge=judge,
            on_start=lambda total: advance(total=total),
            on_rollout=lambda folder, success: advance(1),
            say=notes.append,
        )
    for note in notes:
        say(f"note: {note}")
    return results


def _judge(
    path: Path, weights: str, folders: Sequence[Path], bar: Bar, say: Callable[[str], None]
) -> Judge:
    """Load a success model; say what it does to rollouts, and where it learned another task."""
    model = load_success_model(path)
    if not weights:
        download_stage(model.encoder, bar)
    say(
        f"note: --success-by: a rollout goes on for {model.hold} steps after its first success, "
        "which stays what is counted"
    )
    tasks = sorted({str(read_manifest(folder)["task"]) for folder in folders} - {model.task})
    if tasks:
        say(f"note: the success model learned the task {model.task!r}, not {', '.join(tasks)}")
    return Judge.load(path, weights, on_prepare=say)


def outcome_tables(results: Mapping[Path, Rollouts], *, as_table_1: bool) -> list[Table]:
    """Success of each policy, and what it was computed by; verdicts of a success model, if any."""
    outcomes = {str(folder): list(rolled.success) for folder, rolled in results.items()}
    again = {str(folder): rolled.reattempts for folder, rolled in results.items()}
    backend = joined_names(rolled.backend for rolled in results.values())
    processor = joined_names(rolled.processor for rolled in results.values())
    nuisances = {nuisance_text(vars(rolled)) for rolled in results.values()}
    computed = conditions(backend, processor, " or ".join(sorted(nuisances)))
    table = rollout_table(outcomes, again, as_table_1=as_table_1, computed=computed)
    judged = {str(folder): rolled.judged for folder, rolled in results.items() if rolled.judged}
    return [table, *(judged_table(name, asdict(by)) for name, by in judged.items())]


def control_rate_notes(folders: Sequence[Path]) -> list[str]:
    """Where policies were trained at another control rate than the simulator's."""
    by_rate: dict[float, dict[str, dict[str, Any]]] = {}
    for folder in folders:
        manifest = read_manifest(folder)
        rate = kind_of(check_task(manifest["task"])).control_rate
        by_rate.setdefault(rate, {})[str(folder)] = manifest
    return [note for rate, manifests in by_rate.items() for note in rate_notes(manifests, rate)]
