"""A simulator in each of a few processes that stay, and functions that are called on it there."""

import contextlib
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import numpy as np

from vip_offline.errors import VipOfflineError, first_line
from vip_offline.planning.shooting import Ends, joined, shoot
from vip_offline.simulation.interface import Simulator
from vip_offline.utils.arrays import Floats
from vip_offline.utils.parallel import (
    children_ignore_interrupts,
    context,
    end_with_parent,
    leave_interrupts_to_parent,
)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
PATIENCE = 10.0  # s that a process has to end by itself


def _serve(pipe: Connection, make: Callable[[], Simulator]) -> None:
    """A side process: calls functions on its simulator until the pipe closes."""
    end_with_parent()
    leave_interrupts_to_parent()
    try:
        with make() as simulator:
            while (call := pipe.recv()) is not None:
                function, arguments = call
                pipe.send(function(simulator, *arguments))
    except (EOFError, ConnectionError):
        return
    except VipOfflineError as error:  # its subclasses take more than a text to be made again
        pipe.send(VipOfflineError(str(error)))
    except Exception as error:  # whatever broke the simulator: said over there, not lost here
        pipe.send(VipOfflineError(f"The simulator: {type(error).__name__}: {first_line(error)}."))


class SimulatorProcesses:
    """Processes with a simulator each, started once; see `shooting` for what they are asked."""

    def __init__(self, make: Callable[[], Simulator], processes: int) -> None:
        """Start them.

        Args:
            make: makes a simulator, in the process that has it; can be pickled.
            processes: how many.
        """
        self._workers: list[tuple[BaseProcess, Connection]] = []
        spawn = context()
        for index in range(processes):
            parent_end, child_end = spawn.Pipe()
            process = spawn.Process(
                target=_serve, args=(child_end, make), name=f"simulator-{index}", daemon=True
            )
            with children_ignore_interrupts():
                process.start()
            child_end.close()  # so that the end of the process ends the pipe
            self._workers.append((process, parent_end))

    @property
    def pids(self) -> list[int]:
        """Ids of the processes."""
        return [process.pid or 0 for process, _ in self._workers]

    def call(
        self,
        function: Callable[Concatenate[Simulator, Arguments], Result],
        *arguments: Arguments.args,
        **_: Arguments.kwargs,
    ) -> Result:
        """``function(simulator, *arguments)`` in the first process.

        Raises:
            VipOfflineError: what the function raised, or that the process ended.
        """
        (answer,) = self.map(function, [arguments])
        return answer

    def map(
        self, function: Callable[..., Result], shares: Sequence[tuple[Any, ...]]
    ) -> list[Result]:
        """``function(simulator, *share)`` of each share, each in its own process, all at once.

        Raises:
            VipOfflineError: see `call`.
        """
        busy = self._workers[: len(shares)]
        for (_, pipe), share in zip(busy, shares, strict=True):
            with contextlib.suppress(ConnectionError):  # `_receive` says what happened
                pipe.send((function, share))
        return [_receive(process, pipe) for process, pipe in busy]

    def shoot(self, saved: Floats, sequences: Floats, *, draw: bool) -> Ends:
        """`shooting.shoot`, with the sequences spread evenly over the processes."""
        shares = np.array_split(sequences, min(len(self._workers), len(sequences)))
        return joined(self.map(_shoot, [(saved, share, draw) for share in shares]))

    def close(self) -> None:
        """End the processes, which wait for nothing."""
        for _, pipe in self._workers:
            with contextlib.suppress(ConnectionError):  # it may have ended already
                pipe.send(None)
        for process, pipe in self._workers:
            process.join(PATIENCE)
            process.terminate()
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:  # what is under way is wanted no more
            for process, _pipe in self._workers:
                process.terminate()
        self.close()


def _shoot(simulator: Simulator, saved: Floats, sequences: Floats, draw: bool) -> Ends:
    return shoot(simulator, saved, sequences, draw=draw)


def _receive(process: BaseProcess, pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except (EOFError, ConnectionError):
        process.join(PATIENCE)
        raise VipOfflineError(
            f"Process {process.name} ({process.pid}) ended with exit code {process.exitcode} "
            "(killed, or out of memory?). Run the same command again; fewer --processes take less "
            "memory."
        ) from None
    if isinstance(answer, VipOfflineError):
        raise answer
    return answer
