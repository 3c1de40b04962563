"""What the terminal shows: one console, progress bars with rate and time left."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Advance(Protocol):
    """Tell a progress bar that so many units are done, or that the total is another."""

    def __call__(self, amount: int = 0, total: int | None = None) -> None:
        """Move the bar."""


Bar = Callable[[str, int, str], contextlib.AbstractContextManager[Advance]]


class _Rate(ProgressColumn):
    """Units per second, or seconds per unit where that is more than one."""

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        unit = task.fields["unit"]
        slow = task.speed < 1
        return Text(f"{1 / task.speed:.1f} s/{unit}" if slow else f"{task.speed:.0f} {unit}s/s")


@contextlib.contextmanager
def bar(console: Console, description: str, total: int, unit: str) -> Iterator[Advance]:
    """Show progress on a terminal; elsewhere nothing, since what was done is said anyway."""
    with Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(description, total=total, unit=unit)

        def advance(amount: int = 0, total: int | None = None) -> None:
            progress.update(task, advance=amount, total=total)

        yield advance
