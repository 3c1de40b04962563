import json
from dataclasses import replace
from pathlib import Path

import pytest
from in_process import invoke

from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.comparison.compare import jobs
from vip_offline.experiments.comparison.variants import check_compare
from vip_offline.experiments.curate import curate_stage, proof_recipe
from vip_offline.experiments.episode_lists import KEEP, RANDOM, SHORTEST
from vip_offline.options import (
    CompareOptions,
    CurateOptions,
    RelabelOptions,
    RolloutOptions,
    TrainOptions,
)
from vip_offline.rewards.relabel import relabel
from vip_offline.training.data.dataset import training_set
from vip_offline.utils.console import Console


def test_what_is_kept_can_be_trained_on(store_path: Path, tmp_path: Path) -> None:
    relabel(store_path, RelabelOptions("pixels", name="x"))
    curation, _ = curate_stage(store_path, CurateOptions(label="x"), tmp_path, Console().bar)
    kept, ranked = curation.kept, curation.ranked
    assert kept
    # a reason names what it counts: the failure's frames are black
    assert any(reason.startswith("black-frames: ") for row in ranked for reason in row.reasons)
    for name in (KEEP, RANDOM, SHORTEST):
        assert len(json.loads((tmp_path / name).read_text())["keep"]) == len(kept)
    options = TrainOptions(algo="bc", label="x", episodes=str(tmp_path / KEEP))
    assert training_set(store_path, options).manifest["episodes"] == kept


def test_a_variant_learns_from_a_list(store_path: Path, tmp_path: Path) -> None:
    relabel(store_path, RelabelOptions("pixels", name="x"))
    curate_stage(store_path, CurateOptions(label="x"), tmp_path, Console().bar)
    recipe = proof_recipe(
        store_path, tmp_path, CompareOptions(seeds=1), TrainOptions(label="x"), RolloutOptions()
    )
    trainings = {arm: job.options for arm, (job,) in jobs(recipe).items()}
    assert list(trainings) == [
        *("bc", "bc@list=keep", "bc@list=random", "bc@list=shortest", "bc-success"),
    ]
    assert trainings["bc@list=keep"].episodes == str(tmp_path / KEEP)
    assert trainings["bc"].episodes == ""
    with pytest.raises(VipOfflineError, match=r"no list 'kep'\. Did you mean 'keep'"):
        check_compare(replace(recipe.compare, arms=("bc", "bc@list=kep")))
    with pytest.raises(VipOfflineError, match="--list keep: expected NAME=FILE"):
        check_compare(replace(recipe.compare, lists=("keep",)))


def test_imported_data_is_compared_by_held_out_episodes(store_path: Path, tmp_path: Path) -> None:
    relabel(store_path, RelabelOptions("pixels", name="x"))
    curate_stage(store_path, CurateOptions(label="x"), tmp_path, Console().bar)
    with writing(store_path) as store:
        store.update_attributes({"task": "fold the towel", "source": "/data/towels"})
    notes: list[str] = []
    train = TrainOptions(label="x", hold_out=1)
    recipe = proof_recipe(
        store_path, tmp_path, CompareOptions(seeds=1), train, RolloutOptions(), notes.append
    )
    assert recipe.compare.offline and recipe.train.hold_out == 1
    assert "'fold the towel' is none of the simulator's" in notes[0]
    assert "action error on 1 success" in notes[0]


@pytest.mark.slow
@pytest.mark.sim
def test_the_proof_compares_with_controls(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        ended = invoke(*arguments, cwd=tmp_path)
        assert ended.code in (None, 0), ended
        return " ".join(ended.stdout.split())

    small = ("--episodes", "6", "--failures", "3", "--image-size", "32", "--max-steps", "60")
    run("record", "demos.zarr", *small)
    run("relabel", "demos.zarr", "--encoder", "pixels")
    proof = ("--seeds", "1", "--steps", "2", "--placements", "2", "--processes", "1")
    said = run("curate", "demos.zarr", "--prove", *proof, "--horizon", "20", "--out", "chosen")
    assert "bc@list=keep" in said
    (numbers,) = (tmp_path / "chosen/proof").glob("comparison.json")
    names = [arm["name"] for arm in json.loads(numbers.read_text())["arms"]]
    assert "bc@list=random" in names and "bc@list=shortest" in names


def test_a_label_that_is_not_there(store_path: Path, tmp_path: Path) -> None:
    relabel(store_path, RelabelOptions("pixels", name="x"))
    with pytest.raises(VipOfflineError, match="nowhere"):
        curate_stage(store_path, CurateOptions(label="nowhere"), tmp_path, Console().bar)
    assert not (tmp_path / KEEP).exists()
