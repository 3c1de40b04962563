from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from made_up_cameras import two_cameras

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.stages import cameras_stage, record_stage, relabel_stage
from vip_offline.options import Recipe, RecordOptions, RelabelOptions, TrainOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.utils.console import Console, bar

pytestmark = pytest.mark.sim


@pytest.mark.slow
def test_what_was_done_is_said(tmp_path: Path) -> None:
    recipe = Recipe(
        store=str(tmp_path / "x.zarr"),
        record=RecordOptions(episodes=2, failures=1, image_size=32, max_steps=10),
        relabel=RelabelOptions(encoder="pixels"),
    )
    silent = partial(bar, Console())
    assert record_stage(recipe, silent).startswith("record: 2 episodes, ")
    assert record_stage(recipe, silent) == "record: all 2 episodes are there"
    said = list[str]()
    goal = "goal: the last frame of 1 success"
    assert relabel_stage(recipe, silent, said.append) == f"relabel: label 'pixels' written; {goal}"
    (computed,) = said
    assert "frames embedded by torch" in computed
    assert relabel_stage(recipe, silent, said.append) == f"relabel: label 'pixels' is there; {goal}"
    assert len(said) == 1
    sparse = replace(recipe, relabel=RelabelOptions(encoder="pixels", reward="sparse", name="s"))
    relabel_stage(sparse, silent, said.append)
    assert "the goal reached in" in said[-1]


def test_a_goal_that_cannot_be_is_refused_before_weights_are_fetched(
    make_store: Callable[..., Path],
) -> None:
    recipe = Recipe(store=str(make_store()), relabel=RelabelOptions(encoder="vip", goal=("7:0",)))
    with pytest.raises(VipOfflineError, match=r"--goal 7:0: .* has episodes 0 to 2"):
        relabel_stage(recipe, no_download, print)


def no_download(description: str, total: int, unit: str) -> Any:
    raise AssertionError(description)


def test_cameras_that_no_labelling_needed_are_embedded(tmp_path: Path) -> None:
    path, said = two_cameras(tmp_path / "two.zarr"), list[str]()
    relabel(path, RelabelOptions(encoder="pixels", camera="front"))
    options, silent = TrainOptions(cameras=("front", "wrist")), partial(bar, Console())
    cameras_stage(path, replace(options, algo="scratch-bc"), "", silent, said.append)
    cameras_stage(path, replace(options, cameras=("front",)), "", silent, said.append)
    assert said == []
    for _ in range(2):  # the second time there is nothing to be done
        cameras_stage(path, options, "", silent, said.append)
    assert said == ["embed: 18 frames of wrist by pixels"]
    assert open_store(path).embedded("pixels", "wrist").all()
