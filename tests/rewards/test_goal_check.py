from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import SIZE
from made_up_grey import make
from PIL import Image

from vip_offline.options import RelabelOptions
from vip_offline.rewards.goal_check import Approach, misses_goal
from vip_offline.rewards.relabel import relabel

PIXELS = RelabelOptions(encoder="pixels", name="x")


def picture(path: Path, *rgb: int) -> str:
    Image.fromarray(np.full((SIZE, SIZE, 3), rgb, np.uint8)).save(path)
    return str(path)


def notes(path: Path, *goal: str) -> tuple[str, ...]:
    return relabel(path, replace(PIXELS, goal=goal), overwrite=True).notes


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Successes go from black to about level 200; the failure does not."""
    return make(
        tmp_path / "g.zarr",
        ([0, 100, 190], True),
        ([10, 100, 200], True),
        ([0, 100, 210], True),
        ([0, 5, 0], False),
    )


def test_successes_that_come_no_nearer(store: Path, tmp_path: Path) -> None:
    (note,) = notes(store, picture(tmp_path / "black.png", 0, 0, 0))
    assert note == (
        "3 of 3 successes end no nearer to the goal than they began: is the goal image of this "
        "task, RGB and upright?"
    )
    (note,) = notes(store, "3:0")
    assert note.endswith("than they began: does the goal frame show the task done?")


def test_successes_that_come_hardly_nearer(store: Path, tmp_path: Path) -> None:
    """Towards red they come a little, by their own goal nearly all the way."""
    (note,) = notes(store, picture(tmp_path / "red.png", 255, 60, 60))
    assert note.startswith("3 successes cover 19% of the way to the goal, but 93% of the way to")
    assert note.endswith("is the goal image of this task, RGB and upright?")


def test_good_goals_are_not_questioned(store: Path, tmp_path: Path) -> None:
    assert notes(store, "successes") == ()
    assert notes(store, "nearest:successes") == ()
    assert notes(store, "last") == ()
    assert notes(store, "0:-1") == ()
    # another day's light: further off than any frame, but the way to it is covered
    assert notes(store, picture(tmp_path / "bright.png", 240, 255, 250)) == ()


@pytest.mark.slow
def test_successes_that_end_apart(tmp_path: Path) -> None:
    path = make(tmp_path / "g.zarr", *(([100, level], True) for level in (0, 60, 140, 200)))
    (note,) = notes(path, "nearest:successes")
    assert "end no nearer" in note
    assert "are they successes of one task?" in note
    path = make(tmp_path / "m.zarr", *(([100, level], True) for level in (0, 60, 140, 200)))
    (note,) = notes(path, "successes")
    assert note.endswith("use --goal nearest:successes or --goal last.")


def test_both_distance_and_coverage_decide() -> None:
    usual = Approach(np.full(3, 10.0), np.full(3, 5.0))
    assert misses_goal(Approach(np.full(3, 20.0), np.full(3, 17.0)), usual)
    assert not misses_goal(Approach(np.full(3, 8.9), np.full(3, 8.0)), usual)  # not far
    assert not misses_goal(Approach(np.full(3, 20.0), np.full(3, 12.0)), usual)  # covers enough
    nowhere = Approach(np.full(3, 10.0), np.full(3, 10.0))
    assert not misses_goal(Approach(np.full(3, 40.0), np.full(3, 39.0)), nowhere)
