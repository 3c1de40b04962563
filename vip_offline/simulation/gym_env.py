"""Meta-World as a Gymnasium environment of pictures: what users' own loops and wrappers expect."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Space
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.hidden_targets import check_target
from vip_offline.simulation.metaworld import (
    CONTROL_RATE,
    STEP_LIMIT,
    Observation,
    Simulator,
    check_task,
)

Observed = dict[str, NDArray[Any]]

CORNER_KEY, PROPRIO_KEY = "frame/corner", "proprio"  # as policies name them
# hand x, y, z in m, gripper opening: Meta-World clips its states to these
WORKSPACE_LOW = (-0.525, 0.348, -0.0525, -1.0)
WORKSPACE_HIGH = (0.525, 1.025, 0.7, 1.0)
PLACEMENTS = 2**31 - 1


class Metaworld(gym.Env[Observed, NDArray[np.float32]]):
    """One task, seen as a robot would: a picture and its own joints, no coordinate of the object.

    Observations are ``{"frame/corner": (H, W, 3) uint8 RGB, "proprio": (4,) float32}``; actions
    are (4,) float32 from -1 to 1. The reward is Meta-World's dense one. ``reset(seed=n)`` puts the
    objects where placement `n` of ``vip-offline rollout`` has them; without a seed the next
    placement is drawn. `info` says ``success``, which flickers in some tasks: an episode is solved
    if it was true once; and after a reset ``placement``. No step terminates, the horizon truncates.

    In an `AsyncVectorEnv` that forks, fork before anything is drawn, or take ``context="spawn"``:
    in a fork of a process that has drawn, `reset` raises, where it would wait forever.

    Args:
        task: such as "drawer-close"; `vip_offline.simulation.metaworld.tasks` lists them.
        image_size: height and width of the picture.
        horizon: steps of an episode, at most 500, of 12.5 ms each.
        hidden_goal: leave a target that nothing shows where Meta-World draws it; else such a
            target is fixed, and placements differ in the object alone.
        render_mode: "rgb_array": `render` gives the picture of the last observation.

    Raises:
        VipOfflineError: on an unknown task, a size, horizon or mode that cannot be had.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(CONTROL_RATE)}  # noqa: RUF012

    def __init__(
        self,
        task: str,
        image_size: int = 224,
        horizon: int = STEP_LIMIT,
        render_mode: str | None = None,
        hidden_goal: bool = False,
    ) -> None:
        if image_size < 1:
            raise VipOfflineError(f"image_size={image_size}: must be at least 1.")
        if not 1 <= horizon <= STEP_LIMIT:
            raise VipOfflineError(f"horizon={horizon}: must lie between 1 and {STEP_LIMIT}.")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise VipOfflineError(f"render_mode={render_mode!r}: only 'rgb_array', or None.")
        self.render_mode = render_mode
        self.horizon = horizon
        check_task(task)
        check_target(task, hidden_goal)
        self._simulator = Simulator(task, image_size, hidden_goal=hidden_goal)
        self._frame: NDArray[np.uint8] | None = None  # of the last observation
        self.observation_space: Space[Any] = Dict(
            {
                CORNER_KEY: Box(0, 255, (image_size, image_size, 3), np.uint8),
                PROPRIO_KEY: Box(
                    np.array(WORKSPACE_LOW, np.float32), np.array(WORKSPACE_HIGH, np.float32)
                ),
            }
        )
        self.action_space = Box(-1.0, 1.0, (self._simulator.action_size,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observed, dict[str, Any]]:
        """Start over; see the class for what a seed means. There are no options."""
        super().reset(seed=seed)
        placement = int(self.np_random.integers(PLACEMENTS)) if seed is None else seed
        observation = self._observed(self._simulator.reset(placement))
        return observation, {"placement": placement, "success": False}

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
        observation, reward, success = self._simulator.step(action)
        truncated = self._simulator.steps == self.horizon
        return self._observed(observation), reward, False, truncated, {"success": success}

    def render(self) -> NDArray[np.uint8] | None:
        """(H, W, 3) uint8 RGB of the last observation, if `render_mode` is "rgb_array"."""
        if self.render_mode is None or self._frame is None:
            return None
        return self._frame.copy()

    def close(self) -> None:
        """Free the graphics context; closing twice does no harm."""
        self._simulator.close()

    def _observed(self, observation: Observation) -> Observed:
        self._frame = observation.frame.copy()  # users may write on theirs
        return {CORNER_KEY: observation.frame, PROPRIO_KEY: observation.proprio}
