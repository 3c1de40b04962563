"""Meta-World behind one small face: placements, steps, frames, proprioception.

The simulator is somebody else's (metaworld); here are its traps: placements that ignore the
reset seed, a success flag that flickers, 500 steps at most, goal markers in the picture.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.simulation.hidden_targets import MARKED
from vip_offline.simulation.rendering import Renderer, View, choose_gl_backend, locate

# sees the table, the hand and the object; Meta-World's own corner cameras are upside down
CORNER = View(azimuth=150, elevation=-30, distance=1.1, lookat=(0.0, 0.66, 0.1))
CONTROL_RATE = 80.0  # Hz: 5 substeps of 2.5 ms
STEP_LIMIT = 500  # Meta-World raises beyond
PROPRIO_SIZE = 4  # first columns of the state: hand x, y, z in metres, gripper opening 0 to 1
DRAWS = 1000  # of a placement, until object and target are as far apart as Meta-World wants


@dataclass(frozen=True)
class Observation:
    """What a robot would have: a picture and its own joints, no object or goal coordinate."""

    frame: NDArray[np.uint8]  # (H, W, 3) RGB
    proprio: NDArray[np.float32]  # (4,) hand x, y, z in m, gripper opening


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


def tasks() -> list[str]:
    """Names of the tasks that have a scripted expert."""
    return sorted(name.removesuffix("-v3") for name in _metaworld().policies.ENV_POLICY_MAP)


def check_task(task: str) -> None:
    """Refuse an unknown task.

    Raises:
        VipOfflineError: with the nearest known name.
    """
    known = tasks()
    if task not in known:
        raise VipOfflineError(f"Unknown task {task!r}.{did_you_mean(task, known)}")


def scripted_expert(task: str) -> Any:
    """Meta-World's scripted policy; ``get_action(state) -> (4,)``, not clipped."""
    return _metaworld().policies.ENV_POLICY_MAP[f"{task}-v3"]()


class Simulator:
    """One environment. The renderer may be shared by all of the same task in a process."""

    def __init__(
        self,
        task: str,
        image_size: int,
        renderer: Renderer | None = None,
        *,
        hidden_goal: bool = False,
    ) -> None:
        check_task(task)
        environments = _metaworld().env_dict.ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE
        self._env = environments[f"{task}-v3-goal-observable"](seed=0)
        self.action_size = int(self._env.action_space.shape[0])
        self.state: NDArray[np.float64] = np.zeros(39)  # privileged: for scripted experts only
        self.steps = 0
        self.renderer = renderer
        self._image_size = image_size
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

    def reset(self, placement: int) -> Observation:
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
        self._env._prev_obs = self.state[:18].copy()
        self.state[18:36] = self._env._prev_obs
        self.steps = 0
        return self._observe()

    def step(self, action: NDArray[np.floating[Any]]) -> tuple[Observation, float, bool]:
        """Advance one control tick.

        Args:
            action: (4,), clipped to [-1, 1].

        Returns:
            The next observation, the simulator's dense reward, and whether the task is solved.

        Raises:
            VipOfflineError: if the action is not finite: Meta-World would call that a success.
        """
        if not np.isfinite(action).all():
            raise VipOfflineError(f"The action {np.asarray(action).tolist()} is not finite.")
        state, reward, _, _, info = self._env.step(np.clip(action, -1.0, 1.0).astype(np.float32))
        self.state = state
        self.steps += 1
        return self._observe(), float(reward), bool(info["success"])

    def _observe(self) -> Observation:
        if self.renderer is None:
            self.renderer = Renderer(self._env.model, CORNER, self._image_size)
        proprio = np.asarray(self.state[:PROPRIO_SIZE], np.float32)
        return Observation(self.renderer(self._env.data), proprio)

    def close(self) -> None:
        """Free the graphics context."""
        if self.renderer is not None:
            self.renderer.close()
            self.renderer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def expert_action(expert: Any, state: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scripted action, without its own warning that the simulator clips it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Constant.s. may be too high")
        return np.asarray(expert.get_action(state), np.float64)
