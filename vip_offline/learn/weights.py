"""How much each transition counts in weighted regression, and what that does to the sample.

Pure functions of arrays; Eq. 7 of the paper is ``exp(tau * score)`` with the one-step reward.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from vip_offline.errors import VipOfflineError

TAU_LIMIT = 1e6  # per unit of score, where the search for a temperature ends


def return_to_go(reward: ArrayLike) -> NDArray[np.float64]:
    """What follows, per square root of the steps it takes.

    The plain sum would put all weight on early transitions, which have the most to come; the
    mean would let the last few, noisy steps reach extremes. Under a random walk of the distance
    the sum's standard deviation grows with the root of the steps, so this score is on one scale
    along the episode.

    Args:
        reward: (T - 1,), of the transitions of one episode.

    Returns:
        (T - 1,).
    """
    reward = np.asarray(reward, np.float64)
    left = np.arange(len(reward), 0, -1)
    return np.cumsum(reward[::-1])[::-1] / np.sqrt(left)


def clock(transitions: int, horizon: int) -> NDArray[np.float64]:
    """What `return_to_go` gives where every step is an equal share of the same horizon.

    A function of the time since the start and of nothing else. Were it the episode's own length,
    that length would tell successes, which end early, from failures.

    Args:
        transitions: T - 1, of this episode.
        horizon: transitions of the longest episode.

    Returns:
        (T - 1,).
    """
    return return_to_go(np.full(horizon, 1 / horizon))[:transitions]


def log_mean_exp(values: ArrayLike) -> float:
    """log(mean(exp(values))), without overflow."""
    values = np.asarray(values, np.float64)
    top = float(values.max())
    return top + float(np.log(np.exp(values - top).mean()))


def regression_weights(score: ArrayLike, tau: float) -> NDArray[np.float64]:
    """exp(tau * score), scaled to mean 1 (Eq. 7).

    The scale changes the loss by a constant factor, to which Adam is blind; it keeps the
    learning rate's meaning the same for every temperature, and exp from overflowing.
    """
    exponent = tau * np.asarray(score, np.float64)
    return np.exp(exponent - log_mean_exp(exponent))


def effective_sample_size(weights: ArrayLike) -> float:
    """(sum w)^2 / (N sum w^2): 1 for equal weights, 1/N where one transition has it all."""
    weights = np.asarray(weights, np.float64)
    return float(weights.sum() ** 2 / (len(weights) * (weights**2).sum()))


def tau_for(score: ArrayLike, target_ess: float) -> float:
    """The temperature at which the weights have this effective sample size.

    Raises:
        VipOfflineError: if the target is not a share, or the scores are all the same, so that
            no temperature tells one transition from another.
    """
    score = np.asarray(score, np.float64)
    if not 0 < target_ess < 1:
        raise VipOfflineError(
            f"target_ess {target_ess}: is a share of uniform, above 0 and below 1."
        )
    if np.ptp(score) == 0:
        raise VipOfflineError(
            f"All {len(score)} transitions have the same score ({score[0]:g}): no temperature can "
            "weight them. Choose another label or --weight-by, or --algo bc."
        )

    def excess(log_tau: float) -> float:
        return effective_sample_size(regression_weights(score, np.exp(log_tau))) - target_ess

    # the scale of the scores is that of the embedding, so start from their spread
    spread = float(score.std())
    low, high = np.log(1e-6 / spread), np.log(TAU_LIMIT / spread)
    if excess(high) > 0:
        share = effective_sample_size(regression_weights(score, float(np.exp(high))))
        raise VipOfflineError(
            f"target_ess {target_ess}: so many transitions share the highest score that weights "
            f"never concentrate below {share:.3f}. Choose a larger target."
        )
    return float(np.exp(brentq(excess, low, high)))


@dataclass(frozen=True)
class WeightSummary:
    """What the weights do to the training set."""

    tau: float
    transitions: int
    effective_sample_size: float  # share of uniform, 0 to 1
    quantiles: tuple[float, ...]  # 0, 25, 50, 75, 100 % of the weights, whose mean is 1
    top_percent_share: float  # of all weight that the heaviest 1 % of transitions hold


def summarise_weights(weights: NDArray[np.float64], tau: float) -> WeightSummary:
    """Describe weights of mean 1."""
    top = max(1, round(len(weights) / 100))
    quantiles: Sequence[float] = np.quantile(weights, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return WeightSummary(
        tau=tau,
        transitions=len(weights),
        effective_sample_size=effective_sample_size(weights),
        quantiles=tuple(quantiles),
        top_percent_share=float(np.sort(weights)[-top:].sum() / weights.sum()),
    )
