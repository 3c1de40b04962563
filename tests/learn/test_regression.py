from pathlib import Path

import d3rlpy
import numpy as np
import pytest
import torch
from d3rlpy.constants import ActionSpace
from d3rlpy.logging import NoopAdapterFactory
from d3rlpy.models.encoders import VectorEncoderFactory

from vip_offline.learn.regression import RWR, FusedAdamFactory, RWRConfig, weighted_regression_loss

ACTIONS = np.array([[-0.5, 0.5], [0.5, -0.5]], np.float32)


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


def trained(tau: float, score: float, steps: int = 400, **config: object) -> RWR:
    d3rlpy.seed(0)
    algo = RWRConfig(
        tau=tau,
        learning_rate=1e-2,
        encoder_factory=VectorEncoderFactory(hidden_units=[16]),
        **config,  # type: ignore[arg-type]
    ).create()
    algo.fit(
        buffer(score),
        n_steps=steps,
        n_steps_per_epoch=steps,
        logger_adapter=NoopAdapterFactory(),
        show_progress=False,
    )
    return algo


def test_loss_by_hand() -> None:
    predicted = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    action = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    score = torch.tensor([[0.0], [2.0]])
    loss = weighted_regression_loss(predicted, action, score, tau=0.5)
    assert loss.item() == pytest.approx((1 + np.e) / 4)
    halved = weighted_regression_loss(predicted, action, score, 0.5, float(np.log(2)))
    assert halved.item() == pytest.approx((1 + np.e) / 8)
    plain = weighted_regression_loss(predicted, action, score, tau=0.0)
    assert plain.item() == pytest.approx(torch.nn.functional.mse_loss(predicted, action).item())


@pytest.mark.parametrize(("tau", "score"), [(0.0, 5.0), (1.0, 2.0), (2.0, -0.5)])
def test_it_learns_the_weighted_mean_action(tau: float, score: float) -> None:
    weight = np.exp(tau * score)
    expected = (ACTIONS[0] + weight * ACTIONS[1]) / (1 + weight)
    predicted = trained(tau, score).predict(np.ones((1, 3), np.float32))[0]
    np.testing.assert_allclose(predicted, expected, atol=0.08)


def test_cloning_does_not_see_the_reward() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    first, second = (trained(0.0, score, 50).predict(x) for score in (0.0, 9.0))
    np.testing.assert_array_equal(first, second)


def test_d3rlpy_saves_and_loads_it(tmp_path: Path) -> None:
    algo = trained(0.5, 1.0, 30, optim_factory=FusedAdamFactory(), log_mean_weight=0.25)
    algo.save(str(tmp_path / "model.d3"))
    loaded = d3rlpy.load_learnable(str(tmp_path / "model.d3"))
    assert isinstance(loaded, RWR)
    assert (loaded.config.tau, loaded.config.log_mean_weight) == (0.5, 0.25)
    assert isinstance(loaded.config.optim_factory, FusedAdamFactory)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded.predict(x), algo.predict(x))
    np.testing.assert_array_equal(algo.sample_action(x), algo.predict(x))


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
