"""Tasks in OGBench's manipulation scenes, their states as arrays, and their dense reward.

OGBench draws a new target whenever it wants one, so a task here is what stays the same: what is to
move, where it starts, and where it ends. What the task is not about rests closed and locked; the
cube and the arm are drawn for each placement as OGBench draws them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vip_offline.utils.arrays import Floats

OGBENCH = "ogbench"  # the prefix of its tasks

Scene = Literal["scene", "single", "double"]  # drawer, window, buttons, a cube; one cube; two
Moved = Literal["drawer", "window", "button", "cube"]
Onto = Literal["table", "drawer", "cube"]

CUBE_HALF = 0.02  # m
# cubes that are to be moved start at least as far from where they are to go: 2.5 times as far as
# OGBench takes for there
APART = 0.1  # m
TABLE_TARGET = (0.425, 0.0, CUBE_HALF)  # m, the middle of what OGBench draws targets from
DRAWER_TARGET = (0.33, -0.24, 0.066)  # m, OGBench's middle of the open drawer
OPEN_DRAWER, OPEN_WINDOW = -0.16, 0.2  # m, ends of the joints; closed is 0
PRESSED = -0.02  # m of a button's joint, where it changes its state
APPROACH_WEIGHT = 0.1


@dataclass(frozen=True)
class Task:
    """What moves, from where to where.

    The joints of drawer and window start between two positions in m. Button 0 unlocks the drawer,
    button 1 the window.
    """

    scene: Scene
    moved: Moved
    target: float = 0.0  # m, of the joint of drawer or window
    drawer: tuple[float, float] = (0.0, 0.0)
    window: tuple[float, float] = (0.0, 0.0)
    unlocked: tuple[bool, bool] = (False, False)  # drawer, window
    button: int = 0
    onto: Onto = "table"  # where the cube is to go

    @property
    def is_marked(self) -> bool:
        """Whether nothing but a marker, which is not drawn, would tell where the target is."""
        return self.moved == "cube" and self.onto == "table"


TASKS: Mapping[str, Task] = {
    "button-press-drawer": Task("scene", "button", button=0),
    "button-press-window": Task("scene", "button", button=1),
    "cube-in-drawer": Task("scene", "cube", drawer=(OPEN_DRAWER, OPEN_DRAWER), onto="drawer"),
    "cube-move": Task("single", "cube"),
    "cube-stack": Task("double", "cube", onto="cube"),
    "drawer-close": Task("scene", "drawer", 0.0, drawer=(-0.16, -0.11), unlocked=(True, False)),
    "drawer-open": Task("scene", "drawer", OPEN_DRAWER, drawer=(-0.05, 0), unlocked=(True, False)),
    "window-close": Task("scene", "window", 0.0, window=(0.15, 0.2), unlocked=(False, True)),
    "window-open": Task("scene", "window", OPEN_WINDOW, window=(0, 0.05), unlocked=(False, True)),
}

# what a state holds of OGBench's `info`, in this order: name -> numbers; what a scene has not is 0.
# Lengths in m, angles in rad; "opening" is 0 open, 1 closed; contact from 0 to 1
FIELDS: Mapping[str, int] = {
    "proprio/effector_pos": 3,
    "proprio/effector_yaw": 1,
    "proprio/gripper_opening": 1,
    "proprio/gripper_contact": 1,
    "proprio/joint_pos": 6,
    "proprio/joint_vel": 6,
    "privileged/block_0_pos": 3,
    "privileged/block_0_yaw": 1,
    "privileged/block_1_pos": 3,
    "privileged/block_1_yaw": 1,
    "privileged/button_0_pos": 1,
    "privileged/button_0_state": 1,
    "privileged/button_1_pos": 1,
    "privileged/button_1_state": 1,
    "privileged/drawer_pos": 1,
    "privileged/drawer_handle_pos": 3,
    "privileged/drawer_handle_yaw": 1,
    "privileged/window_pos": 1,
    "privileged/window_handle_pos": 3,
    "privileged/window_handle_yaw": 1,
    "privileged/target_block": 1,
    "privileged/target_block_pos": 3,
    "privileged/target_block_yaw": 1,
    "privileged/target_button": 1,
    "privileged/target_button_state": 1,
    "privileged/target_button_top_pos": 3,
    "privileged/target_drawer_pos": 1,
    "privileged/target_drawer_handle_pos": 3,
    "privileged/target_window_pos": 1,
    "privileged/target_window_handle_pos": 3,
}
COUNTED = ("target_block", "target_button", "_state")  # ends of names whose numbers are integers


def _places() -> Iterator[tuple[str, slice]]:
    start = 0
    for name, width in FIELDS.items():
        yield name, slice(start, start + width)
        start += width


PLACES: Mapping[str, slice] = dict(_places())
STATE_SIZE = sum(FIELDS.values())


def columns(*names: str) -> tuple[int, ...]:
    """Places of these fields in a state."""
    return tuple(place for name in names for place in range(STATE_SIZE)[PLACES[name]])


# poses of robot and objects, in m but for the gripper
ROBOT_COLUMNS = columns("proprio/effector_pos", "proprio/gripper_opening")
OBJECT_COLUMNS = columns(
    "privileged/block_0_pos",
    "privileged/block_1_pos",
    "privileged/button_0_pos",
    "privileged/button_1_pos",
    "privileged/drawer_pos",
    "privileged/window_pos",
)


def as_state(info: Mapping[str, Any]) -> Floats:
    """(S,) float64 of what OGBench says after a reset or a step."""
    parts = [np.ravel(info.get(name, np.zeros(width))) for name, width in FIELDS.items()]
    return np.concatenate(parts).astype(np.float64)


def as_info(state: Floats) -> dict[str, Any]:
    """What OGBench's scripted experts read, of a state (S,); the inverse of `as_state`."""
    info: dict[str, Any] = {name: state[place] for name, place in PLACES.items()}
    return info | {name: int(info[name][0]) for name in FIELDS if name.endswith(COUNTED)}


def object_error(task: Task, state: Floats) -> float:
    """Distance in m of what is to move from where it is to be.

    Of a button it is what is left to press, and 0 once its state is the wanted one.
    """
    info = as_info(state)
    if task.moved == "cube":
        block = info["privileged/target_block"]
        offset = info[f"privileged/block_{block}_pos"] - info["privileged/target_block_pos"]
        return float(np.linalg.norm(offset))
    if task.moved == "button":
        button = info["privileged/target_button"]
        if info[f"privileged/button_{button}_state"] == info["privileged/target_button_state"]:
            return 0.0
        return float(max(info[f"privileged/button_{button}_pos"][0] - PRESSED, 0.0))
    position, target = f"privileged/{task.moved}_pos", f"privileged/target_{task.moved}_pos"
    return float(abs(info[position] - info[target])[0])


def approach(task: Task, state: Floats) -> float:
    """Distance in m of the hand from what it is to move: cube, handle or top of the button."""
    info = as_info(state)
    held = {
        "cube": f"privileged/block_{info['privileged/target_block']}_pos",
        "button": "privileged/target_button_top_pos",
    }.get(task.moved, f"privileged/{task.moved}_handle_pos")
    return float(np.linalg.norm(info[held] - info["proprio/effector_pos"]))


def dense_reward(object_error: float, approach: float) -> float:
    """Minus the object's distance from its target, and a tenth of the hand's from the object.

    It is ours: OGBench has no reward but success. Without the second term nothing would change
    until the hand touches something.

    Args:
        object_error: in m, see `object_error`.
        approach: in m, see `approach`.
    """
    return -object_error - APPROACH_WEIGHT * approach
