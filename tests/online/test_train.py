"""The loop without a simulator; with one: tests/experiments/no_demonstrations/test_online.py."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_point_mass import PointMass
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.online.npg import NaturalPolicyGradient
from vip_offline.online.run_folder import FILM, PROGRESS, WEIGHTS, existing, identity_of
from vip_offline.online.train import OnlineTraining, Trained
from vip_offline.options import NpgOptions, OnlineOptions, OnlineRun, SacOptions
from vip_offline.policies.policy import read_tensors
from vip_offline.training.checkpoint import CHECKPOINT, read_checkpoint

OPTIONS = OnlineOptions(
    horizon=8, steps=5 * 16, warm_up=2, evaluate_every=2, placements=6, videos=1, image_size=16
)
NPG = OnlineRun("point", OPTIONS, NpgOptions(samples=16, hidden=(4,)))
SAC = OnlineRun(
    "point",
    replace(OPTIONS, algo="sac"),
    sac=SacOptions(samples=16, hidden=(8,), batch_size=8, updates_per_step=0.25),
)
RUNS = pytest.mark.parametrize("run", [NPG, SAC], ids=["npg", "sac"])


class Killed(Exception):
    """Stands for a SIGKILL: nothing of the training is asked to do anything more."""


def training(folder: Path, run: OnlineRun, stop_after: int | None = None) -> OnlineTraining:
    """A training of the run; killed after so many environment steps of this start."""
    identity = identity_of(run, [], {})
    steps, first = 0, True

    def on_steps(count: int) -> None:
        nonlocal steps, first
        steps += 0 if first and checkpoint else count
        first = False
        if stop_after is not None and steps >= stop_after:
            raise Killed

    checkpoint = existing(folder, identity)
    return OnlineTraining(folder, run, PointMass(), identity, checkpoint, on_steps=on_steps)


def numbers(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / PROGRESS).read_text().splitlines()]
    for line in lines:
        assert line.pop("seconds") >= 0
    return lines


def same(a: dict[str, NDArray[Any]], b: dict[str, NDArray[Any]]) -> None:
    assert a.keys() == b.keys()
    for key, array in a.items():
        np.testing.assert_array_equal(array, b[key], err_msg=key)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "whole").mkdir()
    return tmp_path / "whole"


@RUNS
def test_a_training_leaves_its_numbers_weights_and_film(folder: Path, run: OnlineRun) -> None:
    trained = training(folder, run).finish()
    lines = numbers(folder)
    assert [line["iteration"] for line in lines] == [0, 1, 2, 3, 4, 5]
    # 2 episodes of 8 steps for the warm-up and for each iteration
    assert [line["steps"] for line in lines] == [16, 32, 48, 64, 80, 96]
    assert ["success" in line for line in lines] == [True, False, True, False, True, True]
    assert [*trained.outcomes] == [0, 2, 4, 5]
    for iteration, outcome in trained.outcomes.items():
        line = lines[iteration]
        assert line["success"] == outcome.mean() and len(outcome) == 6
        assert line["success_low"] <= line["success"] <= line["success_high"]
        earlier = [rates.mean() for key, rates in trained.outcomes.items() if key <= iteration]
        assert line["success_cumulative_max"] == max(earlier)
    assert {"mean", "std", "out.weight"} <= {*read_tensors(folder / WEIGHTS)}
    assert (folder / FILM).stat().st_size > 0


@RUNS
@pytest.mark.parametrize("stops", [(1,), (16,), (17, 9), (70,)], ids=str)
def test_killed_and_started_again_it_ends_in_the_same_bits(
    folder: Path, run: OnlineRun, stops: tuple[int, ...]
) -> None:
    """Wherever it is killed: in the middle of an episode, or right after an iteration."""
    training(folder, run).finish()
    other = folder.with_name("killed")
    other.mkdir()
    for stop in stops:
        with pytest.raises(Killed):
            training(other, run, stop).finish()
    training(other, run).finish()
    assert numbers(other) == numbers(folder)
    same(read_tensors(other / WEIGHTS), read_tensors(folder / WEIGHTS))
    checkpoints = [read_checkpoint(path) for path in (folder, other)]
    whole, killed = (checkpoint.arrays for checkpoint in checkpoints if checkpoint)
    model = "learner/model"  # of d3rlpy: a zip, with the time in it
    same(*({k: v for k, v in arrays.items() if k != model} for arrays in (whole, killed)))


def test_files_for_people_are_made_again_from_the_checkpoint(folder: Path) -> None:
    """A process may die between writing the one and the others."""
    training(folder, NPG).finish()
    lines, weights = numbers(folder), read_tensors(folder / WEIGHTS)
    (folder / PROGRESS).write_text("")
    (folder / WEIGHTS).unlink()
    training(folder, NPG).finish()
    assert numbers(folder) == lines
    same(read_tensors(folder / WEIGHTS), weights)


def test_more_steps_go_on_as_if_they_had_been_asked_for_at_once(folder: Path) -> None:
    longer = replace(NPG, online=replace(OPTIONS, steps=7 * 16))
    training(folder, longer).finish()
    other = folder.with_name("other")
    other.mkdir()
    training(other, NPG).finish()
    training(other, longer).finish()
    same(read_tensors(other / WEIGHTS), read_tensors(folder / WEIGHTS))


def test_training_sees_no_placement_that_is_evaluated_on(folder: Path) -> None:
    world, run = PointMass(), replace(NPG, online=replace(OPTIONS, evaluate_every=100, steps=32))
    begun = OnlineTraining(folder, run, world, {}, None)
    evaluated = [placement for placement in world.placements if placement >= 100_000]
    assert evaluated == list(range(100_000, 100_006))
    del world.placements[:]
    begun.advance()
    assert len(world.placements) == 2 and max(world.placements) < 100_000


def test_seeds_differ_in_all_that_is_drawn(folder: Path) -> None:
    tensors = []
    for seed in (0, 1):
        path = folder.with_name(f"seed-{seed}")
        path.mkdir()
        world, run = PointMass(), replace(NPG, online=replace(OPTIONS, seed=seed))
        OnlineTraining(path, run, world, {}, None)
        tensors.append((read_tensors(path / WEIGHTS), world.placements[:2]))
    (first, first_places), (second, second_places) = tensors
    assert first_places != second_places
    assert not np.array_equal(first["out.weight"], second["out.weight"])


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (replace(NPG, npg=replace(NPG.npg, gamma=0.5)), r"gamma \(0.995, now 0.5\)"),
        (replace(NPG, online=replace(OPTIONS, seed=3)), r"seed \(0, now 3\)"),
        (replace(NPG, task="line"), r"task \('point', now 'line'\)"),
    ],
)
def test_another_training_in_the_folder_is_refused(
    folder: Path, other: OnlineRun, named: str
) -> None:
    training(folder, NPG)
    with pytest.raises(VipOfflineError, match=f"another {named}. Give another --out"):
        training(folder, other)


def test_how_it_is_computed_may_change(folder: Path) -> None:
    training(folder, NPG)
    free = replace(OPTIONS, processes=7, environments=3, videos=0)
    assert training(folder, replace(NPG, online=free)).iteration == 0


def test_a_folder_of_something_else_is_refused(folder: Path) -> None:
    (folder / "thesis.tex").touch()
    with pytest.raises(VipOfflineError, match=r"thesis\.tex.*Give another --out"):
        training(folder, NPG)


def test_what_is_damaged_is_named(folder: Path) -> None:
    training(folder, SAC).finish()
    (folder / "episodes/000003.npz").write_bytes(b"PK")
    with pytest.raises(VipOfflineError, match=r"000003\.npz.*Remove"):
        training(folder, SAC)
    (folder / CHECKPOINT).write_bytes(b"PK")
    with pytest.raises(VipOfflineError, match=r"checkpoint\.npz: cannot be read"):
        training(folder, SAC)


def test_an_action_that_is_not_finite_stops_it_with_the_folder_as_it_was(folder: Path) -> None:
    begun = training(folder, NPG)
    before = (folder / CHECKPOINT).read_bytes()
    with np.errstate(invalid="ignore"), pytest.raises(VipOfflineError, match="not finite"):
        begun._learner._policy.log_std.data[:] = float("nan")  # type: ignore[attr-defined]
        begun.advance()
    assert (folder / CHECKPOINT).read_bytes() == before


def test_weights_that_are_not_finite_are_never_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = training(folder, NPG)
    before = (folder / CHECKPOINT).read_bytes()
    learner = begun._learner
    assert isinstance(learner, NaturalPolicyGradient)

    def learn(*_: object) -> dict[str, float]:
        learner._policy.log_std.data[:] = float("nan")
        return {}

    monkeypatch.setattr(learner, "learn", learn)
    with pytest.raises(VipOfflineError, match=r"iteration 1 led to weights \(log_std\)"):
        begun.advance()
    assert (folder / CHECKPOINT).read_bytes() == before


def test_a_success_is_worth_the_same_whatever_random_actions_did(folder: Path) -> None:
    sparse = replace(SAC, online=replace(SAC.online, reward="sparse"))
    assert training(folder, sparse)._start.reward_std == 1
    other = folder.with_name("other")
    other.mkdir()
    assert training(other, SAC)._start.reward_std != 1


def test_what_a_checkpoint_says_of_a_training(folder: Path) -> None:
    trained = training(folder, NPG).finish()
    checkpoint = read_checkpoint(folder)
    assert checkpoint is not None
    again = Trained.read(checkpoint)
    assert again.metrics == trained.metrics
    assert sorted(again.outcomes) == sorted(trained.outcomes)
