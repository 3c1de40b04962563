"""The natural gradient step (Kakade 2001) as mjrl takes it: arrays in, a step out.

No library is used for it. tianshou's NPG takes a fixed multiple of the natural gradient, and its
length could be set by the KL divergence only through a private method; sb3-contrib's TRPO does so,
but searches along the step, which cannot be switched off. Here it is forty lines, held by tests
against steps that were worked out by hand.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

TOLERANCE = 1e-10  # of the squared residual, at which conjugate gradients stop

Product = Callable[[Tensor], Tensor]  # (n,) vector -> (n,), a matrix times it


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """Several tensors -> (n,), one after the other."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def conjugate_gradient(
    product: Product, target: Tensor, iterations: int = 10, tolerance: float = TOLERANCE
) -> Tensor:
    """Solve F x = b for a symmetric positive definite F, from x = 0.

    Args:
        product: v -> F v.
        target: (n,), b.
        iterations: at most; with n of them the solution is exact, up to rounding.
        tolerance: of the squared length of the residual.

    Returns:
        (n,), x. Of b = 0, and where b is shorter than the tolerance, 0.
    """
    solution, residual = torch.zeros_like(target), target.clone()
    direction, square = residual.clone(), residual @ residual
    for _ in range(iterations):
        if square < tolerance:
            break
        image = product(direction)
        length = square / (direction @ image)
        solution = solution + length * direction
        residual = residual - length * image
        before, square = square, residual @ residual
        direction = residual + square / before * direction
    return solution


def fisher_product(divergence: Tensor, parameters: Sequence[Tensor], damping: float) -> Product:
    """The Fisher matrix, as a function that multiplies by it: v -> (F + damping 1) v.

    F is the Hessian of the mean KL divergence at the old policy, where it equals the Fisher
    information; its product with a vector takes two passes of back-propagation (Pearlmutter).

    Args:
        divergence: mean KL divergence of the policy from itself as it was, a scalar that depends
            on the parameters.
        parameters: of the policy.
        damping: added to the diagonal.
    """
    slope = flat(torch.autograd.grad(divergence, parameters, create_graph=True))

    def product(vector: Tensor) -> Tensor:
        rows = torch.autograd.grad(slope @ vector, parameters, retain_graph=True)
        return flat(rows) + damping * vector

    return product


def natural_step(
    gradient: Tensor,
    product: Product,
    step_size: float,
    iterations: int = 10,
    tolerance: float = TOLERANCE,
) -> tuple[Tensor, float]:
    """The step along the natural gradient whose KL divergence is half of `step_size`.

    With x = F^-1 g the step is alpha x, alpha = sqrt(delta / (g^T x)): to second order the
    divergence is alpha^2 x^T F x / 2 = delta / 2. There is no line search.

    Args:
        gradient: (n,), g, of what is to be raised.
        product: see `fisher_product`.
        step_size: delta, twice the divergence aimed at.
        iterations: of conjugate gradients.
        tolerance: see `conjugate_gradient`.

    Returns:
        The (n,) step, and alpha. Of a gradient of 0 both are 0.
    """
    direction = conjugate_gradient(product, gradient, iterations, tolerance)
    slope = float(gradient @ direction)
    if slope <= 0:  # nothing to gain, or lost in rounding
        return torch.zeros_like(gradient), 0.0
    alpha = (step_size / slope) ** 0.5
    return alpha * direction, alpha
