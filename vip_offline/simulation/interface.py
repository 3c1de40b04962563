"""The one face of all simulators: placements, steps, frames, proprioception, saved states.

Whoever records, rolls out or plans knows `Simulator` alone; `simulation.simulators` makes one of a
task's name. A name is ``simulator/task``; without a prefix it is one of Meta-World's, as it was
before there were others, and is stored without.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError, did_you_mean

if TYPE_CHECKING:
    from vip_offline.simulation.nuisances import Nuisance
    from vip_offline.simulation.rendering import Renderer

METAWORLD = "metaworld"  # whose tasks are stored without a prefix


@dataclass(frozen=True)
class Observation:
    """What a robot would have: a picture and its own joints, no object or goal coordinate."""

    frame: NDArray[np.uint8]  # (H, W, 3) RGB
    proprio: NDArray[np.float32]  # (P,); the simulator's `proprio_names` say what and in which unit


class Simulator(Protocol):
    """One environment. Its renderer may be shared by all of the same task and view in a process.

    Nothing is drawn unless somebody asks for a frame: drawing costs more than physics.
    """

    task: str  # as stored: "kitchen/sdoor-open"; Meta-World's without its prefix
    action_size: int  # A; actions lie between -1 and 1
    control_rate: float  # Hz
    step_limit: int  # most steps of an episode
    proprio_names: tuple[str, ...]  # (P,) one per column, with its unit
    steps: int  # since the reset
    renderer: "Renderer | None"  # None: made for the first frame
    nuisance: "Nuisance | None"  # of its frames alone; whoever resets it may set another

    @property
    def state(self) -> NDArray[np.float64]:
        """Privileged: for scripted experts, and for controls by the ground truth."""
        ...

    def reset(self, placement: int) -> None:
        """Start over with things where this seed puts them; whatever came before has no part."""
        ...

    def step(self, action: NDArray[np.floating[Any]]) -> tuple[float, bool]:
        """Advance one control tick; draws nothing.

        Args:
            action: (A,), clipped to [-1, 1].

        Returns:
            The simulator's dense reward, and whether the task is solved now.

        Raises:
            VipOfflineError: if the action is not finite.
        """
        ...

    def frame(self) -> NDArray[np.uint8]:
        """(image_size, image_size, 3) RGB of the state; drawn now."""
        ...

    def proprio(self) -> NDArray[np.float32]:
        """(P,) of the robot's own joints, in the units of `proprio_names`."""
        ...

    def observe(self) -> Observation:
        """`frame` and `proprio`."""
        ...

    def save(self) -> NDArray[np.float64]:
        """(S,) all that `step` reads; S is the same for all states of a task.

        After `restore`, here or in another simulator of the same task and settings, the same
        actions lead to the same states, rewards and frames, to the last bit.
        """
        ...

    def restore(self, saved: NDArray[np.float64]) -> None:
        """Go back to what `save` gave."""
        ...

    def close(self) -> None:
        """Free the graphics context; closing twice does no harm."""
        ...

    def __enter__(self) -> Self:
        """Return it, to be closed at the end of the block."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close it."""
        ...


def split_task(task: str) -> tuple[str, str]:
    """Simulator and its own name of a task: ("metaworld", "push") of "push"."""
    simulator, slash, name = task.partition("/")
    return (simulator, name) if slash else (METAWORLD, task)


def stored_name(simulator: str, name: str) -> str:
    """The name by which stores and policies know a task; the inverse of `split_task`."""
    return name if simulator == METAWORLD else f"{simulator}/{name}"


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Refuse an unknown task, view, or kind of start.

    Raises:
        VipOfflineError: with the nearest known name.
    """
    if name not in (names := list(known)):
        raise VipOfflineError(f"Unknown {what} {name!r}.{did_you_mean(name, names)}")


def check_action(action: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Clip an action to [-1, 1], as float32.

    Raises:
        VipOfflineError: if it is not finite: Meta-World would call that a success.
    """
    if not np.isfinite(action).all():
        raise VipOfflineError(f"The action {np.asarray(action).tolist()} is not finite.")
    return np.asarray(np.clip(action, -1.0, 1.0), np.float32)
