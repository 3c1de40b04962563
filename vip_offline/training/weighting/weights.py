"""How much each transition counts in weighted regression, and what that does to the sample.

Pure functions of arrays; Eq. 7 of the paper is ``exp(tau * score)`` with the one-step reward.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from vip_offline.errors import VipOfflineError

HARDLY = 1e-2  # an input that varies less than this share of the others' mean spread
FEWEST_EPISODES = 2  # that weights by outcome come down to, whatever share is aimed at
TAU_LIMIT = 1e6  # per unit of score, where the search for a temperature ends


def n_step_return(reward: ArrayLike, n: int) -> NDArray[np.float64]:
    """What the next `n` steps bring, per square root of their number.

    Where fewer are left, those. The plain sum would put all weight on transitions with the most
    to come; the mean would let the last few, noisy steps reach extremes. Under a random walk of the
    distance the sum's standard deviation grows with the root of the steps, so this score is on one
    scale along the episode.

    Args:
        reward: (T - 1,), of the transitions of one episode.
        n: steps to look ahead; 1 is the reward itself (Eq. 7).

    Returns:
        (T - 1,).
    """
    reward = np.asarray(reward, np.float64)
    total = np.append(0.0, np.cumsum(reward))
    start = np.arange(len(reward))
    stop = np.minimum(start + n, len(reward))
    return reward if n == 1 else (total[stop] - total[start]) / np.sqrt(stop - start)


def return_to_go(reward: ArrayLike) -> NDArray[np.float64]:
    """What follows until the episode ends, per square root of the steps it takes.

    Args:
        reward: (T - 1,), of the transitions of one episode.

    Returns:
        (T - 1,).
    """
    return n_step_return(reward, max(1, np.size(reward)))


def discounted_return(reward: ArrayLike, gamma: float) -> NDArray[np.float64]:
    """sum_k gamma^k r_(t+k) until the episode ends, which is no terminal state: nothing is added.

    Args:
        reward: (T - 1,), of the transitions of one episode.
        gamma: discount, 1 for the plain sum.

    Returns:
        (T - 1,).
    """
    out = np.array(reward, np.float64)
    for step in range(len(out) - 2, -1, -1):
        out[step] += gamma * out[step + 1]
    return out


def advantage(
    score: Sequence[NDArray[np.float64]], observation: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.float64]]:
    """How much better each transition's score is than its observation alone lets expect.

    The expectation is a ridge regression, its strength chosen by leave-one-out error, fitted to the
    *other* episodes (five folds): one that had seen the episode would explain its own luck away.
    Of an input that hardly changes in those, nothing is expected, and nothing far beyond the
    scores that they hold: one episode that looks like no other would otherwise get all the weight.

    Args:
        score: per episode (T - 1,), usually `return_to_go`.
        observation: per episode (T, D); the last row belongs to no transition.

    Returns:
        Per episode (T - 1,).

    Raises:
        VipOfflineError: with fewer than two episodes.
    """
    if len(score) < 2:
        raise VipOfflineError(
            "--weight-by advantage: expects of an episode what the others bring, and there is only "
            "one. Use --weight-by return."
        )
    # slow to import, and needed only here
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold

    lengths = [len(values) for values in score]
    cut = [inputs[:length] for inputs, length in zip(observation, lengths, strict=True)]
    rows, flat = np.concatenate(cut).astype(np.float64), np.concatenate(score)
    episode = np.repeat(np.arange(len(lengths)), lengths)
    expected = np.empty(len(flat))
    for others, own in GroupKFold(min(5, len(lengths))).split(rows, groups=episode):
        spread = rows[others].std(axis=0)
        changes = spread > HARDLY * spread.mean()
        scaled = (rows[:, changes] - rows[others][:, changes].mean(axis=0)) / spread[changes]
        ridge = RidgeCV(np.logspace(0, 6, 7)).fit(scaled[others], flat[others])
        low, high, slack = flat[others].min(), flat[others].max(), flat[others].std()
        expected[own] = ridge.predict(scaled[own]).clip(low - slack, high + slack)
    ends = np.cumsum(lengths)[:-1]
    return [values - value for values, value in zip(score, np.split(expected, ends), strict=True)]


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


def regression_weights(
    score: ArrayLike, tau: float, cap: float | None = None
) -> NDArray[np.float64]:
    """exp(tau * score), scaled to mean 1 (Eq. 7).

    The scale changes the loss by a constant factor, to which Adam is blind; it keeps the
    learning rate's meaning the same for every temperature, and exp from overflowing.

    Args:
        score: (N,).
        tau: the temperature.
        cap: none weighs more than so many times the mean before the cap; afterwards the mean is
            below 1.
    """
    exponent = tau * np.asarray(score, np.float64)
    return np.minimum(np.exp(exponent - log_mean_exp(exponent)), cap or np.inf)


def effective_sample_size(weights: ArrayLike) -> float:
    """(sum w)^2 / (N sum w^2): 1 for equal weights, 1/N where one transition has it all."""
    weights = np.asarray(weights, np.float64)
    return float(weights.sum() ** 2 / (len(weights) * (weights**2).sum()))


def tau_for(score: ArrayLike, target_ess: float, cap: float | None = None) -> float:
    """The temperature at which the weights, capped, have this effective sample size.

    Raises:
        VipOfflineError: if the target is not a share, or the scores are all the same, so that
            no temperature tells one transition from another.
    """
    score = np.asarray(score, np.float64)
    if not 0 < target_ess < 1:
        raise VipOfflineError(f"--target-ess {target_ess}: must be above 0 and below 1.")
    if np.ptp(score) == 0:
        raise VipOfflineError(
            f"All {len(score)} scores are the same ({score[0]:g}): no temperature can weigh by "
            "them. Choose another label or --weight-by, or --algo bc."
        )

    def excess(log_tau: float) -> float:
        return effective_sample_size(regression_weights(score, np.exp(log_tau), cap)) - target_ess

    # the scale of the scores is that of the embedding, so start from their spread
    spread = float(score.std())
    low, high = np.log(1e-6 / spread), np.log(TAU_LIMIT / spread)
    if excess(high) > 0:
        share = effective_sample_size(regression_weights(score, float(np.exp(high)), cap))
        raise VipOfflineError(
            f"--target-ess {target_ess}: so many share the highest score that weights "
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
    helpful_tau: float | None = None  # where the sample would be as uneven as a target says
    # number of episodes where each has one weight: the effective sample size is a share of them;
    # None: it is a share of the transitions
    episodes: int | None = None


def summarise_weights(
    weights: NDArray[np.float64], tau: float, helpful_tau: float | None = None
) -> WeightSummary:
    """Describe weights of mean 1."""
    top = max(1, round(len(weights) / 100))
    quantiles: Sequence[float] = np.quantile(weights, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return WeightSummary(
        tau=tau,
        transitions=len(weights),
        effective_sample_size=effective_sample_size(weights),
        quantiles=tuple(quantiles),
        top_percent_share=float(np.sort(weights)[-top:].sum() / weights.sum()),
        helpful_tau=helpful_tau,
    )
