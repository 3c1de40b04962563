"""FrankaKitchen of gymnasium-robotics with the paper's twelve tasks (section 5, appendix E.1).

Physics and actions are those of ``FrankaKitchen-v1``; tasks, success and dense reward are the
paper's, written out here. Numbers do not compare with the paper's, whose models and controller are
others; encoders compare with each other.

A task is one joint of the kitchen that goes from one end of its range to the other, while all
others stay. What is not judged: the kettle, which has no range, and the burners, which follow the
knobs.
"""

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.camera import DrawnSimulator
from vip_offline.simulation.interface import check_action, check_known, stored_name
from vip_offline.simulation.kitchen_goals import solved_goal
from vip_offline.simulation.rendering import Renderer, View, choose_gl_backend, locate
from vip_offline.simulation.suites.physics import restore_physics, save_physics
from vip_offline.utils.arrays import Floats

GoalKind = Literal["solved", "object"]

KITCHEN = "kitchen"  # the prefix of its tasks
CONTROL_RATE = 12.5  # Hz: 40 substeps of 2 ms
HARD, EASY = "hard", "easy"
HORIZONS = {HARD: 100, EASY: 50}  # start -> steps of an episode (section 5)
# from behind the robot; left and right are sides of the robot
VIEWS = {
    "default": View(azimuth=70, elevation=-35, distance=2.2, lookat=(-0.2, 0.5, 2.0)),
    "left": View(azimuth=35, elevation=-35, distance=2.2, lookat=(-0.2, 0.5, 2.0)),
    "right": View(azimuth=110, elevation=-35, distance=2.2, lookat=(-0.2, 0.5, 2.0)),
}
ARM, ROBOT = 7, 9  # joints: of the arm; with its two fingers, first in the state
PROPRIO = (
    *(f"joint {number} [rad]" for number in range(1, ARM + 1)),
    "finger 1 [m]",
    "finger 2 [m]",
)
# wider than the joints' ranges, which are soft
PROPRIO_BOUNDS = ([-4.0] * ARM + [-0.1] * 2, [4.0] * ARM + [0.1] * 2)
# joints that are judged -> their place in qpos, which is that in the state, too
JOINTS = {
    "knob_Joint_1": 9,
    "knob_Joint_2": 11,
    "knob_Joint_3": 13,
    "knob_Joint_4": 15,
    "light_switch": 17,
    "slide_cabinet": 19,
    "left_hinge_cabinet": 20,
    "right_hinge_cabinet": 21,
    "microwave": 22,
}
ROBOT_COLUMNS, OBJECT_COLUMNS = tuple(range(ROBOT)), tuple(JOINTS.values())  # of the state
# joints that others follow -> place of the follower, and how many times further they go themselves
FOLLOWERS = {"knob_Joint_1": (10, 174.0), "light_switch": (18, 14.0)}
HAND_SITE = "end_effector"
LAMP = "ovenlight"
LAMP_PLACE, LAMP_ON = 18, -0.05  # of its block in qpos; m, where it is away
# a placement moves each joint of the arm by at most so many rad; near an object less
PLACEMENT_SPREAD = {HARD: 0.03, EASY: 0.01}
SOLVED_WITHIN = 0.15  # of a joint's range
BONUSES_WITHIN = (0.75, 0.25)  # of a joint's range
BONUS_WEIGHT = APPROACH_WEIGHT = 0.5


@dataclass(frozen=True)
class Task:
    """One joint that is to go from `start` to `goal`; 0 is closed, or off."""

    joint: str
    site: str  # of the handle
    start: float  # rad, or m of the slide
    goal: float


def _pairs() -> dict[str, Task]:
    """Both directions of each joint, by the paper's names."""
    opened = {
        "micro": ("microwave", "microhandle_site", -1.25),
        "sdoor": ("slide_cabinet", "slide_site", 0.44),
        "ldoor": ("left_hinge_cabinet", "hinge_site1", -1.25),
        "rdoor": ("right_hinge_cabinet", "hinge_site2", 1.57),
        "knob1": ("knob_Joint_1", "knob1_site", -1.57),
        "light": ("light_switch", "light_site", -0.7),
    }
    tasks = {}
    for name, (joint, site, end) in opened.items():
        there, back = ("on", "off") if name in ("knob1", "light") else ("open", "close")
        tasks[f"{name}-{there}"] = Task(joint, site, 0.0, end)
        tasks[f"{name}-{back}"] = Task(joint, site, end, 0.0)
    return tasks


TASKS: Mapping[str, Task] = _pairs()


def tasks() -> tuple[str, ...]:
    """Names of the tasks, without the prefix.

    Raises:
        VipOfflineError: if gymnasium-robotics is not installed.
    """
    if find_spec("gymnasium_robotics") is None:
        raise VipOfflineError(
            "The simulator of Kitchen, gymnasium-robotics, is not installed. "
            "pip install 'vip-offline[sim]'"
        )
    return tuple(TASKS)


def dense_reward(error: Floats, ranges: Floats, approach: Floats) -> float:
    """The dense reward of the authors' environment (mj_envs, ``kitchen_multitask_base_v1.py``).

    The sum of: minus the absolute errors of all joints; 0.5 for each of 0.75 and 0.25 of their
    range that all of them are within; minus 0.5 times the way from the hand to the handle. Their
    term for the robot's pose has weight 0.

    Args:
        error: (J,) goal less position of each joint that is judged, in rad or m.
        ranges: (J,) width of their ranges.
        approach: (3,) from the hand to the handle, in m.
    """
    distance = np.abs(error)
    bonus = sum(bool((distance < share * ranges).all()) for share in BONUSES_WITHIN)
    return float(
        -distance.sum() + BONUS_WEIGHT * bonus - APPROACH_WEIGHT * np.linalg.norm(approach)
    )


def is_solved(error: Floats, ranges: Floats) -> bool:
    """Whether every joint is within 15 % of its range of the goal; arguments as `dense_reward`."""
    return bool((np.abs(error) < SOLVED_WITHIN * ranges).all())


def placed(qpos: Floats, task: Task, position: float) -> Floats:
    """A copy of joint positions (30,) with the task's joint, and what follows it, at a position."""
    moved = qpos.copy()
    moved[JOINTS[task.joint]] = position
    if task.joint in FOLLOWERS:
        follower, ratio = FOLLOWERS[task.joint]
        moved[follower] = position / ratio
    return moved


def _make_environment() -> Any:
    """The stock environment, without its noise; its observations and rewards are not used."""
    choose_gl_backend()
    tasks()
    # on import it writes a notice of its owners on environments of another hand to stderr
    with contextlib.redirect_stderr(io.StringIO()):
        from gymnasium_robotics.envs.franka_kitchen.kitchen_env import KitchenEnv

    return KitchenEnv(
        tasks_to_complete=["microwave"],
        terminate_on_tasks_completed=False,
        remove_task_when_completed=False,
        object_noise_ratio=0.0,
        robot_noise_ratio=0.0,
    )


class KitchenSimulator(DrawnSimulator):
    """One kitchen; see `simulation.interface.Simulator`.

    Actions are velocities of the nine joints, in units of 2 rad/s (2 m/s of the fingers). The
    state is (59,): positions and velocities of all joints. Placement 0 is the start itself; others
    move each joint of the arm by up to 0.03 rad (0.01 rad from the easy start).

    Args:
        name: of the task, without its prefix; see `tasks`.
        image_size: height and width of frames.
        view: one of `VIEWS`.
        start: "hard": the arm above the stove, as `FrankaKitchen-v1` starts; "easy": near the
            object, at the 20th step of a trajectory that solved the task.
        renderer: of another kitchen with the same view, to share.

    Raises:
        VipOfflineError: on an unknown name, and on an easy start that no trajectory gave.
    """

    control_rate = CONTROL_RATE
    proprio_names: tuple[str, ...] = PROPRIO

    def __init__(
        self,
        name: str,
        image_size: int,
        *,
        view: str = "default",
        start: str = HARD,
        renderer: Renderer | None = None,
    ) -> None:
        check_known("task of Kitchen", name, TASKS)
        check_known("view of Kitchen", view, VIEWS)
        check_known("start of Kitchen", start, HORIZONS)
        super().__init__(VIEWS[view], image_size, renderer)
        self.task = stored_name(KITCHEN, name)
        self._name = name
        self.step_limit = HORIZONS[start]
        self.steps = 0
        self._task = TASKS[name]
        self._start = start
        self._env = _make_environment()
        self._robot = self._env.robot_env
        self._model, self._data = self._robot.model, self._robot.data
        self.action_size = int(self._env.action_space.shape[0])
        self.joints = int(self._model.nq)  # numbers of positions, first in the state
        self._places = np.array([*JOINTS.values()])
        bounds = np.array([self._model.joint(joint).range for joint in JOINTS])
        self._ranges = bounds[:, 1] - bounds[:, 0]
        self._goal = np.array(
            [self._task.goal if joint == self._task.joint else 0.0 for joint in JOINTS]
        )
        self._begin = self._start_state()

    def _start_state(self) -> tuple[Floats, Floats]:
        """(30,) positions and (29,) velocities where placement 0 begins."""
        if self._start == EASY:
            solved = solved_goal(self._name)
            return solved.easy_qpos, solved.easy_qvel
        qpos = np.array(self._robot.init_qpos, np.float64)
        if self._task.start:
            qpos = placed(qpos, self._task, self._task.start)
        return qpos, np.zeros(self._model.nv)

    @property
    def state(self) -> NDArray[np.float64]:
        """(59,) positions and velocities of all joints: privileged."""
        return np.concatenate([self._data.qpos, self._data.qvel])

    def reset(self, placement: int) -> None:
        """Start over with the arm where this seed puts it."""
        self._env.reset()
        qpos, qvel = (start.copy() for start in self._begin)
        if placement:
            spread = PLACEMENT_SPREAD[self._start]
            qpos[:ARM] += np.random.default_rng(placement).uniform(-spread, spread, ARM)
        self._set(qpos, qvel)
        self.steps = 0

    def _set(self, qpos: Floats, qvel: Floats) -> None:
        self._robot.set_state(qpos, qvel)
        # the environment turns velocities into positions from what it saw last
        self._robot._last_robot_qpos = qpos[:ROBOT].copy()

    def step(self, action: NDArray[np.floating[Any]]) -> tuple[float, bool]:
        """Advance one control tick; see `simulation.interface.Simulator`."""
        self._env.step(check_action(action))
        # positions of bodies are those before the last substep: of another state than the joints'
        locate(self._model, self._data)
        self.steps += 1
        error = self._goal - self._data.qpos[self._places]
        hand, handle = (self._data.site(site).xpos for site in (HAND_SITE, self._task.site))
        return dense_reward(error, self._ranges, handle - hand), is_solved(error, self._ranges)

    def frame(self) -> NDArray[np.uint8]:
        """(image_size, image_size, 3) RGB."""
        renderer = self.renderer_of(self._model)
        # the stock scene has a block that slides away from under the lamp, and needs shadows to
        # show it; here there are none, so the lamp itself goes on as far as the block is away
        lamp = self._model.light(LAMP).id
        share = np.clip(self._data.qpos[LAMP_PLACE] / LAMP_ON, 0.0, 1.0)
        drawn = renderer.model
        drawn.light_diffuse[lamp] = share * self._model.light_diffuse[lamp]
        drawn.light_specular[lamp] = share * self._model.light_specular[lamp]
        return renderer(self._data, self.nuisance)

    def proprio(self) -> NDArray[np.float32]:
        """(9,) joint positions of arm and fingers."""
        return np.asarray(self._data.qpos[:ROBOT], np.float32)

    def save(self) -> NDArray[np.float64]:
        """(S,): steps, what the environment saw last of the robot, physics."""
        seen = self._robot._last_robot_qpos
        return np.concatenate([[self.steps], seen, save_physics(self._model, self._data)])

    def restore(self, saved: NDArray[np.float64]) -> None:
        """Go back to what `save` gave."""
        self.steps = int(saved[0])
        self._robot._last_robot_qpos = saved[1 : 1 + ROBOT].copy()
        restore_physics(self._model, self._data, saved[1 + ROBOT :])

    def goal(self, kind: GoalKind = "solved") -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """(H, W, 3) picture from this view, and (59,) state of the goal.

        Args:
            kind: "solved": the last state of a trajectory that solved the task, with the hand
                where it ended; "object": the object moved, the arm at home.

        Raises:
            VipOfflineError: if no trajectory solved the task.
        """
        state = self.goal_state() if kind == "object" else solved_goal(self._name).state
        return self.show(state), state

    def goal_state(self) -> NDArray[np.float64]:
        """(59,) the state with the object where it is to be, and the arm at home."""
        qpos = placed(np.array(self._robot.init_qpos, np.float64), self._task, self._task.goal)
        return np.concatenate([qpos, np.zeros(self._model.nv)])

    def show(self, state: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The picture of another state (59,); the simulator stays where it is."""
        saved = self.save()
        self._set(state[: self.joints], state[self.joints :])
        frame = self.frame()
        self.restore(saved)
        return frame
