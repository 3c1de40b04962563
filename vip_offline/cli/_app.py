"""The program, and what its commands share: arguments, progress bars, lines of output."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vip_offline import __version__
from vip_offline.cli.help_page import PanelledGroup
from vip_offline.cli.program_end import TRACEBACK
from vip_offline.errors import VipOfflineError
from vip_offline.utils.console import Bar, Console, bar
from vip_offline.utils.parallel import is_first

if TYPE_CHECKING:
    from vip_offline.deployment.server.log_lines import Lines

DATA, REWARD, POLICY = "Data", "Reward", "Policy"  # headings of the help page
DESCRIPTION = "file (--describe)"  # for messages

app = typer.Typer(
    name="vip-offline",
    cls=PanelledGroup,
    rich_markup_mode=None,  # see help_page.py
    help="Few-shot offline RL from a camera, a goal picture and twenty demonstrations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def named(path: Path | None) -> Path | None:
    """``.`` and ``..`` by the names that they stand for, which messages and new files need."""
    return path.resolve() if path is not None and path.name in ("", "..") else path


def storable(path: Path | None) -> Path | None:
    """Refuse what would be written into JSON and cannot be.

    Raises:
        VipOfflineError: if the path is not UTF-8.
    """
    try:
        str(path and path.absolute()).encode()
    except UnicodeEncodeError:
        raise VipOfflineError(
            f"{path}: its name, or that of a folder above it, is not UTF-8, so what is made of it "
            "could not say where it lies. Rename it."
        ) from None
    return named(path)


def all_named(paths: list[Path] | None) -> list[Path] | None:
    """`named` of each."""
    return paths and [path for path in map(named, paths) if path]


def all_storable(paths: list[Path] | None) -> list[Path] | None:
    """`storable` of each."""
    return paths and [path for path in map(storable, paths) if path]


StoreArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[STORE]", callback=storable, help="Default: the only one under datasets/."
    ),
]
PoliciesArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        callback=all_named, metavar="[POLICY]...", help="Default: the only ones under runs/."
    ),
]
PolicyArgument = Annotated[
    Path, typer.Argument(callback=named, metavar="POLICY", help="A policy folder.")
]
Weights = Annotated[str, typer.Option(help="Checkpoint file of the labelling's encoder.")]
ApiKeyFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the API key that clients must send. Default: $VIP_OFFLINE_API_KEY.",
        dir_okay=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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


def given(context: typer.Context) -> set[str]:
    """Names of the options that stand on the command line."""
    return {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }


def progress(console: Console) -> Bar:
    """Progress bars on this console."""
    return lambda description, total, unit: bar(console, description, total, unit)


def store_path(path: Path | None) -> Path:
    """The store that is meant: the one given, that of a replay buffer, or the only one here."""
    from vip_offline.dataset.importers.link import store_of
    from vip_offline.dataset.store import default_store

    return store_of(path) if path is not None else default_store()


def server_lines(console: Console) -> "Lines":
    """Lines of a server, which waits for nobody who reads them."""
    from vip_offline.deployment.server.log_lines import Lines

    def write(text: str) -> None:
        # whoever read our output may be gone; the robot is not
        with contextlib.suppress(OSError):
            console.print(text, end="", highlight=False, soft_wrap=True)

    return Lines(write)


@contextlib.contextmanager
def first_process_prints(console: Console) -> Iterator[Console]:
    """Of several processes that torchrun started, let the first alone print."""
    if is_first():
        yield console
    else:
        with Path(os.devnull).open("w") as nothing:
            yield Console(file=nothing)
