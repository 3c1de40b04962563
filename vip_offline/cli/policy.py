"""Commands that train and evaluate policies."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vip_offline.cli import _app as shared
from vip_offline.cli._options import with_options
from vip_offline.options import (
    CompareOptions,
    NpgOptions,
    OnlineOptions,
    OnlineRun,
    PlanOptions,
    PlanRecipe,
    RolloutOptions,
    SacOptions,
    SearchOptions,
    SuccessByOptions,
    TrainOptions,
)
from vip_offline.options.part import Part
from vip_offline.utils.console import Console
from vip_offline.utils.path_arguments import storable


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
    from vip_offline.deployment.export import ship_trained
    from vip_offline.experiments.train import train_stage
    from vip_offline.report.terminal.comparison import print_held_out

    path, console = shared.store_path(store), Console()
    suit_data = not shared.given(context) & {"algo", "tau", "weight_by", "target_ess"}
    folders = train_stage(
        path, options, training, console.bar, console.say, out, weights, suit_data=suit_data
    )
    ship_trained(folders, weights, console.bar, console.say)
    if options.hold_out:
        print_held_out(folders, options.seed, console)


@shared.app.command(rich_help_panel=shared.POLICY)
@with_options
def rollout(
    policies: shared.PoliciesArgument = None,
    *,
    options: RolloutOptions,
    judging: SuccessByOptions,
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
    from vip_offline.experiments.rollout import control_rate_notes, outcome_tables, rollout_stage

    # notes are beside the numbers, whatever these go to
    console, aside = Console(), Console(stderr=True)
    results = rollout_stage(
        policies,
        options,
        aside.bar,
        aside.say,
        judging=judging,
        encoder=encoder,
        weights=weights,
    )
    for folder in results:
        note_success(folder, aside.say)
    if as_json:
        shared.print_json({str(folder): asdict(rolled) for folder, rolled in results.items()})
    else:
        console.print(*outcome_tables(results, as_table_1=as_table_1), sep="\n")
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
    from vip_offline.experiments.recipes.run_recipe import compare_recipe, compare_stages, files_of
    from vip_offline.experiments.stages import check_stage
    from vip_offline.report.terminal.comparison import print_outcome

    path, console = shared.store_path(store), Console()
    check_stage(path, console.bar, console.print)
    folder = out or Path("runs") / f"{path.stem}-compare"
    recipe = compare_recipe(path, folder, options, training, rollouts, weights)
    summary = compare_stages(recipe, console.bar, console.print)
    print_outcome(summary, files_of(recipe), console)


@shared.app.command(rich_help_panel=shared.POLICY)
@with_options
def plan(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Task, such as drawer-close.")],
    *,
    options: PlanOptions,
    search: SearchOptions,
    store: Annotated[
        Path | None, typer.Option(callback=storable, help="Store to write the episodes to, too.")
    ] = None,
    out: Annotated[Path | None, shared.out_option("runs/plan")] = None,
    as_json: shared.AsJson = False,
) -> None:
    """Solve a task from a goal image by planning in the simulator: no demonstration, no policy."""
    from vip_offline.experiments.no_demonstrations.plan import plan_stage
    from vip_offline.report.terminal.plans import print_plans

    console = Console(stderr=as_json)
    recipe = PlanRecipe(options, search, name="plan", out=str(out or "runs/plan"), tasks=(task,))
    summary = plan_stage(recipe, console.bar, console.say, store)
    shared.show(summary, print_plans, console, as_json)


@shared.app.command(rich_help_panel=shared.POLICY)
@with_options
def online(
    task: Annotated[str, typer.Argument(help="Task, such as drawer-close.", show_default=False)],
    *,
    options: OnlineOptions,
    npg: NpgOptions,
    sac: SacOptions,
    out: Annotated[Path | None, shared.out_option("runs/online/<task>-<settings>/seed-<n>")] = None,
) -> None:
    """Learn a policy in the simulator by trial and error, from a goal picture (section 5.1).

    Started again, it continues.
    """
    from vip_offline.experiments.no_demonstrations.online import online_stage

    console, run = Console(), OnlineRun(task, options, npg, sac)
    console.print(online_stage(run, out, console.bar, console.say))
