"""What `verify` found, for people."""

from collections.abc import Sequence

from rich.table import Table

from vip_offline.policies.verify import BackendResult, Verification
from vip_offline.utils.console import Console


def verification_table(backends: Sequence[BackendResult], control_rate: float | None) -> Table:
    """Return one row per backend: its error relative to the actions at training time, and speed."""
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("backend", overflow="fold")
    table.add_column("actions differ", justify="right")
    table.add_column("embeddings", justify="right")
    table.add_column("ms each", justify="right")
    table.add_column("of a tick" if control_rate else "", justify="right")
    table.add_column("")
    for result in backends:
        share = result.milliseconds * control_rate / 1000 if control_rate else 0.0
        cells = [
            result.backend,
            f"{result.action_error:.1g}",
            f"{result.embedding_error:.1g}",
            f"{result.milliseconds:.1f}",
            f"{share:.0%}" if control_rate else "",
            "the same" if result.right else "OTHER ACTIONS",
        ]
        table.add_row(*cells)
    return table


def print_verification(result: Verification, console: Console) -> None:
    """Print how many files are whole, what each backend does, notes, and that all is well."""
    console.print(f"{result.files} files are as they were written", highlight=False)
    if result.backends:
        rate = result.manifest["interface"]["control_rate"]
        console.print(verification_table(result.backends, rate))
    for note in result.notes:
        console.say(f"note: {note}")
    if not result.problems:
        console.print("verified: the actions are those of the computer that trained it")
