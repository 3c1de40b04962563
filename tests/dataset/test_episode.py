import dataclasses
from typing import Any

import numpy as np
import pytest
from conftest import brightness_episode

from vip_offline.errors import VipOfflineError

GOOD = brightness_episode(5, True, 0)


def test_a_good_one_passes() -> None:
    GOOD.check("here")
    assert len(GOOD) == 5


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"proprio": GOOD.proprio[:4]}, ["differ in length", "proprio 4", "action 5"]),
        ({"frames": {"front": GOOD.frames["front"][:3]}}, ["camera front 3"]),
        ({"frames": {"front": GOOD.frames["front"] / 255}}, ["camera front", "float64", "uint8"]),
        ({"action": GOOD.action.astype(np.float64)}, ["action is float64", "float32"]),
        ({"proprio": GOOD.proprio[:, 0]}, ["proprio is float32 (5,)"]),
    ],
)
def test_arrays_that_do_not_fit(changes: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(VipOfflineError) as caught:
        dataclasses.replace(GOOD, **changes).check("x.zarr, episode 3")
    for part in ["x.zarr, episode 3", *parts]:
        assert part in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["action", "proprio"])
def test_values_that_are_not_finite(name: str, value: float) -> None:
    array = getattr(GOOD, name).copy()
    array[2, 1] = value
    with pytest.raises(VipOfflineError, match=rf"{name}\[2, 1\] is {value}"):
        dataclasses.replace(GOOD, **{name: array}).check("here")


def test_one_row_makes_no_transition() -> None:
    arrays = ("proprio", "action", "succeeded", "true_reward")
    short = {name: getattr(GOOD, name)[:1] for name in arrays}
    with pytest.raises(VipOfflineError, match="a transition needs two"):
        dataclasses.replace(GOOD, frames={"front": GOOD.frames["front"][:1]}, **short).check("here")


def test_no_action_in_the_last_observation_is_no_mistake() -> None:
    action = GOOD.action.copy()
    action[-1] = np.nan
    dataclasses.replace(GOOD, action=action).check("here")
    action[-1, 0] = 0.5  # half an action is one
    with pytest.raises(VipOfflineError, match=r"action\[4, 1\] is nan"):
        dataclasses.replace(GOOD, action=action).check("here")


def test_what_else_there_is_has_as_many_rows() -> None:
    with pytest.raises(VipOfflineError, match="force 4"):
        dataclasses.replace(GOOD, extras={"force": np.zeros((4, 3))}).check("here")
