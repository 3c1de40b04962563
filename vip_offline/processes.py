"""Work beside the main thread: processes that end with the one that started them, threads."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext
from typing import TypeVar

from vip_offline.errors import VipOfflineError

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


_FIRST: dict[str, int] = {}  # what was done -> the process that did it first, also of its forks


def check_not_forked(done: str, lost: str) -> None:
    """Refuse what waits forever in a fork of a process that has done it before.

    Args:
        done: what, as in "had drawn before".
        lost: what of it a fork has not.

    Raises:
        VipOfflineError: with the ways out.
    """
    first = _FIRST.setdefault(done, os.getpid())
    if first != os.getpid():
        raise VipOfflineError(
            f"This process was forked from one ({first}) that had {done} before, and {lost} do not "
            "survive a fork. Start processes afresh, as by gymnasium's AsyncVectorEnv(..., "
            "context='spawn'), or fork before the first reset()."
        )


def is_first() -> bool:
    """Whether this is the only process, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _nothing() -> None:
    """The default set-up; a lambda could not travel."""


def leave_interrupts_to_parent() -> None:
    """Ignore ctrl-C, which a terminal sends to every process: the parent acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def children_start_deaf() -> Iterator[None]:
    """Start processes in this block, so that ctrl-C does not meet them in their imports.

    They inherit a mask; what arrives here meanwhile is delivered when the block ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def killed() -> VipOfflineError:
    """What to say when a side process is gone."""
    return VipOfflineError(
        "A side process was killed, most likely for lack of memory. Run the same command again; "
        "fewer processes take less (train and rollout --processes; processes in a recipe's "
        "[compare] or [rollout])."
    )


def _start(setup: Callable[[], None]) -> None:
    end_with_parent()
    leave_interrupts_to_parent()
    setup()


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    processes: int,
    setup: Callable[[], None] = _nothing,
    on_stop: Callable[[], None] = _nothing,
) -> Iterator[Result]:
    """`side_map`; with one process nothing is started: the work is done here."""
    if processes <= 1:
        return map(function, items)
    return side_map(function, items, processes, setup, on_stop)


def side_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    processes: int,
    setup: Callable[[], None] = _nothing,
    on_stop: Callable[[], None] = _nothing,
) -> Iterator[Result]:
    """Yield ``function(item)`` in the items' order, computed by up to `processes` at once.

    At most two results per process wait to be taken, so memory does not grow with the items.
    `setup` runs first in every side process, before the module of `function` is imported there.
    Where the results are not taken to the end, `on_stop` is called before what is under way is
    waited for.

    Raises:
        VipOfflineError: if a side process was killed.
    """
    with ProcessPoolExecutor(processes, context(), _start, (setup,)) as pool:
        try:
            yield from _in_order(pool, function, items, 2 * processes)
        except BrokenProcessPool:
            raise killed() from None
        except BaseException:
            on_stop()
            raise


def threaded_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    setup: Callable[[], None] = _nothing,
) -> Iterator[Result]:
    """Yield ``function(item)`` in the items' order, computed by up to `threads` at once.

    Items are taken, and results handed on, in the caller's thread: reading, computing and
    writing overlap where each lets go of the interpreter's lock. At most two results per thread
    wait to be taken. `setup` runs first in every thread.
    """
    with ThreadPoolExecutor(threads, initializer=setup) as pool:
        yield from _in_order(pool, function, items, 2 * threads)


def _in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], most: int
) -> Iterator[Result]:
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            with children_start_deaf():
                pending.append(pool.submit(function, item))
            if len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
