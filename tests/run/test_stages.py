from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from vip_offline.console import Console, bar
from vip_offline.recipe import Recipe, RecordOptions, RelabelOptions
from vip_offline.run.stages import record_stage, relabel_stage

pytestmark = pytest.mark.sim


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
