"""A MuJoCo state as an array, and back: physics goes on to the last bit as it would have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def saved_size(model: Any) -> int:
    """Length of what `save_physics` returns."""
    import mujoco

    return int(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION))


def save_physics(model: Any, data: Any) -> NDArray[np.float64]:
    """(S,) all that integration starts from: positions, velocities, controls, warm start, ..."""
    import mujoco

    saved = np.empty(saved_size(model))
    mujoco.mj_getState(model, data, saved, mujoco.mjtState.mjSTATE_INTEGRATION)
    return saved


def restore_physics(model: Any, data: Any, saved: NDArray[np.float64]) -> None:
    """Set a state and compute where everything is.

    Args:
        model: that the state is of.
        data: changed.
        saved: what `save_physics` gave.
    """
    import mujoco

    mujoco.mj_setState(model, data, saved, mujoco.mjtState.mjSTATE_INTEGRATION)
    mujoco.mj_forward(model, data)
    # forward writes the solver's warm start, which is a part of the state
    mujoco.mj_setState(model, data, saved, mujoco.mjtState.mjSTATE_INTEGRATION)
