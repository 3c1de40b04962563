"""Against steps that were worked out by hand."""

import pytest
import torch
from torch import Tensor, nn

from vip_offline.online.gaussian_policy import mean_divergence
from vip_offline.online.natural_gradient import (
    conjugate_gradient,
    fisher_product,
    natural_step,
)

MATRIX = torch.tensor([[4.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
TARGET = torch.tensor([1.0, 2.0], dtype=torch.float64)


def times(vector: Tensor) -> Tensor:
    return MATRIX @ vector


def test_conjugate_gradients_by_hand() -> None:
    """The first iteration is steepest descent: length b.b / b.Ab = 5 / 20; the second is exact."""
    first = conjugate_gradient(times, TARGET, 1)
    torch.testing.assert_close(first, torch.tensor([0.25, 0.5], dtype=torch.float64))
    exact = torch.tensor([1 / 11, 7 / 11], dtype=torch.float64)
    torch.testing.assert_close(conjugate_gradient(times, TARGET, 2), exact)
    torch.testing.assert_close(conjugate_gradient(times, TARGET, 10), exact)


def test_conjugate_gradients_stop_when_nothing_is_left() -> None:
    calls = list[int]()

    def counted(vector: Tensor) -> Tensor:
        calls.append(1)
        return times(vector)

    conjugate_gradient(counted, TARGET, 1000)
    assert len(calls) <= 3
    zero = conjugate_gradient(times, torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(zero, torch.zeros(2, dtype=torch.float64))


def test_a_natural_step_by_hand() -> None:
    """F = diag(4, 1), g = (4, 1): F^-1 g = (1, 1), g.F^-1 g = 5, alpha = sqrt(0.05 / 5) = 0.1."""
    fisher = torch.tensor([4.0, 1.0], dtype=torch.float64)
    step, alpha = natural_step(fisher.clone(), lambda vector: fisher * vector, 0.05)
    torch.testing.assert_close(step, torch.tensor([0.1, 0.1], dtype=torch.float64))
    assert alpha == pytest.approx(0.1)
    assert float(0.5 * step @ (fisher * step)) == pytest.approx(0.05 / 2)


def test_no_gradient_is_no_step() -> None:
    step, alpha = natural_step(torch.zeros(2), lambda vector: vector, 0.05)
    assert alpha == 0 and not step.any()


class Linear(nn.Module):
    """Mean w.x with one standard deviation: its Fisher matrix is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.3, -0.7]], dtype=torch.float64))
        self.log_std = nn.Parameter(torch.tensor([0.2], dtype=torch.float64))

    def divergence(self, rows: Tensor) -> Tensor:
        """Mean divergence from itself as it is."""
        mean = rows @ self.weight.T
        old_mean, old = mean.detach(), self.log_std.detach()
        return mean_divergence(old_mean, old, mean, self.log_std)


ROWS = torch.tensor([[1.0, 0.0], [0.5, 2.0], [-1.0, 1.0]], dtype=torch.float64)


def known_fisher() -> Tensor:
    """E[x x^T] / sigma^2 for the weights, 2 for the logarithm of sigma, nothing in between."""
    variance = torch.tensor(2 * 0.2, dtype=torch.float64).exp()
    fisher = torch.zeros(3, 3, dtype=torch.float64)
    fisher[:2, :2] = ROWS.T @ ROWS / len(ROWS) / variance
    fisher[2, 2] = 2
    return fisher


def test_the_fisher_matrix_of_a_linear_gaussian_policy() -> None:
    policy = Linear()
    parameters = [policy.weight, policy.log_std]
    product = fisher_product(policy.divergence(ROWS), parameters, damping=0.0)
    columns = [product(axis) for axis in torch.eye(3, dtype=torch.float64)]
    torch.testing.assert_close(torch.stack(columns), known_fisher())
    damped = fisher_product(policy.divergence(ROWS), parameters, damping=0.5)
    axis = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(damped(axis), product(axis) + 0.5 * axis)


def test_the_step_of_a_linear_gaussian_policy_and_its_divergence() -> None:
    policy = Linear()
    parameters = [policy.weight, policy.log_std]
    gradient = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    product = fisher_product(policy.divergence(ROWS), parameters, damping=0.0)
    step, _ = natural_step(gradient, product, 0.01)
    direction = torch.linalg.solve(known_fisher(), gradient)
    expected = (0.01 / (gradient @ direction)).sqrt() * direction
    torch.testing.assert_close(step, expected)
    old_mean, old_log_std = (ROWS @ policy.weight.T).detach(), policy.log_std.detach().clone()
    with torch.no_grad():
        policy.weight.add_(step[:2])
        policy.log_std.add_(step[2:])
        measured = mean_divergence(old_mean, old_log_std, ROWS @ policy.weight.T, policy.log_std)
    assert float(measured) == pytest.approx(0.01 / 2, rel=0.05)
