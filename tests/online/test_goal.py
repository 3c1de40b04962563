from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vip_offline.encoders.encoder import load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.online.goal import check_goal, embed_goal, goal_frames
from vip_offline.options import OnlineOptions


def test_the_goal_is_the_mean_of_pictures_of_any_size() -> None:
    encoder = load_encoder("pixels")
    dark = np.zeros((32, 32, 3), np.uint8)
    bright = np.full((64, 96, 3), 200, np.uint8)
    goal = embed_goal([dark, bright], encoder, "two")
    expected = (encoder(dark[None])[0] + encoder(bright[None])[0]) / 2
    np.testing.assert_allclose(goal, expected, atol=1e-6)


def test_picture_files(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path, shape in zip(paths, ((32, 32, 3), (32, 64, 3)), strict=True):
        Image.fromarray(np.full(shape, 7, np.uint8)).save(path)
    options = OnlineOptions(goal=tuple(map(str, paths)))
    check_goal("drawer-close", options)
    frames, names, notes = goal_frames("drawer-close", options)
    assert [frame.shape for frame in frames] == [(32, 32, 3), (32, 64, 3)]
    assert names == f"{paths[0]}, {paths[1]}"
    (note,) = notes
    assert note.startswith(f"{paths[1]} has 64 x 32 px")


def test_a_picture_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"--goal .*gone\.png: is no file"):
        check_goal("drawer-close", OnlineOptions(goal=(str(tmp_path / "gone.png"),)))


def test_the_arm_at_home_is_a_goal_of_kitchen_alone() -> None:
    options = OnlineOptions(goal=("object",))
    check_goal("kitchen/sdoor-open", options)
    with pytest.raises(VipOfflineError, match="Kitchen alone, not of drawer-close"):
        check_goal("drawer-close", options)


@pytest.mark.sim
@pytest.mark.slow
def test_kitchen_shows_its_own_goal() -> None:
    options = OnlineOptions(goal=("object",), image_size=32, view="left")
    (frame,), names, _ = goal_frames("kitchen/sdoor-open", options)
    assert names == "the object moved and the arm at home"
    assert frame.shape == (32, 32, 3) and frame.std() > 5


@pytest.mark.sim
@pytest.mark.slow
def test_the_expert_ends_where_the_task_is_solved() -> None:
    options = OnlineOptions(image_size=32, expert_goals=2, processes=1)
    frames, names, notes = goal_frames("drawer-close", options)
    assert names == "the last frames of 2 successes of the scripted expert" and not notes
    assert len(frames) == 2 and frames[0].shape == (32, 32, 3)
    assert not np.array_equal(frames[0], frames[1])


@pytest.mark.sim
@pytest.mark.slow
def test_the_expert_is_seen_from_the_view_that_the_policy_has() -> None:
    seen = {}
    for view in ("", "corner", "front"):
        options = OnlineOptions(expert_goals=1, image_size=32, processes=1, view=view)
        (seen[view],), _, _ = goal_frames("ogbench/button-press-drawer", options)
    np.testing.assert_array_equal(seen[""], seen["corner"])
    assert (seen[""] != seen["front"]).mean() > 0.5
