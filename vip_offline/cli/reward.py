"""Commands that train encoders, and label, judge and export rewards."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vip_offline.cli import _app as shared
from vip_offline.cli._options import with_options
from vip_offline.errors import VipOfflineError
from vip_offline.options import (
    AnalyzeOptions,
    CompareOptions,
    CurateOptions,
    DeleteOptions,
    ExportOptions,
    LookOptions,
    PretrainOptions,
    Recipe,
    RelabelOptions,
    RolloutOptions,
    TrainOptions,
)
from vip_offline.options.part import Part
from vip_offline.utils.console import Console, first_process_prints
from vip_offline.utils.path_arguments import all_named, all_storable


@shared.app.command(rich_help_panel=shared.REWARD)
@with_options
def look(
    videos: Annotated[
        list[Path],
        typer.Argument(callback=all_storable, help="Videos of one task.", show_default=False),
    ],
    *,
    options: LookOptions,
    out: Annotated[Path | None, shared.out_option("runs/look/<name of the video>")] = None,
    as_json: shared.AsJson = False,
) -> None:
    """Draw the distance of each frame of a video to a goal, beside controls.

    Writes a picture (look.png), a film (look.mp4) and every number (look.json).
    """
    from vip_offline.analysis.look import summarise_look
    from vip_offline.experiments.look import look_stage
    from vip_offline.report.terminal.look import print_look

    console = Console(stderr=as_json)
    looks = look_stage(videos, options, out, console.bar, console.print)
    if as_json:
        shared.print_json([summarise_look(video, every_frame=False) for video, _ in looks])
        return
    for video, folder in looks:
        print_look(video, folder, console)


@shared.app.command(rich_help_panel=shared.REWARD)
def encoders() -> None:
    """List the frozen encoders: dimension, licence, and whether their weights are here."""
    from vip_offline.report.terminal.encoders import encoders_table

    Console().print(encoders_table())


@shared.app.command(rich_help_panel=shared.REWARD)
@with_options
def relabel(
    context: typer.Context,
    store: shared.StoreArgument = None,
    *,
    options: RelabelOptions,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a labelling of this name.")
    ] = False,
) -> None:
    """Compute the reward of every transition: how much closer it came to the goal (Eq. 1).

    Embeddings stay in the store, so another goal or reward needs no second pass of the encoder.
    """
    from vip_offline.experiments.stages import encoder_of_store, link_stage, relabel_stage

    console = Console()
    if store is not None:
        link_stage(store, console.bar, console.print)
    path = shared.store_path(store)
    if options.from_ and "encoder" not in shared.given(context):
        options = encoder_of_store(path, options, console.print)
    recipe = Recipe(store=str(path), relabel=options)
    console.print(relabel_stage(recipe, console.bar, console.print, overwrite=overwrite))


@shared.app.command(rich_help_panel=shared.REWARD)
@with_options
def delete(store: shared.StoreArgument = None, *, options: DeleteOptions) -> None:
    """Delete labellings and embeddings from a store. The demonstrations stay."""
    from vip_offline.experiments.delete import delete_stage

    for line in delete_stage(shared.store_path(store), options.labels, options.embeddings):
        typer.echo(line)


@shared.app.command(rich_help_panel=shared.REWARD)
@with_options
def analyze(
    store: shared.StoreArgument = None,
    *,
    options: AnalyzeOptions,
    out: Annotated[Path | None, shared.out_option("runs/<name of the store>/analysis")] = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Write each figure as PNG and SVG, too.")
    ] = False,
    as_json: shared.AsJson = False,
) -> None:
    """Analyse whether the reward measures progress on your demonstrations, before training.

    Writes a page (report.html) and every number (analysis.json).
    """
    from vip_offline.analysis.results import summarise_analysis
    from vip_offline.experiments.analyze import analyze_stage
    from vip_offline.experiments.stages import check_stage
    from vip_offline.report.terminal.analysis import print_analysis

    path, console = shared.store_path(store), Console(stderr=as_json)
    folder = out or Path("runs") / path.stem.removesuffix(".vip") / "analysis"
    check_stage(path, console.bar, console.print)
    analysis, lines = analyze_stage(path, options, folder, console.bar, figures=figures)
    if as_json:
        shared.print_json(summarise_analysis(analysis))
        return
    print_analysis(analysis, console)
    for line in lines:
        console.say(line)


@shared.app.command(rich_help_panel=shared.REWARD)
@with_options
def curate(
    store: shared.StoreArgument = None,
    *,
    options: CurateOptions,
    compared: Annotated[CompareOptions, Part(only=("seeds", "processes"))],
    training: Annotated[TrainOptions, Part(only=("steps", "hold_out"))],
    rollouts: Annotated[RolloutOptions, Part(only=("placements", "horizon"))],
    out: Annotated[Path | None, shared.out_option("runs/<name of the store>/curation")] = None,
) -> None:
    """Rank episodes by how far the reward says they get, and list those to keep.

    Writes a page (curation.html), keep.json for `train --episodes`, and as many at random and the
    shortest as controls.
    """
    from vip_offline.experiments.curate import curate_stage
    from vip_offline.report.terminal.curation import curation_table

    path, console = shared.store_path(store), Console()
    folder = out or Path("runs") / path.stem.removesuffix(".vip") / "curation"
    curation, lines = curate_stage(path, options, folder, console.bar)
    console.print(curation_table(curation))
    kept, ranked = curation.kept, curation.ranked
    console.say(f"curate: {len(kept)} of {len(ranked)} kept; a ? is near the limit: look at it")
    for line in lines:
        console.say(line)
    if not options.prove:
        console.say("This is the reward's opinion; --prove shows whether a policy gets better.")
        return
    from vip_offline.experiments.curate import proof_recipe
    from vip_offline.experiments.recipes.run_recipe import compare_stages, files_of
    from vip_offline.report.terminal.comparison import print_outcome

    train = replace(training, label=options.label)
    recipe = proof_recipe(path, folder, compared, train, rollouts, console.say)
    print_outcome(compare_stages(recipe, console.bar, console.print), files_of(recipe), console)


@shared.app.command(rich_help_panel=shared.REWARD)
@with_options
def pretrain(
    videos: Annotated[
        list[Path],
        typer.Argument(
            callback=all_storable,
            help="Folders of videos or of frames, stores, or a manifest.csv (path,len).",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[Path | None, shared.out_option("runs/<backbone>-<objective>")] = None,
    options: PretrainOptions,
    as_json: shared.AsJson = False,
) -> None:
    """Train your own encoder on videos by VIP, TCN or LSTD (paper, section 4).

    Use the result by `relabel --encoder BACKBONE --weights OUT/model.pt`.

    Started again, it continues. On several GPUs or nodes, start it by
    `torchrun --nproc_per_node N -m vip_offline pretrain ...`
    """
    from vip_offline.pretraining.run import pretrain_stage, summary_of
    from vip_offline.report.terminal.encoders import print_validation

    folder = out or Path("runs") / f"{options.backbone}-{options.objective}"
    console = Console(stderr=as_json)
    with first_process_prints(console) as shown:
        result = pretrain_stage(videos, options, folder, shown.bar, shown.print)
        if as_json and shown is console:
            shared.print_json(summary_of(result, options))
        elif not as_json:
            print_validation(summary_of(result, options), shown)
            shown.say(f"-> {result.trained.model}")


@shared.app.command(rich_help_panel=shared.REWARD)
@with_options
def export(
    paths: Annotated[
        list[Path],
        typer.Argument(
            callback=all_named,
            metavar="[STORE] OUT",
            help="A labelled store, by default the only one under datasets/; the file or folder "
            "to write.",
            show_default=False,
        ),
    ],
    to: Annotated[
        str,
        typer.Option(help="Format: lerobot-progress, lerobot, robomimic, minari, zarr or d3rlpy."),
    ],
    *,
    options: ExportOptions,
) -> None:
    """Export the rewards, in the format of your data or in another one."""
    from vip_offline.experiments.export_data import export_stage
    from vip_offline.experiments.stages import check_stage

    *stores, out = paths
    if len(stores) > 1:
        raise VipOfflineError(f"{len(paths)} paths given; expected [STORE] OUT.")
    console, store = Console(), shared.store_path(stores[0] if stores else None)
    check_stage(store, console.bar, console.print)
    console.print(export_stage(store, out, to, options.label, console.bar, console.print))
