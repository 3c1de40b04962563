"""A training at its smallest: clips in memory, options, and what it leaves on disk."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vip_offline.encoders.checkpoints import read_state_dict, unwrap
from vip_offline.encoders.registry import VIP
from vip_offline.options import PretrainOptions

SIDE = 64  # px, what vip-mini sees
LENGTH = 9


class MadeUpClips:
    """C clips: over a coarse picture that is each one's own, green rises while the rest flickers.

    What flickers is larger than what rises, so that a network must learn which of them counts.
    """

    def __init__(self, count: int = 6, seed: int = 0, length: int = LENGTH) -> None:
        random = np.random.default_rng([seed, count])
        self.lengths = np.full(count, length, np.int64)
        self.groups = np.zeros(count, np.int64)
        self.takes = np.arange(count)
        self.group_names: tuple[str, ...] = ("made up",)
        self.skipped: tuple[str, ...] = ()
        self.fingerprint = f"{count} of {length}, seed {seed}"
        coarse = random.integers(0, 40, (count, 1, 8, 8, 3))
        levels = random.integers(0, 200, (count, length, 3))
        levels[..., 1] = np.linspace(0, 100, length)
        frames = (coarse + levels[:, :, None, None]).astype(np.uint8)
        self._frames: NDArray[np.uint8] = frames.repeat(SIDE // 8, axis=2).repeat(SIDE // 8, axis=3)

    def name(self, clip: int) -> str:
        return f"clip-{clip}"

    def read(self, clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        found: NDArray[np.uint8] = self._frames[clip][rows]
        return found


SMALL = PretrainOptions(
    backbone="vip-mini", batch_size=4, steps=6, save_every=2, validate_every=100, readers=1
)


def small(**changes: Any) -> PretrainOptions:
    return replace(SMALL, **changes)


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return [line["loss"] for line in lines]


def tensors(path: Path) -> dict[str, Tensor]:
    """Of a model or a checkpoint."""
    state = unwrap(read_state_dict(path), VIP)
    assert state is not None
    return state
