"""Commands of the package as processes: warm ones, which start within 0.1 s, or cold ones.

A warm process is forked from a server that has the package imported, so that a random moment falls
into the command's own work. A cold one is ``python -m vip_offline``, whose imports take most of its
time. Both are processes of their own, in a session of their own.
"""

import contextlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vip_offline"
# what commands import inside functions, and takes its time; no simulator, which must not be forked
HEAVY = (
    *("accelerate", "av", "d3rlpy", "h5py", "matplotlib.pyplot", "minari", "onnx", "onnxruntime"),
    *("onnxscript", "pyarrow.parquet", "scipy.stats", "sklearn", "tensorboard", "torchvision"),
    *("conftest", "made_up_clips", "made_up_policies", "origins"),
)
POLL = 0.002  # s
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
PATIENCE = 5.0  # s that side processes have to notice that their parent is gone


@dataclass(frozen=True)
class Stop:
    """How a command is stopped: by a signal after some seconds, or just before the nth change."""

    signal: int
    after: float = 0.0  # s
    change: int = 0  # of a name or a file in the folder, from 1 on; 0: by the clock
    group: bool = False  # to all its processes, as a terminal does


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int | None  # negative: the signal; None: it hung and was killed
    output: str
    seconds: float
    stopped: bool  # the signal met it alive
    strays: bool  # its side processes outlived it


def _modules() -> list[str]:
    files = (path.relative_to(ROOT).with_suffix("") for path in sorted(PACKAGE.rglob("*.py")))
    return [".".join(path.parts) for path in files if path.name not in ("__main__", "__init__")]


_CONTEXT: list[ForkServerContext] = []


def context() -> ForkServerContext:
    """The fork server, one per process of ours."""
    if not _CONTEXT:
        made = multiprocessing.get_context("forkserver")
        made.set_forkserver_preload(["__main__", *_modules(), *HEAVY])
        _CONTEXT.append(made)
    return _CONTEXT[0]


def kill_before_change(number: int, signal_: int, folder: str) -> None:
    """Send a signal to this process just before it changes a file in a folder for the nth time."""
    seen = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event == "open":
            path, _mode, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event in CHANGES:
            path = arguments[0]
        else:
            return
        if isinstance(path, str | os.PathLike) and str(Path(path).absolute()).startswith(folder):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal_)

    sys.addaudithook(watch)


def _enter(folder: str, log: str, environment: dict[str, str]) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _command(
    arguments: Sequence[str], folder: str, log: str, environment: dict[str, str], stop: Stop | None
) -> NoReturn:
    _enter(folder, log, environment)
    sys.argv = ["vip-offline", *arguments]
    from vip_offline.cli import main

    if stop is not None and stop.change:
        kill_before_change(stop.change, stop.signal, folder)
    main()
    sys.exit(0)


def _function(function: Callable[[Path], None], folder: str, log: str) -> None:
    _enter(folder, log, {})
    function(Path(folder))


def call(function: Callable[[Path], None], folder: Path, log: Path) -> None:
    """Run a function of the tests in a warm process.

    Raises:
        RuntimeError: with what it printed, if it failed.
    """
    process = context().Process(target=_function, args=(function, str(folder), str(log)))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(log.read_text())


class Running:
    """A command that was started."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        log: Path,
        *,
        stop: Stop | None = None,
        cold: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._log, self.stop, self._begin = log, stop, time.monotonic()
        log.write_bytes(b"")
        more = environment or {}
        self._process: ForkServerProcess | subprocess.Popen[bytes]
        if cold:
            paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
            with log.open("ab") as file:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "vip_offline", *arguments],
                    cwd=folder,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    env={**os.environ, "PYTHONPATH": paths, **more},
                )
        else:
            made = context().Process(
                target=_command, args=(tuple(arguments), str(folder), str(log), more, stop)
            )
            made.start()
            self._process = made
        assert self._process.pid is not None
        self.pid = self._process.pid

    def code(self) -> int | None:
        """How it ended; None: it runs."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        return self._process.exitcode

    @property
    def output(self) -> str:
        """What it said until now, to whichever stream."""
        return self._log.read_text(errors="replace")

    def begun(self) -> bool:
        """Whether it is the command that a signal meets, no longer the interpreter's start."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return True  # it has ended, or this system does not tell
        caught = int(re.findall(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)[0], 16)
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    def send(self, signal_: int, group: bool = False) -> bool:
        """Whether the signal met it alive."""
        if self.code() is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            # before it has a session of its own, its group would be ours
            if group and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal_)
            else:
                os.kill(self.pid, signal_)
        return True

    def wait(self, limit: float, meanwhile: Callable[["Running"], None] | None = None) -> Ended:
        """Wait for the end, and stop it on the way if that is planned.

        Args:
            limit: seconds after which it counts as hung.
            meanwhile: called once, e.g. a client that the command waits for.
        """
        stopped = False
        if meanwhile is not None:
            meanwhile(self)
        while self.code() is None and (spent := time.monotonic() - self._begin) < limit:
            stop = self.stop
            due = stop is not None and not stop.change and not stopped and spent >= stop.after
            if stop is not None and due and (stop.signal == signal.SIGKILL or self.begun()):
                stopped = self.send(stop.signal, stop.group)
            time.sleep(POLL)
        code, seconds = self.code(), time.monotonic() - self._begin
        if self.stop is not None and self.stop.change:
            stopped = code is not None and code != 0
        strays = self._strays(PATIENCE if code is not None else 0)
        if code is None:
            self.send(signal.SIGKILL)
        if strays or code is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        return Ended(code, self.output, seconds, stopped, strays)

    def _strays(self, patience: float) -> bool:
        """Whether processes of its session are left after a while."""
        end = time.monotonic() + patience
        while True:
            try:
                os.killpg(self.pid, 0)
            except (ProcessLookupError, PermissionError):
                return False
            if time.monotonic() >= end:
                return True
            time.sleep(POLL)
