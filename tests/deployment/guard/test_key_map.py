import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vip_offline.deployment.guard.key_map import read_key_map, translate
from vip_offline.errors import VipOfflineError
from vip_offline.policies.interface import Interface

EIGHT = (*(f"joint {i} [rad]" for i in range(7)), "gripper")
FRANKA = Interface(
    frames={"frame/scene": (4, 6, 3), "frame/wrist_left": (4, 6, 3)},
    proprio=EIGHT,
    action=("x",),
    low=(0.0,),
    high=(1.0,),
    largest_step=(1.0,),
)
PICTURES = {
    "observation/exterior_image_1_left": np.full((4, 6, 3), 1, np.uint8),
    "observation/wrist_image_left": np.full((4, 6, 3), 2, np.uint8),
}
DROID = {
    **PICTURES,
    "observation/joint_position": np.arange(7, dtype=np.float32),
    "observation/gripper_position": np.array([7], np.float32),
    "prompt": "pick",
}


def test_droid() -> None:
    mine = translate(DROID, read_key_map("droid", FRANKA), FRANKA)
    assert mine["frame/scene"][0, 0, 0] == 1
    assert mine["frame/wrist_left"][0, 0, 0] == 2
    assert mine["proprio"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert mine["proprio"].dtype == np.float32
    assert mine["prompt"] == "pick"
    assert mine["frame/scene"] is DROID["observation/exterior_image_1_left"]  # no copy
    assert FRANKA.check(mine).proprio.shape == (1, 8)


def test_libero() -> None:
    theirs = {
        "observation/image": PICTURES["observation/exterior_image_1_left"],
        "observation/wrist_image": PICTURES["observation/wrist_image_left"],
        "observation/state": np.arange(8.0),
    }
    mine = translate(theirs, read_key_map("libero", FRANKA), FRANKA)
    assert mine["frame/wrist_left"][0, 0, 0] == 2
    assert mine["proprio"].tolist() == list(range(8))


@pytest.mark.parametrize("gripper", [7.0, np.float64(7), np.array(7.0), np.array([7.0])])
def test_one_number_may_be_no_array(gripper: Any) -> None:
    mine = translate(
        DROID | {"observation/gripper_position": gripper}, read_key_map("droid", FRANKA), FRANKA
    )
    assert mine["proprio"].shape == (8,)
    assert mine["proprio"][7] == 7


def test_without_a_map_names_are_our_own() -> None:
    ours: dict[str, Any] = dict.fromkeys(FRANKA.frames, PICTURES["observation/wrist_image_left"])
    ours["proprio"] = np.zeros(8, np.float32)
    assert translate(ours, read_key_map("", FRANKA), FRANKA) == ours


def test_our_own_names_still_work_beside_a_map() -> None:
    mapped = read_key_map("droid", FRANKA)
    ours = translate(DROID, mapped, FRANKA)
    assert translate(ours, mapped, FRANKA).keys() == ours.keys()


def test_the_policys_own_map_is_the_default() -> None:
    own: dict[str, str | list[str]] = {"proprio": "state"}
    interface = replace(FRANKA, key_map=own)
    assert read_key_map("", interface) == own


def test_json_on_the_command_line_and_in_a_file(tmp_path: Path) -> None:
    given: dict[str, str | list[str]] = {"proprio": ["q", "g"], "frame/scene": "rgb"}
    assert read_key_map(json.dumps(given), FRANKA) == given
    (tmp_path / "map.json").write_text(json.dumps(given))
    assert read_key_map(str(tmp_path / "map.json"), FRANKA) == given


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("droids", "is no preset, no JSON and no file. Did you mean 'droid'"),
        ("{", "is no JSON"),
        ('{"proprio": 1}', "expected"),
        ('{"proprio": []}', "expected"),
        ('{"proprio": ["a", 1]}', "expected"),
        ('{"propio": "state"}', "takes no 'propio'. Did you mean 'proprio'"),
    ],
)
def test_maps_that_are_none(given: str, says: str) -> None:
    with pytest.raises(VipOfflineError) as error:
        read_key_map(given, FRANKA)
    assert says in str(error.value)


def test_a_preset_does_not_guess_between_cameras() -> None:
    two = replace(FRANKA, frames={"frame/left": (4, 6, 3), "frame/right": (4, 6, 3)})
    with pytest.raises(VipOfflineError) as error:
        read_key_map("droid", two)
    assert "cannot tell which of frame/left, frame/right is" in str(error.value)
    suggestion = str(error.value).partition("--key-map '")[2].rstrip("'.")
    assert read_key_map(suggestion, two) == {"frame/left": "observation/exterior_image_1_left"}


def test_a_preset_for_one_camera() -> None:
    single = replace(FRANKA, frames={"frame/front": (4, 6, 3)})
    assert read_key_map("libero", single) == {
        "frame/front": "observation/image",
        "proprio": "observation/state",
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"observation/joint_position": ...}, "has no 'observation/joint_position'"),
        ({"observation/wrist_image_left": ...}, "has no 'observation/wrist_image_left'"),
        ({"observation/joint_position": "0 0 0"}, "joint_position is a str; expected a NumPy"),
        ({"observation/joint_position": [0.0] * 7}, "is a list; expected a NumPy"),
        ({"observation/wrist_image_left": None}, "wrist_image_left is a NoneType"),
        ({"observation/joint_position": np.zeros((1, 7))}, "shape (1, 7) and is float64"),
        ({"observation/joint_position": np.zeros(7, np.int64)}, "shape (7,) and is int64"),
        ({"proprio": np.zeros(8)}, "both 'proprio' and 'observation/joint_position'"),
        ({"frame/scene": np.zeros(8)}, "both 'frame/scene' and 'observation/exterior"),
    ],
)
def test_observations_that_do_not_fit_the_map(change: dict[str, Any], says: str) -> None:
    theirs = {key: value for key, value in (DROID | change).items() if value is not ...}
    with pytest.raises(VipOfflineError) as error:
        translate(theirs, read_key_map("droid", FRANKA), FRANKA)
    assert says in str(error.value)
