"""Console output: a console without markup, progress bars with rate and time left."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import rich.console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from vip_offline.utils.parallel import is_first

WIDTH = 80  # columns of a table at most
OnFrames = Callable[[int], None]  # called with the number of frames that were just done
UNPRINTABLE = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)
}


def printable(text: str) -> str:
    """Text with control characters and invalid UTF-8 escaped; line breaks are kept."""
    return re.sub(
        "[\ud800-\udfff]", lambda m: f"\\x{ord(m[0]) & 0xFF:02x}", text.translate(UNPRINTABLE)
    )


class Advance(Protocol):
    """Tell a progress bar that so many units are done, or that the total is another."""

    def __call__(self, amount: int = 0, total: int | None = None) -> None:
        """Move the bar."""


Bar = Callable[[str, int, str], contextlib.AbstractContextManager[Advance]]


class Console(rich.console.Console):
    """A rich console that prints strings verbatim: no markup ``[x]``, no emoji ``:-1:``.

    Names of files, stores, columns and goals are the user's, so no place could be trusted to escape
    them all. Bold and colour are for `rich.text.Text`, or for the argument `style`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as it is shown; names may hold what would steer a terminal."""
        return super().render_str(printable(text), **options)

    def say(self, text: str) -> None:
        """Print a line as it is: in one piece, however long its paths are."""
        self.print(text, highlight=False, soft_wrap=True)

    def bar(
        self, description: str, total: int, unit: str
    ) -> contextlib.AbstractContextManager[Advance]:
        """A progress bar on this console, see `bar`."""
        return bar(self, description, total, unit)


class _Rate(ProgressColumn):
    """Units per second, or seconds per unit where that is more than one."""

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        unit = task.fields["unit"]
        slow = task.speed < 1
        return Text(f"{1 / task.speed:.1f} s/{unit}" if slow else f"{task.speed:.0f} {unit}s/s")


class _Count(ProgressColumn):
    """``12/40``, or ``12`` if the total is unknown."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text(f"{int(task.completed)}" if task.completed else "")
        return Text(f"{int(task.completed)}/{int(task.total)}")


@contextlib.contextmanager
def bar(
    console: rich.console.Console, description: str, total: int, unit: str
) -> Iterator[Advance]:
    """A progress bar on a terminal, nothing elsewhere.

    A total of 0 units is not known, or not known yet; `unit` names one in words.
    """
    with Progress(
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(bar_width=16),
        _Count(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(description, total=total or None, unit=unit)

        def advance(amount: int = 0, total: int | None = None) -> None:
            progress.update(task, advance=amount, total=total or None)

        yield advance


@contextlib.contextmanager
def quiet_bar(description: str, total: int, unit: str) -> Iterator[Advance]:
    """A progress bar that nobody sees: of one of several processes at work."""
    del description, total, unit
    yield lambda amount=0, total=None: None


@contextlib.contextmanager
def first_process_prints(console: Console) -> Iterator[Console]:
    """Of several processes that torchrun started, let the first alone print."""
    if is_first():
        yield console
    else:
        with Path(os.devnull).open("w") as nothing:
            yield Console(file=nothing)
