from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vip_offline.analysis.closed_loop.conditions import processor
from vip_offline.config import load_recipe
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.comparison.compare import (
    damaged_notes,
    gather,
    jobs,
    labelled_before,
    read_minutes,
    timed,
    weight_on,
)
from vip_offline.experiments.comparison.variants import ARMS, arm_spec, check_compare
from vip_offline.options import CompareOptions, Recipe, TrainOptions
from vip_offline.simulation.rollout import existing_rollouts

pytestmark = [pytest.mark.sim, pytest.mark.slow]


@pytest.fixture
def recipe(smoke: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.chdir(smoke)
    return load_recipe(Path("recipes/smoke.toml"))


def test_arms_differ_in_what_they_say_and_nothing_else() -> None:
    recipe = Recipe(train=TrainOptions(tau=1.0, steps=7), compare=CompareOptions(seeds=2))
    every = jobs(recipe)
    assert list(every) == list(CompareOptions.arms)
    for name, trainings in every.items():
        assert [job.options.seed for job in trainings] == [0, 1]
        expected = replace(recipe.train, **ARMS[name].changes, seed=1)
        assert trainings[1].options == expected
        assert expected.tau == 1.0
    assert len({job.out for trainings in every.values() for job in trainings}) == 16


def test_names_of_arms_say_what_they_change() -> None:
    assert arm_spec("rwr-10-step").changes == {
        "algo": "rwr",
        "weight_by": "n-step",
        "n_steps": 10,
    }
    assert arm_spec("rwr-return@auto").changes["tau"] == "auto"
    assert arm_spec("rwr-1-step@0.5").changes["tau"] == 0.5
    assert arm_spec("iql").changes == {"algo": "iql"}
    assert arm_spec("bc-best@share=0.5").changes == {"algo": "bc", "keep_best": 0.5}
    assert arm_spec("awr@beta=0.3").changes == {"algo": "awr", "beta": 0.3}
    sharp = arm_spec("rwr-step@ess=0.2").changes
    assert (sharp["tau"], sharp["target_ess"]) == ("auto", 0.2)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("rwr-retrun@1", "Did you mean 'rwr-return'"),
        ("bc@1", "only variants of rwr have tau"),
        ("bc-success@share=0.5", "only bc-best and its controls have share"),
        ("rwr-step@x", "'x' is no tau"),
        ("rwr-0-step", "Unknown variant"),
        ("rwr-step@es=0.2", "Did you mean 'ess'"),
        ("rwr-step@ess=x", "'x' is no ess"),
        ("rwr-step@beta=1", "only variants of awr have beta"),
    ],
)
def test_names_that_are_no_arms(name: str, part: str) -> None:
    with pytest.raises(VipOfflineError, match=part):
        arm_spec(name)


def test_the_share_of_the_weight_on_some_episodes() -> None:
    weights = np.array([1.0, 1.0, 6.0, 2.0])
    assert weight_on(weights, [2, 1, 1], np.array([False, True, False])) == 0.6
    assert np.isnan(weight_on(None, [2, 1, 1], np.array([False, True, False])))


def test_everything_is_gathered(recipe: Recipe) -> None:
    comparison = gather(recipe)
    comparison.check()
    assert [arm.name for arm in comparison.arms] == ["bc", "rwr-step", "rwr-return"]
    assert comparison.arms[0].success.shape == (2, 2)
    assert comparison.arms[0].effective_sample_size == 1
    assert comparison.arms[1].weights is not None
    assert comparison.arms[1].weights.mean() == pytest.approx(1)
    assert {each.kind for each in comparison.demonstrations} == {"expert", "frozen"}
    for demonstration in comparison.demonstrations:
        assert demonstration.thumbnails.shape == (8, 64, 64, 3)
        assert np.isfinite(demonstration.distance).all()
    assert comparison.backend.startswith(("torch", "ONNX Runtime"))
    assert comparison.processor == processor()
    (goal,) = comparison.goals
    assert goal.name.startswith("Goal: the ")
    assert goal.pictures[0][1].shape == (64, 64, 3)
    assert len(comparison.videos) == 3
    assert {"record", "relabel", "train", "rollout"} <= set(comparison.minutes)


def test_a_comparison_goes_on_with_the_labelling_that_it_is_of(recipe: Recipe) -> None:
    assert labelled_before(Path(recipe.out)) == "random-resnet18"
    assert labelled_before(Path("elsewhere")) == ""


def test_a_missing_rollout_is_named(recipe: Recipe) -> None:
    other = replace(recipe, rollout=replace(recipe.rollout, horizon=9))
    with pytest.raises(VipOfflineError, match=r"seed-0: was not rolled out"):
        gather(other)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (CompareOptions(arms=("bc", "rwr-retrun")), "Did you mean 'rwr-return'"),
        (CompareOptions(arms=("rwr-step",)), "'bc' must"),
        (CompareOptions(arms=("bc", "bc")), "each may stand there once"),
        (CompareOptions(seeds=0), "--seeds 0: must be at least 1"),
    ],
)
def test_comparisons_that_cannot_be_made(options: CompareOptions, part: str) -> None:
    with pytest.raises(VipOfflineError, match=part):
        check_compare(options)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"train": "x"}'])
def test_damaged_minutes_are_counted_anew(content: bytes, tmp_path: Path) -> None:
    recipe = Recipe(out=str(tmp_path))
    (tmp_path / "minutes.json").write_bytes(content)
    (said,) = damaged_notes(recipe)
    assert "minutes.json: is damaged" in said
    with timed(recipe, "record"):
        pass
    assert list(read_minutes(recipe)) == ["record"]
    assert not list(damaged_notes(recipe))


def test_damaged_rollouts_are_made_again(tmp_path: Path) -> None:
    recipe = Recipe(out=str(tmp_path), compare=CompareOptions(arms=("bc",), seeds=1))
    folder = jobs(recipe)["bc"][0].out
    folder.mkdir(parents=True)
    (folder / "rollouts.json").write_text('{"placements": ')
    (said,) = damaged_notes(recipe)
    assert "rollouts.json: is damaged" in said
    assert existing_rollouts(folder, recipe.rollout) is None
