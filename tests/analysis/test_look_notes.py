from pathlib import Path

import numpy as np
import pytest

from vip_offline.analysis.look_notes import cut_notes, end_notes, scene_notes, shape_notes

VIDEO = Path("a.mp4")


def test_only_a_side_that_loses_much_is_named() -> None:
    (note,) = cut_notes(VIDEO, "lite0", (0.125, 0.5))
    assert note == "a.mp4: lite0 sees the central square, 50% of the width. --fit pad shows it all."
    assert "60% of the height" in cut_notes(VIDEO, "lite0", (0.4, 0.125))[0]
    assert cut_notes(VIDEO, "lite0", (0.125, 0.125)) == []


def test_a_goal_of_another_shape_is_said_and_what_was_done() -> None:
    (note,) = shape_notes(VIDEO, (90, 160), "goal.png", (160, 90), "squash")
    assert note == (
        "goal.png is 90 x 160 px (portrait) and a.mp4 160 x 90 px (landscape): each is squashed to "
        "a square."
    )
    assert "100 x 100 px (square)" in shape_notes(VIDEO, (90, 160), "g", (100, 100), "pad")[0]
    assert shape_notes(VIDEO, (90, 160), "g", (180, 321), "crop") == []  # rounded when resized


def test_scenes_are_told_apart_by_goals_against_ways() -> None:
    starts = [np.zeros(2), np.zeros(2)]
    videos = [VIDEO, Path("b.mp4")]
    near = [np.array([4.0, 0.0]), np.array([4.0, 1.0])]
    far = [np.array([4.0, 0.0]), np.array([-4.0, 0.0])]
    assert scene_notes(near, starts, videos) == []
    assert "lie 200% as far from each other" in scene_notes(far, starts, videos)[0]
    assert (
        "b.mp4 and a.mp4 end in the same picture" in scene_notes([near[0]] * 2, starts, videos)[0]
    )


@pytest.mark.parametrize(
    ("distance", "moves", "part"),
    [
        ([2.0, 1.0], True, ""),
        ([2.0, 2.0], True, "ends no nearer to the goal"),
        ([2.0, 1.0], False, "nothing moves where the encoder looks"),
    ],
)
def test_a_curve_that_says_nothing_is_noticed(
    distance: list[float], moves: bool, part: str
) -> None:
    notes = end_notes(VIDEO, np.array(distance), moves=moves)
    assert len(notes) == bool(part) and all(part in note for note in notes)
