"""Action sequences: correlated noise around a plan, their scores, and the plan of the next step.

H is the horizon in steps, N the number of sequences, A the size of an action. Actions of a plan are
not clipped: only the simulator clips, and only what it executes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vip_offline.errors import VipOfflineError
from vip_offline.utils.arrays import Floats

Score = Callable[[Floats], Floats]  # (N, H, A) action sequences -> (N,), greater is better
NO_FILTER = (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Plan:
    """What an optimiser makes of one decision."""

    actions: Floats  # (H, A), the first is the one to execute
    scores: Floats  # (N,) of the last iteration's sequences


def noise_filter(horizon: int, coefficients: tuple[float, ...] = NO_FILTER) -> Floats:
    """The filter b0, b1, b2 as a matrix F: filtered noise is F times white noise.

    Filtered noise is n_t = b0 e_t + b1 n_(t-1) + b2 n_(t-2) for t >= 2, and n_t = e_t for the first
    two steps (trajopt, from which the paper's authors took their planner).

    Returns:
        (H, H), lower triangular.
    """
    b0, b1, b2 = coefficients
    matrix = np.eye(horizon)
    for step in range(2, horizon):
        matrix[step] = b0 * matrix[step] + b1 * matrix[step - 1] + b2 * matrix[step - 2]
    return matrix


def draw_noise(
    generator: np.random.Generator,
    shape: tuple[int, int, int],
    sigma: float,
    coefficients: tuple[float, ...],
) -> Floats:
    """(N, H, A) noise of standard deviation sigma, then filtered along the horizon."""
    white = sigma * generator.standard_normal(shape)
    return np.asarray(noise_filter(shape[1], coefficients) @ white)


def scores_of(score: Score, sequences: Floats) -> Floats:
    """(N,) scores of (N, H, A) sequences.

    Raises:
        VipOfflineError: if one is not finite: weights by it would be no weights.
    """
    scores = np.asarray(score(sequences), np.float64)
    if scores.shape != sequences.shape[:1]:
        raise ValueError(f"{len(sequences)} sequences have scores of shape {scores.shape}")
    if bad := int((~np.isfinite(scores)).sum()):
        raise VipOfflineError(f"{bad} of {len(scores)} scores of action sequences are not finite.")
    return scores


def next_start(actions: Floats, default_action: str) -> Floats:
    """The plan that the next step starts from: this one without its first action.

    Args:
        actions: (H, A).
        default_action: what comes last. ``mean``: zeros; ``repeat``: the last action again.

    Returns:
        (H, A).
    """
    last = actions[-1:] if default_action == "repeat" else np.zeros_like(actions[-1:])
    return np.concatenate([actions[1:], last])
