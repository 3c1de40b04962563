"""The policy of natural policy gradient: a Gaussian about the output of a multi-layer perceptron.

As mjrl has it: tanh units, a last layer that starts at a hundredth of its usual size, and one
standard deviation per action that no input changes.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

FIRST_OUTPUT = 0.01  # share of the usual weights that the last layer begins with
LEAST_LOG_STD = -3.0


def perceptron(widths: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers of these widths, (inputs, hidden..., outputs), none active at the end."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def first_layer(network: nn.Sequential) -> nn.Linear:
    """The layer of a `perceptron` that the inputs go through first."""
    layer = network[0]
    assert isinstance(layer, nn.Linear)
    return layer


class GaussianPolicy(nn.Module):
    """(B, D) standardised inputs -> mean (B, A) and logarithm of the deviation (A,)."""

    def __init__(
        self, inputs: int, actions: int, hidden: Sequence[int], log_std: float, seed: int
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = perceptron((inputs, *hidden, actions), nn.Tanh)
        with torch.no_grad():
            for values in self.network[-1].parameters():
                values.mul_(FIRST_OUTPUT)
        self.log_std = nn.Parameter(torch.full((actions,), float(log_std)))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, A) and logarithm of the standard deviation (A,)."""
        return self.network(inputs), self.log_std

    def move(self, step: Tensor) -> None:
        """Add an (n,) step to the parameters, in their order; the noise keeps its least size."""
        start = 0
        with torch.no_grad():
            for parameter in self.parameters():
                stop = start + parameter.numel()
                parameter.add_(step[start:stop].view_as(parameter))
                start = stop
            self.log_std.clamp_(min=LEAST_LOG_STD)


def log_likelihood(action: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """(B,) logarithm of the density of (B, A) actions."""
    offset = (action - mean) / log_std.exp()
    constant = 0.5 * action.shape[1] * math.log(2 * math.pi)
    return -0.5 * (offset**2).sum(dim=1) - log_std.sum() - constant


def mean_divergence(old_mean: Tensor, old_log_std: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """KL divergence of a Gaussian from an older one, KL(old || new), averaged over rows.

    Args:
        old_mean: (B, A).
        old_log_std: (A,).
        mean: (B, A), of the newer one.
        log_std: (A,).
    """
    variance = (2 * log_std).exp()
    distance = (2 * old_log_std).exp() + (old_mean - mean) ** 2
    rows = (log_std - old_log_std + distance / (2 * variance) - 0.5).sum(dim=1)
    return rows.mean()
