"""The command `plan`, from a goal picture to films, numbers and a store."""

import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import PROGRAM
from in_process import invoke, refusal
from PIL import Image

from vip_offline.analysis.closed_loop.statistics import success_interval
from vip_offline.config import load_simulator_recipe
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.no_demonstrations.plan import check_plan
from vip_offline.experiments.no_demonstrations.plan_numbers import summarise, summarise_cell
from vip_offline.experiments.no_demonstrations.plan_runs import Run, read_trajectory
from vip_offline.options import PlanOptions, PlanRecipe, SearchOptions
from vip_offline.report.terminal.plans import plans_table
from vip_offline.simulation.nuisances import Nuisances
from vip_offline.simulation.simulators import make_simulator
from vip_offline.utils.console import Console

SMALL = ("--horizon", "2", "--sequences", "4", "--image-size", "32", "--steps", "4")
ONE = ("--processes", "1")  # changes no number
PLAN = ("plan", "drawer-close", "--encoder", "pixels", *SMALL)
CELL = Path("runs/plan/drawer-close/corner-pixels-hard-4")


def run_numbers(success: list[bool], **changes: object) -> dict[str, Any]:
    settings = {
        "task": "kitchen/sdoor-open",
        "view": "default",
        "encoder": "random-resnet18",
        "start": "easy",
        "sequences": 32,
        "optimizer": "mppi",
    }
    first = success.index(True) + 1 if True in success else None
    return {
        "settings": settings,
        "success": any(success),
        "first_solved": first,
        "solved": success,
        "robot_error": [3.0, 2.0, 1.0],
        "object_error": None,
        "pearson": 0.5,
        "spearman": None,
        "seconds": 6.0,
        **changes,
    }


def test_a_cell_is_summed_up_over_its_seeds() -> None:
    runs = [
        run_numbers([False, True, False]),
        run_numbers([False, False, False], pearson=None),
        run_numbers([True, True, True], robot_error=[0.0, 0.0, 4.0]),
    ]
    summary = summarise_cell(runs)
    assert (summary["successes"], summary["episodes"]) == (2, 3)
    # Wilson's interval of 2 in 3
    assert summary["low"] == pytest.approx(0.2077, abs=1e-4)
    assert summary["high"] == pytest.approx(0.9385, abs=1e-4)
    np.testing.assert_allclose(summary["per_step"], [1 / 3, 2 / 3, 1 / 3])
    np.testing.assert_allclose(summary["cumulative"], [1 / 3, 2 / 3, 2 / 3])
    assert summary["median_steps"] == 1.5 and summary["last_robot_error"] == 2.0
    assert summary["last_object_error"] is None and summary["spearman"] is None
    assert summary["pearson"] == 0.5 and summary["seconds_per_step"] == 2.0


def test_the_table_is_80_columns_wide() -> None:
    printed = io.StringIO()
    Console(width=200, file=printed).print(plans_table(summarise([[run_numbers([True])]])))
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    row = r"kitchen/sdoor-open +default +random-resnet18 +100 +21 to 100 +1 +- +0\.50"
    assert any(re.fullmatch(row, line.strip()) for line in lines), lines
    assert "1 seed, easy start, 1 steps, mppi with 32 sequences" in lines[0]
    assert not any(line.startswith("all ") for line in lines)  # there is one task


def test_rewards_are_compared_over_tasks_and_seeds() -> None:
    def cells(encoder: str, solved: list[list[bool]], sequences: int) -> list[list[dict[str, Any]]]:
        return [
            [
                {**run, "settings": {**run["settings"], "encoder": encoder, "sequences": sequences}}
                for run in (run_numbers([success]) for success in seeds)
            ]
            for seeds in solved
        ]

    summary = summarise(
        [
            *cells("lite0", [[True, True, False], [True, True, False]], 32),
            *cells("dense", [[True, True, True], [True, True, True]], 128),
        ]
    )
    ours, dense = summary["rewards"]
    assert (ours["encoder"], ours["tasks"], ours["episodes"]) == ("lite0", 2, 6)
    assert ours["success"] == pytest.approx(2 / 3) and dense["success"] == 1
    # seeds fail together here: six episodes are worth three
    low, high = success_interval(4, 6)
    assert ours["low"] < low - 0.05 and ours["high"] > high + 0.05
    printed = io.StringIO()
    Console(width=80, file=printed).print(plans_table(summary))
    assert re.search(r"all 2 +default +lite0, 32 +67 ", printed.getvalue()), printed.getvalue()
    assert "with 32 or 128 sequences" in printed.getvalue()


@pytest.mark.sim
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("drawer-clos",), "Did you mean 'drawer-close'?"),
        (("drawer-close", "--view", "cornr"), "Did you mean 'corner'?"),
        (("drawer-close", "--start", "easy"), "start of drawer-close: 'easy'"),
        (("drawer-close", "--encoder", "lite"), "Did you mean 'lite0'?"),
        (("drawer-close", "--goal", "no.png"), "--goal no.png: is no file"),
        (("drawer-close", "--encoder", "dense", "--goal", "x.png"), "looks at no picture"),
        (("drawer-close", "--image-size", "33"), "--image-size 33: must be even"),
        (("drawer-close", "--sequences", "1"), "--sequences 1: must be at least 2"),
        (("drawer-close", "--horizon", "500"), "--horizon 500: must be below 500"),
        (("drawer-close", "--noise-filter", "1,2"), "--noise-filter 1,2: must be three numbers"),
        (("drawer-close", "--nuisance", "ligth"), "--nuisance ligth: is unknown. Did you mean"),
    ],
)
def test_what_cannot_be_planned_is_refused_and_leaves_nothing(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    said = " ".join(refusal("plan", *arguments, cwd=tmp_path).split())
    assert message in said
    assert not any(tmp_path.iterdir())


def plan_recipe(tmp_path: Path, **plan: Any) -> PlanRecipe:
    options = PlanOptions(**{"encoder": "pixels", "seeds": 1, "steps": 4, **plan})
    return PlanRecipe(options, SearchOptions(), out=str(tmp_path), tasks=("drawer-close",))


@pytest.mark.sim
def test_what_is_named_twice_is_planned_once(tmp_path: Path) -> None:
    recipe = dataclasses.replace(
        plan_recipe(tmp_path),
        tasks=("drawer-close", "metaworld/drawer-close"),
        sequences=(4, 4),
        encoders=("pixels", "dense", "pixels"),
    )
    assert [cell[0].options.encoder for cell in check_plan(recipe)] == ["pixels", "dense"]


@pytest.mark.sim
def test_files_are_known_by_what_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save("g.png")
    checkpoint = Path("mine.pt")
    checkpoint.write_bytes(b"one")

    def settings(goal: str) -> dict[str, Any]:
        recipe = plan_recipe(tmp_path, goal=goal, encoder="vip", weights=str(checkpoint))
        return check_plan(recipe)[0][0].settings

    before = settings("g.png")
    assert settings("./g.png") == before
    checkpoint.write_bytes(b"two")
    assert settings("g.png")["weights"] != before["weights"]
    Image.fromarray(np.full((32, 32, 3), 91, np.uint8)).save("g.png")
    assert settings("g.png")["goal"] != before["goal"]


def test_the_dense_reward_of_a_sweep_looks_at_no_picture() -> None:
    recipe = PlanRecipe(
        PlanOptions(goal="object"), tasks=("kitchen/sdoor-open",), encoders=("lite0", "dense")
    )
    assert [plan.goal for _, plan, _ in recipe.cells()] == ["object", ""]


def test_a_damaged_episode_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path, "drawer-close", PlanOptions(), SearchOptions())
    noise = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
    np.savez_compressed(tmp_path / "episode.npz", frames=noise)
    path = tmp_path / "episode.npz"
    damaged = bytearray(path.read_bytes())
    damaged[200:260] = bytes(60)
    path.write_bytes(damaged)
    with pytest.raises(VipOfflineError, match=r"episode.npz: cannot be read .* Delete .*plan.json"):
        read_trajectory(run)


@pytest.mark.sim
@pytest.mark.slow
def test_a_goal_picture_leaves_episodes_films_numbers_and_a_store(tmp_path: Path) -> None:
    ended = invoke(*PLAN, "--seeds", "2", "--store", "planned.zarr", cwd=tmp_path)
    assert ended.code == 0, ended
    assert max(map(len, ended.stdout.splitlines()[-8:])) <= 80
    assert "the goal is the last frame of the scripted expert on placement 0" in ended.stdout
    folder = tmp_path / CELL / "seed-1"
    assert {path.name for path in folder.iterdir()} == {
        *("plan.json", "plan.mp4", "episode.npz", "recipe.toml")
    }
    numbers = json.loads((folder / "plan.json").read_text())
    for key in ("solved", "robot_error", "object_error", "dense_reward", "score_spread"):
        assert len(numbers[key]) == 4, key
    assert len(numbers["distance"]) == 5
    assert numbers["settings"]["seed"] == 1 and numbers["settings"]["kappa"] == 5
    with av.open(str(folder / "plan.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 5
    summary = json.loads((tmp_path / "runs/plan/plans.json").read_text())
    assert summary["cells"][0]["episodes"] == 2
    store = open_store(tmp_path / "planned.zarr")
    store.require_finished()
    assert store.attributes["task"] == "drawer-close" and store.cameras == ["corner"]
    with np.load(folder / "episode.npz") as arrays:
        np.testing.assert_array_equal(store.data("action")[-5:-1], arrays["actions"])
        np.testing.assert_array_equal(store.frames("corner", 5, 10), arrays["frames"])

    # again: nothing is repeated, a third seed is added, and the store gets what it lacks
    stamp = (folder / "plan.json").stat().st_mtime_ns
    ended = invoke(*PLAN, *ONE, "--seeds", "3", "--store", "planned.zarr", cwd=tmp_path)
    assert ended.code == 0, ended
    assert "plan: 1 episodes" in ended.stdout and "1 episodes written, 3 in" in ended.stdout
    assert (folder / "plan.json").stat().st_mtime_ns == stamp
    assert len(open_store(tmp_path / "planned.zarr")) == 3

    # what an interrupted run left begins again, and ends as it did
    (folder / "plan.json").unlink()
    (folder / "plan.mp4").write_bytes(b"half")
    assert "plan: 1 episodes" in invoke(*PLAN, *ONE, cwd=tmp_path).stdout
    again = json.loads((folder / "plan.json").read_text())
    assert {**again, "seconds": 0} == {**numbers, "seconds": 0}

    # a run is made again from its recipe, elsewhere
    recipe = load_simulator_recipe(folder / "recipe.toml")
    assert isinstance(recipe, PlanRecipe)
    assert recipe.plan.seed == 1 and recipe.plan.seeds == 1
    assert [cell[0].folder for cell in check_plan(recipe)] == [CELL / "seed-1"]

    said = refusal(*PLAN, "--kappa", "3", cwd=tmp_path)
    assert "kappa 5.0, now 3.0" in " ".join(said.split()) and "--out" in said
    said = refusal("plan", "push", *PLAN[2:], "--store", "planned.zarr", cwd=tmp_path)
    assert "was made with other settings" in " ".join(said.split())


@pytest.mark.sim
@pytest.mark.slow
def test_each_seed_is_planned_on_pictures_with_its_own_nuisance(tmp_path: Path) -> None:
    nuisance = ("--nuisance", "camera,tint", "--nuisance-level", "2")
    ended = invoke(*PLAN, "--seeds", "2", *nuisance, "--store", "n.zarr", cwd=tmp_path)
    assert ended.code == 0, ended
    drawn = Nuisances("plan", ("camera", "tint"), 2)
    with make_simulator("drawer-close", 32) as simulator:
        for seed in (0, 1):
            simulator.nuisance = drawn[seed]
            simulator.reset(0)
            folder = tmp_path / CELL / f"seed-{seed}"
            with np.load(folder / "episode.npz") as arrays:
                np.testing.assert_array_equal(arrays["frames"][0], simulator.frame())
            settings = json.loads((folder / "plan.json").read_text())["settings"]
            assert (settings["nuisance"], settings["nuisance_level"]) == (["camera", "tint"], 2)
    assert open_store(tmp_path / "n.zarr").attributes["plan"]["nuisance_level"] == 2
    said = refusal(*PLAN, cwd=tmp_path)
    assert "nuisance ['camera', 'tint'], now None" in " ".join(said.split())


@pytest.mark.sim
@pytest.mark.slow
def test_the_true_reward_and_a_picture_of_another_shape(tmp_path: Path) -> None:
    recipe = tmp_path / "both.toml"
    recipe.write_text(
        'tasks = ["drawer-close"]\nencoders = ["dense"]\n'
        "[plan]\nsteps = 3\nseeds = 1\nimage_size = 32\nprocesses = 1\n"
        '[search]\nhorizon = 2\nsequences = 3\noptimizer = "cem"\n'
    )
    ended = invoke("run", recipe, cwd=tmp_path)
    assert ended.code == 0, ended
    folder = tmp_path / "runs/both/drawer-close/corner-dense-hard-3/seed-0"
    numbers = json.loads((folder / "plan.json").read_text())
    assert numbers["distance"] is None and numbers["pearson"] is None
    assert numbers["settings"]["optimizer"] == "cem" and len(numbers["object_error"]) == 3

    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(tmp_path / "wide.png")
    ended = invoke(*PLAN, *ONE, "--seeds", "1", "--goal", "wide.png", cwd=tmp_path)
    assert ended.code == 0, ended
    said = " ".join(ended.stdout.split())
    assert "picture wide.png has 64 x 48 px, the frames 32 x 32: it shows another field" in said
    numbers = json.loads((tmp_path / CELL / "seed-0/plan.json").read_text())
    assert numbers["object_error"] is None


@pytest.mark.sim
@pytest.mark.slow
def test_a_killed_process_ends_the_run_and_it_begins_again(tmp_path: Path) -> None:
    command = [*PROGRAM, "plan", "drawer-close", "--encoder", "dense", "--steps", "400"]
    command += ["--sequences", "8", "--horizon", "4", "--image-size", "32", "--seeds", "1"]
    program = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    folder = tmp_path / "runs/plan/drawer-close/corner-dense-hard-8/seed-0"
    deadline = time.monotonic() + 120
    while not (folder / "recipe.toml").exists():
        assert time.monotonic() < deadline and program.poll() is None
        time.sleep(0.05)
    children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    spawned = [
        child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    os.kill(int(spawned[0]), signal.SIGKILL)
    _, said = program.communicate(timeout=60)
    assert program.returncode == 2
    assert "exit code -9" in said and "simulator-" in said and "Traceback" not in said
    assert not (folder / "plan.json").exists()


def test_a_recipe_makes_every_combination() -> None:
    recipe = PlanRecipe(
        plan=PlanOptions(seeds=2),
        search=SearchOptions(),
        tasks=("drawer-close", "push"),
        encoders=("lite0", "dense"),
        sequences=(4, 8),
    )
    assert [(task, search.sequences, plan.encoder) for task, plan, search in recipe.cells()] == [
        *(("drawer-close", 4, "lite0"), ("drawer-close", 4, "dense")),
        *(("drawer-close", 8, "lite0"), ("drawer-close", 8, "dense")),
        *(("push", 4, "lite0"), ("push", 4, "dense")),
        *(("push", 8, "lite0"), ("push", 8, "dense")),
    ]
    assert PlanOptions(start="easy").length == 50 and PlanOptions(steps=7).length == 7
