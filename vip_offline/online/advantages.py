"""Returns and advantages of one episode: pure functions of its arrays."""

import numpy as np

from vip_offline.utils.arrays import Floats

WHITENING = 1e-6  # added to the standard deviation, as mjrl does


def discounted_returns(reward: Floats, gamma: float) -> Floats:
    """Sum of the discounted rewards from each step to the end of the episode.

    Args:
        reward: (T,).
        gamma: discount factor.

    Returns:
        (T,) with G_t = r_t + gamma G_{t+1}.
    """
    returns = np.empty(len(reward))
    following = 0.0
    for step in reversed(range(len(reward))):
        returns[step] = following = reward[step] + gamma * following
    return returns


def gae(reward: Floats, value: Floats, gamma: float, lam: float, *, terminated: bool) -> Floats:
    """Generalised advantage estimate (Schulman et al. 2016, Eq. 16) of one episode.

    A_t = sum_k (gamma lam)^k delta_{t+k} with delta_t = r_t + gamma V(o_{t+1}) - V(o_t).

    An episode that was cut off at its horizon goes on in a world that nobody watched, so its last
    observation is worth what the value function says. After one that terminated nothing follows.

    Args:
        reward: (T,).
        value: (T + 1,) of every observation, the last among them.
        gamma: discount factor.
        lam: 0: one-step temporal differences; 1: returns less the value.
        terminated: whether the world ended with the last observation.

    Returns:
        (T,) advantages.
    """
    following = np.array(value[1:], np.float64)
    if terminated:
        following[-1] = 0.0
    delta = reward + gamma * following - value[:-1]
    return discounted_returns(delta, gamma * lam)


def whitened(advantage: Floats) -> Floats:
    """(N,) advantages with mean 0 and standard deviation 1, so that no scale of reward matters."""
    return np.asarray((advantage - advantage.mean()) / (advantage.std() + WHITENING))


def explained_variance(value: Floats, returns: Floats) -> float:
    """Share of the returns' variance that the value function explains; 0 where there is none.

    Args:
        value: (N,).
        returns: (N,).
    """
    variance = float(np.var(returns))
    return 1 - float(np.var(returns - value)) / variance if variance > 0 else 0.0
