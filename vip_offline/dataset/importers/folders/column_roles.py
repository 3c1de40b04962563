"""Guesses the role of columns (action, proprio, success, reward) from their names."""

import re
from collections.abc import Callable, Sequence

from vip_offline.dataset.importers.base.success import SUCCESS_NAMES
from vip_offline.dataset.tables.file_listing import natural

ACTION_NAME = re.compile(r"actions?")
ACTION_PARTS = re.compile(
    r"actions?([ _.\[(]*\d+[\])]?|_(?!mask|valid|id|idx|index|name|type|time|stamp|prob|rate)\w+)"
)
TABLE_PROPRIO = (
    "proprio",
    "observation.state",
    "state",
    "states",
    "qpos",
    "robot_state",
    "agent_pos",
    "joint_positions",
    "joint_position",
    "joint_pos",
    "joints",
)
PROPRIO_PARTS = re.compile(r"(proprio|state|qpos|joint_pos(itions?)?)[ _.\[(]*\d+[\])]?")
JOINT = re.compile(r"joint.*")
# of a joint, but not where it is
NO_POSITION = re.compile(
    r"vel|speed|eff|torque|force|load|acc|cmd|command|target|goal|desired|current|temp|name|err|pwm|"
    r"volt|status|limit"
)
REWARD_NAMES = ("true_reward", "reward", "rewards")


COLUMN_PART = re.compile(r"[.\[](\d+)\]?$")


def last(name: str) -> str:
    """``robot.Qpos`` and ``obs/qpos`` -> ``qpos``, without the file or group a column is in.

    A number belongs to the name: ``robot.action.3`` -> ``action.3``.
    """
    stem = COLUMN_PART.sub("", name)
    return re.split(r"[./]", stem)[-1].strip().lower() + name[len(stem) :]


def action_of(names: Sequence[str]) -> tuple[str, ...]:
    """The columns that are actions: one of that name, or its numbered parts."""
    return _first(names, lambda name: ACTION_NAME.fullmatch(name)) or _parts(names, ACTION_PARTS)


def proprio_of(names: Sequence[str]) -> tuple[str, ...]:
    """Proprioception columns: one with a known name, its numbered parts, or joints."""
    for role in TABLE_PROPRIO:
        column = _first(names, lambda name, role=role: name == role)  # type: ignore[misc]
        if column:
            return column
    parts = _parts(names, PROPRIO_PARTS)
    if parts:
        return parts
    joints = [n for n in names if JOINT.fullmatch(last(n)) and not NO_POSITION.search(last(n))]
    return tuple(sorted(joints, key=natural))


def success_of(names: Sequence[str]) -> str:
    """The column that says whether the task is solved."""
    return "".join(_first(names, lambda name: name in SUCCESS_NAMES))


def reward_of(names: Sequence[str]) -> str:
    """The column of the origin's own reward."""
    return "".join(_first(names, lambda name: name in REWARD_NAMES))


def _first(names: Sequence[str], matches: Callable[[str], object]) -> tuple[str, ...]:
    return next(((name,) for name in names if matches(last(name))), ())


def _parts(names: Sequence[str], pattern: re.Pattern[str]) -> tuple[str, ...]:
    """The numbered parts of one thing, in order; those of the first file, if several have them."""
    parts = [name for name in names if pattern.fullmatch(last(name))]
    if not parts:
        return ()
    prefix = parts[0][: len(parts[0]) - len(last(parts[0]))]
    of_one = [part for part in parts if part[: len(part) - len(last(part))] == prefix]
    numbered = all(re.search(r"\d", last(part)) for part in of_one)
    return tuple(sorted(of_one, key=natural) if numbered else of_one)  # else as the file has them
