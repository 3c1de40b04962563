"""Idle rows of a store's episodes, but for those whose action commands a motion."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.store import Store
from vip_offline.dataset.validation.idle import Idle, idle_of
from vip_offline.policies.gripper import find_grippers
from vip_offline.policies.interface import check_action_kind
from vip_offline.training.data.action_kind import guess_action_kind

# of the 95th percentile of a dimension's size, above which a velocity commands a motion; a quarter
# of it is a slow approach, a twentieth is what a joystick at rest gives
COMMANDS = 0.1


def idle_rows(store: Store) -> list[Idle]:
    """Per episode the rows at its start and end in which the robot stands still.

    Neither state nor action changes there by more than noise. Where actions are velocities or
    increments, none but a gripper's may be other than about 0 either: a robot that is told to move
    and is not seen to does no waiting.
    """
    actions, states = (
        [store.data(key, start, stop) for start, stop in store.spans()]
        for key in ("action", "proprio")
    )
    idle = [
        idle_of(f"episode {index}", state, action)
        for index, (state, action) in enumerate(zip(states, actions, strict=True))
    ]
    kind = check_action_kind(store.attributes.get("action_kind", ""), str(store.path))
    kind = kind or guess_action_kind(*_finite(actions, states))
    if kind in ("", "position"):
        return idle
    return [
        without_commands(episode, commands)
        for episode, commands in zip(idle, commanding(actions), strict=True)
    ]


def _finite(
    actions: Sequence[NDArray[np.float32]], states: Sequence[NDArray[np.float32]]
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Rows of which both are known: no action was taken in some last rows."""
    known = [
        np.isfinite(action).all(axis=1) & np.isfinite(state).all(axis=1)
        for action, state in zip(actions, states, strict=True)
    ]
    return (
        [rows[mask] for rows, mask in zip(actions, known, strict=True)],
        [rows[mask] for rows, mask in zip(states, known, strict=True)],
    )


def commanding(actions: Sequence[NDArray[Any]]) -> list[NDArray[np.bool_]]:
    """Per episode (T,) whether a velocity other than a gripper's is more than about 0."""
    rows = [np.nan_to_num(action.astype(np.float32)) for action in actions]
    grippers = find_grippers(rows, [np.zeros(part.shape, bool) for part in rows])
    arm = np.ones(rows[0].shape[1], bool)
    arm[[gripper.dimension for gripper in grippers]] = False
    usual = np.percentile(np.abs(np.concatenate(rows)), 95, axis=0)
    above = [np.abs(part) > COMMANDS * usual for part in rows]
    return [np.asarray(part[:, arm].any(axis=1), bool) for part in above]


def without_commands(idle: Idle, commands: NDArray[np.bool_]) -> Idle:
    """Fewer idle rows where a motion is commanded in some of them: (T,) rows of the episode."""
    rows = np.flatnonzero(commands)
    if not len(rows):
        return idle
    after = idle.rows - 1 - int(rows[-1])
    # an episode that never moves counts as idle from its start
    end = after if idle.start == idle.rows else min(idle.end, after)
    return replace(idle, start=min(idle.start, int(rows[0])), end=end)
