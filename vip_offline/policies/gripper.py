"""Actions that take two values, as grippers do: found in training, kept to when a policy acts.

A regression answers with something in between where it is not sure, and a gripper that is told
"half" drops what it holds. Each such action becomes one of its two values, and changes only when
the network's output is clearly nearer to the other: hysteresis, or it would flutter about the
middle. The network itself, `policy.onnx` and `sample_io.npz` keep no state and give the raw output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

VALUE_TOLERANCE = 0.01  # of the distance of the two values, by which each may vary
FEWEST = 3  # rows with either value; of fewer it may be a glitch
DEAD_BAND = 0.1  # of that distance, on either side of the middle: there the last value stays


@dataclass(frozen=True)
class Gripper:
    """One action that takes two values."""

    dimension: int
    low: float
    high: float
    low_below: float  # it becomes low where the network gives less
    high_above: float  # it becomes high where the network gives more

    @classmethod
    def read(cls, plain: Any) -> Self:
        """Read from JSON values.

        Raises:
            TypeError, KeyError, ValueError: if something is missing, or they are not in order.
        """
        levels = [float(plain[key]) for key in ("low", "low_below", "high_above", "high")]
        if not np.isfinite(levels).all() or levels != sorted(levels):
            raise ValueError(f"{plain!r} is no gripper")
        low, low_below, high_above, high = levels
        return cls(int(plain["dimension"]), low, high, low_below, high_above)


def find_grippers(
    actions: Sequence[NDArray[np.float32]], marks: Sequence[NDArray[np.bool_]]
) -> tuple[Gripper, ...]:
    """The dimensions with exactly two values.

    Args:
        actions: per episode (T, A), finite.
        marks: per episode (T, A), which are outliers; they are left aside.
    """
    rows, left_aside = np.concatenate(actions).astype(np.float64), np.concatenate(marks)
    grippers = []
    for dimension in range(rows.shape[1]):
        values = rows[~left_aside[:, dimension], dimension]
        upper = values > (values.min() + values.max()) / 2
        if min(upper.sum(), (~upper).sum()) < FEWEST:
            continue
        low, high = float(np.median(values[~upper])), float(np.median(values[upper]))
        distance = high - low
        if max(np.ptp(values[~upper]), np.ptp(values[upper])) > VALUE_TOLERANCE * distance:
            continue
        middle, band = (low + high) / 2, DEAD_BAND * distance
        grippers.append(Gripper(dimension, low, high, middle - band, middle + band))
    return tuple(grippers)


def gripper_note(gripper: Gripper) -> str:
    """What was recognised, in two lines."""
    return (
        f"gripper: action {gripper.dimension} is {gripper.low:.4g} or {gripper.high:.4g} in the "
        f"training set;\n  the policy gives one of them (it changes below {gripper.low_below:.4g}, "
        f"above {gripper.high_above:.4g})"
    )


class GripperState:
    """The grippers of one robot in one episode."""

    def __init__(self, grippers: Sequence[Gripper]) -> None:
        self._grippers = tuple(grippers)
        self.reset()

    def reset(self) -> None:
        """Begin an episode: the first action is snapped to the nearer value."""
        self._high: list[bool | None] = [None for _ in self._grippers]

    def __call__(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """(A,) output of the network -> (A,) with each gripper at one of its two values."""
        settled = action.copy()
        for place, gripper in enumerate(self._grippers):
            raw, high = float(action[gripper.dimension]), self._high[place]
            if high is None:
                high = raw > (gripper.low + gripper.high) / 2
            elif raw > gripper.high_above or raw < gripper.low_below:
                high = raw > gripper.high_above
            self._high[place] = high
            settled[gripper.dimension] = gripper.high if high else gripper.low
        return settled


def snap_grippers(action: NDArray[np.float32], grippers: Sequence[Gripper]) -> NDArray[np.float32]:
    """(N, A) actions -> (N, A), each snapped as the first action of an episode."""
    return np.stack([GripperState(grippers)(row) for row in action])
