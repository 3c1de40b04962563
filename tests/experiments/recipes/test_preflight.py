import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import PROGRAM, brightness_episode
from made_up_cameras import two_cameras

from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.comparison.compare import check_arms, labelled_before
from vip_offline.experiments.recipes.preflight import check_simulated, check_weights
from vip_offline.experiments.recipes.run_recipe import run_recipe
from vip_offline.options import (
    CompareOptions,
    Recipe,
    RecordOptions,
    RelabelOptions,
    RolloutOptions,
    TrainOptions,
)
from vip_offline.rewards.relabel import relabel

PIXELS = RelabelOptions(encoder="pixels")
ROLLOUT = RolloutOptions(placements=3)


def store_of(path: Path, task: str) -> Path:
    with writing(path, create={"task": task} if task else {}) as store:
        for placement, success in enumerate((True, False, True)):
            store.append(brightness_episode(5, success, placement))
    relabel(path, PIXELS)
    return path


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize(
    ("task", "part"),
    [("", "it names no task"), ("fold the towel", "its task 'fold the towel' is none of the sim")],
)
def test_compare_without_a_simulator_trains_nothing(tmp_path: Path, task: str, part: str) -> None:
    store_of(tmp_path / "demos.zarr", task)
    done = subprocess.run(
        [*PROGRAM, "compare", "demos.zarr", "--seeds", "1", "--steps", "50"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert part in done.stderr
    assert "`vip-offline train demos.zarr --hold-out 2` measures" in done.stderr
    assert not list((tmp_path / "runs").rglob("policies"))


@pytest.mark.sim
def test_stores_that_cannot_be_rolled_out(tmp_path: Path) -> None:
    path = store_of(tmp_path / "demos.zarr", "drawer-close")
    check_simulated(path, TrainOptions(), ROLLOUT)
    with pytest.raises(VipOfflineError, match=r"holds placements \[1, 2\]"):
        check_simulated(path, TrainOptions(), replace(ROLLOUT, first_placement=1))
    two = two_cameras(tmp_path / "two.zarr", "drawer-close")
    relabel(two, replace(PIXELS, camera="front"))
    check_simulated(two, TrainOptions(), ROLLOUT)
    both = TrainOptions(cameras=("front", "wrist"))
    with pytest.raises(VipOfflineError, match=r"see 2 cameras \(front, wrist\).*draws one"):
        check_simulated(two, both, ROLLOUT)


@pytest.mark.slow
def test_other_weights_are_refused_before_training(tmp_path: Path) -> None:
    path = store_of(tmp_path / "demos.zarr", "drawer-close")
    mini = Path(__file__).parents[3] / "vip_offline/encoders/weights/vip-mini.pt"
    relabel(path, RelabelOptions(encoder="vip-mini", name="mini"))
    check_weights(open_store(path), "mini", str(mini))
    other, copy = tmp_path / "other.pt", tmp_path / "own.pt"
    other.write_bytes(mini.read_bytes() + b"\0")
    torch.save(torch.load(mini, weights_only=True), copy)  # the same weights, other bytes
    assert copy.read_bytes() != mini.read_bytes()
    with pytest.raises(VipOfflineError, match=r"label 'mini' of .* was made with"):
        check_weights(open_store(path), "mini", str(other))
    own = tmp_path / "own.zarr"
    store_of(own, "drawer-close")
    relabel(own, RelabelOptions(encoder="vip-mini", weights=str(copy), name="mini"))
    with pytest.raises(VipOfflineError, match="encoder vip-mini without --weights: has sha256"):
        check_weights(open_store(own), "mini", "")
    done = subprocess.run(
        [*PROGRAM, "train", str(path), "--label", "mini", "--weights", "gone.pt"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--weights gone.pt: is no file" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"relabel": replace(PIXELS, camera="wrist")}, "relabel.camera: 'wrist' is not recorded"),
        ({"train": TrainOptions(cameras=("corner", "wrist"))}, "train.cameras: 'wrist' is not"),
        ({"relabel": replace(PIXELS, goal=("gone.png",))}, "--goal gone.png: is no file"),
        ({"out": "taken/out"}, "taken"),
    ],
)
@pytest.mark.sim
def test_a_recipe_is_refused_before_it_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("a file")
    recipe = Recipe(
        store="x.zarr", out="out", record=RecordOptions(episodes=2, failures=1, image_size=32)
    )
    with pytest.raises((VipOfflineError, OSError), match=part):
        run_recipe(replace(recipe, **changes), None, print)  # type: ignore[arg-type]
    assert not Path("x.zarr").exists()


def test_an_arm_that_cannot_be_trained_is_found_before_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "demos.zarr"
    with writing(path, create={"task": "drawer-close"}) as store:
        for placement in range(2):
            store.append(brightness_episode(5, False, placement))
    relabel(path, replace(PIXELS, goal=("0:-1",)))
    recipe = Recipe(
        store=str(path),
        out=str(tmp_path / "out"),
        train=TrainOptions(steps=50, label="pixels"),
        compare=CompareOptions(arms=("bc", "bc-success"), seeds=1),
    )
    with pytest.raises(VipOfflineError, match=r"variant bc-success: .*no episode succeeded"):
        check_arms(recipe)
    assert labelled_before(Path(recipe.out)) == ""
