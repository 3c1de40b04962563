"""How Meta-World's tasks fail cleanly: its own experts, told of another target, or turned round.

Of its tasks none has a second object. The lists are of those that did as they should when tried on
three to five placements; a closing drawer, for one, runs on into its success when it is let go.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from vip_offline.simulation.experts import Behaviour
from vip_offline.simulation.failures.clean import (
    KEPT,
    CleanFailure,
    CleanKind,
    Maker,
    at_rest,
    gone_back,
)
from vip_offline.simulation.suites.metaworld import (
    CONTROL_RATE,
    OBJECT_COLUMNS,
    expert_action,
    scripted_expert,
)
from vip_offline.utils.arrays import Floats

OBJECT, GOAL = slice(OBJECT_COLUMNS[0], OBJECT_COLUMNS[-1] + 1), slice(-3, None)  # of a state, m
AWAY = (0.12, 0.2)  # m between the target and the wrong place, sideways
LET_GO = 0.5  # s in which the hand goes up after it stopped short
UP, OPEN = 0.6, -1.0  # of the hand's speed and gripper

WRONG_PLACE = ("coffee-pull", "pick-place", "push", "sweep-into")
# share of the object's way that is left where the expert lets go, after which it runs on
STOPPED_SHORT = {
    "door-open": (0.45, 0.6),
    "drawer-open": (0.55, 0.7),
    "push": (0.65, 0.8),
}
# task -> the one whose expert undoes it
UNDONE_BY = {
    "door-close": "door-open",
    "door-lock": "door-unlock",
    "door-unlock": "door-lock",
    "drawer-close": "drawer-open",
    "drawer-open": "drawer-close",
    "handle-pull": "handle-press",
}
UNDONE_BY_ITSELF = ("pick-place", "push")  # its expert brings the object back


def clean_failures(name: str) -> Mapping[CleanKind, Maker]:
    """What a task, without prefix and version, can fail by."""
    kinds: dict[CleanKind, Maker] = {}
    if name in WRONG_PLACE:
        kinds["wrong-place"] = partial(_wrong_place, name)
    if name in STOPPED_SHORT:
        kinds["stopped-short"] = partial(_stopped_short, name)
    if name in UNDONE_BY or name in UNDONE_BY_ITSELF:
        kinds["undone"] = partial(_undone, name)
    return kinds


def _object(state: Floats) -> Floats:
    return state[OBJECT].copy()


def _error(state: Floats) -> float:
    return float(np.linalg.norm(state[OBJECT] - state[GOAL]))


def _aimed(name: str, goal: Callable[[], Floats]) -> Behaviour:
    """A task's expert that takes another point for the target."""
    scripted = scripted_expert(name)

    def act(state: Floats, step: int) -> Floats:
        told = state.copy()
        told[GOAL] = goal()
        return expert_action(scripted, told)

    return act


def _wrong_place(name: str, generator: np.random.Generator) -> CleanFailure:
    offset = np.array([generator.choice([-1.0, 1.0]) * generator.uniform(*AWAY), 0.0, 0.0])
    scripted = scripted_expert(name)

    def act(state: Floats, step: int) -> Floats:
        told = state.copy()
        told[GOAL] += offset
        return expert_action(scripted, told)

    return CleanFailure(act, at_rest(_object, CONTROL_RATE))


def _stopped_short(name: str, generator: np.random.Generator) -> CleanFailure:
    scripted, left = scripted_expert(name), float(generator.uniform(*STOPPED_SHORT[name]))
    first: list[float] = []
    gone: list[int] = []

    def act(state: Floats, step: int) -> Floats:
        return expert_action(scripted, state)

    def reached(state: Floats) -> bool:
        if not first:
            first.append(_error(state))
        return _error(state) <= left * first[0]

    def withdraw(state: Floats, step: int) -> Floats:
        gone.append(step)
        return np.array([0.0, 0.0, UP, OPEN])

    def over(state: Floats) -> bool:
        return len(gone) >= round(LET_GO * CONTROL_RATE)

    return CleanFailure(act, over, withdraw, reached)


def _undone(name: str, generator: np.random.Generator) -> CleanFailure:
    del generator
    scripted, first = scripted_expert(name), list[Floats]()

    def act(state: Floats, step: int) -> Floats:
        if not first:
            first.append(state.copy())
        return expert_action(scripted, state)

    back = (
        _aimed(name, lambda: _object(first[0]))
        if name in UNDONE_BY_ITSELF
        else _turned(UNDONE_BY[name])
    )

    def over(state: Floats) -> bool:
        return gone_back(_error, first[0])(state)

    return CleanFailure(act, over, back, keep=round(KEPT * CONTROL_RATE))


def _turned(name: str) -> Behaviour:
    scripted = scripted_expert(name)
    return lambda state, step: expert_action(scripted, state)
