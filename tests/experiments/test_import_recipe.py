"""Recipes that begin with an import."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROGRAM
from in_process import invoke, refusal

from vip_offline.config import load_recipe
from vip_offline.dataset.store import open_store

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "recipes/your-arm.toml").read_text()
ACTION = '"action=robot.cmd_x,robot.cmd_y,robot.cmd_grip"'
ARMS = ["bc", "rwr-outcome", "rwr-outcome-permuted"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn arm's data."""
    folder = tmp_path_factory.mktemp("arm")
    script = [sys.executable, str(ROOT / "recipes/example_arm.py"), "demos"]
    subprocess.run(script, cwd=folder, check=True)
    return folder


def small(text: str = RECIPE) -> str:
    """The recipe at minimal size."""
    text = text.replace('name = "photo"', 'name = "photo"\nencoder = "pixels"')
    text = re.sub(r"(?m)^steps = .*", "steps = 20\nhidden = [8]", text)
    text = re.sub(r"(?m)^seeds = .*", "seeds = 2", text)
    return re.sub(r"(?m)^arms = .*", f"arms = {json.dumps(ARMS)}", text)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "arm")
    (tmp_path / "arm/mine.toml").write_text(small())
    return tmp_path / "arm"


@pytest.mark.slow
def test_from_a_folder_of_videos_to_variants_compared(copied: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "run", "mine.toml"], cwd=copied, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for line in (
        "import: 12 episodes, 360 rows",
        "relabel: label 'photo' written",
        "embed: 360 frames of wrist by pixels",
        "train: 6 policies",
        "rollout: left out: demos: it names no task",
        "minutes: import",
    ):
        assert line in " ".join(done.stdout.split()), (line, done.stdout)
    numbers = json.loads((copied / "runs/mine/comparison.json").read_text())
    assert [arm["name"] for arm in numbers["arms"]] == ARMS
    assert len(numbers["episodes"]) == 2 and len(numbers["arms"][0]["per_seed"]) == 2
    # the numbers are those that training wrote down
    manifest = json.loads((copied / "runs/mine/policies/bc/seed-1/manifest.json").read_text())
    errors = manifest["held_out_error"].values()
    assert numbers["arms"][0]["per_seed"][1] == pytest.approx(sum(errors) / 2)
    assert [int(episode) for episode in manifest["held_out"]] == numbers["episodes"]
    assert set(numbers["episodes"]) <= set(range(12))
    page = (copied / "runs/mine/report.html").read_text()
    assert numbers["answer"] in page and "held out" in page
    # the resolved recipe runs as it is
    assert load_recipe(copied / "runs/mine/recipe.toml") == load_recipe(copied / "mine.toml")
    shown = invoke("inspect", "runs/mine", cwd=copied)
    assert "6 policies" in shown.stdout and "earlier release" not in shown.stdout, shown

    before = {path: path.stat().st_mtime_ns for path in copied.rglob("policies/**/*")}
    again = invoke("run", "mine.toml", cwd=copied)
    assert again.code in (None, 0), again
    for line in ("import: all 12 episodes are there", "label 'photo' is there", "train: all are"):
        assert line in again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.slow
def test_what_the_commands_made_is_gone_on_from(copied: Path) -> None:
    keys = [word for key in load_recipe(copied / "mine.toml").import_.key_map  # type: ignore[union-attr]
            for word in ("--key-map", key)]  # fmt: skip
    made = invoke("import", "demos", *keys, cwd=copied)
    assert made.code in (None, 0), made
    done = invoke("run", "mine.toml", cwd=copied)
    assert "import: all 12 episodes are there" in done.stdout, done
    assert (copied / "runs/mine/comparison.json").exists()


@pytest.mark.slow
@pytest.mark.sim
def test_data_of_a_simulated_task_are_rolled_out(tmp_path: Path) -> None:
    size = ("--episodes", "3", "--failures", "1", "--image-size", "32", "--max-steps", "20")
    assert invoke("record", "a.zarr", *size, cwd=tmp_path).code in (None, 0)
    labelled = invoke("relabel", "a.zarr", "--encoder", "pixels", cwd=tmp_path)
    assert labelled.code in (None, 0)
    exported = invoke("export", "a.zarr", "a-dp.zarr", "--to", "zarr", cwd=tmp_path)
    assert exported.code in (None, 0), exported
    (tmp_path / "mine.toml").write_text(
        '[import]\nsource = "a-dp.zarr"\n[relabel]\nencoder = "pixels"\n'
        "[train]\nsteps = 20\nhidden = [8]\n"
        "[rollout]\nplacements = 2\nhorizon = 5\nvideos = 0\nprocesses = 1\nenvironments = 2\n"
        '[compare]\narms = ["bc", "rwr-outcome"]\nseeds = 1\nprocesses = 1\n'
    )
    done = invoke("run", "mine.toml", cwd=tmp_path)
    assert done.code in (None, 0), done
    assert "rollout: 2 policies" in done.stdout
    assert open_store(tmp_path / "datasets/mine.zarr").attributes["task"] == "drawer-close"


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"hold_out = 2\n": ""}, "mine.toml: train.hold_out = 0: demos: it names no task, so"),
        ({f"{ACTION}, ": ""}, "no column is known to be the action"),
        ({'camera = "front"\n': ""}, "relabel.camera: demos has 2 cameras (front, wrist)"),
        ({'camera = "front"\n': 'camera = "frnt"\n'}, "relabel.camera: 'frnt' is not imported"),
        ({'["front", "wrist"]': '["front", "hand"]'}, "train.cameras: 'hand' is not imported"),
        ({'"goal.png"': '"gone.png"'}, "gone.png: is no file"),
        ({'source = "demos"': 'source = "gone"'}, "gone: there is nothing"),
        ({"robot.cmd_x,": "robot.cmd_q,"}, "has no column 'robot.cmd_q' to be action"),
        ({'arms = ["bc",': 'arms = ["bcc",'}, "'bcc'"),
        (
            {'source = "demos"': 'source = "demos"\nformat = "csv"'},
            'mine.toml: import.format = "csv": is none of lerobot',
        ),
        ({"[train]": "[record]\nepisodes = 3\n[train]"}, "both [record] and [import]"),
    ],
    ids=str,
)  # fmt: skip
def test_the_last_stages_mistakes_are_found_before_anything_is_imported(
    copied: Path, changes: dict[str, str], part: str
) -> None:
    text = small()
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (copied / "mine.toml").write_text(text)
    assert part in " ".join(refusal("run", "mine.toml", cwd=copied).split())
    assert not (copied / "datasets").exists() and not (copied / "runs").exists()


@pytest.mark.slow
def test_too_few_successes_to_hold_out_train_nothing(copied: Path) -> None:
    (copied / "mine.toml").write_text(small().replace("hold_out = 2", "hold_out = 8"))
    message = " ".join(refusal("run", "mine.toml", cwd=copied).split())
    assert "the store has 8 successful episodes, and at least one must be left" in message
    assert not list(copied.rglob("policies"))
