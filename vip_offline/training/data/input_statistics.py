"""Mean and deviation of a policy's inputs, and what of them is noise about a constant."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STANDARD_EPSILON = 1e-3  # added to standard deviations, d3rlpy's own
STEADY_AMONG = 1e-3  # of the deviation of the livelier inputs of its kind: below is noise
STEADY_ALONE = 1e-4  # of an input's own mean
LIVELY = 0.75  # quantile of the deviations that stands for the livelier ones


@dataclass(frozen=True)
class Statistics:
    """Of the inputs, over the training set."""

    mean: NDArray[np.float32]  # (D + P,)
    std: NDArray[np.float32]  # (D + P,), 1 for an input that never changes

    def scaled(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D + P) inputs -> as the network sees them, bit for bit what d3rlpy's scaler gives."""
        scaled: NDArray[np.float32] = (rows - self.mean) / (self.std + np.float32(STANDARD_EPSILON))
        return scaled


@dataclass(frozen=True)
class InputStatistics:
    """Statistics, and how many inputs carry nothing."""

    statistics: Statistics
    constant: int  # that never change
    steady: int  # that hardly change: noise, or a few rows


def input_statistics(
    observations: Sequence[NDArray[np.float32]], embedding_size: int
) -> InputStatistics:
    """Mean and standard deviation of the inputs.

    An input that never changes has deviation 1, and one that hardly changes (noise, or a few rows)
    the usual deviation of its kind, or 1 where all are like that: nothing is known of it, it may
    well change on a robot, and must not be blown up a thousandfold then. All others have their own.

    Args:
        observations: per episode (T, D + P), embedding ++ proprioception; last rows count not.
        embedding_size: D. Embedding and proprioception are kinds of their own.
    """
    rows = np.concatenate([episode[:-1] for episode in observations])
    mean, std = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    constant = np.ptp(rows, axis=0) == 0
    std = np.where(constant, 1.0, std)
    steady = np.zeros_like(constant)
    for kind in (slice(None, embedding_size), slice(embedding_size, None)):
        changing = ~constant[kind]
        if not changing.any():
            continue
        own, usual = std[kind], np.abs(mean[kind])
        lively = np.quantile(own[changing], LIVELY)
        noise = changing & ((own < STEADY_AMONG * lively) | (own < STEADY_ALONE * usual))
        others = own[changing & ~noise]
        std[kind] = np.where(noise, np.median(others) if len(others) else 1.0, own)
        steady[kind] = noise
    statistics = Statistics(mean.astype(np.float32), std.astype(np.float32))
    return InputStatistics(statistics, int(constant.sum()), int(steady.sum()))
