"""Mean and standard deviation of all inputs so far, which networks see standardised.

mjrl clips observations to +-10 and divides them by 10. Coordinates of an embedding know no such
range (VIP's distances alone reach 35): clipped, they would all say 10. So inputs are standardised
first, and clipped to 10 standard deviations then.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vip_offline.utils.arrays import Floats

LARGEST = 10.0  # standard deviations
STEADY = 1e-6  # deviation, relative to the mean, of an input that carries rounding alone


@dataclass(frozen=True)
class RunningStatistics:
    """Of the rows so far, by Chan's parallel update: no row is kept."""

    count: int
    mean: Floats  # (D,)
    squares: Floats  # (D,) summed squares of deviations from the mean

    @classmethod
    def none(cls, size: int) -> Self:
        """Before any row."""
        return cls(0, np.zeros(size), np.zeros(size))

    def updated(self, rows: NDArray[np.floating[Any]]) -> "RunningStatistics":
        """With (N, D) more rows."""
        rows = np.asarray(rows, np.float64)
        count, mean = len(rows), rows.mean(axis=0)
        total = self.count + count
        offset = mean - self.mean
        return RunningStatistics(
            total,
            self.mean + offset * (count / total),
            self.squares
            + ((rows - mean) ** 2).sum(axis=0)
            + offset**2 * (self.count * count / total),
        )

    @property
    def std(self) -> Floats:
        """(D,) standard deviation; 1 of an input that has not changed yet, as it would be 0."""
        std = np.sqrt(self.squares / max(self.count, 1))
        return np.where(std <= STEADY * np.maximum(np.abs(self.mean), 1), 1.0, std)

    def standardised(self, rows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """(N, D) rows as networks see them."""
        scaled = (rows - self.mean) / self.std
        return np.clip(scaled, -LARGEST, LARGEST).astype(np.float32)


def keep_function(layer: nn.Linear, old: RunningStatistics, new: RunningStatistics) -> None:
    """Change a first layer so that it gives of a raw input by new statistics what it gave by old.

    W (x - m) / s + b = W' (x - m') / s' + b' with W' = W s' / s and b' = b + W (m' - m) / s.
    Otherwise every update of the statistics would move the policy by a step that no divergence
    bounds. (An input that is clipped is excepted. So is one that was nearly still and now moves:
    its weight grows by at most `LARGEST`, or what was a clipped 10 would saturate every unit.)

    Args:
        layer: whose first D inputs are standardised; others are left as they are.
        old: statistics so far.
        new: statistics from now on.
    """
    size = len(old.mean)
    with torch.no_grad():
        weight = layer.weight[:, :size].double().numpy()
        offset = weight @ ((new.mean - old.mean) / old.std)
        layer.bias.add_(torch.from_numpy(offset).to(layer.bias))
        layer.weight[:, :size] = torch.from_numpy(weight * np.minimum(new.std / old.std, LARGEST))
