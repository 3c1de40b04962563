"""Commands that train and evaluate policies."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from vip_offline.cli._app import (
    POLICY,
    AsJson,
    PoliciesArgument,
    StoreArgument,
    Weights,
    app,
    given,
    progress,
    storable,
    store_path,
)
from vip_offline.cli._options import Part, with_options
from vip_offline.options import (
    CompareOptions,
    Recipe,
    RelabelOptions,
    RolloutOptions,
    TrainOptions,
)
from vip_offline.utils.console import Console, bar

# arms say these themselves
SET_BY_ARMS = Part(without=("algo", "weight_by", "n_steps", "control"))


@app.command(rich_help_panel=POLICY)
@with_options
def train(
    context: typer.Context,
    store: StoreArgument = None,
    *,
    options: TrainOptions,
    training: Annotated[CompareOptions, Part(only=("seeds", "processes"), defaults={"seeds": 1})],
    weights: Weights = "",
    out: Annotated[
        Path | None,
        typer.Option(
            callback=storable, help="Output folder. Default: runs/<store>/<settings>/seed-<seed>."
        ),
    ] = None,
) -> None:
    """Train policies by weighted regression (Eq. 7), through d3rlpy."""
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.deployment.export import ship_if_possible
    from vip_offline.experiments.train import train_stage
    from vip_offline.policies.policy import read_manifest
    from vip_offline.report.terminal.comparison import held_out_table

    console = Console()

    def say(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True)

    folders = train_stage(
        store_path(store),
        options,
        training,
        progress(console),
        say,
        out=out,
        weights=weights,
        suit_data=not given(context) & {"algo", "tau", "weight_by", "target_ess"},
    )
    with bar(console, "make ready for a robot", len(folders), "policy") as advance:
        for folder in folders:
            ship_if_possible(folder, weights, say)
            advance(1)
    for folder in folders:
        say(f"policy -> {folder}")
    if options.hold_out:
        errors = {
            options.seed + index: read_manifest(folder)["held_out_error"]
            for index, folder in enumerate(folders)
        }
        console.print(held_out_table(errors), width=min(80, console.width))


@app.command(rich_help_panel=POLICY)
@with_options
def rollout(
    policies: PoliciesArgument = None,
    *,
    options: RolloutOptions,
    encoder: Annotated[
        str, typer.Option(help="Encoder of the frames. Default: the policy's own.")
    ] = "",
    weights: Annotated[str, typer.Option(help="Checkpoint file of that encoder.")] = "",
    as_table_1: Annotated[
        bool, typer.Option("--as-table-1", help="Print the paper's ± in place of the interval.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run policies closed loop in the simulator, on placements they have not seen."""
    from vip_offline.analysis.closed_loop.conditions import conditions, rate_notes, together
    from vip_offline.deployment.export import note_success
    from vip_offline.policies.policy import find_policies, read_manifest
    from vip_offline.report.terminal.rollouts import rollout_table
    from vip_offline.simulation.metaworld import CONTROL_RATE
    from vip_offline.simulation.rollout import rollout as roll_out

    console, aside = Console(), Console(stderr=True)
    options = replace(options, videos=min(options.videos, options.placements))
    folders, notes = find_policies(policies or [Path("runs")], named=bool(policies)), list[str]()
    with bar(aside, "rollout", 0, "rollout") as advance:
        results = roll_out(
            folders,
            options,
            encoder=encoder,
            weights=weights,
            on_start=lambda total: advance(total=total),
            on_rollout=lambda folder, success: advance(1),
            say=notes.append,
        )
    for note in notes:
        # beside the numbers, whatever these go to
        aside.print(f"note: {note}", highlight=False, soft_wrap=True)
    for folder in results:
        note_success(folder)
    if as_json:
        typer.echo(json.dumps({str(k): asdict(v) for k, v in results.items()}, indent=2))
    else:
        outcomes = {str(k): list(v.success) for k, v in results.items()}
        again = {str(k): v.reattempts for k, v in results.items()}
        by = [together(getattr(v, k) for v in results.values()) for k in ("backend", "processor")]
        computed = conditions(*by)
        console.print(rollout_table(outcomes, again, as_table_1=as_table_1, computed=computed))
    manifests = {str(folder): read_manifest(folder) for folder in results}
    for note in rate_notes(manifests, CONTROL_RATE):
        Console(stderr=as_json).print(f"note: {note}", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=POLICY)
@with_options
def compare(
    store: StoreArgument = None,
    *,
    options: CompareOptions,
    training: Annotated[TrainOptions, SET_BY_ARMS],
    rollouts: Annotated[RolloutOptions, Part(flags={"processes": "--rollout-processes"})],
    weights: Weights = "",
    out: Annotated[
        Path | None,
        typer.Option(callback=storable, help="Output folder. Default: runs/<store>-compare."),
    ] = None,
) -> None:
    """Does the reward help? Arms and controls on the same data, seeds and placements."""
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.dataset.store import open_store
    from vip_offline.encoders.preprocessing import fit_of
    from vip_offline.experiments.compare import labelled_before
    from vip_offline.experiments.run_recipe import check_recipe, compare_stages
    from vip_offline.experiments.stages import check_stage

    path, console = store_path(store), Console()
    check_stage(path, progress(console), console.print)
    folder = out or Path("runs") / f"{path.stem}-compare"
    labelling = open_store(path).label(training.label or labelled_before(folder))
    fit = fit_of(labelling.provenance)
    recipe = Recipe(
        name=path.stem,
        store=str(path),
        out=str(folder),
        relabel=RelabelOptions(labelling.provenance["encoder"], weights=weights, fit=fit),
        train=replace(
            training,
            label=labelling.name,
            # every arm sees the same of a frame
            fit=fit if training.fit == TrainOptions.fit else training.fit,
        ),
        rollout=replace(rollouts, videos=min(rollouts.videos, rollouts.placements)),
        compare=options,
    )
    check_recipe(recipe)
    print_comparison(compare_stages(recipe, progress(console), console.print), recipe, console)


def print_comparison(summary: dict[str, Any], recipe: Recipe, console: Console) -> None:
    """The table of a comparison, and where its page and its numbers lie."""
    from vip_offline.experiments.run_recipe import NUMBERS, REPORT
    from vip_offline.report.terminal import comparison

    console.print()
    comparison.print_comparison(summary, console)
    minutes = ", ".join(f"{stage} {spent:.1f}" for stage, spent in summary["minutes"].items())
    console.print(f"\nminutes: {minutes}", highlight=False)
    for name in (REPORT, NUMBERS):
        console.print(f"-> {Path(recipe.out) / name}", highlight=False, soft_wrap=True)
