"""Arrays of a checkpoint, grouped by the first part of their names."""

import torch
from torch import Tensor

from vip_offline.training.checkpoint import Arrays


def under(prefix: str, arrays: Arrays) -> Arrays:
    """The arrays with ``prefix/`` before their names."""
    return {f"{prefix}/{key}": value for key, value in arrays.items()}


def without(prefix: str, arrays: Arrays) -> Arrays:
    """The inverse of `under`, of all arrays that have the prefix."""
    start = f"{prefix}/"
    return {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}


def tensors_under(prefix: str, arrays: Arrays) -> dict[str, Tensor]:
    """Arrays whose names begin with ``prefix/``, as tensors by the rest of their names."""
    start = f"{prefix}/"
    return {
        key.removeprefix(start): torch.from_numpy(value.copy())
        for key, value in arrays.items()
        if key.startswith(start)
    }
