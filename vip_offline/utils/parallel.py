"""Worker processes that end with their parent, and ordered maps over processes or threads."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Self, TypeVar

from vip_offline.errors import VipOfflineError

Item = TypeVar("Item")
Result = TypeVar("Result")


def context() -> SpawnContext:
    """The ``spawn`` context: a fork would inherit torch's threads and the graphics context."""
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
    """Refuse, once the process that this one was forked from had `done` something.

    A fork has not what was made for it: `lost` names that.

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


RANKS = ("RANK", "LOCAL_RANK")


def world_size() -> int:
    """Number of processes in distributed training (WORLD_SIZE of torchrun); 1 without it.

    Raises:
        VipOfflineError: if WORLD_SIZE is no number, or RANK is none of that many.
    """
    text = os.environ.get("WORLD_SIZE") or "1"
    if not (text.isdecimal() and int(text)):
        raise VipOfflineError(
            f"WORLD_SIZE is {text!r}, which is no number of processes. Start by torchrun, which "
            "sets it, or unset WORLD_SIZE."
        )
    rank = os.environ.get("RANK") or "0"
    if int(text) > 1 and not (rank.isdecimal() and int(rank) < int(text)):
        raise VipOfflineError(
            f"RANK is {rank!r}, but WORLD_SIZE {text}: it must be a number below. Start by "
            "torchrun, which sets both, or unset them."
        )
    return int(text)


def is_first() -> bool:
    """Whether this is rank 0, or the only process."""
    try:
        return world_size() == 1 or int(os.environ.get("RANK") or "0") == 0
    except VipOfflineError:
        return True  # nobody else is known; whoever trains refuses it


def forget_ranks() -> str:
    """Unset what an earlier distributed run left in the environment; says so, or "".

    One process has nobody to meet, so RANK and LOCAL_RANK mean nothing to it; Accelerate would
    wait for the others.

    Raises:
        VipOfflineError: see `world_size`.
    """
    left = [f"{name}={os.environ[name]}" for name in RANKS if name in os.environ]
    started = "WORLD_SIZE" in os.environ and "MASTER_ADDR" in os.environ  # by torchrun, for one
    if world_size() > 1 or not left or (started and os.environ.get("RANK") == "0"):
        return ""
    for name in RANKS:
        os.environ.pop(name, None)
    return f"{' and '.join(left)} ignored: without WORLD_SIZE above 1 this process is alone"


def _nothing() -> None:
    """The default set-up; a lambda could not travel."""


def leave_interrupts_to_parent() -> None:
    """Ignore ctrl-C, which a terminal sends to every process: the parent acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def children_ignore_interrupts() -> Iterator[None]:
    """Start processes in this block, so that ctrl-C does not meet them in their imports.

    They inherit a mask; what arrives here meanwhile is delivered when the block ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _gone(exit_code: int | None) -> str:
    """The message for a process that ended without reporting an error; None: code not known."""
    if exit_code in (None, -signal.SIGKILL, -signal.SIGTERM):
        return (
            "A side process was killed, most likely for lack of memory. Run the same command "
            "again; fewer processes take less (train and rollout --processes; processes in a "
            "recipe's [compare] or [rollout])."
        )
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return (
            f"A side process crashed ({name}): a fault in a library, or a driver that does not "
            "fit. Run the same command with one process, and look at what that says."
        )
    return f"A side process could not start (exit code {exit_code}); what it said stands above."


def startup_error(error: BaseException) -> VipOfflineError:
    """The error of a worker process that failed in its set-up."""
    if isinstance(error, VipOfflineError):
        return error
    text = " ".join(str(error).split())
    return VipOfflineError(
        f"A side process could not start: {type(error).__name__}: {text}. It imports what this "
        "process does, under the same environment variables (PYTHONPATH, MUJOCO_GL, DISPLAY)."
    )


_failed: BaseException | None = None  # in a side process: why it could not start


def _start(setup: Callable[[], None]) -> None:
    """An error here would end the process without a reason, so it is kept for the first call."""
    global _failed
    try:
        end_with_parent()
        leave_interrupts_to_parent()
        setup()
    except Exception as error:
        _failed = error


def _call(pickled: bytes) -> Any:
    """Call a pickled function on its arguments; its modules are imported here, not by the pool.

    The pool would die of an error there, and say nothing of it.
    """
    if _failed is not None:
        raise startup_error(_failed)
    try:
        function, arguments = pickle.loads(pickled)
    except Exception as error:
        raise startup_error(error) from error
    return function(*arguments)


class SidePool:
    """Worker processes that end with this one, ignore ctrl-C and report start-up errors."""

    def __init__(self, processes: int, setup: Callable[[], None]) -> None:
        """Start so many processes at most, on demand; `setup` runs first in each."""
        self._processes = processes
        self._pool = ProcessPoolExecutor(processes, context(), _start, (setup,))
        self._started: dict[int, BaseProcess] = {}

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Compute ``function(*arguments)`` in a worker process."""
        with children_ignore_interrupts():
            future = self._pool.submit(_call, pickle.dumps((function, arguments)))
        self._started |= {
            process.pid: process for process in multiprocessing.active_children() if process.pid
        }
        return future

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        on_stop: Callable[[], None] = _nothing,
    ) -> Iterator[Result]:
        """`process_map` by this pool; the next one finds processes that have their imports.

        Raises:
            VipOfflineError: if a side process was killed, or could not start.
        """
        try:
            yield from _in_order(self, function, items, 2 * self._processes)
        except BrokenProcessPool:
            raise self.gone() from None
        except BaseException:
            on_stop()
            raise

    def gone(self) -> VipOfflineError:
        """The error to raise when a worker process died."""
        # those that were left are ended by SIGTERM, whatever the first died of
        for process in self._started.values():
            process.join(5)  # its exit code may not have been asked for yet
        codes = [process.exitcode for process in self._started.values()]
        first = [code for code in codes if code not in (None, 0, -signal.SIGTERM)]
        return VipOfflineError(_gone(next(iter(first), None)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


def process_map(
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
        VipOfflineError: if a side process was killed, or could not start.
    """
    with SidePool(processes, setup) as pool:
        yield from pool.map(function, items, on_stop)


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    processes: int,
    *hooks: Callable[[], None],
) -> Iterator[Result]:
    """`process_map`; with one process nothing is started: the work is done here."""
    if processes <= 1:
        return map(function, items)
    return process_map(function, items, processes, *hooks)


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
    pool: SidePool | ThreadPoolExecutor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    most: int,
) -> Iterator[Result]:
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
