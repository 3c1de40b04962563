from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vip_offline.dataset.store import open_store
from vip_offline.options import RelabelOptions
from vip_offline.report.html.render import render
from vip_offline.rewards.goal_views import PICTURES_SHOWN, GoalView, goal_views, goals_of
from vip_offline.rewards.relabel import relabel

PIXELS = RelabelOptions(encoder="pixels-64", camera="front")


def views(path: Path, **options: object) -> tuple[GoalView, ...]:
    made = replace(PIXELS, name="x", **options)  # type: ignore[arg-type]
    relabel(path, made, overwrite=True)
    store = open_store(path)
    return goal_views(store, "front", store.label("x").provenance)


def test_a_frame_is_shown_under_its_name(store_path: Path) -> None:
    (view,) = views(store_path, goal=("0:-1",))
    ((name, pixels),) = view.pictures
    store = open_store(store_path)
    _, stop = store.spans()[0]
    assert name == f"episode 0, frame {stop - 1}"
    np.testing.assert_array_equal(pixels, store.frames("front", stop - 1, stop)[0])
    assert (view.name, view.count, view.notes) == ("Goal: frame 0:-1", 1, ())


@pytest.mark.slow
def test_of_many_the_first_few_are_shown_with_the_count(make_store: Callable[..., Path]) -> None:
    path = make_store(lengths=(5,) * (PICTURES_SHOWN + 2), successes=(True,) * (PICTURES_SHOWN + 2))
    for goal in ("successes", "nearest:successes", "last"):
        (view,) = views(path, goal=(goal,))
        assert len(view.pictures) == PICTURES_SHOWN
        assert view.count == PICTURES_SHOWN + 2
        assert f"({PICTURES_SHOWN} of {PICTURES_SHOWN + 2} pictures)" in render(
            "goals.html.j2", views=[view]
        )


def test_each_stage_is_shown(store_path: Path) -> None:
    first, second = views(store_path, stages=("0:2", "successes"))
    assert first.name == "Goal, stage 1: frame 0:2"
    assert second.name.startswith("Goal, stage 2: the mean of the last frames")
    assert first.pictures[0][0] == "episode 0, frame 2"


def test_a_file_is_shown_while_it_is_the_one_that_was_the_goal(
    store_path: Path, tmp_path: Path
) -> None:
    file = tmp_path / "goal <b>.png"
    Image.fromarray(open_store(store_path).frames("front", 3, 4)[0]).save(file)
    (view,) = views(store_path, goal=(str(file),))
    assert view.pictures[0][0] == str(file)
    figures = render("goals.html.j2", views=[view])
    assert "goal &lt;b&gt;.png" in figures
    assert 'src="data:image/jpeg;base64,' in figures
    store = open_store(store_path)
    made = store.label("x").provenance
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file)
    (changed,) = goal_views(store, "front", made)
    assert changed.pictures == ()
    assert "was changed since" in changed.notes[0]
    file.write_text("no picture")
    assert "cannot be shown" in goal_views(store, "front", made)[0].notes[0]
    file.unlink()
    assert "is gone" in goal_views(store, "front", made)[0].notes[0]


def test_words_are_shown_as_words(store_path: Path) -> None:
    stage = {"rows": [], "pictures": {}, "prompts": ["close it, then open it"]}
    made = {"goal": "the words 'close it, then open it'", "goal_rows": [], "stages": [stage]}
    (view,) = goal_views(open_store(store_path), "front", made)
    assert view == GoalView("Goal: the words 'close it, then open it'", (), 0)
    twice = {"goal": f"{made['goal']}, then {made['goal']}", "stages": [stage, stage]}
    first, second = goal_views(open_store(store_path), "front", twice)
    assert first.name == f"Goal, stage 1: {twice['goal']}"
    assert second.name.startswith("Goal, stage 2: ")


def test_frames_that_are_not_in_the_store_are_said_to_be_missing(store_path: Path) -> None:
    made = {"goal": "frame 0:1", "stages": [{"rows": [1], "pictures": {}, "prompts": []}]}
    (view,) = goal_views(open_store(store_path), "elsewhere,front", made)
    assert view.pictures == ()
    assert view.notes == ("The frames of camera elsewhere are not in the store.",)


@pytest.mark.slow
def test_labellings_with_one_goal_share_it(store_path: Path) -> None:
    for name, goal in (("a", "0:1"), ("b", "0:1"), ("c", "0:2")):
        relabel(store_path, replace(PIXELS, name=name, goal=(goal,)))
    store = open_store(store_path)
    goals = goals_of(store, {text: store.label(text).provenance for text in ("a", "b", "c")})
    assert [names for names, _ in goals] == ["a, b", "c"]
