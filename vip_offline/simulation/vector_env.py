"""Many environments in a few processes, stepped together so that frames come in batches."""

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.interface import Simulator
from vip_offline.simulation.nuisances import CLEAN, Nuisances
from vip_offline.simulation.simulators import HARD, make_simulator
from vip_offline.utils.parallel import (
    children_ignore_interrupts,
    context,
    end_with_parent,
    leave_interrupts_to_parent,
)

PlacementOrAction = int | NDArray[np.float32]  # a placement to reset to, or an action to take


@dataclass(frozen=True)
class StepResult:
    """Observations of the commanded slots, in their order."""

    frames: NDArray[np.uint8]  # (F, H, W, 3) of those that were drawn
    proprio: NDArray[np.float32]  # (B, P)
    solved: NDArray[np.bool_]  # (B,)
    drawn: NDArray[np.bool_]  # (B,) F of them
    reward: NDArray[np.float64]  # (B,) the simulator's own, dense; 0 after a reset
    state: NDArray[np.float64]  # (B, S) privileged, for controls by the ground truth


@dataclass(frozen=True)
class _Share:
    """What a side process is to do now, by its own slots."""

    commands: dict[int, PlacementOrAction] = field(default_factory=dict)
    drawn: set[int] = field(default_factory=set)  # whose frame somebody looks at
    unless_solved: set[int] = field(default_factory=set)  # but at these only before the end


def _serve(
    pipe: Connection,
    task: str,
    image_size: int,
    make: Callable[[], Simulator],
    environments: int,
    nuisances: Nuisances,
) -> None:
    """A side process: owns its environments, answers commands until the pipe closes."""
    end_with_parent()
    leave_interrupts_to_parent()
    try:
        simulators = [make() for _ in range(environments)]
        with simulators[0]:
            for share in _read_ahead(pipe):
                if isinstance(share, str):
                    pipe.send(getattr(simulators[0], share))
                else:
                    pipe.send(_advance(simulators, share, image_size, nuisances))
    except ConnectionError:  # nobody waits for the answer any more
        return
    except VipOfflineError as error:  # its subclasses take more than a text to be made again
        pipe.send(VipOfflineError(str(error)))
    except Exception as error:  # whatever broke the simulator: said over there, not lost here
        pipe.send(VipOfflineError(f"simulator of {task}: {type(error).__name__}: {error}"))


def _read_ahead(pipe: Connection) -> Iterator[_Share | str]:
    """Commands, or names of attributes that are asked for, until the pipe closes.

    A thread takes them out of the pipe: else the other side could wait to send one while this side
    waits to answer the one before, for ever, since pipes hold little.
    """
    commands: SimpleQueue[_Share | str | None] = SimpleQueue()

    def read() -> None:
        try:
            with contextlib.suppress(EOFError, OSError):
                while True:
                    commands.put(pipe.recv())
        finally:
            commands.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (share := commands.get()) is not None:
        yield share


def _advance(
    simulators: Sequence[Simulator], share: _Share, image_size: int, nuisances: Nuisances
) -> StepResult:
    """Reset or step each simulator that has a command, and draw what is looked at."""
    proprio, solved, reward, state = [], [], [], []
    for slot, command in share.commands.items():
        simulator, dense, success = simulators[slot], 0.0, False
        if isinstance(command, np.ndarray):
            dense, success = simulator.step(command)
        else:
            simulator.nuisance = nuisances[command]
            simulator.reset(command)
        proprio.append(simulator.proprio())
        solved.append(success)
        reward.append(dense)
        state.append(np.array(simulator.state, np.float64))
    looked_at = [
        slot in share.drawn and not (success and slot in share.unless_solved)
        for slot, success in zip(share.commands, solved, strict=True)
    ]
    # all of them after the last step: to take turns would empty the cache each time
    frames = []
    for slot in itertools.compress(share.commands, looked_at):
        # one renderer for all: same task, same meshes; only the states differ
        simulators[slot].renderer = simulators[0].renderer
        frames.append(simulators[slot].frame())
        simulators[0].renderer = simulators[slot].renderer
    pictures = np.stack(frames) if frames else _none_of(image_size)
    flags = np.array(solved), np.array(looked_at)
    return StepResult(pictures, np.stack(proprio), *flags, np.array(reward), np.stack(state))


def _none_of(image_size: int) -> NDArray[np.uint8]:
    return np.zeros((0, image_size, image_size, 3), np.uint8)


class VectorSimulator:
    """`processes` x `environments` environments, numbered from 0; see `make_simulator`.

    While one `send` is answered, another may follow: the processes go on without a pause.
    """

    def __init__(
        self,
        task: str,
        image_size: int,
        processes: int,
        environments: int,
        *,
        view: str = "",
        hidden_goal: bool = False,
        start: str = HARD,
        nuisances: Nuisances = CLEAN,
    ) -> None:
        make = partial(
            make_simulator, task, image_size, view=view, hidden_goal=hidden_goal, start=start
        )
        self.slots = processes * environments
        self._environments = environments
        self._workers: list[tuple[BaseProcess, Connection]] = []
        self._busy: deque[list[tuple[BaseProcess, Connection]]] = deque()  # of each `send`
        spawn = context()
        for _ in range(processes):
            parent_end, child_end = spawn.Pipe()
            process = spawn.Process(
                target=_serve,
                args=(child_end, task, image_size, make, environments, nuisances),
                daemon=True,
            )
            with children_ignore_interrupts():
                process.start()
            child_end.close()
            self._workers.append((process, parent_end))

    def __call__(
        self, commands: Mapping[int, PlacementOrAction], *, drawn: Collection[int] | None = None
    ) -> StepResult:
        """`send`, and wait for the answer."""
        self.send(commands, drawn=drawn)
        return self.receive()

    def send(
        self,
        commands: Mapping[int, PlacementOrAction],
        *,
        drawn: Collection[int] | None = None,
        unless_solved: Collection[int] = (),
    ) -> None:
        """Reset or step each of these slots; the processes work at the same time.

        Args:
            commands: slot -> placement or action, slots in ascending order; at least one.
            drawn: slots whose frame somebody looks at; None: all. Drawing costs more than physics.
            unless_solved: of those, slots whose frame nobody looks at once the task is solved.
        """
        shares = [_Share() for _ in self._workers]
        for slot, command in commands.items():
            worker, local = divmod(slot, self._environments)
            shares[worker].commands[local] = command
            if drawn is None or slot in drawn:
                shares[worker].drawn.add(local)
            if slot in unless_solved:
                shares[worker].unless_solved.add(local)
        busy = []
        for share, (process, pipe) in zip(shares, self._workers, strict=True):
            if share.commands:
                with contextlib.suppress(ConnectionError):  # `_receive` says what happened
                    pipe.send(share)
                busy.append((process, pipe))
        self._busy.append(busy)

    def receive(self) -> StepResult:
        """The answer to the first `send` that was not answered yet.

        Raises:
            VipOfflineError: if a simulator broke.
        """
        parts = [_receive(process, pipe) for process, pipe in self._busy.popleft()]
        return StepResult(
            *(
                np.concatenate([getattr(p, key) for p in parts])
                for key in StepResult.__annotations__
            )
        )

    def groups(self, count: int) -> list[list[int]]:
        """Deal the slots into so many groups, each spread evenly over the processes.

        In a group, slots of different processes take turns: to fill the first few is to fill all
        processes alike. There are fewer groups where a process has fewer environments.
        """
        count = min(count, self._environments)
        return [
            [slot for slot in self.order if slot % self._environments % count == group]
            for group in range(count)
        ]

    def attribute(self, name: str) -> Any:
        """An attribute that all the simulators share, such as ``action_size``.

        Raises:
            VipOfflineError: if a simulator broke.
        """
        process, pipe = self._workers[0]
        with contextlib.suppress(ConnectionError):  # `_receive` says what happened
            pipe.send(name)
        return _receive(process, pipe)

    @property
    def order(self) -> list[int]:
        """Slots in the order that fills the processes evenly: first slot of each, then second."""
        return sorted(range(self.slots), key=lambda slot: (slot % self._environments, slot))

    def close(self) -> None:
        """End the processes, whatever they are at."""
        for _, pipe in self._workers:
            pipe.close()
        for process, _ in self._workers:
            process.join(timeout=10)
            process.terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _receive(process: BaseProcess, pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except (EOFError, ConnectionError):
        process.join(timeout=5)
        raise VipOfflineError(
            f"A simulator process ended with exit code {process.exitcode} (killed, or out of "
            "memory?). Run the same command again; fewer environments take less memory (rollout "
            "--environments, online --environments; in a recipe environments of that table)."
        ) from None
    if isinstance(answer, VipOfflineError):
        raise answer
    return answer
