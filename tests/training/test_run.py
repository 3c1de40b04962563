import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import d3rlpy
import numpy as np
import pytest
import torch
from store_files import overwrite

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions, TrainOptions
from vip_offline.policies.policy import Policy, read_manifest
from vip_offline.rewards.relabel import relabel
from vip_offline.training.algorithms.models import load
from vip_offline.training.algorithms.rwr import RWR
from vip_offline.training.checkpoint import CHECKPOINT
from vip_offline.training.data.dataset import TrainingSet, training_set
from vip_offline.training.job import TrainJob
from vip_offline.training.run import seeded, train, train_all
from vip_offline.utils.files import only_writer

SMALL = TrainOptions(steps=40, hidden=(8,), tau=1.0, weight_by="step")


def test_the_folder_does_what_the_model_does(labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "policy"
    (tmp_path / ".columns-7.partial").mkdir()  # of an earlier release that was killed
    told: list[int] = []
    seen: list[TrainingSet] = []
    train(labelled, replace(SMALL, steps=130), out, told.append, seen.append)
    assert [each for each in told if each] == [100, 30]  # the rest of 130 is trained too
    policy = Policy.load(out)
    model = d3rlpy.load_learnable(str(out / "model.d3"))
    assert isinstance(model, RWR)
    embedding, _ = open_store(labelled).embedding("pixels", "front")
    proprio = open_store(labelled).data("proprio")
    theirs = model.predict(np.concatenate([embedding, proprio], 1))
    np.testing.assert_allclose(np.asarray(policy.act(embedding, proprio)), theirs, atol=1e-6)
    (data,) = seen
    assert data.weighed.summary is not None
    share = policy.manifest["weights"]["effective_sample_size"]
    assert share == data.weighed.summary.effective_sample_size
    lines = (out / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [100, 130]
    assert {path.name for path in tmp_path.iterdir()} == {"policy", labelled.name}


def losses(folder: Path) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return dict(Policy.load(folder).tensors)


def equal(one: Path, other: Path) -> bool:
    a, b = tensors(one), tensors(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["bc", "awr", "iql", "scratch-bc"])
def test_training_lowers_the_loss_and_follows_the_seed(
    labelled: Path, tmp_path: Path, algo: str
) -> None:
    steps = 200 if algo == "scratch-bc" else 600  # a network that sees learns slowly, but surely
    options = replace(SMALL, algo=algo, steps=steps, hidden=(32,), learning_rate=3e-4)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(labelled, replace(options, seed=seed), tmp_path / name)
    assert losses(tmp_path / "a")[-1] < losses(tmp_path / "a")[0]
    assert equal(tmp_path / "a", tmp_path / "b")
    assert not equal(tmp_path / "a", tmp_path / "c")
    model = load(tmp_path / "a" / "model.d3")
    policy = Policy.load(tmp_path / "a")
    rows = np.random.default_rng(0).normal(size=(3, len(policy.tensors["mean"])))
    observation = rows.astype(np.float32)
    size = policy.manifest["embedding_size"]
    ours = policy.act(observation[:, :size], observation[:, size:])
    np.testing.assert_allclose(ours, model.predict(observation), atol=1e-5)


@pytest.mark.slow
def test_side_by_side_each_becomes_what_it_is_alone(
    labelled: Path, tmp_path: Path, two_threads: int
) -> None:
    options = [
        *seeded(replace(SMALL, seed=4, steps=150), 2),
        replace(SMALL, algo="bc", steps=150),
        replace(SMALL, algo="awr", steps=150),
    ]
    assert [option.seed for option in options] == [4, 5, 0, 0]
    told: list[int] = []
    train_all(
        [TrainJob(labelled, each, tmp_path / f"{i}") for i, each in enumerate(options)],
        2,
        told.append,
    )
    assert torch.get_num_threads() == two_threads
    assert sum(told) == 4 * 150
    for index, each in enumerate(options):
        train(labelled, each, tmp_path / f"alone-{index}")
        assert equal(tmp_path / f"{index}", tmp_path / f"alone-{index}")
    assert not equal(tmp_path / "0", tmp_path / "1")


class Enough(Exception):
    """The user's patience ends."""


@pytest.mark.slow
@pytest.mark.parametrize(("algo", "processes"), [("rwr", 1), ("rwr", 2), ("iql", 1)])
def test_stopped_and_started_again_it_ends_in_the_same_bits(
    labelled: Path, tmp_path: Path, algo: str, processes: int
) -> None:
    options = replace(SMALL, algo=algo, steps=350, head="gaussian")
    jobs = [TrainJob(labelled, each, tmp_path / f"{each.seed}") for each in seeded(options, 2)]
    told: list[int] = []

    def stop(steps: int) -> None:
        told.append(steps)
        if sum(told) >= 200:
            raise Enough

    with pytest.raises(Enough):
        train_all(jobs, processes, stop)
    assert not (tmp_path / "1").exists()
    with pytest.raises(VipOfflineError, match=r"stopped here.*tau 1\.0, now 2\.0"):
        train_all([replace(each, options=replace(each.options, tau=2.0)) for each in jobs], 1)
    resumed: list[int] = []
    train_all(jobs, processes, resumed.append)
    assert resumed[0] >= 100  # what was done is not done again
    assert sum(resumed) == 700
    for job in jobs:
        train(labelled, job.options, tmp_path / f"alone-{job.options.seed}")
        assert equal(job.out, tmp_path / f"alone-{job.options.seed}")
        assert losses(job.out) == losses(tmp_path / f"alone-{job.options.seed}")
        assert not (job.out / CHECKPOINT).exists()
    assert not list(tmp_path.glob(".*"))


def test_the_action_error_on_episodes_held_out(labelled: Path, tmp_path: Path) -> None:
    options = replace(SMALL, hold_out=1)
    train(labelled, options, tmp_path / "policy")
    (each,) = training_set(labelled, options).held_out
    policy = Policy.load(tmp_path / "policy")
    size = policy.manifest["embedding_size"]
    given = policy.act(each.observation[:, :size], each.observation[:, size:])
    start, stop = open_store(labelled).spans()[each.episode]
    low, high = (policy.tensors[key].numpy() for key in ("action_low", "action_high"))
    taken = open_store(labelled).data("action")[start : stop - 1].clip(low, high)
    error = (((given - taken) / ((high - low) / 2)) ** 2).sum(1).mean()
    assert policy.manifest["held_out_error"] == {str(each.episode): pytest.approx(error, rel=1e-5)}


@pytest.mark.slow
def test_actions_come_back_in_the_stores_unit(labelled: Path, tmp_path: Path) -> None:
    for row in range(18):
        overwrite(labelled, "data/action", row, 5.0 if row % 2 else -5.0)
    train(labelled, replace(SMALL, algo="bc", steps=300, hidden=(64,)), tmp_path / "policy")
    store = open_store(labelled)
    embedding, _ = store.embedding("pixels", "front")
    given = Policy.load(tmp_path / "policy").act(embedding, store.data("proprio"))
    assert np.abs(given).max() > 3
    model = load(tmp_path / "policy" / "model.d3")
    theirs = model.predict(np.concatenate([embedding, store.data("proprio")], 1))
    np.testing.assert_allclose(given, theirs, atol=1e-4)


@pytest.mark.slow
def test_a_trained_policy_is_kept(labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "policy"
    train(labelled, SMALL, out)
    before = (out / "manifest.json").read_bytes()
    train(labelled, SMALL, out)
    assert (out / "manifest.json").read_bytes() == before
    with pytest.raises(VipOfflineError, match=r"tau 1\.0, now 2\.0"):
        train(labelled, replace(SMALL, tau=2.0), out)
    relabel(labelled, RelabelOptions("random-resnet18", name="pixels"), overwrite=True)
    with pytest.raises(VipOfflineError, match="made again"):
        train(labelled, SMALL, out)
    assert (out / "manifest.json").read_bytes() == before


def test_a_store_recorded_again_is_another_store(labelled: Path, tmp_path: Path) -> None:
    train(labelled, SMALL, tmp_path / "policy")
    overwrite(labelled, "meta/placement", 1, 77)
    said: list[str] = []
    train_all([TrainJob(labelled, SMALL, tmp_path / "policy")], 1, say=said.append)
    assert said == [
        f"{tmp_path / 'policy'}: trained again: the placement of episode 1 changed since it was "
        "trained"
    ]
    assert read_manifest(tmp_path / "policy")["placements"][1] == 77
    assert not list(tmp_path.glob(".policy*"))


@pytest.mark.slow
def test_two_trainings_into_one_folder(labelled: Path, tmp_path: Path) -> None:
    partial = tmp_path / ".policy.partial"
    partial.mkdir()
    with only_writer(partial), pytest.raises(VipOfflineError, match="another process"):
        train(labelled, SMALL, tmp_path / "policy")
    (partial / "model.d3").write_text("left by a killed one")
    train(labelled, SMALL, tmp_path / "policy")
    assert not partial.exists()


@pytest.mark.slow
def test_a_folder_that_is_no_policy_is_left_alone(labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(VipOfflineError, match="is no policy folder"):
        train(labelled, SMALL, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_raw_inputs_are_an_option(labelled: Path, tmp_path: Path) -> None:
    train(labelled, replace(SMALL, standardise=False), tmp_path / "raw")
    tensors = Policy.load(tmp_path / "raw").tensors
    assert torch.equal(tensors["mean"], torch.zeros(3076))
    assert torch.equal(tensors["std"], torch.ones(3076))
    train(labelled, SMALL, tmp_path / "scaled")
    observations = np.concatenate(
        [observation[:-1] for observation in training_set(labelled, SMALL).observations]
    )
    np.testing.assert_allclose(
        Policy.load(tmp_path / "scaled").tensors["mean"], observations.mean(0), atol=1e-5
    )


def test_one_success_is_enough(make_store: Callable[..., Path], tmp_path: Path) -> None:
    path = make_store(lengths=(2,), successes=(True,))
    relabel(path, RelabelOptions("pixels"))
    train(path, SMALL, tmp_path / "policy")
