"""Commands that make stores of demonstrations and look at them."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vip_offline.cli import _app as shared
from vip_offline.cli._options import with_options
from vip_offline.errors import VipOfflineError
from vip_offline.options import (
    ClientOptions,
    ImportOptions,
    InspectOptions,
    Recipe,
    RecordOptions,
    ServeOptions,
)
from vip_offline.options.recording import RECORDING, check_belonging
from vip_offline.utils.console import Console
from vip_offline.utils.path_arguments import named

NewStore = typer.Argument(callback=named, metavar="STORE", help="Default: datasets/<name>.zarr.")
Format = Annotated[
    str, typer.Option("--format", help="Format: lerobot, robomimic, zarr, minari or folders.")
]


@shared.app.command(rich_help_panel=shared.DATA)
@with_options
def record(
    context: typer.Context,
    store: Annotated[Path | None, NewStore] = None,
    *,
    options: RecordOptions,
    client: ClientOptions,
    serving: Annotated[ServeOptions, RECORDING],
) -> None:
    """Record demonstrations of a scripted expert in the simulator, or those of a robot's client."""
    given = shared.given(context)
    check_belonging(given, client.from_client)
    if client.from_client:
        from vip_offline.deployment.recording.record import record_task
        from vip_offline.deployment.server.log_lines import LineWriter

        if "task" not in given:
            raise VipOfflineError("--task: say in a few words what the robot is to do.")
        steps = options.max_steps if "max_steps" in given else None
        with LineWriter.on(Console()) as lines:
            lines.last(record_task(store, options.task, client, serving, lines, steps))
        return
    from vip_offline.experiments.stages import record_stage

    if "failures" not in given:
        options = replace(options, failures=options.episodes * 2 // 3)
    console = Console()
    path = store or Path("datasets") / f"{options.task.removeprefix('metaworld/')}.zarr"
    console.print(record_stage(Recipe(store=str(path), record=options), console.bar))


@shared.app.command("import", rich_help_panel=shared.DATA)
@with_options
def import_(
    source: Annotated[Path, typer.Argument(help="A file or folder, or a Minari id.")],
    store: Annotated[Path | None, NewStore] = None,
    *,
    form: Format = "",
    options: ImportOptions,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be imported, and stop.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a store of other settings, and its labellings."),
    ] = False,
    as_json: shared.AsJson = False,
) -> None:
    """Import a data set: LeRobot, robomimic, Minari, diffusion_policy, videos, folders."""
    from vip_offline.dataset.importers.registry import open_source
    from vip_offline.dataset.importers.run import plan_import
    from vip_offline.experiments.stages import import_stage
    from vip_offline.report.terminal.import_preview import describe_import, print_import

    console = Console()
    with contextlib.closing(open_source(source, form, options.rates, options.key_map)) as origin:
        if dry_run:
            plan = plan_import(origin, options)
            shared.show(describe_import(str(source), plan), print_import, console, as_json)
            if plan.refusal:
                raise VipOfflineError(plan.refusal)
            return
        name = (source.resolve() if source.exists() else source).name.split(".")[0]
        path = store or Path("datasets") / f"{name}.zarr"
        done = import_stage(origin, path, options, console.bar, console.print, overwrite=overwrite)
        console.print(done)


@shared.app.command(rich_help_panel=shared.DATA)
@with_options
def inspect(
    store: Annotated[
        Path | None,
        typer.Argument(
            callback=named,
            metavar="STORE",
            help="A store (default: the only one under datasets/), or what was made of one: "
            "policies, a comparison, an analysis, an export. With --check also what import takes.",
        ),
    ] = None,
    *,
    options: InspectOptions,
    form: Format = "",
    as_json: shared.AsJson = False,
) -> None:
    """Show what a store holds, what was made of it, and what is out of date."""
    from vip_offline.dataset.store import default_store

    path, console, aside = store or default_store(), Console(), Console(stderr=True)
    if options.check:
        from vip_offline.dataset.validation import run
        from vip_offline.report.terminal.data_checks import describe_checks, print_checks

        with aside.bar("check", 0, "frame") as advance:
            checked = run.check(path, form, lambda total: advance(total=total), advance)
        shared.show(describe_checks(checked), print_checks, console, as_json)
        failed = bool(checked.wrong)
    else:
        from vip_offline.experiments.inspect import inspect_stage
        from vip_offline.report.terminal.store import print_inspection

        description, changed = inspect_stage(
            path, aside.bar, aside.print, console.say, seal=options.seal, verify=options.verify
        )
        if as_json:
            shared.print_json(description)
        else:
            print_inspection(description, changed, console, verified=options.verify)
        failed = bool(changed) and options.verify
    if failed:
        raise typer.Exit(1)


@shared.app.command(rich_help_panel=shared.DATA)
def upgrade(store: shared.StoreArgument = None) -> None:
    """Rewrite a store of an earlier release in the current format, with checksums."""
    from vip_offline.experiments.stages import upgrade_stage

    console = Console()
    console.print(upgrade_stage(shared.store_path(store), console.bar), soft_wrap=True)


@shared.app.command(rich_help_panel=shared.DATA)
def datasets(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Data set whose card is shown. Default: list all.")
    ] = "",
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Download it, or print what must be done by hand.")
    ] = False,
    as_json: shared.AsJson = False,
) -> None:
    """List known data sets: licence, size, whether they are here, and how to get them."""
    from vip_offline.dataset.catalog.card import card, cards
    from vip_offline.experiments.fetch_data import fetch_stage
    from vip_offline.report.terminal.datasets import describe_card, print_card, print_cards

    console = Console()
    if fetch:
        if not name:
            raise VipOfflineError("--fetch: say which data set. `vip-offline datasets` lists them.")
        fetch_stage(name, console)
    elif name:
        shared.show(describe_card(card(name)), print_card, console, as_json)
    elif as_json:
        shared.print_json([describe_card(card) for card in cards().values()])
    else:
        print_cards(cards().values(), console)
