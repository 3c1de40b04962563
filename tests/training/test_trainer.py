import io
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import d3rlpy
import numpy as np
import pytest
import torch
from pickle_trap import Trap

from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint
from vip_offline.training.data.dataset import identity, training_set
from vip_offline.training.run import train
from vip_offline.training.trainer import (
    D3rlpyTraining,
    Regression,
    Training,
    begin,
    trainer_of,
)

SMALL = TrainOptions(steps=20, hidden=(8,), tau=1.0, weight_by="step", batch_size=8)
EVERY = [
    ("rwr", "deterministic"),
    ("bc", "gaussian"),
    ("awr", "deterministic"),
    ("iql", "gaussian"),
]
PIXELS = ("scratch-bc", "deterministic")


def everything(training: Training) -> dict[str, torch.Tensor]:
    """All parameters and moments of the model, critics and their targets too."""
    file = io.BytesIO()
    training.finish().impl.save_model(file)
    file.seek(0)
    return dict(leaves("", torch.load(file)))


def leaves(name: str, values: Any) -> list[tuple[str, torch.Tensor]]:
    if isinstance(values, torch.Tensor):
        return [(name, values)]
    if isinstance(values, dict):
        return [leaf for key, each in values.items() for leaf in leaves(f"{name}.{key}", each)]
    return []


def assert_same(ours: Training, theirs: Training) -> None:
    """To the bit, and with the same draws to come."""
    assert ours.step == theirs.step == theirs.finish().grad_step == ours.finish().grad_step
    a, b = everything(ours), everything(theirs)
    assert a.keys() == b.keys()
    assert any("exp_avg_sq" in key for key in a)
    assert [key for key in a if not torch.equal(a[key], b[key])] == []
    here, there = ours.arrays(), theirs.arrays()
    for key in here.keys() - {"model"}:
        np.testing.assert_array_equal(here[key], there[key], err_msg=key)


def advance(training: Training, steps: int) -> float:
    (loss,) = trainer_of([training]).advance(steps)
    return loss


def disturb() -> None:
    """What other code does to the global generators."""
    d3rlpy.seed(np.random.randint(2**31))  # noqa: NPY002
    np.random.normal(size=3)  # noqa: NPY002
    torch.rand(5)


@pytest.mark.parametrize(("algo", "head"), EVERY)
def test_a_training_that_stops_and_goes_on_is_one_that_did_not_stop(
    labelled: Path, tmp_path: Path, algo: str, head: str
) -> None:
    options = replace(SMALL, algo=algo, head=head)  # type: ignore[arg-type]
    data = training_set(labelled, options)
    known = identity(labelled, options)
    whole = begin(data, options)
    assert isinstance(whole, Regression if algo in ("rwr", "bc") else D3rlpyTraining)
    assert whole.step == 0
    loss = advance(whole, 20)
    assert np.isfinite(loss)

    first = begin(data, options)
    disturb()
    losses = [7 * advance(first, 7)]
    write_checkpoint(tmp_path, first.arrays(), known, [{"step": 7}])
    disturb()
    advance(first, 3)  # lost, as what follows the last checkpoint is

    second = begin(data, replace(options, seed=3))  # of its own it brings nothing
    disturb()
    found = read_checkpoint(tmp_path)
    assert found is not None
    assert found.metrics == [{"step": 7}]
    second.restore(found.arrays)
    assert second.step == 7
    for steps in (8, 5):
        losses.append(steps * advance(second, steps))
        disturb()
    assert sum(losses) / 20 == pytest.approx(loss, rel=1e-5)
    assert_same(second, whole)


@pytest.mark.parametrize("algo", ["rwr", "iql"])
def test_arrays_do_not_move_with_the_training(labelled: Path, algo: str) -> None:
    options = replace(SMALL, algo=algo)
    data = training_set(labelled, options)
    training, other = begin(data, options), begin(data, options)
    advance(training, 5)
    kept = training.arrays()
    advance(training, 5)
    other.restore(kept)
    advance(other, 5)
    assert_same(other, training)


@pytest.mark.parametrize("algo", ["rwr", "awr"])
def test_the_seed_is_of_the_network_and_of_the_batches(labelled: Path, algo: str) -> None:
    options = replace(SMALL, algo=algo)
    data = training_set(labelled, options)
    first, again, other = (begin(data, replace(options, seed=seed)) for seed in (0, 0, 1))
    for each in (first, again, other):
        advance(each, 5)
        disturb()
    assert_same(first, again)
    assert not np.array_equal(first.arrays()["keys"], other.arrays()["keys"])
    a, b = everything(first), everything(other)
    assert not all(torch.equal(a[key], b[key]) for key in a)


def test_a_model_in_a_checkpoint_runs_no_code(labelled: Path, tmp_path: Path) -> None:
    options, sprung = replace(SMALL, algo="awr"), tmp_path / "sprung"
    training = begin(training_set(labelled, options), options)
    model = np.frombuffer(pickle.dumps(Trap(sprung), protocol=2), np.uint8)
    with pytest.raises((VipOfflineError, pickle.UnpicklingError)):
        training.restore({**training.arrays(), "model": model})
    assert not sprung.exists()


def test_a_training_of_other_settings_is_not_gone_on_with(labelled: Path, tmp_path: Path) -> None:
    partial = tmp_path / ".policy.partial"
    partial.mkdir()
    training = begin(training_set(labelled, SMALL), SMALL)
    advance(training, 5)
    write_checkpoint(partial, training.arrays(), identity(labelled, SMALL), [])
    before = (partial / CHECKPOINT).read_bytes()
    other = replace(SMALL, tau=2.0, seed=1)
    with pytest.raises(VipOfflineError, match=r"\(tau 1\.0, now 2\.0; seed 0, now 1\)") as error:
        train(labelled, other, tmp_path / "policy")
    assert error.match(f"remove {partial}")
    assert (partial / CHECKPOINT).read_bytes() == before
