"""Meta-World behind the face that all simulators have.

The simulator is somebody else's (metaworld); here are its traps: placements that ignore the
reset seed, a success flag that flickers, 500 steps at most, goal markers in the picture.
"""

import warnings
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.camera import DrawnSimulator
from vip_offline.simulation.hidden_targets import MARKED
from vip_offline.simulation.interface import check_action, check_known
from vip_offline.simulation.rendering import Renderer, View, choose_gl_backend, locate
from vip_offline.simulation.suites.physics import restore_physics, save_physics

# sees the table, the hand and the object; Meta-World's own corner cameras are upside down
CORNER = View(
    azimuth=150,
    elevation=-30,
    distance=1.1,
    lookat=(0.0, 0.66, 0.1),
    workspace=((-0.45, 0.45, 0.0), (0.45, 0.95, 0.25)),
)
CONTROL_RATE = 80.0  # Hz: 5 substeps of 2.5 ms
STEP_LIMIT = 500  # Meta-World raises beyond
# first columns of the state; the gripper's opening is from 0 to 1
PROPRIO = ("hand x [m]", "hand y [m]", "hand z [m]", "gripper opening")
# the least and the most of each: Meta-World clips its states to these
WORKSPACE_LOW = (-0.525, 0.348, -0.0525, -1.0)
WORKSPACE_HIGH = (0.525, 1.025, 0.7, 1.0)
VIEWS = {"corner": CORNER}
ROBOT_COLUMNS, OBJECT_COLUMNS = (0, 1, 2, 3), (4, 5, 6)  # of the state: hand, first object [m]
DRAWS = 1000  # of a placement, until object and target are as far apart as Meta-World wants
# what its rewards remember from one step to the next, beside physics and the last observation
REMEMBERED = ("pickCompleted", "placeCompleted", "reachCompleted", "_target_to_obj_init")
STACKED = 18  # numbers of an observation without its goal: the next one holds them too


def _metaworld() -> Any:
    """Import metaworld, or say how to get it."""
    choose_gl_backend()
    try:
        import metaworld
        import metaworld.env_dict
        import metaworld.policies
    except ImportError as error:
        raise VipOfflineError(
            f"The simulator is not installed ({error}). pip install 'vip-offline[sim]'"
        ) from error
    return metaworld


@cache
def tasks() -> tuple[str, ...]:
    """Names of the tasks; all of them have a scripted expert."""
    return tuple(sorted(name.removesuffix("-v3") for name in _metaworld().policies.ENV_POLICY_MAP))


def scripted_expert(task: str) -> Any:
    """Meta-World's scripted policy; ``get_action(state) -> (4,)``, not clipped."""
    return _metaworld().policies.ENV_POLICY_MAP[f"{task}-v3"]()


class MetaworldSimulator(DrawnSimulator):
    """One environment of Meta-World; see `simulation.interface.Simulator`.

    Args:
        task: without its prefix and version suffix; see `tasks`.
        image_size: height and width of frames.
        renderer: of another simulator of the same task, to share.
        hidden_goal: leave a target that nothing shows where Meta-World draws it.

    Raises:
        VipOfflineError: on an unknown task.
    """

    control_rate = CONTROL_RATE
    step_limit = STEP_LIMIT
    proprio_names: tuple[str, ...] = PROPRIO

    def __init__(
        self,
        task: str,
        image_size: int,
        renderer: Renderer | None = None,
        *,
        hidden_goal: bool = False,
    ) -> None:
        check_known("task", task, tasks())
        super().__init__(CORNER, image_size, renderer)
        environments = _metaworld().env_dict.ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE
        self._env = environments[f"{task}-v3-goal-observable"](seed=0)
        self.task = task
        self.action_size = int(self._env.action_space.shape[0])
        self.state: NDArray[np.float64] = np.zeros(39)
        self.steps = 0
        self._placement = -1  # before the first reset
        if task in MARKED and not hidden_goal:
            self._fix_target(task)

    def _fix_target(self, task: str) -> None:
        """Let placements differ in the object alone; see `simulation.hidden_targets`."""
        draw, space = self._env._get_state_rand_vec, self._env._random_reset_space
        self._draws = 0

        def drawn() -> NDArray[np.float64]:
            # Meta-World draws again until object and target are far enough apart: for ever, if
            # they never are
            self._draws += 1
            if self._draws > DRAWS:
                raise VipOfflineError(f"{task}: no placement fits its fixed target.")
            vector: NDArray[np.float64] = draw()
            vector[3:] = (space.low[3:] + space.high[3:]) / 2
            return vector

        self._env._get_state_rand_vec = drawn

    def reset(self, placement: int) -> None:
        """Start over with the objects where this seed puts them."""
        # reset(seed=...) is ignored by Meta-World; this is the way to a placement that repeats
        self._env.seed(placement)
        self._env.seeded_rand_vec = True
        self._env._freeze_rand_vec = False
        self._draws = 0
        self._env.reset()
        # of some tasks Meta-World moves a body and leaves it to the first step to look where it
        # is: until then the picture and the state are those of the placement before
        locate(self._env.model, self._env.data)
        self.state = np.asarray(self._env._get_obs(), np.float64)
        self._env._prev_obs = self.state[:STACKED].copy()
        self.state[STACKED : 2 * STACKED] = self._env._prev_obs
        self.steps = 0
        self._placement = placement

    def step(self, action: NDArray[np.floating[Any]]) -> tuple[float, bool]:
        """Advance one control tick; see `simulation.interface.Simulator`."""
        state, reward, _, _, info = self._env.step(check_action(action))
        self.state = state
        self.steps += 1
        return float(reward), bool(info["success"])

    def frame(self) -> NDArray[np.uint8]:
        """(image_size, image_size, 3) RGB, without Meta-World's marker of the goal."""
        return self.renderer_of(self._env.model)(self._env.data, self.nuisance)

    def proprio(self) -> NDArray[np.float32]:
        """(4,) hand x, y, z in m, gripper opening."""
        return np.asarray(self.state[: len(PROPRIO)], np.float32)

    def save(self) -> NDArray[np.float64]:
        """(S,): placement, steps, what rewards remember, both observations, physics."""
        # None, or no such attribute in this task: NaN
        remembered = [getattr(self._env, name, None) for name in REMEMBERED]
        numbers = [np.nan if value is None else float(value) for value in remembered]
        return np.concatenate(
            [
                [self._placement, self.steps, *numbers],
                self._env._prev_obs,
                self.state,
                save_physics(self._env.model, self._env.data),
            ]
        )

    def restore(self, saved: NDArray[np.float64]) -> None:
        """Go back to what `save` gave; of another placement than this one's, that takes a reset."""
        placement, steps = int(saved[0]), int(saved[1])
        if placement != self._placement:
            # a reset moves bodies of the model, which physics does not count to its state
            self.reset(placement)
        self.steps = self._env.curr_path_length = steps
        numbers, saved = saved[2 : 2 + len(REMEMBERED)], saved[2 + len(REMEMBERED) :]
        for name, number in zip(REMEMBERED, numbers, strict=True):
            if hasattr(self._env, name) or not np.isnan(number):
                setattr(self._env, name, None if np.isnan(number) else float(number))
        self._env._prev_obs, saved = saved[:STACKED].copy(), saved[STACKED:]
        self.state, saved = saved[: len(self.state)].copy(), saved[len(self.state) :]
        restore_physics(self._env.model, self._env.data, saved)


def expert_action(expert: Any, state: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scripted action, without its own warning that the simulator clips it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Constant.s. may be too high")
        return np.asarray(expert.get_action(state), np.float64)
