"""The picture to be reached, and the state that it shows where that is known."""

from dataclasses import dataclass
from pathlib import Path

from vip_offline.dataset.media.pictures import read_picture
from vip_offline.errors import VipOfflineError
from vip_offline.options import TAIL
from vip_offline.planning.processes import SimulatorProcesses
from vip_offline.simulation.interface import Simulator, split_task
from vip_offline.simulation.kitchen_goals import solved_goal, solved_names
from vip_offline.simulation.simulators import scripted_expert
from vip_offline.simulation.suites.kitchen import KITCHEN, GoalKind, KitchenSimulator
from vip_offline.simulation.suites.metaworld import expert_action
from vip_offline.utils.arrays import Floats, Pixels

OBJECT = "object"  # in place of a picture: the object moved, the arm at home


@dataclass(frozen=True)
class Goal:
    """What is to be reached."""

    source: str  # in words
    picture: Pixels  # (H, W, 3)
    state: Floats | None = None  # (S,) privileged, for pose errors; None: not known


def given_goal(path: str) -> Goal:
    """A picture file as the goal; what state it shows nobody knows.

    Raises:
        VipOfflineError: if it is not there or no picture.
    """
    if not Path(path).is_file():
        raise VipOfflineError(f"--goal {path}: is no file. Name a picture.")
    return Goal(f"picture {path}", read_picture(Path(path)))


def expert_goal(simulator: Simulator, placement: int) -> Goal:
    """The last frame of Meta-World's scripted expert, some steps after it solved the task.

    The success flag of some tasks flickers, so it is the last frame of these that is solved.

    Raises:
        VipOfflineError: if the expert does not solve this placement.
    """
    expert = scripted_expert(simulator.task)
    simulator.reset(placement)
    goal, remaining = None, TAIL
    while simulator.steps < simulator.step_limit - 1 and remaining:
        _, solved = simulator.step(expert_action(expert, simulator.state))
        if solved:
            goal = simulator.save()
        remaining -= goal is not None
    if goal is None:
        raise VipOfflineError(
            f"{simulator.task}: the scripted expert does not solve placement {placement} within "
            f"{simulator.step_limit - 1} steps, so it leaves no goal picture. Choose another "
            "--placement, or give a picture by --goal."
        )
    simulator.restore(goal)
    source = f"the last frame of the scripted expert on placement {placement}"
    return Goal(source, simulator.frame(), simulator.state.copy())


def kitchen_goal(simulator: Simulator, kind: GoalKind) -> Goal:
    """A goal of Kitchen, drawn from the simulator's view.

    Args:
        simulator: of a task of Kitchen.
        kind: see `KitchenSimulator.goal`.

    Raises:
        VipOfflineError: if planning on the dense reward did not solve the task, and the goal is to
            be where that ended.
    """
    assert isinstance(simulator, KitchenSimulator)
    source = {
        "solved": "the end of a trajectory that solved the task",
        "object": "the object moved and the arm at home",
    }
    return Goal(source[kind], *simulator.goal(kind))


def check_goal(task: str, goal: str, *, needed: bool) -> None:
    """Refuse a goal that there is not, before a simulator is made.

    Args:
        task: a known one, as it is stored.
        goal: a picture file, "object", or "": the task's own.
        needed: whether sequences are scored by it.

    Raises:
        VipOfflineError: if the file is no picture, or the task has no such goal.
    """
    simulator, name = split_task(task)
    if goal == OBJECT and simulator != KITCHEN:
        raise VipOfflineError(
            f"--goal {OBJECT}: is known of tasks of Kitchen alone, not of {task}. Leave it out, or "
            "name a picture."
        )
    if goal and goal != OBJECT:
        given_goal(goal)
    elif not goal and simulator == KITCHEN and needed:
        solved_goal(name)


def goal_of(processes: SimulatorProcesses, task: str, goal: str, placement: int) -> Goal:
    """The goal of an episode; see `check_goal` and `expert_goal`.

    A task of Kitchen without a solved trajectory has the one with the arm at home.
    """
    simulator, name = split_task(task)
    if goal and goal != OBJECT:
        return given_goal(goal)
    if simulator == KITCHEN:
        solved = not goal and name in solved_names()
        return processes.call(kitchen_goal, "solved" if solved else "object")
    return processes.call(expert_goal, placement)
