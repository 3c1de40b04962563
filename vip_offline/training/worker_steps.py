"""Gradient steps in side processes, which know arrays and import torch alone."""

import functools
import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np
import torch

from vip_offline.training.networks.descent import Columns, Settings, State, advance

NAMES = tuple(Columns.__annotations__)


def start_side() -> None:
    """Set a side process up: one thread."""
    torch.set_num_threads(1)


class Shelf:
    """Columns as files that side processes map into memory: one copy for all of them.

    Shared memory would be faster to fill, and is 64 MB in a container. The files go when the
    columns do.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._there: dict[int, Path] = {}

    def put(self, columns: Columns) -> Path:
        """Where these columns lie."""
        key = id(columns)
        if key not in self._there:
            # never a name that was used before: a side process may still remember it
            there = self._there[key] = Path(tempfile.mkdtemp(dir=self._folder))
            for name in NAMES:
                np.save(there / f"{name}.npy", getattr(columns, name))
            weakref.finalize(columns, self._remove, key)
        return self._there[key]

    def _remove(self, key: int) -> None:
        shutil.rmtree(self._there.pop(key), ignore_errors=True)


@functools.lru_cache(maxsize=2)
def _taken(folder: Path) -> Columns:
    # "c": pages are shared until somebody writes, which nobody does
    return Columns(*(np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c")) for name in NAMES))


def advance_there(
    state: State, columns: Path, settings: Settings, steps: int
) -> tuple[State, float]:
    """`descent.advance` on columns that were put on a shelf."""
    return advance(state, _taken(columns), settings, steps)
