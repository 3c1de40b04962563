"""Gradient descent of a weighted regression, written out, for many policies on few cores.

d3rlpy's `fit` spends two thirds of a step of these small networks on anything but arithmetic:
collecting rows, building and walking an autograd graph, one optimiser call per tensor. Here the
forward pass, its derivative and Adam's update are thirty calls into arrays that are made once, and
the gradient of the input, which is frozen, is never computed.

The calls are those that autograd would make, on arrays of the same layout, so that the weights are
d3rlpy's to the bit: Adam divides by the size of the gradient, and where that is next to nothing the
last bit of a product decides which way a weight goes. `advance` is a function of plain arrays: it
runs in a side process that knows nothing of d3rlpy.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float32]


def exponential_weight(
    score: Tensor, tau: float, log_mean_weight: float = 0.0, max_weight: float | None = None
) -> Tensor:
    """exp(tau R) of Eq. 7, over its mean in the training set, capped.

    Args:
        score: (B, 1), R: the one-step reward in the paper.
        tau: the temperature; 0 is behaviour cloning.
        log_mean_weight: log of the mean weight over the training set, which weights are divided by.
        max_weight: cap of what comes out.

    Returns:
        (B, 1).
    """
    weight = torch.exp(tau * score - log_mean_weight)
    return weight if max_weight is None else weight.clamp(max=max_weight)


@dataclass(frozen=True)
class Columns:
    """Transitions as the network sees them."""

    observation: Floats  # (N, D), scaled
    action: Floats  # (N, A), scaled
    weight: Floats  # (N, 1), of the regression


@dataclass(frozen=True)
class Settings:
    """Of one policy."""

    widths: tuple[int, ...]  # (D, hidden..., A)
    log_std_range: tuple[float, float] | None  # of a Gaussian head; None: deterministic
    batch_size: int
    learning_rate: float
    betas: tuple[float, float]
    eps: float


@dataclass(frozen=True)
class State:
    """Where one policy's training stands.

    Parameters lie one after the other: per layer the matrix (out, in) and the bias (out,), then,
    with a Gaussian head, the deviation's (1, A).
    """

    parameters: Floats  # (n,)
    exp_avg: Floats  # (n,), Adam's first moments
    exp_avg_sq: Floats  # (n,), its second moments
    step: int  # gradient steps taken
    generator: tuple[Any, ...]  # state of the numpy generator that draws the batches


def shapes(widths: Sequence[int], *, gaussian: bool) -> list[tuple[int, ...]]:
    """Of the parameters, in the order of `State`."""
    layers: list[tuple[int, ...]] = []
    for before, after in itertools.pairwise(widths):
        layers += [(after, before), (after,)]
    return [*layers, (1, widths[-1])] if gaussian else layers


def split(flat: Tensor, sizes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Views of these shapes into one array."""
    parts = torch.split(flat, [math.prod(each) for each in sizes])
    return [part.view(each) for part, each in zip(parts, sizes, strict=True)]


class _Descent:
    """The arrays of one policy on its way down."""

    def __init__(self, state: State, columns: Columns, settings: Settings) -> None:
        widths, size = settings.widths, settings.batch_size
        self._settings = settings
        self._observation, self._action_column, self._weight_column = (
            torch.from_numpy(each) for each in (columns.observation, columns.action, columns.weight)
        )
        self.flat, self.exp_avg, self.exp_avg_sq = (
            torch.from_numpy(each.copy())
            for each in (state.parameters, state.exp_avg, state.exp_avg_sq)
        )
        gaussian = settings.log_std_range is not None
        sizes = shapes(widths, gaussian=gaussian)
        self._parameters, self._gradients, self._exp_avg, self._exp_avg_sq = (
            split(each, sizes)
            for each in (self.flat, torch.empty_like(self.flat), self.exp_avg, self.exp_avg_sq)
        )
        self._steps = [torch.tensor(float(state.step)) for _ in sizes]
        self._matrices, self._biases = self._parameters[0::2], self._parameters[1::2]
        self._by_matrix, self._by_bias = self._gradients[0::2], self._gradients[1::2]
        if gaussian:  # the last parameter is of no layer
            self._matrices, self._by_matrix = self._matrices[:-1], self._by_matrix[:-1]
        # h[0] is the input, h[i] the output of layer i; g[i] the loss's derivative by it
        self._h = [torch.empty(size, each) for each in widths]
        self._g = [torch.empty(size, each) for each in widths]
        self._action = torch.empty(size, widths[-1])
        self._difference = torch.empty(size, widths[-1])
        self._weight = torch.empty(size, 1)
        self.loss = torch.zeros(())

    def take_step(self, batch: Tensor) -> None:
        self._forward(batch)
        if self._settings.log_std_range is None:
            self._differentiate_square()
        else:
            self._differentiate_gaussian(*self._settings.log_std_range)
        self._backward()
        self._update()

    def _forward(self, batch: Tensor) -> None:
        h = self._h
        torch.index_select(self._observation, 0, batch, out=h[0])
        torch.index_select(self._action_column, 0, batch, out=self._action)
        torch.index_select(self._weight_column, 0, batch, out=self._weight)
        last = len(self._matrices) - 1
        for layer, (matrix, bias) in enumerate(zip(self._matrices, self._biases, strict=False)):
            torch.addmm(bias, h[layer], matrix.t(), out=h[layer + 1])
            if layer < last:
                h[layer + 1].relu_()

    def _differentiate_square(self) -> None:
        """g[-1] = d mean(w (tanh(mu) - a)^2) / d mu."""
        g, difference, mean = self._g[-1], self._difference, self._h[-1].tanh_()
        torch.sub(mean, self._action, out=difference)
        self._weight *= 1 / difference.numel()  # not divided: autograd multiplies
        torch.mul(difference, 2, out=g)
        g *= self._weight
        self.loss.add_(torch.dot(g.view(-1), difference.view(-1)), alpha=0.5)
        torch.ops.aten.tanh_backward.grad_input(g, mean, grad_input=g)

    def _differentiate_gaussian(self, low: float, high: float) -> None:
        """The same of -mean(w log Normal(a; tanh(mu), std)), which is left to autograd.

        log std is a sigmoid of its parameter between two limits.
        """
        mu = self._h[-1].detach().requires_grad_()
        deviation = self._parameters[-1].detach().requires_grad_()
        with torch.enable_grad():
            log_std = low + torch.sigmoid(deviation) * (high - low)
            normal = torch.distributions.Normal(mu.tanh(), log_std.exp(), validate_args=False)
            log_likelihood = normal.log_prob(self._action).sum(dim=1, keepdim=True)  # type: ignore[no-untyped-call]
            loss = -(self._weight * log_likelihood).mean()
            by_mu, by_deviation = torch.autograd.grad(loss, (mu, deviation))
        self._g[-1].copy_(by_mu)
        self._gradients[-1].copy_(by_deviation)
        self.loss += loss.detach()

    def _backward(self) -> None:
        for layer in range(len(self._matrices) - 1, -1, -1):
            g, before = self._g[layer + 1], self._h[layer]
            torch.mm(g.t(), before, out=self._by_matrix[layer])
            torch.sum(g, 0, out=self._by_bias[layer])
            if layer > 0:
                further = self._g[layer]
                torch.mm(g, self._matrices[layer], out=further)
                torch.ops.aten.threshold_backward.grad_input(further, before, 0, grad_input=further)

    def _update(self) -> None:
        """Adam, in the kernel that torch's own optimiser calls."""
        torch._foreach_add_(self._steps, 1)
        torch._fused_adam_(
            self._parameters,
            self._gradients,
            self._exp_avg,
            self._exp_avg_sq,
            [],
            self._steps,
            lr=self._settings.learning_rate,
            beta1=self._settings.betas[0],
            beta2=self._settings.betas[1],
            weight_decay=0.0,
            eps=self._settings.eps,
            amsgrad=False,
            maximize=False,
        )


def advance(state: State, columns: Columns, settings: Settings, steps: int) -> tuple[State, float]:
    """Take so many gradient steps.

    Returns:
        Where training then stands, and the mean loss of the steps.
    """
    generator = np.random.RandomState()  # the kind, and so the draws, of numpy's global one
    generator.set_state(state.generator)
    drawn = generator.randint(len(columns.weight), size=(steps, settings.batch_size))
    descent = _Descent(state, columns, settings)
    with torch.no_grad():
        for batch in torch.from_numpy(drawn):
            descent.take_step(batch)
    after = State(
        parameters=descent.flat.numpy(),
        exp_avg=descent.exp_avg.numpy(),
        exp_avg_sq=descent.exp_avg_sq.numpy(),
        step=state.step + steps,
        generator=generator.get_state(),  # type: ignore[arg-type]
    )
    return after, float(descent.loss) / steps
