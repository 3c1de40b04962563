"""Commands that learn to see success, and label by it."""

from pathlib import Path
from typing import Annotated

import typer

from vip_offline.cli import _app as shared
from vip_offline.cli._options import with_options
from vip_offline.options import SuccessApplyOptions, SuccessFitOptions
from vip_offline.utils.console import Console
from vip_offline.utils.path_arguments import all_named, named, storable

success = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
shared.app.add_typer(
    success,
    name="success",
    help="Learn from labelled episodes or goal pictures what success looks like; label by it.",
    rich_help_panel=shared.REWARD,
)


@success.command()
@with_options
def fit(
    store: shared.StoreArgument = None,
    *,
    options: SuccessFitOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            callback=storable, help="File. Default: runs/<name of the store>/success.json."
        ),
    ] = None,
    as_json: shared.AsJson = False,
) -> None:
    """Learn a threshold with an unsure band on the distance to the goal, and measure its errors."""
    from vip_offline.experiments.success import fit_stage, summarise_model
    from vip_offline.report.terminal.success import print_model

    console = Console(stderr=as_json)
    model, path = fit_stage(shared.store_path(store), options, out, console.bar, console.say)
    shared.show(summarise_model(model, path), print_model, console, as_json)


@success.command()
@with_options
def apply(
    model: Annotated[Path, typer.Argument(callback=named, help="Made by `success fit`.")],
    targets: Annotated[
        list[Path],
        typer.Argument(callback=all_named, metavar="STORE|VIDEO...", help="What is judged."),
    ],
    *,
    options: SuccessApplyOptions,
    as_json: shared.AsJson = False,
) -> None:
    """Judge episodes: success, failure or unsure. Flags are written only where there are none."""
    from vip_offline.experiments.success import apply_stage
    from vip_offline.report.terminal.success import print_verdicts

    console = Console(stderr=as_json)
    summaries = apply_stage(model, targets, options, console.bar, console.say)
    if as_json:
        shared.print_json(summaries)
    else:
        print_verdicts(summaries, console)
