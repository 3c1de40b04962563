"""What looks wrong with a connection's cameras: sentences, each said once per connection.

Red and blue swapped (`colours`), a picture upside down, and a camera that hangs. None of it stops
a robot: a picture may be unlike the training set's for a good reason.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.deployment.guard.color_check import (
    BETTER,
    COLOR_FRAMES,
    FAR_COLORS,
    LEAST_STD,
    looks_swapped,
    sample_pixels,
)
from vip_offline.policies.brightness import brightness_grid

HUNG = 20  # observations with the very same picture: a slow camera repeats fewer
# by which the robot's state must have changed meanwhile, of its size or of 1: a hand that hardly
# moves may leave a simulated picture as it is
MOVED = 0.01
TURNS = {
    "rotated by 180 degrees": (slice(None, None, -1), slice(None, None, -1)),
    "flipped vertically": (slice(None, None, -1), slice(None)),
}


def looks_turned(
    grids: NDArray[np.float64], mean: NDArray[np.float64], std: NDArray[np.float64]
) -> str:
    """Name the rotation or flip by which pictures fit the training set clearly better; empty: none.

    A brighter or darker room is the same either way up, and says nothing. A scene that looks alike
    both ways up, such as a table from above, cannot be told.

    Args:
        grids: (N, S, S) brightness of each frame's cells, 0 to 255.
        mean: (S, S) of the training set's.
        std: (S, S) of them.

    Returns:
        A key of `TURNS`; "": they fit as they are, or neither way.
    """
    if len(grids) < COLOR_FRAMES:
        return ""
    recent, spread = grids[-COLOR_FRAMES:].mean(0), np.maximum(std, LEAST_STD)
    expected = mean - mean.mean()

    def off(grid: NDArray[np.float64]) -> float:
        return float(np.sqrt(np.mean(((grid - grid.mean() - expected) / spread) ** 2)))

    as_is = off(recent)
    turned = {name: off(recent[where]) for name, where in TURNS.items()}
    best = min(turned, key=turned.__getitem__)
    return best if as_is > FAR_COLORS and as_is > BETTER * turned[best] else ""


class CameraMonitor:
    """Checks of one camera on one connection."""

    def __init__(self, key: str, reference: Mapping[str, Any]) -> None:
        """Start with no frames.

        Args:
            key: of the observation.
            reference: ``mean``, ``std`` (3,), ``grid_mean``, ``grid_std`` (S, S) of the training
                set; what is missing, of an older policy, is not looked at.
        """
        self._key = key
        self._colours, self._grid = (
            [np.array(reference[name], np.float64) for name in names]
            if names[0] in reference
            else None
            for names in (("mean", "std"), ("grid_mean", "grid_std"))
        )
        self._means: deque[NDArray[np.float64]] = deque(maxlen=COLOR_FRAMES)
        self._grids: deque[NDArray[np.float64]] = deque(maxlen=COLOR_FRAMES)
        self._before: NDArray[np.uint8] | None = None
        self._same = 0  # observations in a row with the frame before
        self._reach: NDArray[np.float64] | None = None  # (2, P) of the state meanwhile
        self._hung_said = False

    def add(self, frame: NDArray[np.uint8], proprio: NDArray[np.floating[Any]]) -> list[str]:
        """Add one (H, W, 3) frame and its (P,) state; returns new warnings."""
        warnings = [self._swapped(frame), self._turned(frame), self._hung(frame, proprio)]
        return [f"{self._key}: {warning}" for warning in warnings if warning]

    def _swapped(self, frame: NDArray[np.uint8]) -> str:
        if self._colours is None:
            return ""
        self._means.append(sample_pixels(frame).mean((0, 1), dtype=np.float64))
        if not looks_swapped(np.stack(self._means), *self._colours):
            return ""
        self._colours = None  # once is enough
        return (
            "looks like BGR. Its colours fit the training set clearly better with red and blue "
            "swapped; send RGB (cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))."
        )

    def _turned(self, frame: NDArray[np.uint8]) -> str:
        if self._grid is None:
            return ""
        self._grids.append(brightness_grid(sample_pixels(frame)))
        turn = looks_turned(np.stack(self._grids), *self._grid)
        if not turn:
            return ""
        self._grid = None
        back = "[::-1, ::-1]" if "180" in turn else "[::-1]"
        return (
            f"looks upside down. It fits the training set clearly better {turn}; mount the camera "
            f"as it was, or send np.ascontiguousarray(frame{back})."
        )

    def _hung(self, frame: NDArray[np.uint8], proprio: NDArray[np.floating[Any]]) -> str:
        state = np.asarray(proprio, np.float64)
        again = self._before is not None and np.array_equal(frame, self._before)
        if self._reach is None or not again:
            self._before, self._same, self._reach = frame, 1, np.stack([state, state])
            return ""
        self._same += 1
        low, high = np.minimum(self._reach[0], state), np.maximum(self._reach[1], state)
        self._reach = np.stack([low, high])
        scale = np.maximum(1, np.maximum(np.abs(low), np.abs(high)))
        moved = (high - low > MOVED * scale).any()
        if self._hung_said or self._same < HUNG or not moved:
            return ""
        self._hung_said = True
        return (
            f"looks frozen. The last {self._same} observations have the very same picture, while "
            f"the robot moved; see that the camera still runs."
        )
