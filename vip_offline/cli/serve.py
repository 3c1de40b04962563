"""Commands that take policies to a robot."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from vip_offline.cli import _app as shared
from vip_offline.cli._options import with_options
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions
from vip_offline.utils.console import Console


@shared.app.command(rich_help_panel=shared.POLICY)
def ship(
    policies: shared.PoliciesArgument = None,
    store: Annotated[
        Path | None, typer.Option(help="Store of the training data, if it was moved.")
    ] = None,
    weights: Annotated[str, typer.Option(help="Checkpoint file of the policy's encoder.")] = "",
    describe: shared.Describe = None,
    without_encoder: Annotated[
        bool, typer.Option("--without-encoder", help="Let policy.onnx take embeddings.")
    ] = False,
) -> None:
    """Make policy folders whole for another computer (`train` does it too)."""
    from vip_offline.deployment.export import ship_all

    console, aside = Console(), Console(stderr=True)
    takes: Literal["frames", "embedding"] = "embedding" if without_encoder else "frames"
    ship_all(policies, store, weights, describe, takes, aside.bar, console.say)


@shared.app.command(rich_help_panel=shared.POLICY)
def verify(folder: shared.PolicyArgument, as_json: shared.AsJson = False) -> None:
    """Does a policy do on this computer what it did where it was trained?"""
    from vip_offline.policies.verify import verify as recompute
    from vip_offline.report.terminal.verification import print_verification

    console, result = Console(), recompute(folder)
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2))
    else:
        print_verification(result, console)
    if result.problems:
        raise VipOfflineError(
            f"{folder}: {'; '.join(result.problems)}. Do not run it here; copy the folder again, "
            "or train it anew."
        )
    if not as_json:
        console.print("verified: the actions are those of the computer that trained it")


@shared.app.command(rich_help_panel=shared.POLICY)
@with_options
def serve(
    folder: shared.PolicyArgument,
    *,
    options: ServeOptions,
    api_key_file: shared.ApiKeyFile = None,
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
    from vip_offline.deployment.server.log_lines import LineWriter
    from vip_offline.deployment.server.serve import serve as serve_folder
    from vip_offline.deployment.serving_options import read_api_key

    options = replace(options, api_key=read_api_key(api_key_file))
    with LineWriter.on(Console()) as lines:
        lines.last(serve_folder(folder, options, lines, key_map, log, unsealed=unsealed))
