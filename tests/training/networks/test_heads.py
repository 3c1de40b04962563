import numpy as np
import pytest
import torch
from d3rlpy.models.encoders import VectorEncoderFactory
from d3rlpy.models.torch import ActionOutput, Policy

from vip_offline.options import Head
from vip_offline.training.networks.heads import (
    MAX_LOG_STD,
    MIN_LOG_STD,
    create_policy,
    sample,
    weighted_loss,
)

MU = torch.tensor([[0.0, 0.5], [-2.0, 1.0]])
ACTION = torch.tensor([[1.0, 0.0], [-1.0, 0.25]])
WEIGHT = torch.tensor([[1.0], [3.0]])


def network(head: Head, bias: float = 0.0) -> Policy:
    torch.manual_seed(0)
    policy = create_policy(head, (3,), 2, VectorEncoderFactory(hidden_units=[4]), "cpu")
    with torch.no_grad():
        last = [module for module in policy.modules() if isinstance(module, torch.nn.Linear)][-1]
        last.bias.add_(bias)
    return policy


def test_the_deterministic_loss_is_the_weighted_squared_error() -> None:
    loss = weighted_loss(ActionOutput(MU, torch.tanh(MU), None), ACTION, WEIGHT)
    error = (np.tanh(MU.numpy()) - ACTION.numpy()) ** 2
    assert loss.item() == pytest.approx((error[0].sum() + 3 * error[1].sum()) / 4)


def test_the_gaussian_loss_is_the_likelihood_of_a_normal_around_the_squashed_mean() -> None:
    log_std = torch.tensor([[-1.0, 0.5]])
    loss = weighted_loss(ActionOutput(MU, torch.tanh(MU), log_std), ACTION, WEIGHT)
    std = np.exp([[-1.0, 0.5]])
    z = (ACTION.numpy() - np.tanh(MU.numpy())) / std
    log_density = (-(z**2) / 2 - np.log(std) - np.log(2 * np.pi) / 2).sum(1)
    assert loss.item() == pytest.approx(-(log_density[0] + 3 * log_density[1]) / 2)


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_actions_at_the_limits_are_learnt_from(head: Head) -> None:
    # a squashed Gaussian's density is infinite there
    policy = network(head, bias=100.0)
    action = torch.tensor([[1.0, -1.0]])
    loss = weighted_loss(policy(torch.ones(1, 3)), action, torch.ones(1, 1))
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    gradients = [parameter.grad for parameter in policy.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


def test_a_gaussian_head_has_one_deviation_for_all_observations() -> None:
    policy = network("gaussian")
    output = policy(torch.randn(5, 3))
    assert output.logstd is not None
    assert output.logstd.shape == (1, 2)
    (deviation,) = (parameter for parameter in policy.parameters() if parameter.shape == (1, 2))
    for value, limit in ((-100.0, MIN_LOG_STD), (100.0, MAX_LOG_STD)):
        torch.nn.init.constant_(deviation, value)
        ends = policy(torch.zeros(1, 3)).logstd
        torch.testing.assert_close(ends, torch.full((1, 2), limit))


@pytest.mark.parametrize("log_std", [None, 2.0])
def test_samples_are_actions(log_std: float | None) -> None:
    torch.manual_seed(0)
    mu = torch.tensor([[0.5, 9.0]]).repeat(500, 1)
    spread = None if log_std is None else torch.full((1, 2), log_std)
    drawn = sample(ActionOutput(mu, torch.tanh(mu), spread))
    assert drawn.shape == (500, 2)
    assert drawn.abs().max() <= 1
    if spread is None:
        torch.testing.assert_close(drawn, torch.tanh(mu))


def test_samples_spread_around_the_mean() -> None:
    torch.manual_seed(0)
    mu = torch.tensor([[0.0, 0.5]]).repeat(4000, 1)
    drawn = sample(ActionOutput(mu, torch.tanh(mu), torch.full((1, 2), -2.0)))
    assert drawn.mean(0).tolist() == pytest.approx([0, np.tanh(0.5)], abs=0.01)
    assert drawn.std(0).tolist() == pytest.approx([np.exp(-2)] * 2, rel=0.05)
