from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from in_process import invoke
from numpy.typing import NDArray

from vip_offline.analysis.curation.oddities import ENOUGH, Jump, Scene, oddities_of
from vip_offline.analysis.curation.scenes import edges_of, scenes_of
from vip_offline.dataset.store import open_store
from vip_offline.utils.arrays import Floats

HOME, GOAL, OTHER = np.zeros(8), np.eye(8)[0], np.eye(8)[1]


def picture(shift: int = 0, light: float = 1.0) -> NDArray[np.uint8]:
    """(1, 64, 64, 3): a wall of stones."""
    stones = np.random.default_rng(0).integers(20, 120, (16, 16)).astype(np.float64)
    wall = np.roll(np.kron(stones, np.ones((4, 4))), shift, axis=1) * light
    return np.repeat(wall[None, ..., None], 3, axis=-1).astype(np.uint8)


def scene(end: Floats = GOAL, start: Floats = HOME, edges: Floats | None = None) -> Scene:
    edges = edges_of(picture()) if edges is None else edges
    return Scene(start, end, end, edges, edges)


def test_an_episode_that_stops_elsewhere_has_another_goal() -> None:
    odd, notes = oddities_of([*[scene()] * 7, *[scene(OTHER)] * 2], np.ones(9, bool))
    assert odd[:7] == [[]] * 7 and not notes
    assert odd[7][0].startswith("other goal than the rest: stops 1.41 of the usual way")
    assert odd[7][0].endswith("as episode 8 does")


@pytest.mark.parametrize(
    "unlike",
    [
        scene(0.05 * OTHER),  # never went anywhere
        replace(scene(OTHER), before_end=0.5 * OTHER),  # is still on its way
        scene(GOAL + OTHER, HOME + 1.1 * OTHER),  # another scene from the first frame on
    ],
)
def test_not_every_odd_end_is_another_goal(unlike: Scene) -> None:
    odd, _ = oddities_of([*[scene()] * 7, unlike], np.ones(8, bool))
    assert odd[7] == []


def test_two_goals_of_as_many_are_both_usual() -> None:
    odd, _ = oddities_of([*[scene()] * 4, *[scene(OTHER)] * 4], np.ones(8, bool))
    assert not any(odd)


def test_a_camera_that_stands_elsewhere_is_named_and_a_lamp_is_not() -> None:
    moved, lit = edges_of(picture(2)), edges_of(picture(light=1.6))
    odd, _ = oddities_of([*[scene()] * 6, scene(edges=moved), scene(edges=lit)], np.ones(8, bool))
    assert odd[6][0].startswith("camera moved: from its first frame on")
    assert odd[:6] == [[]] * 6 and odd[7] == []


def test_a_robot_that_hides_a_half_moves_no_camera_and_a_jump_does() -> None:
    still, moved = edges_of(picture()), edges_of(picture(2))
    hidden = replace(scene(), late=np.where(np.arange(len(still)) < 1500, 0.0, still))
    jump = replace(scene(), late=moved, jump=Jump(41, still, moved))
    spliced = replace(scene(), jump=Jump(20, still, still))  # of one camera
    odd, _ = oddities_of([*[scene()] * 6, hidden, jump, spliced], np.ones(9, bool))
    assert odd[6] == [] and odd[8] == []
    assert "elsewhere from frame 41 on" in odd[7][0]


def test_what_is_not_looked_for_is_said() -> None:
    odd, notes = oddities_of([scene()] * (ENOUGH - 1), np.ones(ENOUGH - 1, bool))
    assert not any(odd) and f"fewer than {ENOUGH}" in notes[0]
    generator = np.random.default_rng(1)
    scenes = [scene(edges=generator.exponential(size=4096)) for _ in range(6)]
    assert "too little in common" in oddities_of(scenes, np.ones(6, bool))[1][0]


@pytest.mark.slow
@pytest.mark.sim
def test_on_renders(tmp_path: Path) -> None:
    def scenes(name: str, *arguments: str) -> list[Scene]:
        store = tmp_path / name
        size = ("--task", "push", "--image-size", "64")
        assert invoke("record", store, *size, *arguments).code in (None, 0)
        assert invoke("relabel", store, "--encoder", "vip-mini").code in (None, 0)
        opened = open_store(store)
        return scenes_of(opened, opened.label(""), [None] * len(opened))[0]

    failures = ("--failures", "2", "--failures-as", "wrong-place")
    usual = scenes("usual.zarr", "--episodes", "8", *failures)
    nuisance = ("--nuisance", "camera", "--nuisance-level", "2", "--first-placement", "100")
    moved = scenes("moved.zarr", "--episodes", "2", "--failures", "0", *nuisance)
    success = np.array([True] * 6 + [False] * 2 + [True])
    for other in moved:
        odd, notes = oddities_of([*usual, other], success)
        assert not notes and not any(odd[:6])
        assert any(words and words[0].startswith("other goal") for words in odd[6:8])
        assert odd[8] and odd[8][0].startswith("camera moved")
