"""Encoders tried on stores that they were not trained on: does the distance tell progress there?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.metrics import (
    Separation,
    bump_fraction,
    leave_one_out_goals,
    mean_of,
    order_correlation,
    separation,
)
from vip_offline.dataset.store import open_store
from vip_offline.encoders.encoder import Encoder, load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.options import Computing
from vip_offline.training.weighting.weights import regression_weights, return_to_go, tau_for

TARGET_ESS = 0.1  # share of uniform: the sharpest weights that are commonly of use
Vectors = Sequence[NDArray[np.float32]]


@dataclass(frozen=True)
class BenchmarkResult:
    """Measures of one encoder on one store."""

    order: float  # of the successes: nearness to the goal with time, mean of Spearman's
    bumps: float  # of the successes: share of steps away from it
    apart: Separation | None  # how well the share of the way that was covered tells them
    weight: float | None  # that successes have where returns weigh; None: all returns are alike
    successes: int
    failures: int


def measure_progress(embeddings: Vectors, success: NDArray[np.bool_]) -> BenchmarkResult:
    """Measure distances to the mean last frame of the *other* successful episodes.

    Args:
        embeddings: per episode (T, D).
        success: (E,).

    Raises:
        VipOfflineError: of fewer than two successes, of which none is left to be a goal.
    """
    good = np.flatnonzero(success)
    if len(good) < 2:
        raise VipOfflineError(
            f"{len(good)} of {len(success)} episodes succeed; the goal of each is the mean last "
            "frame of the others, so it takes two."
        )
    last = np.stack([embeddings[int(episode)][-1] for episode in good])
    goals = leave_one_out_goals(last, good.tolist(), len(embeddings))
    curves = [
        np.linalg.norm(values.astype(np.float64) - goal, axis=1)
        for values, goal in zip(embeddings, goals, strict=True)
    ]
    covered = [1 - curve[-1] / curve[0] if curve[0] else 0.0 for curve in curves]
    return BenchmarkResult(
        order=mean_of([order_correlation(curves[int(index)]) for index in good]),
        bumps=float(np.mean([bump_fraction(curves[int(index)]) for index in good])),
        apart=separation(covered, success),
        weight=weight_on_successes(curves, success),
        successes=len(good),
        failures=len(success) - len(good),
    )


def weight_on_successes(
    curves: Sequence[NDArray[np.float64]], success: NDArray[np.bool_]
) -> float | None:
    """Share of the weight that successes have, by the return to go at `TARGET_ESS`.

    Args:
        curves: per episode (T,) distances to the goal.
        success: (E,).

    Returns:
        None where no temperature reaches that effective sample size.
    """
    returns = [return_to_go(-np.diff(curve)) for curve in curves]
    score = np.concatenate(returns)
    try:
        weights = regression_weights(score, tau_for(score, TARGET_ESS))
    except VipOfflineError:
        return None
    on_successes = np.repeat(success, [len(values) for values in returns])
    return float(weights[on_successes].sum() / weights.sum())


def embed_episodes(
    path: Path,
    encoder: Encoder,
    on_frames: Callable[[int], None] = lambda frames: None,
    *,
    stride: int = 1,
) -> tuple[Vectors, NDArray[np.bool_]]:
    """Embed every episode of a store, (T, D) each, and return which succeed; nothing is written.

    Of more than one frame apart the last frame is always one, since it is the goal of others.
    """
    store = open_store(path)
    store.require_finished()
    frames = store.frame_reader(store.camera(""))
    out = []
    for start, stop in store.spans():
        out.append(encoder(frames(start, stop)[(stop - start - 1) % stride :: stride]))
        on_frames(stop - start)
    return out, store.meta("success").astype(bool)


def benchmark_encoder(
    name: str,
    weights: Path | None,
    stores: Sequence[Path],
    on_frames: Callable[[int], None] = lambda frames: None,
    *,
    stride: int = 1,
) -> dict[str, BenchmarkResult]:
    """Measure one encoder on several stores, by the stores' names, by every `stride`-th frame.

    Raises:
        VipOfflineError: see `load_encoder` and `measure_progress`.
    """
    # no graph is exported for a checkpoint that is looked at once
    encoder = load_encoder(name, weights, computing=Computing(backend="torch"))
    results = {}
    for path in stores:
        vectors, success = embed_episodes(path, encoder, on_frames, stride=stride)
        try:
            results[path.stem] = measure_progress(vectors, success)
        except VipOfflineError as error:
            raise VipOfflineError(f"{path}: {error}") from None
    return results
