import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import d3rlpy
import numpy as np
import pytest
import torch
import zarr
from conftest import LENGTHS

from vip_offline.data.durable import only_writer
from vip_offline.data.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.label.relabel import relabel
from vip_offline.learn.offline import TrainJob, fit, run_job, seeded, train, training_set
from vip_offline.learn.policy import Policy
from vip_offline.learn.regression import RWR
from vip_offline.learn.weights import return_to_go
from vip_offline.recipe import RelabelOptions, TrainOptions

SMALL = TrainOptions(steps=40, hidden=(8,), tau=1.0)


@pytest.fixture
def short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vip_offline.learn.offline.STEPS_PER_EPOCH", 100)


def overwrite(path: Path, key: str, row: int, value: float) -> None:
    array = zarr.open_group(path, mode="r+")[key]
    assert isinstance(array, zarr.Array)
    array[row] = value


def test_every_transition_and_no_other(labelled: Path) -> None:
    data = training_set(labelled, SMALL)
    assert [len(each) for each in data.scores] == [length - 1 for length in LENGTHS]
    assert data.summary.transitions == sum(LENGTHS) - 3
    reward = open_store(labelled).label().reward
    np.testing.assert_array_equal(np.concatenate(data.scores), reward[~np.isnan(reward)])
    embedding, _ = open_store(labelled).embedding("pixels", "front")
    np.testing.assert_array_equal(data.observations[0][:, :3072], embedding[: LENGTHS[0]])
    np.testing.assert_array_equal(
        data.observations[1][:, 3072:], open_store(labelled).data("proprio")[5:12]
    )


def test_d3rlpy_sees_the_stores_rows(labelled: Path) -> None:
    """Observation, action and reward of row t make transition t, read back from the store."""
    from vip_offline.learn.offline import _replay_buffer

    last = np.cumsum(LENGTHS) - 1
    for row in range(sum(LENGTHS)):  # rewards that differ, or a shift would not show
        if row not in last:
            overwrite(labelled, "labels/pixels/reward", row, row / 10)
    data = training_set(labelled, SMALL)
    buffer, store = _replay_buffer(data), open_store(labelled)
    assert buffer.transition_count == data.summary.transitions == sum(LENGTHS) - 3
    embedding, _ = store.embedding("pixels", "front")
    for (start, stop), episode in zip(store.spans(), buffer.episodes, strict=True):
        for row in range(start, stop - 1):
            transition = buffer.transition_picker(episode, row - start)
            observation = np.asarray(transition.observation)
            np.testing.assert_array_equal(observation[:3072], embedding[row])
            np.testing.assert_array_equal(observation[3072:], store.data("proprio")[row])
            np.testing.assert_array_equal(transition.action, store.data("action")[row])
            np.testing.assert_allclose(np.asarray(transition.reward), [row / 10], rtol=1e-6)


def test_only_successes(labelled: Path) -> None:
    data = training_set(labelled, replace(SMALL, only_successes=True))
    assert data.manifest["episodes"] == [0, 2]
    assert len(data.observations) == 2


def test_weights_by_return(labelled: Path) -> None:
    steps = training_set(labelled, SMALL).scores
    returns = training_set(labelled, replace(SMALL, weight_by="return")).scores
    for step, whole in zip(steps, returns, strict=True):
        np.testing.assert_allclose(whole, return_to_go(step))


def test_cloning_weighs_all_alike(labelled: Path) -> None:
    data = training_set(labelled, replace(SMALL, algo="bc", tau=3.0))
    assert data.tau == 0
    np.testing.assert_array_equal(data.weights, 1)


def test_auto_tau_meets_its_target(labelled: Path) -> None:
    options = replace(SMALL, tau="auto", target_ess=0.7, weight_by="return")
    data = training_set(labelled, options)
    assert data.summary.effective_sample_size == pytest.approx(0.7, abs=1e-3)


def test_permuted_weights_are_the_same_ones_elsewhere(labelled: Path) -> None:
    options = replace(SMALL, weight_by="return")
    plain = training_set(labelled, options).weights
    permuted = training_set(labelled, replace(options, control="permuted")).weights
    np.testing.assert_allclose(np.sort(plain), np.sort(permuted))
    assert not np.allclose(plain, permuted)
    other = training_set(labelled, replace(options, control="permuted", seed=1)).weights
    assert not np.allclose(other, permuted)


def test_the_clock_is_as_uneven_and_knows_no_frames(labelled: Path) -> None:
    options = replace(SMALL, weight_by="return", tau=0.1)
    share = training_set(labelled, options).summary.effective_sample_size
    clocked = training_set(labelled, replace(options, control="clock"))
    assert clocked.summary.effective_sample_size == pytest.approx(share, abs=1e-6)
    longest = max(clocked.scores, key=len)
    for scores in clocked.scores:
        np.testing.assert_array_equal(scores, longest[: len(scores)])


def test_the_folder_does_what_the_model_does(
    labelled: Path, tmp_path: Path, short_epochs: None
) -> None:
    out = tmp_path / "policy"
    told: list[int] = []
    summary = train(labelled, replace(SMALL, steps=130), out, on_steps=told.append)
    assert told == [100, 30]  # the rest of 130 is trained too
    policy = Policy.load(out)
    model = d3rlpy.load_learnable(str(out / "model.d3"))
    assert isinstance(model, RWR)
    embedding, _ = open_store(labelled).embedding("pixels", "front")
    proprio = open_store(labelled).data("proprio")
    theirs = model.predict(np.concatenate([embedding, proprio], 1))
    np.testing.assert_allclose(np.asarray(policy.act(embedding, proprio)), theirs, atol=1e-6)
    assert policy.manifest["weights"]["effective_sample_size"] == summary.effective_sample_size
    lines = (out / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [100, 130]
    assert {each.name for each in tmp_path.iterdir()} == {"policy", labelled.name}


def test_training_lowers_the_loss_and_follows_the_seed(labelled: Path, short_epochs: None) -> None:
    options = replace(SMALL, algo="bc", steps=1200, hidden=(64,), learning_rate=1e-4)
    data = training_set(labelled, options)
    _, metrics = fit(data, options)
    assert [each["step"] for each in metrics] == list(range(100, 1300, 100))
    assert metrics[-1]["loss"] < 0.8 * metrics[0]["loss"]
    parameters = []
    for seed in (0, 0, 1):
        algo, _ = fit(data, replace(SMALL, seed=seed))
        assert algo.impl is not None
        parameters.append(torch.cat([p.flatten() for p in algo.impl.policy.parameters()]))
    assert torch.equal(parameters[0], parameters[1])
    assert not torch.equal(parameters[0], parameters[2])


def test_a_job_on_its_own_thread_gives_the_same_policy(labelled: Path, tmp_path: Path) -> None:
    first, second = seeded(replace(SMALL, seed=4), 2)
    assert (first.seed, second.seed) == (4, 5)
    threads = torch.get_num_threads()
    run_job(TrainJob(labelled, first, tmp_path / "a"))
    assert torch.get_num_threads() == threads
    run_job(TrainJob(labelled, first, tmp_path / "b"))
    a, b = (Policy.load(tmp_path / name).tensors for name in "ab")
    assert all(torch.equal(a[key], b[key]) for key in a)


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
    with pytest.raises(VipOfflineError, match="other episodes"):
        train(labelled, SMALL, tmp_path / "policy")


def test_two_trainings_into_one_folder(labelled: Path, tmp_path: Path) -> None:
    partial = tmp_path / ".policy.partial"
    partial.mkdir()
    with only_writer(partial), pytest.raises(VipOfflineError, match="another process"):
        train(labelled, SMALL, tmp_path / "policy")
    (partial / "model.d3").write_text("left by a killed one")
    train(labelled, SMALL, tmp_path / "policy")
    assert not partial.exists()


def test_a_folder_that_is_no_policy_is_left_alone(labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(VipOfflineError, match="is no policy folder"):
        train(labelled, SMALL, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"algo": "rwrr"}, "Did you mean 'rwr'"),
        ({"steps": 0}, "steps 0"),
        ({"tau": -1.0}, r"tau -1\.0"),
        ({"tau": float("nan")}, "tau nan"),
        ({"target_ess": 1.5}, r"target_ess 1\.5"),
        ({"seed": -1}, "seed -1"),
        ({"hidden": ()}, "hidden"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"label": "pixel"}, "Did you mean 'pixels'"),
    ],
)
def test_settings_that_cannot_train(labelled: Path, options: dict[str, object], part: str) -> None:
    with pytest.raises(VipOfflineError, match=part):
        training_set(labelled, replace(SMALL, **options))  # type: ignore[arg-type]


def test_a_store_without_labels_says_what_to_do(store_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="vip-offline relabel"):
        training_set(store_path, SMALL)


def test_values_that_cannot_be_learnt_from(labelled: Path) -> None:
    overwrite(labelled, "labels/pixels/reward", 6, np.nan)
    with pytest.raises(VipOfflineError, match="episode 1: reward of row 1 in label 'pixels'"):
        training_set(labelled, SMALL)


def test_a_label_of_other_embeddings_is_refused(labelled: Path) -> None:
    attributes = zarr.open_group(labelled, mode="r+")["labels/pixels"].attrs
    attributes["weights_sha256"] = "0" * 64
    with pytest.raises(VipOfflineError, match=r"other embeddings.*weights_sha256 differs"):
        training_set(labelled, SMALL)


@pytest.mark.parametrize(
    ("key", "row", "part"),
    [
        ("data/proprio", 6, r"episode 1: proprio\[1, 0\] is nan"),
        ("embeddings/pixels/front", 6, r"episode 1: .*not finite"),
    ],
)
def test_inputs_that_are_not_finite(labelled: Path, key: str, row: int, part: str) -> None:
    overwrite(labelled, key, row, np.nan)
    with pytest.raises(VipOfflineError, match=part):
        training_set(labelled, SMALL)


@pytest.mark.parametrize(("value", "part"), [(1.5, r"is 1\.5"), (np.nan, "is nan")])
def test_actions_out_of_reach(labelled: Path, value: float, part: str) -> None:
    overwrite(labelled, "data/action", 7, value)
    with pytest.raises(VipOfflineError, match=rf"episode 1: action\[2, 0\] {part}"):
        training_set(labelled, SMALL)


def test_a_diverging_loss_stops(labelled: Path, tmp_path: Path) -> None:
    # so wide that some units stay alive, whatever the processor's rounding
    options = replace(SMALL, learning_rate=1e38, standardise=False, hidden=(256, 256))
    with pytest.raises(VipOfflineError, match="training diverged"):
        train(labelled, options, tmp_path / "policy")
    assert not (tmp_path / "policy").exists()


def test_raw_inputs_are_an_option(labelled: Path, tmp_path: Path) -> None:
    train(labelled, replace(SMALL, standardise=False), tmp_path / "raw")
    tensors = Policy.load(tmp_path / "raw").tensors
    assert torch.equal(tensors["mean"], torch.zeros(3076))
    assert torch.equal(tensors["std"], torch.ones(3076))
    train(labelled, SMALL, tmp_path / "scaled")
    observations = np.concatenate(
        [each[:-1] for each in training_set(labelled, SMALL).observations]
    )
    np.testing.assert_allclose(
        Policy.load(tmp_path / "scaled").tensors["mean"], observations.mean(0), atol=1e-5
    )


def test_one_success_is_enough(make_store: Callable[..., Path], tmp_path: Path) -> None:
    path = make_store(lengths=(2,), successes=(True,))
    relabel(path, RelabelOptions("pixels"))
    train(path, SMALL, tmp_path / "policy")
