"""Many environments in a few processes, stepped together so that frames come in batches."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.metaworld import Simulator
from vip_offline.utils.parallel import context, end_with_parent, leave_interrupts_to_parent

PlacementOrAction = int | NDArray[np.float32]  # a placement to reset to, or an action to take


@dataclass(frozen=True)
class StepResult:
    """Observations of the commanded slots, in their order."""

    frames: NDArray[np.uint8]  # (B, H, W, 3)
    proprio: NDArray[np.float32]  # (B, P)
    solved: NDArray[np.bool_]  # (B,)


def _serve(
    pipe: Connection, task: str, image_size: int, environments: int, hidden_goal: bool
) -> None:
    """A side process: owns its environments, answers commands until the pipe closes."""
    end_with_parent()
    leave_interrupts_to_parent()
    try:
        simulators = [
            Simulator(task, image_size, hidden_goal=hidden_goal) for _ in range(environments)
        ]
        while True:
            commands: Mapping[int, PlacementOrAction] | None = pipe.recv()
            if commands is None:
                break
            frames, proprio, solved = [], [], []
            for slot, command in commands.items():
                simulator = simulators[slot]
                if isinstance(command, np.ndarray):
                    observation, _, success = simulator.step(command)
                else:
                    # one renderer for all: same task, same meshes; only the states differ
                    simulator.renderer = simulators[0].renderer
                    observation, success = simulator.reset(command), False
                    simulators[0].renderer = simulator.renderer
                frames.append(observation.frame)
                proprio.append(observation.proprio)
                solved.append(success)
            pipe.send(StepResult(np.stack(frames), np.stack(proprio), np.array(solved)))
        simulators[0].close()
    except EOFError:
        return
    except VipOfflineError as error:
        pipe.send(error)
    except Exception as error:  # whatever broke the simulator: said over there, not lost here
        pipe.send(VipOfflineError(f"simulator of {task}: {type(error).__name__}: {error}"))


class VectorSimulator:
    """`processes` x `environments` environments, numbered from 0."""

    def __init__(
        self,
        task: str,
        image_size: int,
        processes: int,
        environments: int,
        *,
        hidden_goal: bool = False,
    ) -> None:
        self.slots = processes * environments
        self._environments = environments
        self._workers: list[tuple[BaseProcess, Connection]] = []
        spawn = context()
        for _ in range(processes):
            parent_end, child_end = spawn.Pipe()
            process = spawn.Process(
                target=_serve,
                args=(child_end, task, image_size, environments, hidden_goal),
                daemon=True,
            )
            process.start()
            child_end.close()
            self._workers.append((process, parent_end))

    def __call__(self, commands: Mapping[int, PlacementOrAction]) -> StepResult:
        """Reset or step each of these slots; the processes work at the same time.

        Args:
            commands: slot -> placement or action, slots in ascending order.

        Raises:
            VipOfflineError: if a simulator broke.
        """
        shares: list[dict[int, PlacementOrAction]] = [{} for _ in self._workers]
        for slot, command in commands.items():
            worker, local = divmod(slot, self._environments)
            shares[worker][local] = command
        busy = []
        for share, (process, pipe) in zip(shares, self._workers, strict=True):
            if share:
                with contextlib.suppress(ConnectionError):  # `_receive` says what happened
                    pipe.send(share)
                busy.append((process, pipe))
        parts = [_receive(process, pipe) for process, pipe in busy]
        return StepResult(
            *(
                np.concatenate([getattr(p, key) for p in parts])
                for key in StepResult.__annotations__
            )
        )

    def close(self) -> None:
        """End the processes."""
        for process, pipe in self._workers:
            with contextlib.suppress(ConnectionError):  # it may have ended already
                pipe.send(None)
            process.join(timeout=10)
            process.terminate()
            pipe.close()

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
            "--environments; environments in a recipe's [rollout])."
        ) from None
    if isinstance(answer, VipOfflineError):
        raise answer
    return answer
