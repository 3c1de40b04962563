"""Assigns columns of an origin to roles (``--key-map``), and names them in the store."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.dataset.importers.base.source import (
    Catalogue,
    Column,
    ColumnMap,
    EpisodeColumns,
    column_and_part,
)
from vip_offline.dataset.store_format import check_name
from vip_offline.dataset.tables.file_listing import natural
from vip_offline.dataset.tables.resampling import Series
from vip_offline.dataset.tables.timestamps import is_time
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.options import ImportOptions

SIDE_BY_SIDE, SINGLE = ("proprio", "action"), ("success", "reward", "time")  # roles
# what a robot is told rather than what it is in: between two commands lies no third
COMMAND = re.compile(r"action|cmd|command|target|goal|setpoint|gripper|mode|button", re.IGNORECASE)


def map_columns(catalogue: Catalogue, options: ImportOptions, where: Path) -> ColumnMap:
    """The origin's default column roles, changed by the user's ``--key-map`` options.

    Raises:
        VipOfflineError: on a role or a column that is not there, or that cannot play it.
    """
    keys, columns = catalogue.keys, catalogue.columns
    valid = stored_as(keys.cameras)  # a file may bear what no camera can be called
    cameras = {valid[name]: column for name, column in keys.cameras.items()}
    for option in options.key_map:
        role, equals, value = option.partition("=")
        named = [spec for spec in value.split(",") if spec]
        names = tuple(name for spec in named for name in _named(spec, columns))
        if role.startswith("camera:") and len(names) == 1:
            cameras = {name: column for name, column in cameras.items() if column != names[0]}
            cameras[check_name("camera", role.removeprefix("camera:"))] = names[0]
        elif equals and role in SIDE_BY_SIDE:
            keys = replace(keys, **{role: names})  # type: ignore[arg-type]
        elif equals and role in SINGLE and len(names) <= 1:
            keys = replace(keys, **{role: "".join(names)})  # type: ignore[arg-type]
        elif equals and role in SINGLE and len(named) == 1:
            raise VipOfflineError(
                f"--key-map {option}: names {len(names)} columns ({', '.join(names[:4])}, ...), "
                f"and {role} is one. Name it."
            )
        else:
            raise VipOfflineError(
                f"--key-map {option}: expected ROLE=COLUMN with one of the roles "
                f"{', '.join((*SIDE_BY_SIDE, *SINGLE))} or camera:NAME; proprio and action may "
                "name several columns, with commas or with * and ?."
            )
    if options.cameras:
        for name in options.cameras:
            if name not in cameras:
                raise VipOfflineError(f"{where}: no camera {name!r}.{did_you_mean(name, cameras)}")
        cameras = {name: cameras[name] for name in options.cameras}
    keys = replace(keys, cameras=cameras)
    if not keys.time and not any(spec.startswith("time=") for spec in options.key_map):
        keys = replace(keys, time=next(filter(is_time, single_numbers(columns)), ""))
    for camera, column in keys.cameras.items():
        _check_role(f"camera:{camera}", column, catalogue, where)
    for role in SIDE_BY_SIDE:
        for spec in getattr(keys, role):
            _check_role(role, column_and_part(spec)[0], catalogue, where)
    for role in SINGLE:
        if getattr(keys, role):
            _check_role(role, getattr(keys, role), catalogue, where)
    acting = [column_and_part(spec)[0] for spec in keys.action]
    if acting and not any(np.dtype(columns[name].dtype).kind == "f" for name in acting):
        name = acting[0]
        raise VipOfflineError(
            f"{where}: action column {name!r} is {columns[name].dtype}: these are discrete "
            "actions, and policies here regress continuous ones. Convert them, or name other "
            "columns with --key-map action=COLUMN."
        )
    for role in SIDE_BY_SIDE:
        for spec in getattr(keys, role):
            name, part = column_and_part(spec)
            if not len(range(columns[name].size)[part]):
                raise VipOfflineError(
                    f"{where}: --key-map {role}={spec} is empty: column {name!r} has "
                    f"{columns[name].size} numbers per row."
                )
    return keys


def _named(spec: str, columns: Any) -> Iterator[str]:
    """Columns that match a name, a pattern such as ``robot.a*``, or a prefix ``robot.``."""
    matching: list[str] = []
    if spec not in columns and column_and_part(spec)[0] not in columns:
        pattern = f"{spec}*" if spec.endswith((".", "/")) else spec
        # a [ stands for itself: action[0], action[1]
        matching = fnmatch.filter(columns, pattern.replace("[", "[[]"))
    yield from sorted(matching, key=natural) or [spec]


def _check_role(role: str, name: str, catalogue: Catalogue, where: Path) -> None:
    columns = catalogue.columns
    if name in catalogue.left_out:
        raise VipOfflineError(
            f"{where}: column {name!r} cannot be {role}: {catalogue.left_out[name]}."
        )
    if name not in columns:
        raise VipOfflineError(
            f"{where}: has no column {name!r} to be {role}.{did_you_mean(name, columns)} Say which "
            f"with --key-map {role}=COLUMN."
        )
    column: Column = columns[name]
    pictures = column.kind != "numbers"
    if pictures != role.startswith("camera:"):
        actual = "pictures" if pictures else f"{column.dtype} {column.shape}"
        raise VipOfflineError(f"{where}: column {name!r} holds {actual}; it cannot be {role}.")
    if role in SINGLE and column.size != 1:
        raise VipOfflineError(
            f"{where}: column {name!r} has shape {column.shape} per row; {role} needs one number."
        )


def single_numbers(columns: Mapping[str, Column]) -> list[str]:
    """Columns with one number per row."""
    return [n for n, column in columns.items() if column.kind == "numbers" and column.size == 1]


def missing_roles(keys: ColumnMap, columns: Any) -> Iterator[str]:
    """Notes on roles without a column, and how to assign one."""
    played = {keys.time, keys.success, keys.reward, *(column_and_part(s)[0] for s in keys.action)}
    free = [n for n, column in columns.items() if column.kind == "numbers" and n not in played]
    states = [name for name in free if not COMMAND.search(re.split(r"[./]", name)[-1])]
    if not keys.cameras:
        yield "NO CAMERA: without frames nothing can be relabelled"
    if not keys.action:
        named = f" Name it with --key-map action=COLUMN: {_some(free)}." if free else ""
        yield f"NO ACTION: enough to relabel and analyse, not to train.{named}"
    if keys.action and not keys.proprio and states:
        yield (
            "no proprio: a policy will see frames alone. --key-map proprio=COLUMN adds "
            f"{_some(states)}"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def resampled_by(name: str, column: Column, keys: ColumnMap) -> str:
    """``nearest`` or ``linear``: how a column is brought to the frames' times."""
    played = {column_and_part(spec)[0] for spec in keys.action} | {keys.success, keys.reward}
    exact = column.kind != "numbers" or np.dtype(column.dtype).kind != "f"
    return "nearest" if exact or name in played or COMMAND.search(name) else "linear"


def at_frames(rows: EpisodeColumns, columns: Any, keys: ColumnMap) -> EpisodeColumns:
    """Columns with all series resampled to the frames' times."""
    settled = {
        name: values
        if not isinstance(values, Series)
        else values.linear()
        if resampled_by(name, columns[name], keys) == "linear"
        else values.nearest()
        for name, values in rows.columns.items()
    }
    return replace(rows, columns=settled)


def extras_of(catalogue: Catalogue, keys: ColumnMap) -> list[str]:
    """Numeric columns to store as extras: without a role, or sources of proprio or success."""
    played = {*keys.action, keys.reward}
    if len(keys.proprio) == 1:
        played |= {*keys.proprio}
    return [
        name
        for name, column in catalogue.columns.items()
        if column.kind == "numbers" and name not in played
    ]


def stored_as(columns: Iterable[str]) -> dict[str, str]:
    """Column of an origin -> plain name under which it is kept, no two of them the same.

    A slash, which would be a folder, becomes a dot, and what else a store's names cannot hold a _.
    """
    names: dict[str, str] = {}
    for column in columns:
        name = re.sub(r"[^\w.+ -]", "_", column.replace("/", "."))
        name = name if re.match(r"\w", name) else f"_{name}"
        while name in names.values() or name.endswith((".partial", ".replaced")):
            name += "_"
        names[column] = name
    return names
