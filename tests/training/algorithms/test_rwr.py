from pathlib import Path

import d3rlpy
import numpy as np
import pytest
import torch
from d3rlpy.constants import ActionSpace
from d3rlpy.logging import FileAdapterFactory, NoopAdapterFactory
from d3rlpy.metrics import ContinuousActionDiffEvaluator
from d3rlpy.models.encoders import VectorEncoderFactory
from d3rlpy.models.torch import ActionOutput

from vip_offline.training.algorithms.rwr import RWR, FusedAdamFactory, RWRConfig, exponential_weight
from vip_offline.training.networks.heads import weighted_loss

ACTIONS = np.array([[-0.5, 0.5], [0.5, -0.5]], np.float32)
ONE = np.ones((1, 3), np.float32)


def buffer(score: float) -> d3rlpy.dataset.ReplayBuffer:
    """One observation, answered with the first action and, `score` better, with the second."""
    observations = np.ones((3, 3), np.float32)
    episodes = [
        d3rlpy.dataset.Episode(
            observations,
            np.repeat(action[None], 3, 0),
            np.full((3, 1), reward, np.float32),
            terminated=False,
        )
        for action, reward in zip(ACTIONS, (0.0, score), strict=True)
    ]
    return d3rlpy.dataset.ReplayBuffer(
        d3rlpy.dataset.InfiniteBuffer(),
        episodes=episodes,
        action_space=ActionSpace.CONTINUOUS,
        action_size=2,
    )


def untrained(tau: float, **config: object) -> RWR:
    d3rlpy.seed(0)
    return RWRConfig(
        tau=tau,
        learning_rate=1e-2,
        encoder_factory=VectorEncoderFactory(hidden_units=[16]),
        **config,  # type: ignore[arg-type]
    ).create()


def trained(tau: float, score: float, steps: int = 400, **config: object) -> RWR:
    algo = untrained(tau, **config)
    algo.fit(
        buffer(score),
        n_steps=steps,
        n_steps_per_epoch=steps,
        logger_adapter=NoopAdapterFactory(),
        show_progress=False,
    )
    return algo


def test_loss_by_hand() -> None:
    mean = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    predicted = ActionOutput(mean, mean, None)
    action = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    score = torch.tensor([[0.0], [2.0]])
    loss = weighted_loss(predicted, action, exponential_weight(score, tau=0.5))
    assert loss.item() == pytest.approx((1 + np.e) / 4)
    halved = weighted_loss(predicted, action, exponential_weight(score, 0.5, float(np.log(2))))
    assert halved.item() == pytest.approx((1 + np.e) / 8)
    plain = weighted_loss(predicted, action, exponential_weight(score, tau=0.0))
    assert plain.item() == pytest.approx(torch.nn.functional.mse_loss(mean, action).item())


def test_weights_are_capped_in_units_of_the_mean_one() -> None:
    score = torch.tensor([[0.0], [1.0], [9.0]])
    weight = exponential_weight(score, 1.0, float(np.log(2)), max_weight=3.0)
    assert weight[:, 0].tolist() == pytest.approx([0.5, np.e / 2, 3])


@pytest.mark.parametrize(("tau", "score"), [(0.0, 5.0), (1.0, 2.0), (2.0, -0.5)])
def test_it_learns_the_weighted_mean_action(tau: float, score: float) -> None:
    weight = np.exp(tau * score)
    expected = (ACTIONS[0] + weight * ACTIONS[1]) / (1 + weight)
    predicted = trained(tau, score).predict(ONE)[0]
    np.testing.assert_allclose(predicted, expected, atol=0.08)


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_a_capped_weight_counts_no_more_than_the_cap(head: str) -> None:
    # uncapped, exp(5) would leave the second action alone
    predicted = trained(1.0, 5.0, max_weight=3.0, head=head).predict(ONE)[0]
    np.testing.assert_allclose(predicted, (ACTIONS[0] + 3 * ACTIONS[1]) / 4, atol=0.08)


def test_cloning_does_not_see_the_reward() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    first, second = (trained(0.0, score, 50).predict(x) for score in (0.0, 9.0))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_d3rlpy_saves_and_loads_it(head: str, tmp_path: Path) -> None:
    algo = trained(
        *(0.5, 1.0, 30),
        optim_factory=FusedAdamFactory(),
        log_mean_weight=0.25,
        max_weight=4.0,
        head=head,
    )
    algo.save(str(tmp_path / "model.d3"))
    loaded = d3rlpy.load_learnable(str(tmp_path / "model.d3"))
    assert isinstance(loaded, RWR)
    assert (loaded.config.tau, loaded.config.log_mean_weight) == (0.5, 0.25)
    assert (loaded.config.max_weight, loaded.config.head) == (4.0, head)
    assert isinstance(loaded.config.optim_factory, FusedAdamFactory)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded.predict(x), algo.predict(x))
    is_mean = np.array_equal(loaded.sample_action(x), loaded.predict(x))
    assert is_mean == (head == "deterministic")


def test_a_loaded_model_trains_on(tmp_path: Path) -> None:
    whole = trained(0.5, 1.0, 20, optim_factory=FusedAdamFactory())
    whole.save(str(tmp_path / "model.d3"))
    loaded = d3rlpy.load_learnable(str(tmp_path / "model.d3"))
    assert isinstance(loaded, RWR)
    for algo in (whole, loaded):
        d3rlpy.seed(1)
        algo.fit(
            buffer(1.0),
            n_steps=20,
            n_steps_per_epoch=20,
            logger_adapter=NoopAdapterFactory(),
            show_progress=False,
        )
    np.testing.assert_array_equal(loaded.predict(ONE), whole.predict(ONE))


def test_d3rlpy_evaluates_logs_and_calls_back(tmp_path: Path) -> None:
    algo, steps, epochs = untrained(0.0), list[int](), list[int]()
    results = algo.fit(
        buffer(0.0),
        n_steps=20,
        n_steps_per_epoch=10,
        experiment_name="rwr",
        with_timestamp=False,
        logger_adapter=FileAdapterFactory(root_dir=str(tmp_path)),
        show_progress=False,
        evaluators={"difference": ContinuousActionDiffEvaluator()},
        callback=lambda _, __, step: steps.append(step),
        epoch_callback=lambda _, epoch, __: epochs.append(epoch),
    )
    assert steps == list(range(1, 21))
    assert epochs == [1, 2]
    squared = ((ACTIONS - algo.predict(ONE)) ** 2).sum(1).mean()
    assert results[-1][1]["difference"] == pytest.approx(squared, rel=1e-5)
    logged = (tmp_path / "rwr" / "loss.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in logged] == [["1", "10"], ["2", "20"]]
    assert float(logged[-1].split(",")[2]) == pytest.approx(results[-1][1]["loss"])
    written = d3rlpy.load_learnable(str(tmp_path / "rwr" / "model_20.d3"))
    assert isinstance(written, RWR)
    np.testing.assert_array_equal(written.predict(ONE), algo.predict(ONE))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_d3rlpy_exports_the_policy(head: str, tmp_path: Path) -> None:
    algo = trained(0.5, 1.0, 10, head=head)
    algo.save_policy(str(tmp_path / "policy.pt"))
    exported = torch.jit.load(str(tmp_path / "policy.pt"))  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(exported(torch.from_numpy(ONE)), algo.predict(ONE), atol=1e-6)


def test_fused_adam_is_adam() -> None:
    fused = trained(0.5, 1.0, 100, optim_factory=FusedAdamFactory())
    stock = trained(0.5, 1.0, 100)
    assert fused.impl is not None
    assert stock.impl is not None
    for ours, theirs in zip(
        fused.impl.policy.parameters(), stock.impl.policy.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_a_reward_scaler_is_refused() -> None:
    with pytest.raises(ValueError, match="no reward_scaler"):
        RWRConfig(reward_scaler=d3rlpy.preprocessing.MinMaxRewardScaler()).create()


def test_there_is_no_value_to_ask_for() -> None:
    with pytest.raises(NotImplementedError, match="no value function"):
        trained(0.0, 0.0, 1).predict_value(ONE, ACTIONS[:1])
