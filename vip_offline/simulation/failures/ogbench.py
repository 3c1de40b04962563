"""How OGBench's tasks fail cleanly: its own experts, told of another target or another object."""

from collections.abc import Callable, Mapping

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
from vip_offline.simulation.suites.ogbench import CONTROL_RATE, ScriptedExpert
from vip_offline.simulation.suites.ogbench_tasks import (
    APART,
    CUBE_HALF,
    PLACES,
    TASKS,
    Task,
    object_error,
)
from vip_offline.utils.arrays import Floats

# m that are left to the target; OGBench counts 0.04 as there, and joints go on for some cm
SHORT, SHORT_JOINT = (0.05, 0.065), (0.07, 0.085)
SHORT_WAY = 0.015  # m that what stops short must have moved
# m, lowest and highest x and y of where cubes are put that belong elsewhere
TABLE = ((0.33, -0.15), (0.48, 0.15))
BESIDE_DRAWER = ((0.36, 0.0), (0.46, 0.15))  # the part that the scene's furniture leaves free
BUTTON_TOPS = ((0.58, -0.05, 0.125), (0.58, 0.05, 0.125))  # m; a state holds the wanted one alone
AXES = {"drawer": (0.0, -1.0, 0.0), "window": (1.0, 0.0, 0.0)}  # of handles, per m of the joint
CUBE_EXPERT = "cube-move"  # the task whose expert moves any cube
DRAWS = 100  # of a place, until it is far enough from all that it must not be at

Belief = Callable[[Floats], Mapping[str, object]]  # first state -> fields of the state


def clean_failures(name: str) -> Mapping[CleanKind, Maker]:
    """What a task, without its prefix, can fail by."""
    task = TASKS[name]
    kinds: dict[CleanKind, Maker] = {}
    if task.moved == "cube":
        kinds["wrong-place"] = lambda generator: _wrong_place(name, task, generator)
    if task.moved in AXES or (task.moved == "cube" and task.onto == "table"):
        kinds["stopped-short"] = lambda generator: _stopped_short(name, task, generator)
    if task.moved in ("button", *AXES) or name == CUBE_EXPERT:
        kinds["undone"] = lambda generator: _undone(name, task)
    if task.moved == "button":
        kinds["wrong-object"] = lambda generator: _other_button(name, task)
    elif task.moved in AXES or task.onto == "cube":
        kinds["wrong-object"] = lambda generator: _other_cube(task, generator)
    return kinds


def _field(state: Floats, name: str) -> Floats:
    return state[PLACES[f"privileged/{name}"]].copy()


def _aimed(task: str, belief: Belief) -> Behaviour:
    """A task's expert that takes fields of the state for what a first state made of them."""
    scripted = ScriptedExpert(task)
    believed: dict[str, object] = {}

    def act(state: Floats, step: int) -> Floats:
        if not believed:
            believed.update(belief(state))
        told = state.copy()
        for name, value in believed.items():
            told[PLACES[f"privileged/{name}"]] = np.asarray(value, np.float64)
        return scripted.get_action(told)

    return act


def _place(
    generator: np.random.Generator,
    corners: tuple[tuple[float, float], tuple[float, float]],
    away: list[Floats],
) -> Floats:
    """(3,) m on the table, `APART` from all points of a list."""
    for _ in range(DRAWS):
        place = np.array([*generator.uniform(corners[0], corners[1]), CUBE_HALF])
        if all(np.linalg.norm(place[:2] - other[:2]) >= APART for other in away):
            break
    return place


def _wrong_place(name: str, task: Task, generator: np.random.Generator) -> CleanFailure:
    corners = BESIDE_DRAWER if task.scene == "scene" else TABLE

    def belief(state: Floats) -> Mapping[str, object]:
        away = [_field(state, field) for field in ("target_block_pos", "block_0_pos")]
        if task.scene == "double":
            away.append(_field(state, "block_1_pos"))
        return {"target_block_pos": _place(generator, corners, away)}

    over = at_rest(lambda state: _field(state, "block_0_pos"), CONTROL_RATE)
    return CleanFailure(_aimed(name, belief), over)


def _joint_target(task: Task, state: Floats, joint: float) -> Mapping[str, object]:
    """Fields that make the expert bring drawer or window to a position of its joint."""
    way = joint - float(_field(state, f"{task.moved}_pos")[0])
    handle = _field(state, f"{task.moved}_handle_pos") + way * np.array(AXES[task.moved])
    return {
        f"target_{task.moved}_handle_pos": handle,
        f"target_{task.moved}_pos": joint,
    }


def _stopped_short(name: str, task: Task, generator: np.random.Generator) -> CleanFailure:
    left = float(generator.uniform(*(SHORT_JOINT if task.moved in AXES else SHORT)))

    def belief(state: Floats) -> Mapping[str, object]:
        if task.moved in AXES:
            joint = float(_field(state, f"{task.moved}_pos")[0])
            return _joint_target(
                task, state, task.target + left * float(np.sign(joint - task.target))
            )
        start, target = _field(state, "block_0_pos"), _field(state, "target_block_pos")
        back = (start - target)[:2] / np.linalg.norm((start - target)[:2])
        # the expert lets go up to 2 cm before where it thinks the target is, or behind it
        return {"target_block_pos": target + (left + 0.01) * np.array([*back, 0.0])}

    moved = "block_0_pos" if task.moved == "cube" else f"{task.moved}_handle_pos"
    over = at_rest(lambda state: _field(state, moved), CONTROL_RATE, SHORT_WAY)
    return CleanFailure(_aimed(name, belief), over)


def _undone(name: str, task: Task) -> CleanFailure:
    first: list[Floats] = []

    def solve(state: Floats, step: int) -> Floats:
        if not first:
            first.append(state.copy())
        return scripted.get_action(state)

    def belief(state: Floats) -> Mapping[str, object]:
        if task.moved == "button":
            before = _field(first[0], f"button_{task.button}_state")
            return {"target_button_state": before}
        if task.moved == "cube":
            return {"target_block_pos": _field(first[0], "block_0_pos")}
        return _joint_target(task, state, float(_field(first[0], f"{task.moved}_pos")[0]))

    def over(state: Floats) -> bool:
        if task.moved == "button":
            field = f"button_{task.button}_state"
            return bool(_field(state, field)[0] == _field(first[0], field)[0])
        return gone_back(lambda state: object_error(task, state), first[0])(state)

    scripted = ScriptedExpert(name)
    return CleanFailure(solve, over, _aimed(name, belief), keep=round(KEPT * CONTROL_RATE))


def _other_button(name: str, task: Task) -> CleanFailure:
    other = 1 - task.button
    before: list[float] = []

    def belief(state: Floats) -> Mapping[str, object]:
        return {
            "target_button": other,
            "target_button_state": 1 - _field(state, f"button_{other}_state"),
            "target_button_top_pos": BUTTON_TOPS[other],
        }

    def over(state: Floats) -> bool:
        now = float(_field(state, f"button_{other}_state")[0])
        if not before:
            before.append(now)
        return now != before[0]

    return CleanFailure(_aimed(name, belief), over)


def _other_cube(task: Task, generator: np.random.Generator) -> CleanFailure:
    """The cube is moved where a drawer or window should be; of two cubes the second one."""
    cube, corners = (1, TABLE) if task.scene == "double" else (0, BESIDE_DRAWER)

    def belief(state: Floats) -> Mapping[str, object]:
        away = [_field(state, f"block_{cube}_pos")]
        if task.scene == "double":
            away.append(_field(state, "block_0_pos"))
        return {
            "target_block": cube,
            "target_block_pos": _place(generator, corners, away),
            "target_block_yaw": 0.0,
        }

    over = at_rest(lambda state: _field(state, f"block_{cube}_pos"), CONTROL_RATE)
    return CleanFailure(_aimed(CUBE_EXPERT, belief), over)
