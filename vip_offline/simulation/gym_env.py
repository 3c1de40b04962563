"""Simulators as Gymnasium environments of pictures: what users' own loops and wrappers expect.

After `register_environments` they have names:
``gymnasium.make("vip_offline/Kitchen-v0", task="kitchen/sdoor-open")``.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Space
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.hidden_targets import check_target
from vip_offline.simulation.interface import METAWORLD, check_known, split_task
from vip_offline.simulation.simulators import HARD, check_task, kind_of, make_simulator, views
from vip_offline.simulation.suites.metaworld import CONTROL_RATE

Observed = dict[str, NDArray[Any]]

PROPRIO_KEY = "proprio"  # as policies name it; pictures are frame/<view>
PLACEMENTS = 2**31 - 1
# name for `gymnasium.make` -> class, and the task that it has unless another one is given
ENVIRONMENTS = {
    "vip_offline/Metaworld-v0": ("Metaworld", "drawer-close"),
    "vip_offline/Kitchen-v0": ("SimulatorEnv", "kitchen/sdoor-open"),
    "vip_offline/Ogbench-v0": ("SimulatorEnv", "ogbench/drawer-open"),
}


def register_environments() -> None:
    """Make `ENVIRONMENTS` known to ``gymnasium.make``; a second time does nothing."""
    for name, (environment, task) in ENVIRONMENTS.items():
        if name not in gym.registry:
            gym.register(name, entry_point=f"{__name__}:{environment}", kwargs={"task": task})


class SimulatorEnv(gym.Env[Observed, NDArray[np.float32]]):
    """One task, seen as a robot would: a picture and its own joints, no coordinate of the object.

    Observations are ``{"frame/<view>": (H, W, 3) uint8 RGB, "proprio": (P,) float32}``; actions
    are (A,) float32 from -1 to 1. The reward is the simulator's dense one. ``reset(seed=n)`` takes
    placement `n` of ``vip-offline rollout``; without a seed the next placement is drawn. `info`
    says ``success``, which flickers in some tasks: an episode is solved if it was true once; and
    after a reset ``placement``. No step terminates, the horizon truncates.

    In an `AsyncVectorEnv` that forks, fork before anything is drawn, or take ``context="spawn"``:
    in a fork of a process that has drawn, `reset` raises, where it would wait forever.

    Args:
        task: such as "drawer-close" or "kitchen/sdoor-open"; see
            `vip_offline.simulation.simulators.tasks`.
        image_size: height and width of the picture.
        horizon: steps of an episode; None: as many as the simulator allows.
        hidden_goal: leave a target that nothing shows where the simulator draws it; else such a
            target is fixed, and placements differ in the object alone.
        render_mode: "rgb_array": `render` gives the picture of the last observation.
        view: see `vip_offline.simulation.simulators.views`; "": the first.
        start: "hard": where the simulator starts; "easy", if the task has it: near its object.

    Raises:
        VipOfflineError: on an unknown task, a size, horizon or mode that cannot be had.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(CONTROL_RATE)}  # noqa: RUF012

    def __init__(
        self,
        task: str,
        image_size: int = 224,
        horizon: int | None = None,
        render_mode: str | None = None,
        hidden_goal: bool = False,
        view: str = "",
        start: str = HARD,
    ) -> None:
        task = check_task(task)
        kind = kind_of(task)
        check_known(f"start of {task}:", start, kind.starts)
        most = kind.starts[start]
        horizon = most if horizon is None else horizon
        if image_size < 1:
            raise VipOfflineError(f"image_size={image_size}: must be at least 1.")
        if not 1 <= horizon <= most:
            raise VipOfflineError(f"horizon={horizon}: must lie between 1 and {most}.")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise VipOfflineError(f"render_mode={render_mode!r}: only 'rgb_array', or None.")
        self.metadata = {**self.metadata, "render_fps": round(kind.control_rate)}
        self.render_mode = render_mode
        self.horizon = horizon
        check_target(task, hidden_goal)
        self._simulator = make_simulator(
            task, image_size, view=view, hidden_goal=hidden_goal, start=start
        )
        self._frame: NDArray[np.uint8] | None = None  # of the last observation
        self._frame_key = f"frame/{view or views(task)[0]}"
        low, high = (np.array(side, np.float32) for side in kind.proprio_bounds)
        self.observation_space: Space[Any] = Dict(
            {
                self._frame_key: Box(0, 255, (image_size, image_size, 3), np.uint8),
                PROPRIO_KEY: Box(low, high),
            }
        )
        self.action_space = Box(-1.0, 1.0, (self._simulator.action_size,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observed, dict[str, Any]]:
        """Start over; see the class for what a seed means. There are no options."""
        super().reset(seed=seed)
        placement = int(self.np_random.integers(PLACEMENTS)) if seed is None else seed
        self._simulator.reset(placement)
        return self._observed(), {"placement": placement, "success": False}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """Advance by one control tick; the action is clipped to the space.

        Raises:
            VipOfflineError: before the first reset, after the horizon, on an action that is not
                finite.
        """
        if self._frame is None:
            raise VipOfflineError("step() before reset(): call reset() first.")
        if self._simulator.steps >= self.horizon:
            raise VipOfflineError(
                f"The episode ended after {self.horizon} steps: call reset() for the next one."
            )
        reward, success = self._simulator.step(action)
        truncated = self._simulator.steps == self.horizon
        return self._observed(), reward, False, truncated, {"success": success}

    def render(self) -> NDArray[np.uint8] | None:
        """(H, W, 3) uint8 RGB of the last observation, if `render_mode` is "rgb_array"."""
        if self.render_mode is None or self._frame is None:
            return None
        return self._frame.copy()

    def close(self) -> None:
        """Free the graphics context; closing twice does no harm."""
        self._simulator.close()

    def _observed(self) -> Observed:
        observation = self._simulator.observe()
        self._frame = observation.frame.copy()  # users may write on theirs
        return {self._frame_key: observation.frame, PROPRIO_KEY: observation.proprio}


class Metaworld(SimulatorEnv):
    """A task of Meta-World; see `SimulatorEnv`. Its picture is ``frame/corner``.

    The horizon is at most 500 steps, of 12.5 ms each; proprioception is the hand's x, y, z in m,
    and the gripper's opening.
    """

    def __init__(
        self,
        task: str,
        image_size: int = 224,
        horizon: int | None = None,
        render_mode: str | None = None,
        hidden_goal: bool = False,
    ) -> None:
        if split_task(task)[0] != METAWORLD:
            raise VipOfflineError(f"{task}: is no task of Meta-World. Take SimulatorEnv.")
        super().__init__(task, image_size, horizon, render_mode, hidden_goal)
