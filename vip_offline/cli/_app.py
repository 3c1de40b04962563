"""The program, and the arguments and headings that its commands share."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from vip_offline import __version__
from vip_offline.cli.help_page import PanelledGroup
from vip_offline.utils.console import Console
from vip_offline.utils.path_arguments import all_named, named, storable
from vip_offline.utils.program_end import TRACEBACK

DATA, REWARD, POLICY = "Data", "Reward", "Policy"  # headings of the help page

app = typer.Typer(
    name="vip-offline",
    cls=PanelledGroup,
    rich_markup_mode=None,  # see help_page.py
    help="Few-shot offline RL from a camera, a goal image and twenty demonstrations.\n\n"
    "Start with look, or with record or import, then relabel, analyze and train. Equations, tables "
    "and sections are those of the VIP paper, arXiv 2210.00030.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


StoreArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="STORE", callback=storable, help="Default: the only one under datasets/."
    ),
]
PoliciesArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        callback=all_named, metavar="POLICY", help="Default: the only ones under runs/."
    ),
]
PolicyArgument = Annotated[
    Path, typer.Argument(callback=named, metavar="POLICY", help="A policy folder.")
]
Weights = Annotated[str, typer.Option(help="Checkpoint file of the encoder of the labelling.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")]


def out_option(default: str) -> Any:
    """The option ``--out``, with its default in words."""
    return typer.Option("--out", callback=storable, help=f"Output folder. Default: {default}.")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vip-offline {__version__}")
        raise typer.Exit


@app.callback()
def before_command(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
    traceback: Annotated[
        bool,
        typer.Option(
            "--traceback", help=f"Print the traceback of an error; also by ${TRACEBACK}=1."
        ),
    ] = False,
) -> None:
    """Hold what stands before the command."""
    del version
    if traceback:
        os.environ[TRACEBACK] = "1"


def print_json(value: Any) -> None:
    """Print a value for programs."""
    typer.echo(json.dumps(value, indent=2))


def given(context: typer.Context) -> set[str]:
    """Names of the options that stand on the command line."""
    return {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }


def store_path(path: Path | None) -> Path:
    """The store that is meant: the one given, that of a replay buffer, or the only one here."""
    from vip_offline.dataset.importers.link import store_of
    from vip_offline.dataset.store import default_store

    return store_of(path) if path is not None else default_store()


def show(
    description: dict[str, Any],
    print_it: Callable[[dict[str, Any], Console], None],
    console: Console,
    as_json: bool,
) -> None:
    """Print a description for people, or as JSON."""
    if as_json:
        print_json(description)
    else:
        print_it(description, console)
