"""Commands that train and evaluate policies."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vip_offline.cli import _app as shared
from vip_offline.cli._options import with_options
from vip_offline.options import CompareOptions, RolloutOptions, TrainOptions
from vip_offline.options.part import Part
from vip_offline.utils.console import Console


@shared.app.command(rich_help_panel=shared.POLICY)
@with_options
def train(
    context: typer.Context,
    store: shared.StoreArgument = None,
    *,
    options: TrainOptions,
    training: Annotated[
        CompareOptions, Part(only=("seeds", "processes", "device"), defaults={"seeds": 1})
    ],
    weights: shared.Weights = "",
    out: Annotated[Path | None, shared.out_option("runs/<store>/<settings>/seed-<seed>")] = None,
) -> None:
    """Train policies on a labelled store, weighting its transitions by the reward (Eq. 7)."""
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.deployment.export import ship_if_possible
    from vip_offline.experiments.train import train_stage
    from vip_offline.policies.policy import read_manifest
    from vip_offline.report.terminal.comparison import held_out_table

    path, console = shared.store_path(store), Console()
    suit_data = not shared.given(context) & {"algo", "tau", "weight_by", "target_ess"}
    folders = train_stage(
        path, options, training, console.bar, console.say, out, weights, suit_data=suit_data
    )
    with console.bar("make ready for a robot", len(folders), "policy") as advance:
        for folder in folders:
            ship_if_possible(folder, weights, console.say)
            advance(1)
    for folder in folders:
        console.say(f"policy -> {folder}")
    if options.hold_out:
        errors = [read_manifest(folder)["held_out_error"] for folder in folders]
        table = held_out_table(dict(enumerate(errors, options.seed)))
        console.print(table, width=min(80, console.width))


@shared.app.command(rich_help_panel=shared.POLICY)
@with_options
def rollout(
    policies: shared.PoliciesArgument = None,
    *,
    options: RolloutOptions,
    encoder: Annotated[
        str, typer.Option(help="Encoder of the frames. Default: the policy's own.")
    ] = "",
    weights: Annotated[str, typer.Option(help="Checkpoint file of that encoder.")] = "",
    as_table_1: Annotated[
        bool, typer.Option("--as-table-1", help="Print the paper's ± in place of the interval.")
    ] = False,
    as_json: shared.AsJson = False,
) -> None:
    """Run policies closed loop in the simulator, on unseen object placements."""
    from vip_offline.deployment.export import note_success
    from vip_offline.experiments.rollout import control_rate_notes, outcome_table, rollout_stage

    # notes are beside the numbers, whatever these go to
    console, aside = Console(), Console(stderr=True)
    results = rollout_stage(
        policies, options, aside.bar, aside.say, encoder=encoder, weights=weights
    )
    for folder in results:
        note_success(folder, aside.say)
    if as_json:
        shared.print_json({str(folder): asdict(rolled) for folder, rolled in results.items()})
    else:
        console.print(outcome_table(results, as_table_1=as_table_1))
    for note in control_rate_notes([*results]):
        (aside if as_json else console).say(f"note: {note}")


@shared.app.command(rich_help_panel=shared.POLICY)
@with_options
def compare(
    store: shared.StoreArgument = None,
    *,
    options: CompareOptions,
    # the others are what arms differ in
    training: Annotated[TrainOptions, Part(without=("algo", "weight_by", "n_steps", "control"))],
    rollouts: Annotated[RolloutOptions, Part(flags={"processes": "--rollout-processes"})],
    weights: shared.Weights = "",
    out: Annotated[Path | None, shared.out_option("runs/<store>-compare")] = None,
) -> None:
    """Compare policies trained with and without the reward, and controls, on the same data."""
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.experiments.run_recipe import compare_recipe, compare_stages, files_of
    from vip_offline.experiments.stages import check_stage
    from vip_offline.report.terminal.comparison import print_outcome

    path, console = shared.store_path(store), Console()
    check_stage(path, console.bar, console.print)
    folder = out or Path("runs") / f"{path.stem}-compare"
    recipe = compare_recipe(path, folder, options, training, rollouts, weights)
    summary = compare_stages(recipe, console.bar, console.print)
    print_outcome(summary, files_of(recipe), console)
