"""One policy's training as a thing that advances, and that stops and goes on bit for bit.

Two kinds: regression by the written-out steps of `descent`, and whatever else d3rlpy trains by its
own `fit`. Both stand, after every chunk of steps, as plain arrays.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from d3rlpy.logging import NoopAdapterFactory
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.training.algorithms.models import (
    Algo,
    create,
    settings_of,
    state_of,
    write_back,
)
from vip_offline.training.algorithms.replay_buffer import vector_buffer
from vip_offline.training.data.dataset import TrainingSet
from vip_offline.training.networks.descent import State, advance
from vip_offline.utils.files import whole_file
from vip_offline.utils.regular_files import require_regular

Arrays = dict[str, NDArray[Any]]
VERSION = 2  # of a checkpoint; 1: without hashes of what is learnt from
READ = "read"  # of an identity, see `transitions.identity`
CHECKPOINT = "checkpoint.npz"
# what numpy raises besides; a zip carries a checksum of each array, which is compared
DAMAGED = (TypeError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error)


class Training(Protocol):
    """A policy on its way."""

    @property
    def step(self) -> int:
        """Gradient steps taken."""

    def advance(self, steps: int) -> float:
        """Take so many steps; returns their mean loss."""

    def arrays(self) -> Arrays:
        """All that it takes to go on from here."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from there."""

    def finish(self) -> Algo:
        """The model of d3rlpy as it stands."""


class Regression:
    """RWR or BC of a multi-layer perceptron, by `descent`."""

    def __init__(self, data: TrainingSet, options: TrainOptions) -> None:
        self._algo = create(data, options)
        self._data = data
        self.settings = settings_of(self._algo)
        self.state = state_of(self._algo, len(data.columns.weight), options.seed)

    @property
    def step(self) -> int:
        """Gradient steps taken."""
        return self.state.step

    def advance(self, steps: int) -> float:
        """Take so many steps; returns their mean loss."""
        self.state, loss = advance(self.state, self._data.columns, self.settings, steps)
        return loss

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
        self.state = State(
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


class ByD3rlpy:
    """Any algorithm, by d3rlpy's `fit` on batches gathered by index."""

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

    def advance(self, steps: int) -> float:
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
        return float(measured["loss" if "loss" in measured else "actor_loss"])

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


def by_hand(options: TrainOptions) -> bool:
    """Whether the written-out steps know this algorithm."""
    return options.algo in ("rwr", "bc")


def begin(data: TrainingSet, options: TrainOptions) -> Training:
    """A policy that has taken no step yet."""
    return Regression(data, options) if by_hand(options) else ByD3rlpy(data, options)


def write_checkpoint(
    folder: Path,
    arrays: Mapping[str, NDArray[Any]],
    identity: Mapping[str, Any],
    metrics: list[dict[str, float]],
) -> None:
    """Keep where a training stands; the file is whole or the one before it."""
    said = {
        "identity": json.dumps({k: v for k, v in identity.items() if k != READ}, sort_keys=True),
        "metrics": json.dumps(metrics),
        "version": VERSION,
    }
    read = {f"{READ}/{key}": hashes for key, hashes in identity.get(READ, {}).items()}
    texts = {key: np.array(text) for key, text in said.items()}
    everything: dict[str, Any] = {**arrays, **read, **texts}
    with whole_file(folder / CHECKPOINT) as partial, partial.open("wb") as file:
        np.savez(file, **everything)


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stood."""

    arrays: Arrays
    identity: dict[str, Any]  # of the training
    metrics: list[dict[str, float]]  # so far


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Where a training stood; None if it never got so far.

    Raises:
        VipOfflineError: if the file is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with require_regular(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        version = int(arrays.pop("version", 1))
        if version > VERSION:
            raise VipOfflineError(
                f"{path}: is of version {version}; this program reads 1 to {VERSION}. Update "
                f"vip-offline, or remove {folder} to train from the beginning."
            )
        said, metrics = (json.loads(str(arrays.pop(key))) for key in ("identity", "metrics"))
        names = [key for key in arrays if key.startswith(f"{READ}/")]
        said[READ] = {key.removeprefix(f"{READ}/"): arrays.pop(key) for key in names}
        return Checkpoint(arrays, said, metrics)
    except (OSError, EOFError, ValueError, KeyError, *DAMAGED) as error:
        raise VipOfflineError(
            f"{path}: cannot be read ({error}). Remove {folder} to train from the beginning: the "
            "steps until then are in this file alone."
        ) from None
