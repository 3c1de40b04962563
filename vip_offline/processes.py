"""Side processes that end with the process that started them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.context import SpawnContext
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def context() -> SpawnContext:
    """Fresh interpreters: a fork would inherit torch's threads and the graphics context."""
    return multiprocessing.get_context("spawn")


def end_with_parent() -> None:
    """End this process when the one that started it is gone, even by SIGKILL.

    A pool's worker waits on a pipe of which it holds both ends, so it would wait forever.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def _nothing() -> None:
    """The default set-up; a lambda could not travel."""


def leave_interrupts_to_parent() -> None:
    """Ignore ctrl-C, which a terminal sends to every process: the parent acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _start(setup: Callable[[], None]) -> None:
    end_with_parent()
    leave_interrupts_to_parent()
    setup()


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    processes: int,
    setup: Callable[[], None] = _nothing,
) -> Iterator[Result]:
    """Yield ``function(item)`` in the items' order, computed by up to `processes` at once.

    At most two results per process wait to be taken, so memory does not grow with the items.
    With one process nothing is started: the work is done here. `setup` runs first in every
    side process, before the module of `function` is imported there.
    """
    if processes <= 1:
        yield from map(function, items)
        return
    pending: list[Future[Result]] = []
    with ProcessPoolExecutor(processes, context(), _start, (setup,)) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= 2 * processes:
                    yield pending.pop(0).result()
            while pending:
                yield pending.pop(0).result()
        finally:
            for future in pending:
                future.cancel()
