import json
from dataclasses import replace

import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.policies.gripper import Gripper
from vip_offline.policies.interface import Interface

INTERFACE = Interface(
    frames={"frame/front": (4, 6, 3), "frame/wrist": (4, 4, 3)},
    proprio=("x [m]", "y [m]"),
    action=("dx [m]",),
    low=(-1.0,),
    high=(0.5,),
    largest_step=(0.25,),
    gripper="none",
    control_rate=25.0,
    key_map={"proprio": ["joints", "gripper"]},
)


def observation(rows: tuple[int, ...] = ()) -> dict[str, object]:
    return {
        "frame/front": np.zeros((*rows, 4, 6, 3), np.uint8),
        "frame/wrist": np.ones((*rows, 4, 4, 3), np.uint8),
        "proprio": np.arange(2 * int(np.prod(rows, dtype=int)), dtype=np.float64).reshape(*rows, 2),
    }


def test_one_and_several() -> None:
    single = INTERFACE.check({**observation(), "prompt": "close it"})
    assert not single.batched
    assert single.frames["frame/front"].shape == (1, 4, 6, 3)
    assert single.proprio.dtype == np.float32
    assert single.proprio.tolist() == [[0, 1]]
    several = INTERFACE.check(observation((3,)))
    assert several.batched
    assert several.frames["frame/wrist"].shape == (3, 4, 4, 3)
    assert several.proprio.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"frame/front": None}, r"has no 'frame/front'\. Did you mean 'frame/wrist'"),
        ({"proprio": np.zeros(2, np.int64)}, "proprio is int64; expected float32"),
        ({"proprio": np.zeros(2, np.float16)}, "proprio is float16; expected float32"),
        ({"proprio": np.zeros(3, np.float32)}, r"proprio has shape \(3,\); expected \(2,\)"),
        ({"proprio": np.zeros((1, 2, 2))}, r"proprio has shape \(1, 2, 2\)"),
        ({"proprio": np.zeros((2, 2))}, r"frame/front has shape \(4, 6, 3\)"),
        ({"proprio": np.array([0, np.nan])}, r"'y \[m\]' is nan"),
        ({"frame/front": np.zeros((6, 4, 3), np.uint8)}, r"frame/front has shape \(6, 4, 3\)"),
        (
            {"frame/front": np.zeros((4, 6, 3), np.float32)},
            "frame/front is float32; expected uint8",
        ),
        (
            {"frame/wrist": np.zeros((1, 4, 4, 3), np.uint8)},
            r"frame/wrist has shape \(1, 4, 4, 3\)",
        ),
    ],
)
def test_what_is_no_observation(changes: dict[str, object], part: str) -> None:
    given = {k: v for k, v in {**observation(), **changes}.items() if v is not None}
    with pytest.raises(VipOfflineError, match=part):
        INTERFACE.check(given)


@pytest.mark.parametrize(
    ("frame", "part"),
    [
        (np.full((4, 6, 3), 0.5, np.float32), r"between 0 and 0.5: send np.round\(255 \* frame\)"),
        (np.full((3, 4, 6), 200.0), r"is float64.*between 0 and 200: send np.round\(frame\)"),
        (np.full((4, 6, 3), -0.9, np.float32), "between -0.9 and 0: it was normalised"),
        (
            np.full((4, 6, 3), np.nan, np.float32),
            r"is float32; expected uint8 from 0 to 255, RGB\.$",
        ),
        (np.full((4, 6, 3), 5, np.int64), r"is int64; expected uint8 from 0 to 255, RGB\.$"),
    ],
)
def test_a_frame_of_another_dtype_is_told_how_to_be_one(frame: object, part: str) -> None:
    with pytest.raises(VipOfflineError, match=part):
        INTERFACE.check({**observation(), "frame/front": frame})


def test_an_empty_batch() -> None:
    with pytest.raises(VipOfflineError, match="a batch of none"):
        INTERFACE.check(observation((0,)))


def test_as_json_and_back() -> None:
    for interface in (INTERFACE, replace(INTERFACE, action_kind="delta", action_kind_guessed=True)):
        assert Interface.read(json.loads(json.dumps(interface.plain())), "x") == interface


def test_a_manifest_from_before_actions_had_a_kind() -> None:
    plain = INTERFACE.plain()
    del plain["action_kind"], plain["action_kind_guessed"]
    assert Interface.read(plain, "x") == INTERFACE
    assert INTERFACE.action_kind == ""


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"action": "dx"}, "not what this program wrote"),
        ({"frames": {"frame/front": {"shape": [4, 6, 1]}}}, "not what this program wrote"),
        ({"frames": 3}, "not what this program wrote"),
        ({"low": [0, 0]}, r"low of its interface is \[0.0, 0.0\]; expected 1 numbers"),
        ({"high": [float("nan")]}, "high of its interface"),
        ({"control_rate": 0}, "control_rate is 0"),
        ({"control_rate": True}, "control_rate is True"),
        *(
            ({"control_rate": rate}, f"control_rate is {rate!r}; expected a number of Hz above 0")
            for rate in (-5, float("nan"), float("inf"), 10**400, "fast")
        ),
        ({"low": [0.75]}, r"action 'dx \[m\]' goes from low 0.75 to high 0.5"),
        ({"high": [float("inf")]}, r"high of its interface is \[inf\]"),
        ({"low": [10**400]}, "not what this program wrote"),
        ({"largest_step": [-0.25]}, r"largest_step of action 'dx \[m\]' is -0.25"),
        ({"proprio": ["x", "y", "x"]}, r"proprio names 'x' 2 times \(places 0, 2\)"),
        ({"action": ["a", "a"], "low": [0, 0], "high": [1, 1], "largest_step": [1, 1]}, "action n"),
        ({"frames": {"frame/front": {"shape": [-4, 6, 3]}}}, "not what this program wrote"),
        ({"key_map": {"propio": "state"}}, "key_map names 'propio'.*Did you mean 'proprio'"),
        ({"key_map": {"proprio": 3}}, "key_map of 'proprio' is 3"),
        ({"action_kind": "positions"}, "action_kind is 'positions'. Did you mean 'position'"),
    ],
)
def test_a_manifest_that_was_edited(changes: dict[str, object], part: str) -> None:
    with pytest.raises(VipOfflineError, match=f"m.json.*{part}"):
        Interface.read({**INTERFACE.plain(), **changes}, "m.json")
    with pytest.raises(VipOfflineError, match=r"m.json"):
        Interface.read(None, "m.json")


def test_grippers_are_kept_and_older_policies_have_none() -> None:
    interface = replace(INTERFACE, grippers=(Gripper(0, -1.0, 1.0, -0.2, 0.2),))
    plain = json.loads(json.dumps(interface.plain()))
    assert Interface.read(plain, "x") == interface
    del plain["grippers"]
    assert Interface.read(plain, "x") == INTERFACE


@pytest.mark.parametrize("change", [{"dimension": 1}, {"low_below": 0.5}, {"high": float("nan")}])
def test_a_gripper_that_is_none(change: dict[str, float]) -> None:
    gripper = Gripper(0, -1.0, 1.0, -0.2, 0.2)
    plain = replace(INTERFACE, grippers=(gripper,)).plain()
    plain["grippers"][0] |= change
    with pytest.raises(VipOfflineError, match="its interface is not what this program wrote"):
        Interface.read(plain, "x")
