import torch
from torch.distributions import Independent, Normal, kl_divergence

from vip_offline.online.gaussian_policy import (
    LEAST_LOG_STD,
    GaussianPolicy,
    first_layer,
    log_likelihood,
    mean_divergence,
)


def test_it_begins_near_zero_with_the_noise_asked_for() -> None:
    policy = GaussianPolicy(5, 2, (32, 32), -0.5, seed=0)
    mean, log_std = policy(torch.randn(100, 5))
    assert mean.abs().max() < 0.02
    torch.testing.assert_close(log_std, torch.full((2,), -0.5))


def test_its_weights_follow_from_the_seed_and_nobody_elses_draws_change() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    policies = [GaussianPolicy(5, 2, (8,), 0.0, seed) for seed in (0, 0, 1)]
    torch.testing.assert_close(torch.rand(3), expected)
    first, again, other = (first_layer(policy.network).weight for policy in policies)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_density_is_torchs() -> None:
    torch.manual_seed(0)
    action, mean, log_std = torch.randn(6, 3), torch.randn(6, 3), torch.randn(3)
    distribution = Independent(Normal(mean, log_std.exp()), 1)
    expected = distribution.log_prob(action)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(log_likelihood(action, mean, log_std), expected)


def test_the_divergence_is_torchs_and_goes_from_the_old_to_the_new() -> None:
    torch.manual_seed(0)
    old_mean, mean = torch.randn(6, 3), torch.randn(6, 3)
    old_log_std, log_std = torch.randn(3), torch.randn(3)
    old, new = (
        Independent(Normal(m, s.exp()), 1) for m, s in ((old_mean, old_log_std), (mean, log_std))
    )
    expected = kl_divergence(old, new).mean()
    torch.testing.assert_close(mean_divergence(old_mean, old_log_std, mean, log_std), expected)


def test_a_step_goes_to_the_parameters_in_their_order_and_keeps_some_noise() -> None:
    policy = GaussianPolicy(2, 2, (3,), -2.9, seed=0)
    before = torch.cat([values.detach().reshape(-1) for values in policy.parameters()])
    step = torch.arange(len(before)) / 100 - 1.0
    policy.move(step)
    after = torch.cat([values.detach().reshape(-1) for values in policy.parameters()])
    expected = before + step
    expected[:2] = LEAST_LOG_STD  # nn.Module lists a module's own parameters first
    torch.testing.assert_close(after, expected)
