"""OGBench's manipulation scenes behind the face that all simulators have.

Physics, actions, success and scripted experts are OGBench's; here are its traps: targets drawn at
random and shown by ghosts of cubes, a cube that changes colour once the task is solved, experts
that draw from NumPy's global generator, states that live beside physics (buttons, and the colours
and damping that follow them).
"""

import contextlib
import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.camera import DrawnSimulator
from vip_offline.simulation.hidden_targets import check_target
from vip_offline.simulation.interface import check_action, check_known, stored_name
from vip_offline.simulation.rendering import Renderer, View, choose_gl_backend, locate
from vip_offline.simulation.suites.ogbench_tasks import (
    APART,
    CUBE_HALF,
    DRAWER_TARGET,
    OGBENCH,
    PLACES,
    STATE_SIZE,
    TABLE_TARGET,
    TASKS,
    Task,
    approach,
    as_info,
    as_state,
    dense_reward,
    object_error,
)
from vip_offline.simulation.suites.physics import restore_physics, save_physics
from vip_offline.utils.arrays import Floats

CONTROL_RATE = 20.0  # Hz: 25 substeps of 2 ms
STEP_LIMIT = 200  # as OGBench gives for one cube; experts need at most 66
ACTIONS = 5  # hand dx, dy, dz, turn about the vertical, gripper
# lowest and highest corner of where cubes, drawer and window are
WORKSPACE = ((0.2, -0.45, 0.0), (0.6, 0.35, 0.25))
VIEWS = {
    "corner": View(
        azimuth=152, elevation=-36, distance=1.25, lookat=(0.36, -0.09, 0.13), workspace=WORKSPACE
    ),
    "front": View(
        azimuth=180, elevation=-39, distance=1.15, lookat=(0.4, -0.03, 0.13), workspace=WORKSPACE
    ),
}
# the yaw as cosine and sine: it starts anywhere, and jumps where it passes half a turn
PROPRIO = (
    "hand x [m]",
    "hand y [m]",
    "hand z [m]",
    "cosine of hand yaw",
    "sine of hand yaw",
    "gripper closure from 0 to 1",
)
REACH = 1.3  # m, further than the arm gets
PROPRIO_BOUNDS = ([-REACH] * 3 + [-1.0] * 2 + [0.0], [REACH] * 3 + [1.0] * 3)
BUTTONS = 2
GL_VARIABLE = "MUJOCO_GL"
DRAWS = 1000  # of a placement, until cubes are as far apart as they should be
# where scripted experts go once the task is solved; OGBench draws it, which nobody could foresee
FINAL_HAND, FINAL_YAW = (0.425, 0.0, 0.325), 0.0  # m, rad
OUT_OF_THE_WAY = (0.0, 0.0, -0.3)  # m, where OGBench puts targets of cubes that are none


def tasks() -> tuple[str, ...]:
    """Names of the tasks, without the prefix; all of them have a scripted expert.

    Raises:
        VipOfflineError: if OGBench is not installed.
    """
    if find_spec("ogbench") is None:
        raise VipOfflineError(
            "The simulator OGBench is not installed. pip install 'vip-offline[sim]'"
        )
    return tuple(TASKS)


class ScriptedExpert:
    """OGBench's closed-loop expert of a task; its actions follow from the state alone."""

    def __init__(self, name: str) -> None:
        tasks()
        from ogbench.manipspace.oracles.markov.button_markov import ButtonMarkovOracle
        from ogbench.manipspace.oracles.markov.cube_markov import CubeMarkovOracle
        from ogbench.manipspace.oracles.markov.drawer_markov import DrawerMarkovOracle
        from ogbench.manipspace.oracles.markov.window_markov import WindowMarkovOracle

        oracles = {
            "button": ButtonMarkovOracle,
            "cube": CubeMarkovOracle,
            "drawer": DrawerMarkovOracle,
            "window": WindowMarkovOracle,
        }
        self._oracle = oracles[TASKS[name].moved](env=None)
        # what its reset draws from the global generator
        self._oracle._final_pos, self._oracle._final_yaw = np.array(FINAL_HAND), FINAL_YAW
        self._oracle._done, self._oracle._step = False, 0

    def get_action(self, state: Floats) -> Floats:
        """(5,) of a state of `OgbenchSimulator`."""
        return np.asarray(self._oracle.select_action(None, as_info(state)), np.float64)


@contextlib.contextmanager
def _dm_control_opens_no_display() -> Iterator[None]:
    """Imports in the block leave graphics alone.

    OGBench puts its models together by dm_control, which opens a display when it is imported, and
    closes it at exit. That loads Mesa's LLVM before triton's, see `rendering`, and a fork would
    inherit it. MuJoCo was imported before, so it draws as it would.
    """
    chosen = os.environ.get(GL_VARIABLE)
    os.environ[GL_VARIABLE] = "disable"
    try:
        yield
    finally:
        os.environ.pop(GL_VARIABLE)
        if chosen is not None:
            os.environ[GL_VARIABLE] = chosen


def _make_environment(task: Task) -> Any:
    """The stock environment, as it collects data, without what it shows of targets and success."""
    tasks()
    choose_gl_backend()
    with _dm_control_opens_no_display():
        from ogbench.manipspace.envs.cube_env import CubeEnv
        from ogbench.manipspace.envs.scene_env import SceneEnv

    environment = SceneEnv if task.scene == "scene" else CubeEnv
    return environment(
        env_type=task.scene, mode="data_collection", terminate_at_goal=False, visualize_info=False
    )


class OgbenchSimulator(DrawnSimulator):
    """One scene of OGBench; see `simulation.interface.Simulator`.

    An action of 1 moves the hand by 5 cm along x, y or z, turns it by 0.3 rad, closes the gripper.
    Placements differ in where the arm and the cube are, and in how far the drawer or window that
    is to move is open. The state is (S,), see `ogbench_tasks.FIELDS`.

    Args:
        name: of the task, without its prefix; see `tasks`.
        image_size: height and width of frames.
        view: one of `VIEWS`.
        hidden_goal: leave a target that nothing shows where OGBench draws it.
        renderer: of another simulator of the same task and view, to share.

    Raises:
        VipOfflineError: on an unknown name or view.
    """

    action_size = ACTIONS
    control_rate = CONTROL_RATE
    step_limit = STEP_LIMIT
    proprio_names: tuple[str, ...] = PROPRIO

    def __init__(
        self,
        name: str,
        image_size: int,
        *,
        view: str = "corner",
        hidden_goal: bool = False,
        renderer: Renderer | None = None,
    ) -> None:
        check_known("task of OGBench", name, TASKS)
        check_known("view of OGBench", view, VIEWS)
        super().__init__(VIEWS[view], image_size, renderer)
        self.task = stored_name(OGBENCH, name)
        self.steps = 0
        self._task = TASKS[name]
        self._hidden = check_target(self.task, hidden_goal) == "hidden"
        self._env = _make_environment(self._task)
        self.state: Floats = np.zeros(STATE_SIZE)
        self.reset(0)  # compiles the model

    def reset(self, placement: int) -> None:
        """Start over with arm and objects where this seed puts them."""
        import mujoco

        self._env.reset(seed=placement)
        if self._task.scene == "scene":
            self._place_joints()
        self._place_cubes()
        # where the solver begins depends on what the environment looked at in between
        self._env.data.qacc_warmstart[:] = 0
        mujoco.mj_forward(self._env.model, self._env.data)
        # as OGBench's own reset ends
        self._env.pre_step()
        self._env.post_step()
        self.state = as_state(self._env.compute_ob_info())
        self.steps = 0

    def _place_joints(self) -> None:
        """Put drawer, window and buttons where the task has them, and their targets."""
        task, env = self._task, self._env
        for joint, between in (("drawer_slide", task.drawer), ("window_slide", task.window)):
            env.data.joint(joint).qpos[0] = env.np_random.uniform(*between)
        env._target_task = task.moved
        env._cur_button_states[:] = task.unlocked
        env._target_button = task.button
        env._target_button_states = env._cur_button_states.copy()
        if task.moved == "button":
            env._target_button_states[task.button] ^= 1
        env._target_drawer_pos = task.target if task.moved == "drawer" else task.drawer[0]
        env._target_window_pos = task.target if task.moved == "window" else task.window[0]
        env.model.site("drawer_handle_center_target").pos[1] = env._target_drawer_pos
        env.model.site("window_handle_center_target").pos[0] = env._target_window_pos
        env._apply_button_states()

    def _place_cubes(self) -> None:
        """Put the first cube's target where the task has it, and the cube away from it."""
        task, env = self._task, self._env
        env._target_block = 0
        if task.moved != "cube":
            self._set_target(OUT_OF_THE_WAY)
            return
        cubes = [env.data.joint(f"object_joint_{cube}").qpos for cube in range(env._num_cubes)]
        for _ in range(DRAWS):
            if task.onto == "cube":
                self._set_target(np.add(cubes[1][:3], [0, 0, 2 * CUBE_HALF]), cubes[1][3:])
            elif not self._hidden:
                self._set_target(DRAWER_TARGET if task.onto == "drawer" else TABLE_TARGET)
            target = env.data.mocap_pos[env._cube_target_mocap_ids[0]]
            if np.linalg.norm(cubes[0][:2] - target[:2]) >= APART:
                return
            cubes[0][:2] = env.np_random.uniform(*env._object_sampling_bounds)
        raise VipOfflineError(f"{self.task}: no placement is {APART} m away from its target.")

    def _set_target(
        self,
        position: tuple[float, float, float] | Floats,
        quaternion: tuple[float, float, float, float] | Floats = (1.0, 0.0, 0.0, 0.0),
    ) -> None:
        target = self._env._cube_target_mocap_ids[0]
        self._env.data.mocap_pos[target] = position
        self._env.data.mocap_quat[target] = quaternion

    def step(self, action: NDArray[np.floating[Any]]) -> tuple[float, bool]:
        """Advance one control tick; see `simulation.interface.Simulator`."""
        _, _, _, _, info = self._env.step(check_action(action))
        if self._task.scene != "scene":
            # positions of bodies are those before the last substep, and the next step begins with
            # where the hand is; the scene with the buttons looks again by itself
            locate(self._env.model, self._env.data)
            info |= self._env.compute_ob_info()
        self.state = as_state(info)
        self.steps += 1
        away, hand_away = (measure(self._task, self.state) for measure in (object_error, approach))
        return dense_reward(away, hand_away), bool(info["success"])

    def frame(self) -> NDArray[np.uint8]:
        """(image_size, image_size, 3) RGB, without OGBench's ghosts of where cubes are to go."""
        renderer = self.renderer_of(self._env.model)
        # buttons and handles show by their colour what is locked
        drawn, model = renderer.model, self._env.model
        drawn.geom_rgba[:], drawn.mat_rgba[:] = model.geom_rgba, model.mat_rgba
        return renderer(self._env.data, self.nuisance)

    def proprio(self) -> NDArray[np.float32]:
        """(6,) hand x, y, z in m, cosine and sine of its yaw, gripper from 0 (open) to 1."""
        hand, yaw, closure = (
            self.state[PLACES[f"proprio/{name}"]]
            for name in ("effector_pos", "effector_yaw", "gripper_opening")
        )
        return np.concatenate([hand, np.cos(yaw), np.sin(yaw), closure]).astype(np.float32)

    def save(self) -> NDArray[np.float64]:
        """(S,): steps, states of the buttons, the state, physics with the target in it."""
        buttons = getattr(self._env, "_cur_button_states", np.zeros(BUTTONS))
        physics = save_physics(self._env.model, self._env.data)
        return np.concatenate([[self.steps], buttons, self.state, physics])

    def restore(self, saved: NDArray[np.float64]) -> None:
        """Go back to what `save` gave."""
        self.steps = int(saved[0])
        buttons, saved = saved[1 : 1 + BUTTONS], saved[1 + BUTTONS :]
        if self._task.scene == "scene":
            self._env._cur_button_states[:] = buttons
            self._env._apply_button_states()  # what follows from them is in the model
        # contact of the gripper is that of the last step's forces: not to be computed again
        self.state, saved = saved[:STATE_SIZE].copy(), saved[STATE_SIZE:]
        restore_physics(self._env.model, self._env.data, saved)
