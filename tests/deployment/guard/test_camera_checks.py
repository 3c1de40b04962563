from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.deployment.guard.camera_checks import HUNG, CameraMonitor
from vip_offline.policies.brightness import brightness_grid

UP, LEFT = slice(None, None, -1), slice(None, None, -1)
TURNS = {"rotated by 180 degrees": (UP, LEFT), "flipped vertically": (UP,)}


def scene(row: int, light: float = 1.0) -> NDArray[np.uint8]:
    """A wall, a table brighter to the right, and an arm that moves; never twice the same."""
    frame = np.full((96, 128, 3), 150.0)
    frame[48:] = np.linspace(40, 90, 128)[:, None]
    frame[20:60, 30 + row % 40 : 50 + row % 40] = 20
    noise = np.random.default_rng(row).normal(0, 3, frame.shape)
    return np.clip(light * frame + noise, 0, 255).astype(np.uint8)


def reference() -> dict[str, Any]:
    frames = [scene(row) for row in range(40)]
    grids, means = (
        [brightness_grid(frame) for frame in frames],
        [frame.mean((0, 1)) for frame in frames],
    )
    return {
        "mean": np.mean(means, axis=0).tolist(),
        "std": np.std(means, axis=0).tolist(),
        "grid_mean": np.mean(grids, axis=0).tolist(),
        "grid_std": np.std(grids, axis=0).tolist(),
    }


def said(frames: list[NDArray[np.uint8]], moving: float = 0.005, **more: Any) -> list[list[str]]:
    camera = CameraMonitor("frame/front", {**reference(), **more})
    return [camera.add(frame, np.array([moving * row, 1.0])) for row, frame in enumerate(frames)]


@pytest.mark.parametrize("light", [0.4, 1.0, 1.6])
@pytest.mark.parametrize("how", TURNS)
def test_an_upside_down_picture_is_said_once_in_any_light(how: str, light: float) -> None:
    warnings = said([scene(row, light)[TURNS[how]] for row in range(30)])
    assert [len(warning) for warning in warnings] == [0] * 9 + [1] + [0] * 20
    assert warnings[9][0].startswith("frame/front: looks upside down.")
    assert f"clearly better {how}" in warnings[9][0]


def test_swapped_colours_are_said_once_ten_frames_agree() -> None:
    red = [(scene(row) * np.array([1.0, 0.8, 0.4])).astype(np.uint8) for row in range(30)]
    means = [frame.mean((0, 1)) for frame in red]
    colours = {"mean": np.mean(means, axis=0).tolist(), "std": np.std(means, axis=0).tolist()}
    assert not any(said(red, **colours))
    warnings = said([frame[..., ::-1] for frame in red], **colours)
    assert [len(warning) for warning in warnings] == [0] * 9 + [1] + [0] * 20
    assert warnings[9][0].startswith("frame/front: looks like BGR.")


@pytest.mark.parametrize("light", [0.3, 1.0, 1.7])
def test_a_picture_as_it_was_is_not_warned_of(light: float) -> None:
    assert not any(said([scene(row, light) for row in range(60)]))


def test_another_scene_is_of_another_kind_and_not_upside_down() -> None:
    generator = np.random.default_rng(0)
    other = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    assert not any(said([np.roll(other, row, axis=1) for row in range(30)]))


def test_a_scene_that_is_alike_both_ways_up_cannot_be_told() -> None:
    flat = [[100.0] * 6] * 6
    frames = [scene(row)[::-1] for row in range(30)]
    assert not any(said(frames, grid_mean=flat, grid_std=[[60.0] * 6] * 6))


def test_a_frozen_camera_is_said_once() -> None:
    frames = [scene(row) for row in range(5)] + [scene(5)] * 60
    warnings = said(frames)
    places = [row for row, warning in enumerate(warnings) if warning]
    assert places == [5 + HUNG - 1]
    assert warnings[places[0]] == [
        f"frame/front: looks frozen. The last {HUNG} observations have the very same picture, "
        "while the robot moved; see that the camera still runs."
    ]


def test_a_robot_that_stands_still_may_see_the_same_again_and_again() -> None:
    assert not any(said([scene(0)] * 200, moving=1e-6))


def test_a_camera_that_is_slower_than_the_robot_is_not_frozen() -> None:
    """5 frames a second at 80 Hz: each picture comes 16 times."""
    assert not any(said([scene(row // 16) for row in range(200)]))


def test_a_slow_motion_adds_up() -> None:
    places = [row for row, warnings in enumerate(said([scene(0)] * 200, moving=1e-4)) if warnings]
    assert places == [101]  # 0.0101 m further


def test_an_older_policys_reference_is_of_colours_alone() -> None:
    colours = {key: reference()[key] for key in ("mean", "std")}
    camera = CameraMonitor("frame/front", colours)
    frames = [scene(row)[::-1] for row in range(30)]
    assert not any(camera.add(frame, np.zeros(2)) for frame in frames)
    assert CameraMonitor("frame/front", {}).add(frames[0], np.zeros(2)) == []
