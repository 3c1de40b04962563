"""Rollouts of policies by the command of this name, with notes and a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from vip_offline.analysis.closed_loop.conditions import conditions, joined_names, rate_notes
from vip_offline.options import RolloutOptions, nuisance_text
from vip_offline.policies.policy import find_policies, read_manifest
from vip_offline.report.terminal.rollouts import rollout_table
from vip_offline.simulation.rollout import Rollouts, rollout
from vip_offline.simulation.simulators import check_task, kind_of
from vip_offline.utils.console import Bar


def rollout_stage(
    policies: Sequence[Path] | None,
    options: RolloutOptions,
    bar: Bar,
    say: Callable[[str], None],
    *,
    encoder: str = "",
    weights: str = "",
) -> dict[Path, Rollouts]:
    """Roll out policies on unseen placements.

    Args:
        policies: folders; None: the only ones under ``runs/``.
        options: placements and processes; at most all placements are filmed.
        bar: of progress.
        say: called with notes that belong beside the numbers.
        encoder: of the frames; empty: the policy's own.
        weights: checkpoint file of that encoder.

    Raises:
        VipOfflineError: see `rollout`.
    """
    folders, notes = find_policies(policies or [Path("runs")], named=bool(policies)), list[str]()
    with bar("rollout", 0, "rollout") as advance:
        results = rollout(
            folders,
            replace(options, videos=min(options.videos, options.placements)),
            encoder=encoder,
            weights=weights,
            on_start=lambda total: advance(total=total),
            on_rollout=lambda folder, success: advance(1),
            say=notes.append,
        )
    for note in notes:
        say(f"note: {note}")
    return results


def outcome_table(results: Mapping[Path, Rollouts], *, as_table_1: bool) -> Table:
    """Success of each policy, and what it was computed by."""
    outcomes = {str(folder): list(rolled.success) for folder, rolled in results.items()}
    again = {str(folder): rolled.reattempts for folder, rolled in results.items()}
    backend = joined_names(rolled.backend for rolled in results.values())
    processor = joined_names(rolled.processor for rolled in results.values())
    nuisances = {nuisance_text(vars(rolled)) for rolled in results.values()}
    computed = conditions(backend, processor, " or ".join(sorted(nuisances)))
    return rollout_table(outcomes, again, as_table_1=as_table_1, computed=computed)


def control_rate_notes(folders: Sequence[Path]) -> list[str]:
    """Where policies were trained at another control rate than the simulator's."""
    by_rate: dict[float, dict[str, dict[str, Any]]] = {}
    for folder in folders:
        manifest = read_manifest(folder)
        rate = kind_of(check_task(manifest["task"])).control_rate
        by_rate.setdefault(rate, {})[str(folder)] = manifest
    return [note for rate, manifests in by_rate.items() for note in rate_notes(manifests, rate)]
