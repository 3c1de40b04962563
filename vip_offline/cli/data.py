"""Commands that make stores of demonstrations and look at them."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vip_offline.cli._app import (
    DATA,
    DESCRIPTION,
    ApiKeyFile,
    AsJson,
    StoreArgument,
    app,
    given,
    named,
    progress,
    server_lines,
    store_path,
)
from vip_offline.cli._options import Part, with_options
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions, Recipe, RecordOptions, ServeOptions
from vip_offline.utils.console import Console, bar

# options of `record` that mean something with a simulator, or with a client, alone
FROM_SIMULATOR = (
    *("episodes", "failures", "image_size", "camera", "tail", "first_placement", "hidden_goal"),
)
FROM_CLIENT = (
    *("control_rate", "describe", "host", "port", "api_key_file", "max_message_mb"),
    *("max_connections", "idle", "opening_timeout", "ping_timeout", "drain_timeout"),
)
# a recording server answers with no actions; between two episodes a person puts things back
RECORDING = Part(without=("timeout", "hold", "stop_above"), defaults={"port": 8001, "idle": 3600.0})
Format = typer.Option("--format", help="Format: lerobot, robomimic, zarr, minari or folders.")


@app.command(rich_help_panel=DATA)
@with_options
def record(
    context: typer.Context,
    store: Annotated[
        Path | None,
        typer.Argument(callback=named, metavar="[STORE]", help="Default: datasets/<task>.zarr."),
    ] = None,
    *,
    options: RecordOptions,
    from_client: Annotated[
        bool, typer.Option("--from-client", help="Record what a robot streams, by openpi's client.")
    ] = False,
    control_rate: Annotated[
        float | None,
        typer.Option(help="Actions per second of a client.", show_default=False),
    ] = None,
    describe: Annotated[
        Path | None,
        typer.Option(help="TOML file that describes a client, as for `ship`.", dir_okay=False),
    ] = None,
    serving: Annotated[ServeOptions, RECORDING],
    api_key_file: ApiKeyFile = None,
) -> None:
    """Record a scripted expert, and failures, in a simulator; or what a robot's client streams."""
    named_options = given(context)
    for name in FROM_SIMULATOR if from_client else FROM_CLIENT:
        if name in named_options:
            why = "belongs to the simulator" if from_client else "needs --from-client"
            raise VipOfflineError(f"--{name.replace('_', '-')}: {why}. Leave one of them out.")
    if from_client:
        from vip_offline.config import read_toml
        from vip_offline.deployment.recording.episode_stream import MAX_STEPS, Told
        from vip_offline.deployment.recording.record import record_from_client
        from vip_offline.deployment.serving_options import read_api_key

        if "task" not in named_options:
            raise VipOfflineError("--task: say in a few words what the robot is to do.")
        description = read_toml(describe, DESCRIPTION) if describe is not None else {}
        told = Told.of(options.task, control_rate, description)
        file_name = re.sub(r"[^a-zA-Z0-9]+", "-", options.task).strip("-")
        path = store or Path("datasets") / f"{file_name}.zarr"
        steps = options.max_steps if "max_steps" in named_options else MAX_STEPS
        serving = replace(serving, api_key=read_api_key(api_key_file))
        with server_lines(Console()) as say:
            say.last(record_from_client(path, told, serving, say, steps))
        return
    from vip_offline.experiments.stages import record_stage

    if "failures" not in named_options:
        options = replace(options, failures=options.episodes * 2 // 3)
    console = Console()
    path = store or Path("datasets") / f"{options.task}.zarr"
    console.print(record_stage(Recipe(store=str(path), record=options), progress(console)))


@app.command("import", rich_help_panel=DATA)
@with_options
def import_(
    source: Annotated[Path, typer.Argument(help="A file or folder, or a Minari id.")],
    store: Annotated[
        Path | None,
        typer.Argument(
            callback=named, metavar="[STORE]", help="Default: datasets/<its name>.zarr."
        ),
    ] = None,
    *,
    form: Annotated[str, Format] = "",
    options: ImportOptions,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be imported, and stop.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a store of other settings, and its labellings."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import what you have: LeRobot, robomimic, Minari, diffusion_policy, videos, folders."""
    from vip_offline.dataset.importers.registry import open_source
    from vip_offline.dataset.importers.run import plan_import
    from vip_offline.experiments.stages import import_stage
    from vip_offline.report.terminal.import_preview import describe_import, print_import

    console = Console()
    origin = open_source(source, form, options.rates, options.key_map)
    try:
        if dry_run:
            plan = plan_import(origin, options)
            description = describe_import(str(source), plan)
            if as_json:
                typer.echo(json.dumps(description))
            else:
                print_import(description, console)
            if plan.refusal:
                raise VipOfflineError(plan.refusal)
            return
        name = (source.resolve() if source.exists() else source).name.split(".")[0]
        path = store or Path("datasets") / f"{name}.zarr"
        done = import_stage(
            origin, path, options, progress(console), console.print, overwrite=overwrite
        )
        console.print(done)
    finally:
        origin.close()


@app.command(rich_help_panel=DATA)
def inspect(
    store: Annotated[
        Path | None,
        typer.Argument(
            callback=named,
            metavar="[STORE]",
            help="A store (default: the only one under datasets/), or what was made of one: "
            "policies, a comparison, an analysis, an export. With --check also what import takes.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read it all; exit code 1 if something is wrong.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Hash all frames and embeddings; exit code 1 if one changed."
        ),
    ] = False,
    accept: Annotated[
        bool,
        typer.Option(
            "--seal", help="Accept a store as it is: edited by hand, or without checksums."
        ),
    ] = False,
    form: Annotated[str, Format] = "",
    as_json: AsJson = False,
) -> None:
    """Show what a store holds, what was made of it, and whether that is still true."""
    from vip_offline.dataset.importers.link import is_replay
    from vip_offline.dataset.store import default_store, is_store, open_store
    from vip_offline.experiments.provenance import made_of_folder, made_of_store
    from vip_offline.experiments.stages import check_stage, seal_stage

    if check:
        _check(store or default_store(), form, as_json)
        return
    from vip_offline.report.terminal.made_from import provenance_table
    from vip_offline.report.terminal.store import describe, print_description

    console, aside = Console(), Console(stderr=True)
    path = store if store is not None and not is_store(store) else store_path(store)
    if path.exists() and not is_store(path) and not is_replay(path):
        made = [vars(row) for row in made_of_folder(path)]
        if as_json:
            typer.echo(json.dumps({"path": str(path), "made": made}, indent=2))
        else:
            console.print(provenance_table(made))
        return
    path = store_path(path)
    if accept:
        for line in seal_stage(path):
            console.print(line, soft_wrap=True)
    changed = check_stage(path, progress(aside), aside.print, every=verify)
    opened = open_store(path)
    description = {**describe(opened), "made": [vars(row) for row in made_of_store(opened)]}
    if as_json:
        typer.echo(json.dumps(description, indent=2))
    else:
        print_description(description, console)
        if description["made"]:
            console.print(provenance_table(description["made"]))
        for line in changed:
            console.print(line, soft_wrap=True)
        if verify and not changed:
            console.print(f"verified: {opened.rows} rows are what they were")
    if changed and verify:
        raise typer.Exit(1)


def _check(path: Path, form: str, as_json: bool) -> None:
    from vip_offline.dataset.validation.run import check
    from vip_offline.report.terminal.data_checks import describe_checks, print_checks

    with bar(Console(stderr=True), "check", 0, "frame") as advance:
        checked = check(path, form, on_start=lambda total: advance(total=total), on_frames=advance)
    description = describe_checks(checked)
    if as_json:
        typer.echo(json.dumps(description, indent=2))
    else:
        print_checks(description, Console())
    if checked.wrong:
        raise typer.Exit(1)


@app.command(rich_help_panel=DATA)
def upgrade(store: StoreArgument = None) -> None:
    """Rewrite a store of an earlier release in today's format, with checksums."""
    from vip_offline.experiments.stages import upgrade_stage

    console = Console()
    console.print(upgrade_stage(store_path(store), progress(console)), soft_wrap=True)


@app.command(rich_help_panel=DATA)
def datasets(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Show its card; default: list them all.")
    ] = "",
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Get it, or say what is to be done by hand.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List known data sets: licence, size, whether they are here, how they are had."""
    from vip_offline.dataset.catalog.card import card, cards
    from vip_offline.report.terminal.datasets import describe_card, print_card, print_cards

    console = Console()
    if fetch:
        if not name:
            raise VipOfflineError("--fetch: say which data set. `vip-offline datasets` lists them.")
        _fetch(name, console)
    elif name and as_json:
        typer.echo(json.dumps(describe_card(card(name)), indent=2))
    elif name:
        print_card(describe_card(card(name)), console)
    elif as_json:
        typer.echo(json.dumps([describe_card(card) for card in cards().values()], indent=2))
    else:
        print_cards(cards().values(), console)


def _fetch(name: str, console: Console) -> None:
    from vip_offline.dataset.catalog.card import card
    from vip_offline.dataset.catalog.fetch import fetch
    from vip_offline.report.terminal.datasets import describe_card
    from vip_offline.utils.download import BLOCK

    def say(line: str) -> None:
        console.print(f"$ {line}", highlight=False, soft_wrap=True)

    dataset = card(name)
    licence = ". ".join(filter(None, (dataset.licence, dataset.licence_note)))
    console.print(f"licence: {licence}", highlight=False, soft_wrap=True)
    if dataset.fetch.url:
        say(f"GET {dataset.fetch.url}")
    # a bar only where bytes are counted: other programs draw their own
    shown = Console(stderr=True, **({} if dataset.fetch.url else {"force_terminal": False}))
    with bar(shown, "fetch", 0, "MB") as advance:
        blocks = 0

        def on_bytes(count: int, total: int) -> None:
            nonlocal blocks
            advance(count // BLOCK - blocks, total=total // BLOCK if total else None)
            blocks = count // BLOCK

        path = fetch(dataset, on_bytes, say)
    console.print(f"fetch: {name} -> {path}", highlight=False, soft_wrap=True)
    if path != dataset.store:
        say(describe_card(dataset)["import"])
