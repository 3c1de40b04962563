"""Which columns of an origin become what in a store, and under which names."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.data.sources.source import Catalogue, Column, KeyMap, column_and_part
from vip_offline.data.store import check_name
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.recipe import ImportOptions

ROLES = ("proprio", "action", "success", "reward")


def key_map(catalogue: Catalogue, options: ImportOptions, where: Path) -> KeyMap:
    """What becomes what: the origin's own guess, changed by what the user says.

    Raises:
        VipOfflineError: on a role or a column that is not there, or that cannot play it.
    """
    keys, columns = catalogue.keys, catalogue.columns
    cameras = dict(keys.cameras)
    for each in options.key_map:
        role, given, value = each.partition("=")
        names = tuple(name for name in value.split(",") if name)
        if role.startswith("camera:") and len(names) == 1:
            cameras[check_name("camera", role.removeprefix("camera:"))] = names[0]
        elif given and role == "proprio":
            keys = replace(keys, proprio=names)
        elif given and role == "action":
            keys = replace(keys, action=names)
        elif given and role == "success" and len(names) <= 1:
            keys = replace(keys, success="".join(names))
        elif given and role == "reward" and len(names) <= 1:
            keys = replace(keys, reward="".join(names))
        else:
            raise VipOfflineError(
                f"--key-map {each}: expected ROLE=COLUMN with one of the roles {', '.join(ROLES)} "
                "or camera:NAME; proprio and action may name several columns, with commas."
            )
    if options.cameras:
        for name in options.cameras:
            if name not in cameras:
                raise VipOfflineError(f"{where}: no camera {name!r}.{did_you_mean(name, cameras)}")
        cameras = {name: cameras[name] for name in options.cameras}
    keys = replace(keys, cameras=cameras)
    for role, specs in (
        *((f"camera:{camera}", (column,)) for camera, column in keys.cameras.items()),
        ("proprio", keys.proprio),
        ("action", keys.action),
        ("success", (keys.success,) if keys.success else ()),
        ("reward", (keys.reward,) if keys.reward else ()),
    ):
        for spec in specs:
            name = column_and_part(spec)[0] if role in ("proprio", "action") else spec
            _check_role(role, name, columns, where)
    for role, names in (("proprio", keys.proprio), ("action", keys.action)):
        for name in names:
            _check_part(role, name, columns, where)
    return keys


def _check_role(role: str, name: str, columns: Any, where: Path) -> None:
    if name not in columns:
        raise VipOfflineError(
            f"{where}: has no column {name!r} to be {role}.{did_you_mean(name, columns)} Say which "
            f"with --key-map {role}=COLUMN."
        )
    column: Column = columns[name]
    pictures = column.kind != "numbers"
    if pictures != role.startswith("camera:"):
        what = "pictures" if pictures else f"{column.dtype} {column.shape}"
        raise VipOfflineError(f"{where}: column {name!r} holds {what}; it cannot be {role}.")
    if role == "action" and np.dtype(column.dtype).kind not in "f":
        raise VipOfflineError(
            f"{where}: action column {name!r} is {column.dtype}: these are discrete actions, and "
            "policies here regress continuous ones. Convert them, or name other columns with "
            "--key-map action=COLUMN."
        )
    if role in ("success", "reward") and int(np.prod(column.shape, dtype=int)) != 1:
        raise VipOfflineError(
            f"{where}: column {name!r} has shape {column.shape} per row; {role} needs one number."
        )


def _check_part(role: str, spec: str, columns: Any, where: Path) -> None:
    name, part = column_and_part(spec)
    width = int(np.prod(columns[name].shape, dtype=int))
    if not len(range(width)[part]):
        raise VipOfflineError(
            f"{where}: --key-map {role}={spec} is empty: column {name!r} has {width} numbers per "
            "row."
        )


def extras_of(catalogue: Catalogue, keys: KeyMap) -> list[str]:
    """What is kept beside: numbers that play no role, but all that make proprio or success."""
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
