"""From rewards to the number that each transition brings to its algorithm, and its weight."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.training.weighting.episode_outcomes import controlled
from vip_offline.training.weighting.weights import (
    FEWEST_EPISODES,
    TAU_LIMIT,
    WeightSummary,
    advantage,
    clock,
    discounted_return,
    effective_sample_size,
    log_mean_exp,
    n_step_return,
    regression_weights,
    return_to_go,
    summarise_weights,
    tau_for,
)

CLONING = ("bc", "scratch-bc")
LARGEST_AWR_WEIGHT = 20.0  # Peng et al. 2019


@dataclass(frozen=True)
class Weighed:
    """The transitions of a training set, episode after episode."""

    # per episode (T - 1,), what d3rlpy's reward slot carries: the score R in exp(tau R), the return
    # for AWR, the reward itself for IQL
    slot: list[NDArray[np.float64]]
    tau: float
    weights: NDArray[np.float64] | None  # (N,), mean 1; None: training itself will find them
    summary: WeightSummary | None  # of the weights
    log_mean_weight: float = 0.0  # log of the mean of exp(tau R), which weights are divided by
    cap: float | None = None  # of a weight, in units of the mean one


def _scale(values: Sequence[NDArray[np.float64]]) -> float:
    """Standard deviation over all transitions; 1 where they are all alike."""
    return float(np.concatenate(values).std()) or 1.0


def weigh(
    rewards: list[NDArray[np.float64]],
    observations: list[NDArray[np.float32]],
    options: TrainOptions,
    outcomes: Sequence[float] = (),
) -> Weighed:
    """Turn rewards into what the algorithm takes, and say how uneven that makes the sample.

    Args:
        rewards: per episode (T - 1,).
        observations: per episode (T, D).
        options: of the training.
        outcomes: of each episode, where weights are by outcome; see `episode_outcomes`.

    Raises:
        VipOfflineError: if no temperature meets the target.
    """
    if options.algo in ("awr", "iql"):
        returns = [discounted_return(reward, options.discount) for reward in rewards]
        # in one unit for every encoder: temperatures mean something, and values are learnt as fast
        scale = _scale(returns)
        if options.algo == "iql":
            return Weighed([reward / scale for reward in rewards], 0.0, None, None)
        returns = [value / scale for value in returns]
        tau = 1 / options.beta
        if len(returns) < 2:
            return Weighed(returns, tau, None, None)
        # the value that training will learn is not known yet; a ridge regression stands for it
        better = np.concatenate(advantage(returns, observations))
        weights = np.exp(np.minimum(tau * better, np.log(LARGEST_AWR_WEIGHT)))
        weights /= weights.mean()
        return Weighed(returns, tau, weights, summarise_weights(weights, tau))
    if options.weighs_by == "outcome" and options.algo not in CLONING:
        return _by_outcome(outcomes, [len(reward) for reward in rewards], options)
    scores = _scores(rewards, observations, options)
    scores, tau = _temperature(scores, rewards, options)
    flat, cap = np.concatenate(scores), options.weight_cap or None
    weights = regression_weights(flat, tau, cap)
    summary = summarise_weights(weights, tau, _helpful(scores, options))
    return Weighed(scores, tau, weights, summary, log_mean_exp(tau * flat), cap)


def _by_outcome(
    outcomes: Sequence[float], lengths: Sequence[int], options: TrainOptions
) -> Weighed:
    """One weight per episode, which all its transitions have; the sample is one of episodes."""
    scores, cap = np.asarray(outcomes, np.float64), options.weight_cap or None
    tau = options.tau
    if tau == "auto":
        tau = _tau_of_episodes(scores, options.target_ess, cap)
    replaced = controlled(scores, lengths, options.control, options.seed)
    if options.control == "length":
        tau = _tau_of_lengths(replaced, effective_sample_size(regression_weights(scores, tau, cap)))
    per_episode = regression_weights(replaced, tau, cap)
    flat = np.repeat(replaced, lengths)
    weights = regression_weights(flat, tau, cap)
    try:
        helpful = _tau_of_episodes(replaced, options.target_ess, cap)
    except VipOfflineError:
        helpful = None
    summary = replace(
        summarise_weights(weights, tau, helpful),
        effective_sample_size=effective_sample_size(per_episode),
        episodes=len(lengths),
    )
    slot = np.split(flat, np.cumsum(lengths)[:-1])
    return Weighed(slot, tau, weights, summary, log_mean_exp(tau * flat), cap)


def _tau_of_episodes(scores: NDArray[np.float64], target_ess: float, cap: float | None) -> float:
    """As `tau_for`, of at least `FEWEST_EPISODES`: of ten a tenth would be a single one."""
    if len(scores) <= FEWEST_EPISODES:
        return 0.0  # all that there are
    return tau_for(scores, max(target_ess, FEWEST_EPISODES / len(scores)), cap)


def _tau_of_lengths(lengths: NDArray[np.float64], share: float) -> float:
    """As uneven as the outcomes make it, or as far as lengths that are equal allow."""
    if share > 1 - 1e-9 or np.ptp(lengths) == 0:
        return 0.0
    try:
        return tau_for(lengths, share)
    except VipOfflineError:
        return TAU_LIMIT / float(lengths.std())


def _scores(
    rewards: list[NDArray[np.float64]],
    observations: list[NDArray[np.float32]],
    options: TrainOptions,
) -> list[NDArray[np.float64]]:
    """R of every transition, per episode."""
    if options.weighs_by == "step" or options.algo in CLONING:
        scores = rewards
    elif options.weighs_by == "n-step":
        scores = [n_step_return(reward, options.n_steps) for reward in rewards]
    else:
        scores = [return_to_go(reward) for reward in rewards]
        if options.weighs_by == "advantage":
            scores = advantage(scores, observations)
    return scores


def _temperature(
    scores: list[NDArray[np.float64]],
    rewards: list[NDArray[np.float64]],
    options: TrainOptions,
) -> tuple[list[NDArray[np.float64]], float]:
    """The scores, those of a control in their place, and tau."""
    if options.algo in CLONING:
        return scores, 0.0
    flat = np.concatenate(scores)
    cap = options.weight_cap or None
    tau = tau_for(flat, options.target_ess, cap) if options.tau == "auto" else float(options.tau)
    splits = np.cumsum([len(score) for score in scores])[:-1]
    if options.control == "permuted":
        # the same weights on other transitions: what is left if the reward meant nothing
        flat = np.random.default_rng(options.seed).permutation(flat)
        return np.split(flat, splits), tau
    if options.control == "clock":
        # as strong as the reward's weights are, but by time alone
        share = effective_sample_size(regression_weights(flat, tau, cap))
        longest = max(len(reward) for reward in rewards)
        scores = [clock(len(reward), longest) for reward in rewards]
        flat = np.concatenate(scores)
        return scores, tau_for(flat, share, cap) if share < 1 - 1e-9 and np.ptp(flat) > 0 else 0.0
    return scores, tau


def _helpful(scores: list[NDArray[np.float64]], options: TrainOptions) -> float | None:
    """The temperature that `--tau auto` would choose, if there is one."""
    if options.algo != "rwr":
        return None
    try:
        return tau_for(np.concatenate(scores), options.target_ess, options.weight_cap or None)
    except VipOfflineError:
        return None
