"""What clean failures of all simulators have in common: phases of an expert, and when one is done.

The success of such an episode is the simulator's flag at its end, not at any time: what is undone
did succeed in between.
"""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.experts import Behaviour
from vip_offline.utils.arrays import Floats

CleanKind = Literal["wrong-place", "stopped-short", "undone", "wrong-object"]
CLEAN_KINDS: tuple[CleanKind, ...] = get_args(CleanKind)
REST = 0.25  # s without motion after which an object has come to rest
STILL = 0.002  # m within which an object is at rest
MOVED = 0.03  # m from its start that an object must go, or nothing was done to it
UNDONE = 0.7  # of the way from start to target that is gone back
KEPT = 0.4  # s that a success lasts before it is undone

Position = Callable[[Floats], Floats]  # state (S,) -> where an object is, (3,) m


class CleanFailure:
    """An episode that moves like the expert and does not solve the task.

    Attributes:
        done: whether it has done what it set out to do.

    Args:
        first: acts from the start.
        second: acts once the first has been at its end for `KEPT`; None: there is one phase.
        is_over: of a state: whether the last phase has reached its end.
        switch: of a state: whether the first phase has; None: the simulator's success says so.
        keep: steps that the end of the first phase is kept.
    """

    def __init__(
        self,
        first: Behaviour,
        is_over: Callable[[Floats], bool],
        second: Behaviour | None = None,
        switch: Callable[[Floats], bool] | None = None,
        keep: int = 0,
    ) -> None:
        self._phases = (first, second)
        self._is_over, self._switch, self._keep = is_over, switch, keep
        self._successes = 0
        self._turned = False
        self.done = False

    def __call__(self, state: Floats, step: int) -> Floats:
        """(A,) action in a state, not clipped."""
        first, second = self._phases
        if second is not None and not self._turned:
            reached = self._successes > self._keep if self._switch is None else self._switch(state)
            self._turned = reached
        if second is None or self._turned:
            self.done = self.done or self._is_over(state)
        return second(state, step) if second is not None and self._turned else first(state, step)

    def saw(self, success: bool) -> None:
        """Be told the simulator's flag after a step."""
        self._successes += success


Maker = Callable[[np.random.Generator], "CleanFailure"]


def at_rest(position: Position, rate: float, moved: float = MOVED) -> Callable[[Floats], bool]:
    """Whether an object has moved from where it was first seen, and lies still since `REST`.

    Args:
        position: of the object.
        rate: of the control, in Hz.
        moved: m that it must have gone.
    """
    recent: list[Floats] = []
    start: list[Floats] = []
    steps = max(round(REST * rate), 2)

    def over(state: Floats) -> bool:
        now = np.array(position(state), np.float64)
        if not start:
            start.append(now)
        recent.append(now)
        del recent[:-steps]
        if len(recent) < steps or np.linalg.norm(now - start[0]) < moved:
            return False
        return bool(np.max(np.linalg.norm(np.array(recent) - now, axis=1)) < STILL)

    return over


def gone_back(error: Callable[[Floats], float], start: Floats) -> Callable[[Floats], bool]:
    """Whether the object is as far from its target as `UNDONE` of what it was in a first state."""
    before = error(start)
    return lambda state: error(state) >= UNDONE * before


def check_kinds(task: str, kinds: tuple[str, ...], possible: tuple[str, ...]) -> None:
    """Refuse kinds of clean failure that a task cannot have.

    Raises:
        VipOfflineError: naming those that it can have.
    """
    for kind in kinds:
        if kind in possible:
            continue
        known = "is no kind of clean failure" if kind not in CLEAN_KINDS else "cannot be done there"
        can = (
            f"{task} can fail as {', '.join(possible)}"
            if possible
            else f"{task} has none of {', '.join(CLEAN_KINDS)}; leave the option out for today's "
            "frozen, pulled, noisy and wandering"
        )
        raise VipOfflineError(f"--failures-as {kind}: {known}. {can}.")
    if len(set(kinds)) < len(kinds):
        raise VipOfflineError(f"--failures-as {','.join(kinds)}: each kind may stand there once.")
