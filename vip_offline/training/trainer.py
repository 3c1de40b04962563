"""Trainings of policies, which stop and go on bit for bit.

Two kinds: regressions (RWR, BC) of one shape, which `Ensemble` trains together, and whatever else
d3rlpy trains by its own `fit`. Each policy stands, after every chunk of steps, as plain arrays.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from d3rlpy.logging import NoopAdapterFactory
from numpy.typing import NDArray

from vip_offline.options import TrainOptions
from vip_offline.training.algorithms.models import (
    Algo,
    create,
    hyperparameters_of,
    state_of,
    write_back,
)
from vip_offline.training.algorithms.replay_buffer import vector_buffer
from vip_offline.training.checkpoint import Arrays
from vip_offline.training.data.dataset import TrainingSet
from vip_offline.training.networks.ensemble import Ensemble, NetworkState


class Regression:
    """Training of RWR or BC with a multi-layer perceptron."""

    def __init__(self, data: TrainingSet, options: TrainOptions) -> None:
        self._algo = create(data, options)
        self.transitions = data.transitions
        self.hyperparameters = hyperparameters_of(self._algo)
        self.state = state_of(self._algo, len(self.transitions.weight), options.seed)

    @property
    def step(self) -> int:
        """Gradient steps taken."""
        return self.state.step

    def arrays(self) -> Arrays:
        """Parameters, moments, step and generator."""
        kind, keys, position, *_ = self.state.generator
        assert kind == "MT19937"
        return {
            "parameters": self.state.parameters,
            "exp_avg": self.state.exp_avg,
            "exp_avg_sq": self.state.exp_avg_sq,
            "step": np.array(self.state.step),
            "keys": keys,
            "position": np.array(position),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from there."""
        self.state = NetworkState(
            parameters=arrays["parameters"],
            exp_avg=arrays["exp_avg"],
            exp_avg_sq=arrays["exp_avg_sq"],
            step=int(arrays["step"]),
            generator=("MT19937", arrays["keys"], int(arrays["position"]), 0, 0.0),
        )

    def finish(self) -> Algo:
        """The model of d3rlpy as it stands."""
        write_back(self._algo, self.state)
        return self._algo


class RegressionTrainer:
    """Trains regressions of one shape together."""

    def __init__(self, regressions: Sequence[Regression], device: str = "cpu") -> None:
        self._regressions = regressions
        self._ensemble = Ensemble(
            [regression.state for regression in regressions],
            [regression.transitions for regression in regressions],
            regressions[0].hyperparameters,
            device,
        )

    def advance(self, steps: int) -> list[float]:
        """Take so many steps; returns their mean loss, per regression."""
        losses = self._ensemble.advance(steps)
        for regression, state in zip(self._regressions, self._ensemble.states(), strict=True):
            regression.state = state
        return losses


class D3rlpyTraining:
    """Training of any algorithm by d3rlpy's `fit`, on batches gathered by index."""

    def __init__(self, data: TrainingSet, options: TrainOptions) -> None:
        # before the seed is set: d3rlpy draws numbers for each episode
        self._buffer = vector_buffer(data.observations, data.actions, data.weighed.slot)
        self._algo = create(data, options)
        self._buffer.sample_transition()  # as `fit` does when it builds the networks itself
        self.step = 0
        self._keep_generators()

    def _keep_generators(self) -> None:
        """d3rlpy draws from the global generators, and others may do so in between."""
        self._numpy = np.random.get_state(legacy=True)  # noqa: NPY002
        self._torch = torch.get_rng_state()

    def advance(self, steps: int) -> list[float]:
        """Take so many steps; returns their mean loss."""
        np.random.set_state(self._numpy)  # noqa: NPY002
        torch.set_rng_state(self._torch)
        # d3rlpy trains n_steps // n_steps_per_epoch epochs and drops the rest: one epoch, no rest
        ((_, measured),) = self._algo.fit(
            self._buffer,
            n_steps=steps,
            n_steps_per_epoch=steps,
            logger_adapter=NoopAdapterFactory(),
            show_progress=False,
        )
        self._keep_generators()
        self.step += steps
        return [float(measured["loss" if "loss" in measured else "actor_loss"])]

    def arrays(self) -> Arrays:
        """The model with its optimisers as d3rlpy saves them, and the generators."""
        file = io.BytesIO()
        self._algo.impl.save_model(file)
        _, keys, position, *_ = self._numpy
        return {
            "model": np.frombuffer(file.getvalue(), np.uint8),
            "step": np.array(self.step),
            "keys": np.asarray(keys),
            "position": np.asarray(position),
            "torch": self._torch.numpy(),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from there."""
        # of weights alone: torch unpickles nothing else
        self._algo.impl.load_model(io.BytesIO(arrays["model"].tobytes()))
        self.step = int(arrays["step"])
        self._algo._grad_step = self.step  # which d3rlpy does not save
        self._numpy = ("MT19937", arrays["keys"], int(arrays["position"]), 0, 0.0)
        self._torch = torch.from_numpy(arrays["torch"])

    def finish(self) -> Algo:
        """The model of d3rlpy as it stands."""
        return self._algo


Training: TypeAlias = Regression | D3rlpyTraining


def is_regression(options: TrainOptions) -> bool:
    """Whether `Ensemble` trains this algorithm."""
    return options.algo in ("rwr", "bc")


def begin(data: TrainingSet, options: TrainOptions) -> Training:
    """The training of a policy that has taken no step yet."""
    return Regression(data, options) if is_regression(options) else D3rlpyTraining(data, options)


def trainer_of(
    trainings: Sequence[Training], device: str = "cpu"
) -> RegressionTrainer | D3rlpyTraining:
    """What takes the steps of these: regressions of one shape, or a single other training."""
    regressions = [training for training in trainings if isinstance(training, Regression)]
    if regressions:
        return RegressionTrainer(regressions, device)
    (training,) = trainings
    assert isinstance(training, D3rlpyTraining)
    return training
