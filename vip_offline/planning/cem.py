"""Cross-entropy method: shoot, keep the best, shoot around them (Rubinstein 1999).

With the same filtered noise as MPPI, so that the two differ in what they make of the scores alone.
"""

import numpy as np

from vip_offline.planning.sequences import (
    NO_FILTER,
    Plan,
    Score,
    draw_noise,
    noise_filter,
    scores_of,
)
from vip_offline.utils.arrays import Floats


def cem(
    score: Score,
    start: Floats,
    generator: np.random.Generator,
    *,
    sequences: int = 32,
    iterations: int = 1,
    sigma: float = 1.0,
    coefficients: tuple[float, ...] = NO_FILTER,
    elites: float = 0.125,
) -> Plan:
    """Improve a plan by the mean of the best sequences around it.

    Each later iteration draws around that mean, with noise as wide, per step and action, as the
    best of the one before lie apart.

    Args:
        score: of (N, H, A) action sequences from the present state.
        start: (H, A) the plan to improve.
        generator: of the noise.
        sequences: N.
        iterations: how often.
        sigma: standard deviation of the first iteration's noise before the filter.
        coefficients: of the noise filter, see `noise_filter`.
        elites: share of the sequences that are kept, at least two of them.

    Raises:
        VipOfflineError: if a score is not finite.
    """
    kept = max(2, round(elites * sequences))
    # (H, 1) standard deviation of filtered unit noise
    unit = np.linalg.norm(noise_filter(len(start), coefficients), axis=1, keepdims=True)
    actions, width = start, np.full(start.shape, sigma)
    for _ in range(iterations):
        noise = draw_noise(generator, (sequences, *start.shape), 1.0, coefficients)
        tried = actions + width * noise
        scores = scores_of(score, tried)
        best = tried[np.argsort(-scores, kind="stable")[:kept]]
        actions, width = (
            best.mean(axis=0),
            best.std(axis=0) / np.maximum(unit, np.finfo(float).tiny),
        )
    return Plan(actions, scores)
