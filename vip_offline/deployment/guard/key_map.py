"""Observations under the names of the robot's side: pure functions from theirs to ours."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.policies.interface import FRAME, PROPRIO, Interface

KEYS_SHOWN = 32  # keys of an observation that lacks one
KeyMap = Mapping[str, str | list[str]]

# names, shapes and dtypes as openpi's examples send them; H, W are the policy's own
PRESETS: dict[str, dict[str, str | list[str]]] = {
    "droid": {
        "scene": "observation/exterior_image_1_left",  # (H, W, 3) uint8
        "wrist": "observation/wrist_image_left",  # (H, W, 3) uint8
        # (7,) and (1,) float, side by side: proprio (8,)
        PROPRIO: ["observation/joint_position", "observation/gripper_position"],
    },
    "libero": {
        "scene": "observation/image",  # (H, W, 3) uint8
        "wrist": "observation/wrist_image",  # (H, W, 3) uint8
        PROPRIO: "observation/state",  # (8,) float
    },
}


def read_key_map(text: str, interface: Interface) -> dict[str, str | list[str]]:
    """Parse a key map: name of a preset, JSON, or path of a JSON file.

    Args:
        text: name of a preset, a JSON object or the path of a JSON file; "": the policy's own.
        interface: of the policy.

    Raises:
        VipOfflineError: if it is none, names a key that the policy does not take, or a preset
            does not say which camera is which.
    """
    if not text:
        return dict(interface.key_map)
    if text in PRESETS:
        return _preset(text, interface)
    content = text
    if not text.lstrip().startswith("{"):
        path = Path(text)
        if not path.is_file():
            raise VipOfflineError(
                f"--key-map {text}: is no preset, no JSON and no file.{did_you_mean(text, PRESETS)}"
            )
        content = path.read_text("utf-8")
    try:
        read = json.loads(content)
    except ValueError as error:
        raise VipOfflineError(f"--key-map {text}: is no JSON ({error}).") from None
    if not isinstance(read, dict) or not all(_is_key(value) for value in read.values()):
        raise VipOfflineError(
            f'--key-map {text}: expected {{"our key": "their key" or ["several", "keys"]}}.'
        )
    for key in read:
        if key not in interface.observation_keys:
            raise VipOfflineError(
                f"--key-map: the policy takes no {key!r}."
                f"{did_you_mean(key, interface.observation_keys)}"
            )
    return read


def _is_key(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and bool(value) and all(isinstance(key, str) for key in value)
    )


def _preset(name: str, interface: Interface) -> dict[str, str | list[str]]:
    """Bind a preset's two cameras: the one with wrist in its name, and the other."""
    table = PRESETS[name]
    bound: dict[str, str | list[str]] = {PROPRIO: table[PROPRIO]}
    for role in ("scene", "wrist"):
        ours = [key for key in interface.frames if ("wrist" in key.lower()) is (role == "wrist")]
        if len(ours) > 1:
            raise VipOfflineError(
                f"--key-map {name}: cannot tell which of {', '.join(ours)} is "
                f"{table[role]!r}. Say so by JSON: "
                f'--key-map \'{{"{ours[0]}": "{table[role]}"}}\'.'
            )
        bound |= dict.fromkeys(ours, table[role])
    return bound


def translate(
    observation: Mapping[str, Any], mapped: KeyMap, interface: Interface
) -> dict[str, Any]:
    """Rename the keys of an observation to the policy's; other keys are kept as they are.

    Frames are renamed. For proprio the values, each one number or (k,), are put side by side in
    the order of the map. Without a copy where nothing has to be put together.

    Args:
        observation: as it came.
        mapped: our key -> theirs.
        interface: of the policy.

    Raises:
        VipOfflineError: if a key is missing, there under both names, or is not an array.
    """
    ours, used = dict[str, Any](), set[str]()
    few = list(observation)[:KEYS_SHOWN]
    for key in interface.observation_keys:
        theirs = mapped.get(key, key)
        names = [theirs] if isinstance(theirs, str) else list(theirs)
        if key in observation and key not in names:
            if aliases := [name for name in names if name in observation]:
                raise VipOfflineError(
                    f"observation: has both {key!r} and {aliases[0]!r}, which stand for the same."
                )
            names = [key]
        for name in names:
            if name not in observation:
                raise VipOfflineError(
                    f"observation: has no {name!r}.{did_you_mean(name, few)} The policy "
                    f"takes {', '.join(_wanted(mapped, interface))}."
                )
        used |= set(names)
        values = [_array(observation[name], name) for name in names]
        if len(values) == 1 and (key.startswith(FRAME) or values[0].ndim):
            ours[key] = values[0]
        else:
            ours[key] = _side_by_side(values, names)
    return {key: value for key, value in observation.items() if key not in used} | ours


def _wanted(mapped: KeyMap, interface: Interface) -> list[str]:
    theirs = [mapped.get(key, key) for key in interface.observation_keys]
    return [name for keys in theirs for name in ([keys] if isinstance(keys, str) else keys)]


def _array(value: Any, name: str) -> NDArray[Any]:
    if not isinstance(value, np.ndarray | np.generic | float):
        raise VipOfflineError(
            f"observation: {name} is a {type(value).__name__}; expected a NumPy array."
        )
    return np.asarray(value)


def _side_by_side(values: list[NDArray[Any]], names: list[str]) -> NDArray[Any]:
    for value, name in zip(values, names, strict=True):
        if value.ndim > 1 or value.dtype.kind != "f":
            raise VipOfflineError(
                f"observation: {name} has shape {value.shape} and is {value.dtype}; expected "
                "float32, one number or (k,)."
            )
    return np.concatenate([np.atleast_1d(value) for value in values])
