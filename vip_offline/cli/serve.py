"""Commands that take policies to a robot."""

from dataclasses import asdict

from vip_offline.cli import _app as shared
from vip_offline.cli._options import with_options
from vip_offline.options import ServeOptions, ShipOptions
from vip_offline.utils.console import Console


@shared.app.command(rich_help_panel=shared.POLICY)
@with_options
def ship(policies: shared.PoliciesArgument = None, *, options: ShipOptions) -> None:
    """Add to policy folders what another computer needs (`train` does it too)."""
    from vip_offline.deployment.export import ship_all

    ship_all(policies, options, Console(stderr=True).bar, Console().say)


@shared.app.command(rich_help_panel=shared.POLICY)
def verify(folder: shared.PolicyArgument, as_json: shared.AsJson = False) -> None:
    """Check that a policy acts on this computer as it did where it was trained."""
    from vip_offline.policies.verify import verify as recompute
    from vip_offline.report.terminal.verification import print_verification

    result = recompute(folder)
    if as_json:
        shared.print_json(asdict(result))
    else:
        print_verification(result, Console())
    result.require_right(folder)


@shared.app.command(rich_help_panel=shared.POLICY)
@with_options
def serve(folder: shared.PolicyArgument, *, options: ServeOptions) -> None:
    """Serve a policy to a robot by openpi's WebSocket protocol, with limits on its actions."""
    from vip_offline.deployment.server.log_lines import LineWriter
    from vip_offline.deployment.server.serve import serve as serve_folder

    with LineWriter.on(Console()) as lines:
        lines.last(serve_folder(folder, options, lines))
