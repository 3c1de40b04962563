import json
import os
import re
import shutil
import signal
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import PROGRAM
from in_process import refusal

from vip_offline.config import load_recipe

pytestmark = pytest.mark.sim
RUN = [*PROGRAM, "run", "recipes/smoke.toml"]


@pytest.mark.slow
def test_the_whole_chain(smoke: Path) -> None:
    output = (smoke / "output.txt").read_text()
    for stage in ("record: 3 episodes", "relabel: ", "train: 6 policies", "rollout: 6 policies"):
        assert stage in output
    assert max(len(line) for line in output.splitlines()) <= 80
    numbers = json.loads((smoke / "runs/smoke/comparison.json").read_text())
    assert [arm["name"] for arm in numbers["arms"]] == ["bc", "rwr-step", "rwr-return"]
    assert numbers["verdicts"]
    page = (smoke / "runs/smoke/report.html").read_text()
    HTMLParser().feed(page)
    assert "rwr-return" in page
    assert (smoke / "runs/smoke/recipe.toml").exists()
    # the resolved recipe runs as it is
    load_recipe(smoke / "runs/smoke/recipe.toml")


@pytest.mark.slow
def test_started_again_it_only_reports(smoke: Path) -> None:
    before = {
        path: path.stat().st_mtime_ns
        for path in smoke.rglob("*")
        if path.is_file() and {"policies", "datasets"} & set(path.parts)
    }
    result = subprocess.run(RUN, cwd=smoke, capture_output=True, text=True, check=True)
    for line in ("all 3 episodes are there", "label 'random-resnet18' is there", "train: all"):
        assert line in result.stdout
    after = {path: path.stat().st_mtime_ns for path in before}
    assert after == before


@pytest.mark.slow
def test_stopped_in_the_middle_of_training_it_goes_on(smoke: Path, tmp_path: Path) -> None:
    shutil.copytree(smoke / "recipes", tmp_path / "recipes")
    shutil.copytree(smoke / "datasets", tmp_path / "datasets")
    process = subprocess.Popen(RUN, cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True)
    second = tmp_path / "runs/smoke/policies/bc/seed-1/manifest.json"
    while not second.exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = second.read_bytes()
    result = subprocess.run(RUN, cwd=tmp_path, capture_output=True, text=True, check=True)
    trained = int(result.stdout.split("train: ")[1].split()[0])
    assert 1 <= trained <= 4
    assert second.read_bytes() == kept
    numbers, undisturbed = (
        json.loads((folder / "runs/smoke/comparison.json").read_text())
        for folder in (tmp_path, smoke)
    )
    assert numbers["arms"] == undisturbed["arms"]
    assert numbers["differences"] == undisturbed["differences"]


@pytest.mark.slow
def test_a_refused_run_changes_nothing(smoke: Path, tmp_path: Path) -> None:
    for name in ("recipes", "datasets", "runs"):
        shutil.copytree(smoke / name, tmp_path / name)
    recipe = tmp_path / "recipes/smoke.toml"
    recipe.write_text(recipe.read_text().replace("tau = 1.0", "tau = 7.0"))
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    result = subprocess.run(RUN, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "tau 1.0, now 7.0" in result.stderr
    after = {each: each.read_bytes() for each in before}
    minutes = tmp_path / "runs/smoke/minutes.json"  # of the stages that found their work done
    assert {each for each in before if after[each] != before[each]} <= {minutes}


@pytest.mark.slow
def test_other_placements_are_rolled_out_and_filmed_again(smoke: Path, tmp_path: Path) -> None:
    for name in ("recipes", "datasets", "runs"):
        shutil.copytree(smoke / name, tmp_path / name)
    recipe = tmp_path / "recipes/smoke.toml"
    recipe.write_text(
        recipe.read_text().replace("[rollout]", "[rollout]\nfirst_placement = 200000")
    )
    # a second labelling does not confuse the recipe, which uses its own
    subprocess.run([*PROGRAM, "relabel", "--encoder", "pixels"], cwd=tmp_path, check=True)
    result = subprocess.run(RUN, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "train: all are there" in result.stdout
    assert "rollout: 6 policies" in result.stdout
    films = sorted(path.name for path in (tmp_path / "runs").rglob("*.mp4"))
    assert films == ["placement-200000.mp4"] * 3


def test_the_last_stages_mistakes_are_found_before_the_first_runs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    for text, part in (
        ('[compare]\narms = ["bcc"]\n', "Unknown variant"),
        ('[compare]\narms = ["bc", "rwr-step@nan"]\n', "variant rwr-step@nan: --tau nan"),
        ('[compare]\narms = ["bc", "awr@beta=0"]\n', "variant awr@beta=0: --beta 0"),
        ("[rollout]\nhorizon = 0\n", r"mine\.toml: rollout\.horizon = 0: must be at least 1"),
        ('[train]\nalgo = "sac"\n', "Unknown algorithm"),
        ('[train]\ntau = "auto"\ntarget_ess = 1.5\n', "train.target_ess = 1.5"),
        ("[train]\nseed = -1\n", "train.seed = -1"),
        ('[relabel]\nencoder = "lite1"\n', "Did you mean 'lite0'"),
        ('[relabel]\nencoder = "r3m-50"\n', "needs --weights"),
        ("[relabel]\nbatch_size = -1\n", "relabel.batch_size = -1"),
        ("[relabel]\nn_steps = 0\n", "relabel.n_steps = 0"),
        ("[record]\nimage_size = 65\n", r"mine\.toml: record\.image_size = 65: must be even"),
        ('[record]\ncamera = "../x"\n', "is no name"),
        ("[record]\nfirst_placement = 100000\n", r"rollout\.first_placement = 100000: recording"),
    ):
        path.write_text(f'store = "{tmp_path}/x.zarr"\nout = "{tmp_path}/out"\n{text}')
        assert re.search(part, refusal("run", path))
    assert [each.name for each in tmp_path.iterdir()] == ["mine.toml"]
