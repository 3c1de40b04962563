"""Observations of the training set and the actions that a policy must give for them anywhere."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.policies.interface import Interface
from vip_offline.utils.regular_files import require_regular

SAMPLES = "sample_io.npz"
COUNT = 5
ACTION, EMBEDDING = "action", "embedding"
# largest difference between machines, of the action's range in the training set: far above what
# another processor's rounding makes of a float32 network, far below what a robot would notice
ACTION_TOLERANCE = 1e-3
LEAST_RANGE = 1e-2


@dataclass(frozen=True)
class Samples:
    """Five observations, and the network's embeddings and actions for them at training time.

    They have no history, so actions that take two values are the raw output here.
    """

    observation: dict[str, NDArray[Any]]  # key -> (5, ...)
    action: NDArray[np.float32]  # (5, A)
    embedding: NDArray[np.float32]  # (5, D)


def write_samples(path: Path, samples: Samples) -> None:
    """Write ``sample_io.npz``; equal arrays give equal bytes."""
    arrays: dict[str, Any] = {
        **samples.observation,
        ACTION: samples.action,
        EMBEDDING: samples.embedding,
    }
    with path.open("wb") as file:
        np.savez(file, **arrays)


def read_samples(path: Path, interface: Interface) -> Samples:
    """Read the result of `write_samples`; nothing is unpickled.

    Raises:
        VipOfflineError: if it is missing, damaged or of another policy.
    """
    try:
        with require_regular(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays: Mapping[str, NDArray[Any]] = {key: file[key] for key in file.files}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise VipOfflineError(f"{path}: cannot be read ({error}). Copy the folder again.") from None
    keys = (*interface.observation_keys, ACTION, EMBEDDING)
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise VipOfflineError(f"{path}: has no {missing[0]!r}. Copy the folder again.")
    observation = {key: arrays[key] for key in interface.observation_keys}
    return Samples(observation, arrays[ACTION], arrays[EMBEDDING])


def action_error(
    actual: NDArray[np.float32], expected: NDArray[np.float32], interface: Interface
) -> float:
    """Largest difference of (N, A) actions, in units of each action's range in training.

    One that hardly moved there, a gripper that stayed open, counts in units of LEAST_RANGE: else
    the last bit of a float32 would be all of its range.
    """
    reach = np.maximum(np.subtract(interface.high, interface.low), LEAST_RANGE)
    return float((np.abs(actual.astype(np.float64) - expected) / reach).max())
