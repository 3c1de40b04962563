"""What all rows of an analysis share: spans, outcomes, movement and the true reward."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.frame_features import FrameFeatures
from vip_offline.analysis.metrics import is_flat
from vip_offline.dataset.store import Store
from vip_offline.options import AnalyzeOptions
from vip_offline.rewards.functions import goal_distance
from vip_offline.utils.arrays import Floats

IDENTICAL = 0.5  # grey levels by which near-identical frames differ on average, at 32 px


@dataclass(frozen=True)
class Demonstrations:
    """What all rows share."""

    spans: list[tuple[int, int]]
    success: NDArray[np.bool_]  # (E,)
    movement: Floats | None  # (E,) how far each episode moved; None: nothing tells
    identical: list[NDArray[np.bool_]] | None  # per episode (T - 1,)
    true_rewards: tuple[Floats, ...] | None  # per episode (T - 1,)
    options: AnalyzeOptions

    @property
    def lengths(self) -> list[int]:
        """Frames of each episode."""
        return [stop - start for start, stop in self.spans]

    def split(self, rows: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """(N, ...) -> per episode."""
        return tuple(rows[start:stop] for start, stop in self.spans)


def demonstrations_of(
    store: Store, features: list[FrameFeatures] | None, options: AnalyzeOptions
) -> Demonstrations:
    """Read from a store what all rows share.

    Args:
        store: finished.
        features: per episode what its frames show; None: no frames are stored.
        options: of the analysis.
    """
    spans, true = store.spans(), None
    if "true_reward" in store.keys("data"):
        column = store.data("true_reward").astype(np.float64)
        known = column[np.isfinite(column)]
        if len(known) and not is_flat(known):
            true = tuple(column[start : stop - 1] for start, stop in spans)
    identical = None
    if features is not None:
        identical = [
            np.abs(np.diff(episode.pixels.astype(np.int16), axis=0)).mean(axis=1) <= IDENTICAL
            for episode in features
        ]
    return Demonstrations(
        spans=spans,
        success=store.meta("success").astype(bool),
        movement=_movement(store, features),
        identical=identical,
        true_rewards=true,
        options=options,
    )


def _movement(store: Store, features: list[FrameFeatures] | None) -> Floats | None:
    """(E,) how far from its start each episode went: the robot, or else the picture."""
    proprio = store.data("proprio").astype(np.float64)
    if proprio.shape[1] and np.isfinite(proprio).all():
        spread = proprio.std(axis=0)
        rows = proprio[:, spread > 0] / spread[spread > 0]
        return np.array([_reach(rows[start:stop]) for start, stop in store.spans()])
    if features is None:
        return None
    return np.array([_reach(episode.pixels) for episode in features])


def _reach(rows: NDArray[Any]) -> float:
    return float(goal_distance(rows, rows[0]).max()) if rows.shape[1] else 0.0
