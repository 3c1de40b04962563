from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from people_files import LENGTH, action, pictures, video

from vip_offline.dataset.importers.folders.layout import Part
from vip_offline.dataset.importers.folders.parts import (
    Clock,
    PartContents,
    picture_rows,
    read_part,
    table_columns,
)
from vip_offline.errors import VipOfflineError


def table(tmp_path: Path, **columns: Any) -> Part:
    np.savez(tmp_path / "robot.npz", **columns)
    return Part("robot", tmp_path / "robot.npz", "table")


def times(described: PartContents) -> NDArray[np.float64]:
    assert described.timing.seconds is not None
    return described.timing.seconds


def test_the_rows_of_a_table_are_those_of_the_frames(tmp_path: Path) -> None:
    part = table(tmp_path, x=np.zeros(5), y=np.zeros(5), z=np.zeros((7, 2)))
    described = read_part(part, {7}, Clock())
    assert described.timing.rows == 7 and [*described.columns] == ["robot.z"]
    assert described.left_out["robot.x"] == "shape (5,) is not one value per row (7)"
    assert read_part(part, set(), Clock()).timing.rows == 5  # what most columns have


def test_a_column_with_a_role_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    part = table(tmp_path, action=np.zeros((9, 2)), x=np.zeros(7))
    with pytest.raises(VipOfflineError, match="action has 9 rows, and the episode 7"):
        read_part(part, {7}, Clock())


def test_one_action_less_than_frames_is_padded(tmp_path: Path) -> None:
    part = table(tmp_path, action=np.arange(6), x=np.arange(7))
    described = read_part(part, {7}, Clock())
    assert described.columns["robot.action"].dtype == "float64"
    values = table_columns(part, ["robot.action", "robot.x"], 7)
    assert np.isnan(values["robot.action"][-1]) and values["robot.action"][5] == 5
    assert values["robot.x"].dtype == np.int64


def test_pictures_in_a_table_are_a_camera_and_depth_is_none(tmp_path: Path) -> None:
    grey = np.zeros((4, 32, 32), np.uint8)
    part = table(tmp_path, front=np.zeros((4, 3, 32, 48), np.uint8), depth=grey, x=np.zeros(4))
    described = read_part(part, set(), Clock())
    assert described.columns["robot.front"].kind == "pictures"
    assert described.columns["robot.front"].shape == (32, 48, 3)
    assert "depth is no view" in described.left_out["robot.depth"]


def test_times_of_a_column_of_names_and_as_given(tmp_path: Path) -> None:
    part = table(tmp_path, x=np.zeros(4), stamp_ms=np.array([0, 20, 40, 60]))
    described = read_part(part, set(), Clock())
    np.testing.assert_allclose(times(described), np.arange(4) / 50)
    assert "milliseconds" in described.timing.clock
    assert read_part(part, set(), Clock(time="")).timing.seconds is None
    forced = read_part(part, set(), Clock({"robot": 10.0}))
    np.testing.assert_allclose(times(forced), np.arange(4) / 10)
    pictures(tmp_path / "front", lambda row: f"{row / 10 + 0.5:.2f}.png")
    camera = read_part(Part("front", tmp_path / "front", "pictures"), set(), Clock())
    np.testing.assert_allclose(times(camera), 0.5 + np.arange(LENGTH) / 10)
    video(tmp_path / "side.mp4")
    film = read_part(Part("side", tmp_path / "side.mp4", "video"), set(), Clock({"": 3.0}))
    np.testing.assert_allclose(times(film), np.arange(LENGTH) / 10, atol=1e-6)


def test_a_column_that_counts_rows_cannot_be_named_as_time(tmp_path: Path) -> None:
    part = table(tmp_path, t=np.arange(4), x=np.zeros(4))
    assert read_part(part, set(), Clock()).timing.seconds is None
    with pytest.raises(VipOfflineError, match="counts rows"):
        read_part(part, set(), Clock(time="robot.t"))


def test_one_picture_in_two_kinds_of_files_is_refused(tmp_path: Path) -> None:
    for suffix in ("png", "jpg"):
        pictures(tmp_path / "front", lambda row, suffix=suffix: f"{row}.{suffix}")  # type: ignore[misc]
    with pytest.raises(VipOfflineError, match=r"0.jpg and 0.png bear one name"):
        read_part(Part("front", tmp_path / "front", "pictures"), set(), Clock())


def test_some_pictures_of_a_folder(tmp_path: Path) -> None:
    pictures(tmp_path / "front", lambda row: f"{row}.png")
    frames = picture_rows(Part("front", tmp_path / "front", "pictures"), [2, 2, 10])
    assert [int(frame[40, 50, 0]) for frame in frames] == [56, 56, 200]


def test_success_that_says_neither_is_refused(tmp_path: Path) -> None:
    part = table(tmp_path, success=np.array([0.5, 1, 2]), x=np.zeros(3), action=action(3))
    with pytest.raises(VipOfflineError, match="success is to say whether the task is solved"):
        read_part(part, set(), Clock())


def test_a_file_per_step_is_no_episode(tmp_path: Path) -> None:
    part = table(tmp_path, rgb_static=np.zeros((32, 32, 3), np.uint8), actions=np.zeros(7))
    with pytest.raises(VipOfflineError, match=r"rgb_static is one picture .* one step"):
        read_part(part, set(), Clock())
