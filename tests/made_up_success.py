"""Stores of grey episodes, some of them without a flag, for success detection."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from made_up_grey import grey_episode

from vip_offline.dataset.store_writer import writing

LENGTH = 12


def levels(end: float, seed: int, length: int = LENGTH) -> list[int]:
    """Grey levels that rise to about `end` and stay there for six frames."""
    noise = np.random.default_rng(seed).normal(0, 2, length)
    rise = np.concatenate([np.linspace(20, end, length - 6), np.full(6, end)])
    return [int(level) for level in np.clip(rise + noise, 0, 255)]


def made(path: Path, *episodes: tuple[Sequence[float], bool | None], task: str = "grey") -> Path:
    """Write a store; an episode without a flag counts as a success, as imports have it."""
    with writing(path, create={"task": task}) as store:
        for index, (grey, success) in enumerate(episodes):
            episode = grey_episode(grey, success is not False, index)
            store.append(dataclasses.replace(episode, success_labelled=success is not None))
    return path


def five_and_five(path: Path, unlabelled: Sequence[float] = (), **about: str) -> Path:
    """5 successes that end at 200, 5 failures that end at 120, and episodes without a flag."""
    successes = [(levels(200, seed), True) for seed in range(5)]
    failures = [(levels(120 - 6 * seed, 100 + seed), False) for seed in range(5)]
    rest = [(levels(end, 200 + place), None) for place, end in enumerate(unlabelled)]
    return made(path, *successes, *failures, *rest, **about)
