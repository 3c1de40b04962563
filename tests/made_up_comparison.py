"""A comparison that nobody ran, for the tests of this folder."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vip_offline.analysis.closed_loop.comparison import Arm, Comparison, DemonstrationCurve
from vip_offline.rewards.goal_views import GoalView

NAMES = ("bc", "rwr-step", "rwr-return", "rwr-return-permuted", "rwr-return-clock", "bc-success")


def make_arm(name: str, success: npt.NDArray[np.bool_], **changed: Any) -> Arm:
    arm = Arm(
        name=name,
        description=f"What {name} does.",
        success=success,
        steps=np.where(success, 40, 100),
        tau=0.0,
        effective_sample_size=1.0,
        weights=np.ones(50),
    )
    return dataclasses.replace(arm, **changed)


def outcomes(rate: float, seeds: int, placements: int, stream: int) -> npt.NDArray[np.bool_]:
    """Return the same number of successes for each seed, scattered over placements."""
    rng = np.random.default_rng(stream)
    some = np.arange(placements) < round(rate * placements)
    return np.stack([rng.permutation(some) for _ in range(seeds)])


def make_comparison(
    rates: dict[str, float] | None = None, seeds: int = 5, placements: int = 10, **changed: Any
) -> Comparison:
    if rates is None:
        rates = dict(zip(NAMES, (0.3, 0.3, 0.9, 0.2, 0.3, 0.4), strict=True))
    arms = tuple(
        make_arm(name, outcomes(rate, seeds, placements, stream))
        for stream, (name, rate) in enumerate(rates.items())
    )
    rng = np.random.default_rng(0)
    demonstrations = tuple(
        DemonstrationCurve(
            episode=episode,
            kind="expert" if success else "stops short",
            success=success,
            distance=np.linspace(8.0, 1.0 if success else 6.0, 30),
            thumbnails=rng.integers(0, 255, (4, 16, 16, 3), dtype=np.uint8),
        )
        for episode, success in enumerate((True, False, True, False))
    )
    comparison = Comparison(
        task="drawer-close",
        encoder="lite0",
        label="lite0-dense",
        seeds=tuple(range(seeds)),
        placements=tuple(range(100, 100 + placements)),
        horizon=100,
        arms=arms,
        baseline=next(iter(rates)),
        demonstrations=demonstrations,
        goals=(
            GoalView(
                "Goal: the last frame of 1 success",
                (("episode 0, frame 9", demonstrations[0].thumbnails[-1]),),
                1,
            ),
        ),
        videos=(),
        recipe='[train]\nalgo = "rwr"\n',
        minutes={"train": 12.34},
        versions={"vip-offline": "0.1.0"},
    )
    return dataclasses.replace(comparison, **changed)


def film(folder: Path, size: int = 100) -> Path:
    """Write bytes which pass for an mp4 as long as nobody plays them."""
    path = folder / f"film-{size}.mp4"
    path.write_bytes(b"\x07" * size)
    return path
