"""Which simulators there are, and how a task's name becomes one.

Nothing else knows them apart. A new one is a module with a class that has the methods of
`interface.Simulator`, and a line in `SIMULATORS`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.failures import metaworld as metaworld_failures
from vip_offline.simulation.failures import ogbench as ogbench_failures
from vip_offline.simulation.failures.clean import Maker
from vip_offline.simulation.interface import (
    METAWORLD,
    Simulator,
    check_known,
    split_task,
    stored_name,
)
from vip_offline.simulation.kitchen_goals import solved_goal
from vip_offline.simulation.rendering import Renderer, View
from vip_offline.simulation.suites import kitchen, metaworld, ogbench, ogbench_tasks

HARD = kitchen.HARD  # the start that every task has: the simulator's own


@dataclass(frozen=True)
class SimulatorKind:
    """What there is of a simulator."""

    tasks: Callable[[], Sequence[str]]  # without the prefix; raises where a package is missing
    views: Mapping[str, View]  # the first is drawn unless another one is named
    starts: Mapping[str, int]  # where episodes begin -> most steps of one
    control_rate: float  # Hz
    proprio: tuple[str, ...]  # (P,) names with units
    proprio_bounds: tuple[Sequence[float], Sequence[float]]  # (P,) least, (P,) most
    # of the state: columns of the robot's pose, and of the objects'
    robot_columns: tuple[int, ...]
    object_columns: tuple[int, ...]
    make: Callable[..., Simulator]  # (name, image_size, renderer=..., and what it takes)
    takes: tuple[str, ...]  # of view, start, hidden_goal: those of which it has a choice
    # of a task's name: the scripted policy, ``get_action(state) -> (A,)``; None: it brings none
    expert: Callable[[str], Any] | None = None
    # of a task's name: how its expert can fail as cleanly as it succeeds
    clean_failures: Callable[[str], Mapping[Any, Maker]] | None = None


SIMULATORS: Mapping[str, SimulatorKind] = {
    METAWORLD: SimulatorKind(
        metaworld.tasks,
        metaworld.VIEWS,
        {HARD: metaworld.STEP_LIMIT},
        metaworld.CONTROL_RATE,
        metaworld.PROPRIO,
        (metaworld.WORKSPACE_LOW, metaworld.WORKSPACE_HIGH),
        metaworld.ROBOT_COLUMNS,
        metaworld.OBJECT_COLUMNS,
        metaworld.MetaworldSimulator,
        ("hidden_goal",),
        metaworld.scripted_expert,
        metaworld_failures.clean_failures,
    ),
    kitchen.KITCHEN: SimulatorKind(
        kitchen.tasks,
        kitchen.VIEWS,
        kitchen.HORIZONS,
        kitchen.CONTROL_RATE,
        kitchen.PROPRIO,
        kitchen.PROPRIO_BOUNDS,
        kitchen.ROBOT_COLUMNS,
        kitchen.OBJECT_COLUMNS,
        kitchen.KitchenSimulator,
        ("view", "start"),
    ),
    ogbench_tasks.OGBENCH: SimulatorKind(
        ogbench.tasks,
        ogbench.VIEWS,
        {HARD: ogbench.STEP_LIMIT},
        ogbench.CONTROL_RATE,
        ogbench.PROPRIO,
        ogbench.PROPRIO_BOUNDS,
        ogbench_tasks.ROBOT_COLUMNS,
        ogbench_tasks.OBJECT_COLUMNS,
        ogbench.OgbenchSimulator,
        ("view", "hidden_goal"),
        ogbench.ScriptedExpert,
        ogbench_failures.clean_failures,
    ),
}


# what is known of others' tasks where their packages are missing
PREFIXED: Mapping[str, Collection[str]] = {
    kitchen.KITCHEN: kitchen.TASKS,
    ogbench_tasks.OGBENCH: ogbench_tasks.TASKS,
}


def kind_of(task: str) -> SimulatorKind:
    """The simulator of a known task."""
    return SIMULATORS[split_task(task)[0]]


def tasks(simulator: str = METAWORLD) -> list[str]:
    """Names of a simulator's tasks, as they are stored.

    Raises:
        VipOfflineError: on an unknown simulator, or one that is not installed.
    """
    check_known("simulator", simulator, SIMULATORS)
    return [stored_name(simulator, name) for name in SIMULATORS[simulator].tasks()]


def check_task(task: str) -> str:
    """Refuse an unknown task.

    Args:
        task: with its simulator's prefix; without one it is Meta-World's.

    Returns:
        The name as it is stored: ``metaworld/push`` is ``push``.

    Raises:
        VipOfflineError: with the nearest known name, or the package that is missing.
    """
    simulator, name = split_task(task)
    if simulator not in SIMULATORS:
        check_known(f"simulator of the task {task!r}:", simulator, SIMULATORS)
    if not is_task(task):
        for other, names in PREFIXED.items():
            if task in names:
                raise VipOfflineError(f"Unknown task {task!r}. Did you mean '{other}/{task}'?")
        check_known("task", stored_name(simulator, name), tasks(simulator))
    return stored_name(simulator, name)


def is_task(task: str) -> bool:
    """Whether a simulator here knows a task.

    Raises:
        VipOfflineError: if its simulator is not installed.
    """
    simulator, name = split_task(task)
    return simulator in SIMULATORS and name in SIMULATORS[simulator].tasks()


def check_start(task: str, start: str) -> None:
    """Refuse a start that a known task has not.

    Raises:
        VipOfflineError: also if it is an easy one, and no trajectory gave it.
    """
    check_known(f"start of {task}:", start, kind_of(task).starts)
    if start == kitchen.EASY:
        solved_goal(split_task(task)[1])


def views(task: str) -> list[str]:
    """Names of the cameras that a known task can be drawn from, the default first."""
    return list(kind_of(task).views)


def view_of_camera(task: str, camera: str) -> str:
    """The view that a stored camera of a known task was drawn from.

    Where a task has one view, `record --camera` may have named it otherwise.

    Raises:
        VipOfflineError: if the task has several, and the camera is none of them.
    """
    names = views(task)
    if len(names) > 1:
        check_known(f"view of {task}:", camera, names)
        return camera
    return names[0]


def make_simulator(
    task: str,
    image_size: int,
    *,
    view: str = "",
    hidden_goal: bool = False,
    start: str = HARD,
    renderer: Renderer | None = None,
) -> Simulator:
    """Make the simulator of a task.

    Args:
        task: see `check_task`.
        image_size: height and width of frames.
        view: see `views`; "": the first.
        hidden_goal: leave a target that nothing shows where the simulator draws it.
        start: "hard": where the simulator starts; "easy", if a task has it: near its object.
        renderer: of another simulator of the same task and view, to share.

    Raises:
        VipOfflineError: on an unknown task, view or start, and where a package is missing.
    """
    task = check_task(task)
    kind = kind_of(task)
    view = view or views(task)[0]
    check_known(f"view of {task}:", view, kind.views)
    check_start(task, start)
    choices = {"view": view, "start": start, "hidden_goal": hidden_goal}
    taken = {name: choices[name] for name in kind.takes}
    return kind.make(split_task(task)[1], image_size, renderer=renderer, **taken)


def scripted_expert(task: str) -> Any:
    """The scripted policy of a known task; ``get_action(state) -> (A,)``, not clipped.

    Raises:
        VipOfflineError: if its simulator brings none.
    """
    simulator, name = split_task(task)
    expert = SIMULATORS[simulator].expert
    if expert is None:
        raise VipOfflineError(
            f"{task}: {simulator} brings no scripted expert, so there is nobody to record. "
            f"`vip-offline plan {task} --store PATH` records what it does from a goal picture."
        )
    return expert(name)


def clean_failures(task: str) -> Mapping[str, Maker]:
    """Kinds of failure that move as cleanly as the expert of a known task; empty: it has none."""
    simulator, name = split_task(task)
    kinds = SIMULATORS[simulator].clean_failures
    return {} if kinds is None else kinds(name)
