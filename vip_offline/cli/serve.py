"""Commands that take policies to a robot."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from vip_offline.cli._app import (
    DESCRIPTION,
    POLICY,
    ApiKeyFile,
    AsJson,
    PoliciesArgument,
    PolicyArgument,
    app,
    named,
    server_lines,
)
from vip_offline.cli._options import with_options
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions
from vip_offline.utils.console import Console, bar


@app.command(rich_help_panel=POLICY)
def ship(
    policies: PoliciesArgument = None,
    store: Annotated[
        Path | None, typer.Option(help="Store of the training data, if it was moved.")
    ] = None,
    weights: Annotated[str, typer.Option(help="Checkpoint file of the policy's encoder.")] = "",
    describe: Annotated[
        Path | None,
        typer.Option(
            callback=named,
            help="TOML file that describes the robot: proprio, action, action_kind, gripper, "
            "control_rate, key_map.",
            dir_okay=False,
        ),
    ] = None,
    without_encoder: Annotated[
        bool, typer.Option("--without-encoder", help="Let policy.onnx take embeddings.")
    ] = False,
) -> None:
    """Make policy folders whole for another computer (`train` does it too)."""
    from vip_offline.config import read_toml
    from vip_offline.deployment.export import ship as make_ready
    from vip_offline.policies.policy import find_policies

    console = Console()
    folders = find_policies(policies or [Path("runs")], named=bool(policies))
    description = read_toml(describe, DESCRIPTION) if describe is not None else None
    with bar(Console(stderr=True), "ship", len(folders), "policy") as advance:
        for folder in folders:
            notes = make_ready(
                folder,
                store=store,
                weights=Path(weights) if weights else None,
                described=description,
                takes="embedding" if without_encoder else "frames",
                on_prepare=lambda what: console.print(what, highlight=False),
            )
            advance(1)
            console.print(f"ready -> {folder}", highlight=False, soft_wrap=True)
            for note in notes:
                console.print(f"note: {note}", highlight=False, soft_wrap=True)


@app.command(rich_help_panel=POLICY)
def verify(folder: PolicyArgument, as_json: AsJson = False) -> None:
    """Does a policy do on this computer what it did where it was trained?"""
    from vip_offline.policies.verify import verify as recompute
    from vip_offline.report.terminal.verification import verification_table

    console = Console()
    result = recompute(folder)
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2))
    else:
        console.print(f"{result.files} files are as they were written", highlight=False)
        if result.backends:
            rate = result.manifest["interface"]["control_rate"]
            console.print(verification_table(result.backends, rate))
        for note in result.notes:
            console.print(f"note: {note}", highlight=False, soft_wrap=True)
    if result.problems:
        raise VipOfflineError(
            f"{folder}: {'; '.join(result.problems)}. Do not run it here; copy the folder again, "
            "or train it anew."
        )
    if not as_json:
        console.print("verified: the actions are those of the computer that trained it")


@app.command(rich_help_panel=POLICY)
@with_options
def serve(
    folder: PolicyArgument,
    *,
    options: ServeOptions,
    api_key_file: ApiKeyFile = None,
    key_map: Annotated[
        str,
        typer.Option(
            help="Names that the robot uses: droid, libero, JSON or a file of it. Default: the "
            "policy's own."
        ),
    ] = "",
    log: Annotated[
        Path | None, typer.Option(help="File to add a JSON line per reply to.", dir_okay=False)
    ] = None,
    unsealed: Annotated[
        bool, typer.Option("--unsealed", help="Serve a folder without SHA256SUMS, too.")
    ] = False,
) -> None:
    """Serve a policy to a robot: openpi's WebSocket protocol, with limits on its actions."""
    from vip_offline.deployment.server.serve import serve as serve_folder
    from vip_offline.deployment.serving_options import read_api_key

    options = replace(options, api_key=read_api_key(api_key_file))
    with server_lines(Console()) as say:
        say.last(serve_folder(folder, options, say, key_map, log, unsealed=unsealed))
