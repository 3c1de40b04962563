"""Model-predictive path integral control: shoot, weigh by score, average (section 5.1).

As in trajopt, from which the paper's authors took it: filtered noise, weights
exp(kappa (R - max R)), the mean of the *unclipped* sequences. Their noise of a step is the same in
each iteration; here it is drawn anew.
"""

import numpy as np

from vip_offline.planning.sequences import NO_FILTER, Plan, Score, draw_noise, scores_of
from vip_offline.utils.arrays import Floats

TINY = 1e-6  # added to the sum of weights, as in trajopt


def mppi_weights(scores: Floats, kappa: float, *, kappa_by_spread: bool = False) -> Floats:
    """Weights exp(kappa (R - max R)) / (their sum + 1e-6).

    Args:
        scores: (N,) R of each sequence.
        kappa: inverse temperature, in one over the units of the scores.
        kappa_by_spread: kappa is in one over their standard deviation instead.

    Returns:
        (N,), equal where all scores are.
    """
    advantages = scores - scores.max()
    if kappa_by_spread:
        advantages = advantages / (float(scores.std()) or 1.0)
    weights = np.exp(kappa * advantages)
    return np.asarray(weights / (weights.sum() + TINY))


def mppi(
    score: Score,
    start: Floats,
    generator: np.random.Generator,
    *,
    sequences: int = 32,
    iterations: int = 1,
    sigma: float = 1.0,
    coefficients: tuple[float, ...] = NO_FILTER,
    kappa: float = 5.0,
    kappa_by_spread: bool = False,
) -> Plan:
    """Improve a plan by the weighted mean of sequences around it.

    Args:
        score: of (N, H, A) action sequences from the present state.
        start: (H, A) the plan to improve.
        generator: of the noise.
        sequences: N.
        iterations: how often.
        sigma: standard deviation of the noise before the filter.
        coefficients: of the noise filter, see `noise_filter`.
        kappa: see `mppi_weights`.
        kappa_by_spread: see `mppi_weights`.

    Raises:
        VipOfflineError: if a score is not finite.
    """
    actions = start
    for _ in range(iterations):
        tried = actions + draw_noise(generator, (sequences, *start.shape), sigma, coefficients)
        scores = scores_of(score, tried)
        weights = mppi_weights(scores, kappa, kappa_by_spread=kappa_by_spread)
        actions = np.einsum("n,nha->ha", weights, tried)
    return Plan(actions, scores)
