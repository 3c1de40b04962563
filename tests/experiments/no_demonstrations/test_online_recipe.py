"""Recipes with [online]: trainings of every task, reward, encoder and seed."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import invoke, refusal
from PIL import Image

from vip_offline.config import load_simulator_recipe
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.no_demonstrations import online_recipe
from vip_offline.experiments.no_demonstrations.online_recipe import (
    differences,
    run_online_recipe,
    summarise_training,
)
from vip_offline.options import OnlineOptions, OnlineRecipe, OnlineRun
from vip_offline.report.figures.online import save_trainings, training_names
from vip_offline.report.terminal.online import trainings_table
from vip_offline.training.checkpoint import write_checkpoint
from vip_offline.utils.console import Console

RECIPE = """
tasks = ["drawer-close"]
rewards = ["visual", "sparse"]
encoders = ["pixels"]
seeds = 2

[online]
image_size = 32
horizon = 4
steps = 16
warm_up = 1
evaluate_every = 1
placements = 2
videos = 1
processes = 1
environments = 2
expert_goals = 1

[npg]
samples = 8
hidden = [4]
"""


def ended(start: list[bool], end: list[bool]) -> dict[str, Any]:
    def row(outcomes: list[bool], steps: int) -> dict[str, Any]:
        return {"outcomes": outcomes, "steps": steps}

    lines = [
        {"steps": 10, "success": float(np.mean(start)), "return_mean": 0.1, "train_success": 0.0},
        {"steps": 20, "return_mean": 0.2, "train_success": 0.5},
        {"steps": 30, "success": float(np.mean(end)), "return_mean": 0.3, "train_success": 1.0},
    ]
    progress = [{**line, "seconds": 2.0} for line in lines]
    return {"start": row(start, 10), "end": row(end, 30), "progress": progress}


def training(seeds: int, **online: Any) -> dict[str, Any]:
    runs = [OnlineRun("push", OnlineOptions(seed=seed, **online)) for seed in range(seeds)]
    outcomes = ended([False] * 4, [True, True, True, False])
    return summarise_training(runs, [outcomes] * seeds)


def test_a_training_is_summed_up_over_seeds_and_placements() -> None:
    summary = training(3, reward="sparse")
    assert summary["end"]["mean"] == 0.75 and summary["start"]["mean"] == 0
    assert summary["gain"]["mean"] == 0.75 and summary["gain"]["low"] > -0.2
    assert summary["evaluated_steps"] == [10, 30] and summary["success"] == [[0, 0.75]] * 3
    assert summary["seconds"] == [6, 6, 6] and summary["steps"] == 30
    assert training(1)["gain"]["low"] is None


def test_trainings_of_a_task_are_compared_by_pairs() -> None:
    better, worse = training(3), training(3, reward="sparse")
    worse["outcomes"] = [[False] * 4] * 3
    other = {**training(3), "task": "drawer-close"}
    (difference,) = differences([better, other, worse])
    assert (difference["a"], difference["b"]) == (0, 2)
    assert difference["mean"] == 0.75 and difference["low"] < 0.75 < difference["high"]


def test_curves_are_compared_where_all_seeds_were_evaluated() -> None:
    prolonged, straight = ended([False], [True]), ended([False], [True])
    extra = {"steps": 25, "success": 0.5, "return_mean": 0.2, "train_success": 0.5, "seconds": 1.0}
    prolonged["progress"].insert(2, extra)
    runs = [OnlineRun("push", OnlineOptions(seed=seed)) for seed in range(2)]
    for order in ([prolonged, straight], [straight, prolonged]):
        summary = summarise_training(runs, order)
        assert summary["evaluated_steps"] == [10, 30]
        assert summary["success"] == [[0, 1], [0, 1]]


@pytest.mark.sim
def test_what_is_named_twice_is_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Path] = []

    def note(run: OnlineRun, folder: Path, *_: object) -> None:
        trained.append(folder)
        raise VipOfflineError("enough")

    monkeypatch.setattr(online_recipe, "online_stage", note)
    recipe = OnlineRecipe(
        online=OnlineOptions(reward="dense", observe="state"),
        out=str(tmp_path / "out"),
        tasks=("drawer-close", "metaworld/drawer-close"),
        encoders=("pixels", "lite0"),
        seeds=1,
    )
    said: list[str] = []
    with pytest.raises(VipOfflineError, match="enough"):
        run_online_recipe(recipe, Console(quiet=True).bar, said.append)
    assert said == ["training 1 of 1"]
    longer = trained[0]
    longer.mkdir(parents=True)
    write_checkpoint(longer, {}, {}, [{"steps": 1e9}])
    with pytest.raises(VipOfflineError, match="holds a training of 1,000,000,000 steps"):
        run_online_recipe(recipe, Console(quiet=True).bar, said.append)


def test_table_and_figure_name_what_differs(tmp_path: Path) -> None:
    trainings = [training(2), training(2, reward="sparse")]
    assert training_names(trainings) == ["visual", "sparse"]
    assert training_names([training(2), training(2, encoder="pixels")]) == ["lite0", "pixels"]
    assert training_names([training(2)]) == ["visual"]
    printed = io.StringIO()
    table = trainings_table(
        {"trainings": trainings, "placements": 4, "differences": differences(trainings)}
    )
    Console(width=200, file=printed).print(table)
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "2 seeds, 30 steps: success on 4 held-out placements" in lines[0]
    assert any(line.startswith("row 1 less row 2 at the end: 0 (") for line in lines), lines
    assert any(line.split()[:5] == ["push", "sparse", "lite0", "0", "(0"] for line in lines), lines
    png, svg = save_trainings(trainings, tmp_path)
    assert "sparse" in svg.read_text() and "thin: 2 seeds" in svg.read_text()
    with Image.open(png) as picture:
        assert picture.width > 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('["drawer-close"]', '["drawer-clos"]'), "Did you mean 'drawer-close'?"),
        (('["drawer-close"]', "[]"), "tasks is empty"),
        (('"sparse"]', '"spars"]'), "rewards"),
        (("seeds = 2", "seeds = 0"), "seeds = 0: must be at least 1"),
        (("samples = 8", "samples = 1"), "npg.samples = 1: must be at least 2"),
        (('["pixels"]', '["pixel"]'), "Did you mean 'pixels'?"),
    ],
)
@pytest.mark.sim
def test_a_wrong_recipe_is_refused_before_anything_is_made(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "x.toml").write_text(RECIPE.replace(*change))
    assert message in " ".join(refusal("run", "x.toml", cwd=tmp_path).split())
    assert [path.name for path in tmp_path.iterdir()] == ["x.toml"]


@pytest.mark.sim
@pytest.mark.slow
def test_a_recipe_trains_every_seed_once(tmp_path: Path) -> None:
    (tmp_path / "both.toml").write_text(RECIPE)
    first = invoke("run", "both.toml", cwd=tmp_path)
    assert first.code in (None, 0), first
    assert "training 4 of 4" in first.stdout
    out = tmp_path / "runs/both"
    folder = out / "drawer-close-npg-sparse-pixels/seed-1"
    assert (folder / "evaluation.mp4").stat().st_size and (out / "trainings.png").stat().st_size
    summary = json.loads((out / "trainings.json").read_text())
    assert [training["reward"] for training in summary["trainings"]] == ["visual", "sparse"]
    assert summary["trainings"][0]["seeds"] == 2
    stamp = (folder / "progress.jsonl").stat().st_mtime_ns
    again = invoke("run", "both.toml", cwd=tmp_path)
    assert again.code in (None, 0) and again.stdout.count("all 2 iterations are done") == 4
    assert (folder / "progress.jsonl").stat().st_mtime_ns == stamp
    written = load_simulator_recipe(out / "recipe.toml")
    assert isinstance(written, OnlineRecipe) and written.rewards == ("visual", "sparse")
    assert written == load_simulator_recipe(tmp_path / "both.toml")
