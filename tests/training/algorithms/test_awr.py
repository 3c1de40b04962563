from pathlib import Path

import d3rlpy
import numpy as np
import pytest
import torch
from d3rlpy.logging import NoopAdapterFactory
from d3rlpy.models.encoders import VectorEncoderFactory

from vip_offline.training.algorithms.awr import AWR, AWRConfig, advantage_weight
from vip_offline.training.algorithms.replay_buffer import vector_buffer
from vip_offline.training.algorithms.rwr import FusedAdamFactory

pytestmark = pytest.mark.slow

SITUATIONS = np.eye(2, 3, dtype=np.float32)
ACTIONS = np.array([[-0.5, 0.5], [0.5, -0.5]], np.float32)
# in the first situation everything ends well; which action is better differs
RETURNS = ((5.0, 6.0), (1.0, 0.0))


def trained(steps: int, **config: object) -> AWR:
    """On each action in each situation, as often."""
    d3rlpy.seed(0)
    cases = [(s, a) for s in (0, 1) for a in (0, 1)]
    algo = AWRConfig(
        learning_rate=1e-2,
        value_learning_rate=1e-2,
        optim_factory=FusedAdamFactory(),
        encoder_factory=VectorEncoderFactory(hidden_units=[16]),
        **config,  # type: ignore[arg-type]
    ).create()
    algo.fit(
        vector_buffer(
            [np.repeat(SITUATIONS[[s]], 3, 0) for s, _ in cases],
            [np.repeat(ACTIONS[[a]], 3, 0) for _, a in cases],
            [np.full(2, RETURNS[s][a]) for s, a in cases],
        ),
        n_steps=steps,
        n_steps_per_epoch=steps,
        logger_adapter=NoopAdapterFactory(),
        show_progress=False,
    )
    return algo


def test_weight_by_hand() -> None:
    advantage = torch.tensor([[-1.0], [0.0], [1.0], [9.0]], requires_grad=True)
    weight = advantage_weight(advantage, beta=0.5, max_weight=20.0)
    np.testing.assert_allclose(weight, np.exp([[-2], [0], [2], [np.log(20)]]), rtol=1e-6)
    assert not weight.requires_grad


@pytest.fixture(scope="module")
def algo() -> AWR:
    return trained(800, beta=0.5)


def test_the_value_is_the_mean_return_of_a_situation(algo: AWR) -> None:
    value = algo.predict_value(SITUATIONS, ACTIONS)
    np.testing.assert_allclose(value, np.mean(RETURNS, axis=1), atol=0.15)
    # of the observation alone
    np.testing.assert_array_equal(value, algo.predict_value(SITUATIONS, ACTIONS[::-1].copy()))


def test_it_learns_the_action_that_is_better_than_expected_there(algo: AWR) -> None:
    better, worse = np.exp(1.0), np.exp(-1.0)  # advantages of 0.5 and -0.5, over beta
    share = better / (better + worse)
    expected = share * ACTIONS[::-1] + (1 - share) * ACTIONS
    np.testing.assert_allclose(algo.predict(SITUATIONS), expected, atol=0.1)


def test_the_cap_holds() -> None:
    # below the weight of the worse action: both count alike
    predicted = trained(400, beta=0.5, max_weight=0.1).predict(SITUATIONS)
    np.testing.assert_allclose(predicted, 0, atol=0.1)


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_d3rlpy_saves_and_loads_it(head: str, tmp_path: Path) -> None:
    algo = trained(20, beta=0.7, max_weight=7.0, head=head)
    algo.save(str(tmp_path / "model.d3"))
    loaded = d3rlpy.load_learnable(str(tmp_path / "model.d3"))
    assert isinstance(loaded, AWR)
    assert (loaded.config.beta, loaded.config.max_weight, loaded.config.head) == (0.7, 7.0, head)
    np.testing.assert_array_equal(loaded.predict(SITUATIONS), algo.predict(SITUATIONS))
    np.testing.assert_array_equal(
        loaded.predict_value(SITUATIONS, ACTIONS), algo.predict_value(SITUATIONS, ACTIONS)
    )
    is_mean = np.array_equal(loaded.sample_action(SITUATIONS), loaded.predict(SITUATIONS))
    assert is_mean == (head == "deterministic")


def test_a_reward_scaler_is_refused() -> None:
    with pytest.raises(ValueError, match="no reward_scaler"):
        AWRConfig(reward_scaler=d3rlpy.preprocessing.MinMaxRewardScaler()).create()
