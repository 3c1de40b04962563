"""Commands that train encoders, and label, judge and export rewards."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from vip_offline.cli._app import (
    REWARD,
    AsJson,
    StoreArgument,
    all_named,
    all_storable,
    app,
    first_process_prints,
    progress,
    storable,
    store_path,
)
from vip_offline.cli._options import Part, with_options
from vip_offline.errors import VipOfflineError
from vip_offline.options import (
    AnalyzeOptions,
    PretrainOptions,
    Recipe,
    RelabelOptions,
    TrainOptions,
)
from vip_offline.utils.console import Console


@app.command(rich_help_panel=REWARD)
def encoders() -> None:
    """List the frozen encoders: dimension, licence, and whether their weights are here."""
    from vip_offline.encoders.registry import ENCODERS, here

    table = Table(box=None, width=80)
    for heading in ("encoder", "dim", "weights", "licence", "here"):
        table.add_column(heading, justify="right" if heading == "dim" else "left", overflow="fold")
    for name, entry in ENCODERS.items():
        elsewhere = "download" if entry.origin and entry.origin.url else "--weights"
        is_here = "yes" if here(name) else elsewhere
        table.add_row(name, str(entry.dim), entry.weights, entry.licence, is_here)
    Console().print(table)


@app.command(rich_help_panel=REWARD)
@with_options
def relabel(
    store: StoreArgument = None,
    *,
    options: RelabelOptions,
    overwrite: Annotated[bool, typer.Option(help="Replace a labelling of this name.")] = False,
) -> None:
    """Write the reward of every transition: how much closer it came to the goal (Eq. 1).

    The embeddings stay in the store: another goal or reward takes no time.
    """
    from vip_offline.experiments.stages import link_stage, relabel_stage

    console = Console()
    if store is not None:
        link_stage(store, progress(console), console.print)
    recipe = Recipe(store=str(store_path(store)), relabel=options)
    done = relabel_stage(recipe, progress(console), console.print, overwrite=overwrite)
    console.print(done)


@app.command(rich_help_panel=REWARD)
def delete(
    store: StoreArgument = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Labelling to delete; may be repeated.", show_default=False),
    ] = None,
    embedding: Annotated[
        list[str] | None,
        typer.Option(
            help="Embedding to delete: ENCODER/CAMERA, or ENCODER for all cameras; may be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Delete labellings and embeddings from a store; the demonstrations stay."""
    from vip_offline.experiments.delete import delete_stage

    for line in delete_stage(store_path(store), label or (), embedding or ()):
        typer.echo(line)


@app.command(rich_help_panel=REWARD)
@with_options
def analyze(
    store: StoreArgument = None,
    *,
    options: AnalyzeOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            callback=storable,
            help="Output folder. Default: runs/<name of the store>/analysis.",
        ),
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Write each figure as PNG and SVG, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether a labelling's reward means progress on these demonstrations, before training.

    Writes a page (report.html) and every number (analysis.json).
    """
    from vip_offline.experiments.analyze import analyze_stage
    from vip_offline.experiments.stages import check_stage

    path = store_path(store)
    folder = out or Path("runs") / path.stem.removesuffix(".vip") / "analysis"
    console = Console(stderr=as_json)
    check_stage(path, progress(console), console.print)
    analysis, lines = analyze_stage(path, options, folder, progress(console), figures=figures)
    if as_json:
        from vip_offline.analysis.results import summarise

        typer.echo(json.dumps(summarise(analysis), indent=2, ensure_ascii=False))
        return
    from vip_offline.report.terminal.analysis import print_analysis

    print_analysis(analysis, console)
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


@app.command(rich_help_panel=REWARD)
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
    out: Annotated[
        Path | None,
        typer.Option(
            callback=storable, help="Output folder. Default: runs/<backbone>-<objective>."
        ),
    ] = None,
    options: PretrainOptions,
    as_json: AsJson = False,
) -> None:
    """Train an encoder of your own on videos, by VIP, TCN or LSTD (paper, section 4).

    The result loads by `relabel --encoder BACKBONE --weights OUT/model.pt`.

    Started again, it goes on. On several GPUs or nodes it is started by
    `torchrun --nproc_per_node N -m vip_offline pretrain ...`
    """
    from vip_offline.pretraining.run import pretrain_stage, summary
    from vip_offline.report.terminal.encoders import print_validation

    folder = out or Path("runs") / f"{options.backbone}-{options.objective}"
    console = Console(stderr=as_json)
    with first_process_prints(console) as shown:
        result = pretrain_stage(videos, options, folder, progress(shown), shown.print)
        description = summary(result, options)
        if as_json and shown is console:
            typer.echo(json.dumps(description, indent=2))
        elif not as_json:
            print_validation(description, shown)
            shown.print(f"-> {result.trained.model}", soft_wrap=True, highlight=False)


@app.command(rich_help_panel=REWARD)
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
    options: Annotated[TrainOptions, Part(only=("label",))],
) -> None:
    """Give the rewards back, in the format that your data came in or another one."""
    from vip_offline.experiments.export_data import export_stage
    from vip_offline.experiments.stages import check_stage

    *stores, out = paths
    if len(stores) > 1:
        raise VipOfflineError(f"{len(paths)} paths given; expected [STORE] OUT.")
    console, store = Console(), store_path(stores[0] if stores else None)
    check_stage(store, progress(console), console.print)
    console.print(export_stage(store, out, to, options.label, progress(console), console.print))
