"""Weighted regression of several multi-layer perceptrons of one shape at once, in public torch.

Each parameter carries the network as its first axis. A gradient step of S policies is then a few
batched matrix products instead of S times as many small ones, whose overhead takes longer than
their arithmetic.

Each network ends in the bits that it would have alone, on one thread of torch. Torch computes the
numbers at the end of an array that do not fill a vector register by other, differently rounded
instructions. Layers are therefore widened to whole registers, by units whose weights are and stay
zero.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Vector = NDArray[np.floating[Any]]  # of single precision, unless it is to be as exact as can be
REGISTER = 32  # floats that torch's kernels treat together: two AVX-512 registers


@dataclass(frozen=True)
class Transitions:
    """What a regression learns from."""

    observation: Vector  # (N, D), scaled
    action: Vector  # (N, A), in [-1, 1]
    weight: Vector  # (N, 1), of the squared error or log-likelihood


@dataclass(frozen=True)
class Hyperparameters:
    """Shape of a network and settings of its optimiser."""

    widths: tuple[int, ...]  # (D, hidden..., A)
    log_std_range: tuple[float, float] | None  # of a Gaussian head; None: deterministic
    batch_size: int
    learning_rate: float
    betas: tuple[float, float]  # of Adam
    eps: float  # of Adam


@dataclass(frozen=True)
class NetworkState:
    """One network's training as plain arrays.

    Parameters lie one after the other: per layer the matrix (out, in) and the bias (out,), then,
    with a Gaussian head, the parameter of the standard deviation (1, A).
    """

    parameters: Vector  # (n,)
    exp_avg: Vector  # (n,), Adam's first moments
    exp_avg_sq: Vector  # (n,), its second moments
    step: int  # gradient steps taken
    generator: tuple[Any, ...]  # state of the numpy generator that draws the batches


def _padded(width: int) -> int:
    return -(-width // REGISTER) * REGISTER


class Ensemble:
    """S networks that take their gradient steps together."""

    def __init__(
        self,
        states: Sequence[NetworkState],
        data: Sequence[Transitions],
        hyperparameters: Hyperparameters,
        device: str = "cpu",
    ) -> None:
        """Copy the states and the transitions to the device.

        Args:
            states: of each network, all after the same number of steps. Their precision is that
                of training.
            data: what each network learns from. The same object is copied once.
            hyperparameters: of all networks.
            device: of torch: "cpu", "cuda", "cuda:1", ...

        Raises:
            ValueError: if the networks are not at the same step.
        """
        if len({state.step for state in states}) != 1:
            raise ValueError("Networks of an ensemble must have taken the same number of steps.")
        self._hyperparameters, self._device = hyperparameters, torch.device(device)
        self._matrices = range(0, 2 * (len(hyperparameters.widths) - 1), 2)  # among the parameters
        self._count = len(states[0].parameters)
        self._dtype = torch.from_numpy(states[0].parameters).dtype
        actions = hyperparameters.widths[-1]
        # (A',) 1 for an action, 0 for what fills the register
        self._is_action = (torch.arange(_padded(actions)) < actions).to(self._device, self._dtype)
        self.step = states[0].step
        self._generators = [np.random.RandomState() for _ in states]
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state.generator)
        self._sizes = [len(transitions.weight) for transitions in data]
        # consecutive networks that share their transitions: how many, and their columns
        groups = [list(group) for _, group in itertools.groupby(data, id)]
        self._tables = [(len(group), self._to_device(group[0])) for group in groups]
        self._parameters = [
            nn.Parameter(values) for values in self._stack([state.parameters for state in states])
        ]
        self._optimizer = torch.optim.Adam(
            self._parameters,
            lr=hyperparameters.learning_rate,
            betas=hyperparameters.betas,
            eps=hyperparameters.eps,
            fused=True,  # one kernel: a third of the time on a CPU
        )
        first, second = (
            self._stack([getattr(state, name) for state in states])
            for name in ("exp_avg", "exp_avg_sq")
        )
        for parameter, exp_avg, exp_avg_sq in zip(self._parameters, first, second, strict=True):
            step = torch.tensor(float(self.step), device=self._device)
            moments = {"step": step, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
            self._optimizer.state[parameter] = moments

    def advance(self, steps: int) -> list[float]:
        """Take gradient steps.

        Returns:
            Mean loss of the steps, per network.
        """
        shape = (steps, self._hyperparameters.batch_size)
        drawn = [
            generator.randint(size, size=shape)
            for generator, size in zip(self._generators, self._sizes, strict=True)
        ]
        total = torch.zeros(len(drawn), dtype=self._dtype, device=self._device)
        for rows in torch.from_numpy(np.stack(drawn, axis=1)).to(self._device):
            loss = self._loss(*self._batch(rows))
            self._optimizer.zero_grad()
            loss.sum().backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            total += loss.detach()
        self.step += steps
        means: list[float] = (total / steps).tolist()
        return means

    def states(self) -> list[NetworkState]:
        """Copies of where the networks stand."""
        moments = [self._optimizer.state[parameter] for parameter in self._parameters]
        parameters = self._unstack(self._parameters)
        exp_avg = self._unstack([moment["exp_avg"] for moment in moments])
        exp_avg_sq = self._unstack([moment["exp_avg_sq"] for moment in moments])
        generators = [tuple(generator.get_state(legacy=True)) for generator in self._generators]
        steps = [self.step] * len(generators)
        vectors = zip(parameters, exp_avg, exp_avg_sq, steps, generators, strict=True)
        return [NetworkState(*state) for state in vectors]

    def _batch(self, rows: Tensor) -> list[Tensor]:
        """Rows (S, B) of the networks' own transitions -> (S, B, D), (S, B, A'), (S, B, 1)."""
        parts, start = [], 0
        for networks, table in self._tables:
            own = rows[start : start + networks]
            parts.append(
                [column.index_select(0, own.flatten()).view(*own.shape, -1) for column in table]
            )
            start += networks
        if len(parts) == 1:  # nothing to copy
            return parts[0]
        return [torch.cat(columns) for columns in zip(*parts, strict=True)]

    def _loss(self, observation: Tensor, action: Tensor, weight: Tensor) -> Tensor:
        """(S,) -mean(w log pi(a|o)) up to constants (Eq. 7); see `heads.weighted_loss`."""
        batch_size, actions = len(action[0]), self._hyperparameters.widths[-1]
        output = observation
        for index in self._matrices:
            matrix, bias = self._parameters[index : index + 2]
            output = torch.baddbmm(bias, output, matrix)
            output = output.tanh() if index == self._matrices[-1] else output.relu()
        if self._hyperparameters.log_std_range is None:
            # the added outputs are 0, as the actions there
            return (weight * (output - action) ** 2).sum((1, 2)) / (batch_size * actions)
        low, high = self._hyperparameters.log_std_range
        log_std = low + torch.sigmoid(self._parameters[-1]) * (high - low)
        negative = ((action - output) / log_std.exp()) ** 2 / 2 + log_std
        negative = (negative + math.log(2 * math.pi) / 2) * self._is_action
        return (weight * negative).sum((1, 2)) / batch_size

    def _to_device(self, transitions: Transitions) -> tuple[Tensor, Tensor, Tensor]:
        observation, action, weight = (
            torch.from_numpy(column).to(self._device, self._dtype)
            for column in (transitions.observation, transitions.action, transitions.weight)
        )
        padding = _padded(action.shape[1]) - action.shape[1]
        return observation, nn.functional.pad(action, (0, padding)), weight

    def _views(self, vector: Tensor) -> list[Tensor]:
        """(n,) -> views: per layer the matrix (in, out) and the bias (1, out), then (1, A)."""
        widths = self._hyperparameters.widths
        shapes = []
        for inputs, outputs in itertools.pairwise(widths):
            shapes += [(outputs, inputs), (1, outputs)]
        if self._hyperparameters.log_std_range is not None:
            shapes.append((1, widths[-1]))
        parts = torch.split(vector, [math.prod(shape) for shape in shapes])
        views = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        return [view.t() if index in self._matrices else view for index, view in enumerate(views)]

    def _stack(self, vectors: Sequence[Vector]) -> list[Tensor]:
        """(n,) per network -> (S, in', out') and (S, 1, out') per layer, then (S, 1, A')."""
        per_network = [self._views(torch.from_numpy(vector)) for vector in vectors]
        stacked = []
        for index, views in enumerate(zip(*per_network, strict=True)):
            rows, columns = views[0].shape
            # inputs of all layers but the first are outputs of the one before
            rows = _padded(rows) if index in self._matrices[1:] else rows
            values = torch.zeros(len(views), rows, _padded(columns), dtype=self._dtype)
            for network, view in zip(values, views, strict=True):
                network[: len(view), :columns] = view
            stacked.append(values.to(self._device))
        return stacked

    def _unstack(self, stacked: Sequence[Tensor]) -> list[Vector]:
        """The reverse of `_stack`."""
        on_cpu = [values.detach().cpu() for values in stacked]
        vectors = []
        for network in range(len(self._sizes)):
            vector = torch.empty(self._count, dtype=self._dtype)
            for view, values in zip(self._views(vector), on_cpu, strict=True):
                # onto what is contiguous, which torch transposes by blocks
                view.t().copy_(values[network, : len(view), : view.shape[1]].t())
            vectors.append(vector.numpy())
        return vectors
