"""What training would see of a reward: weights, temperature and effective sample size (Eq. 7)."""

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.demonstrations import Demonstrations
from vip_offline.analysis.metrics import is_flat
from vip_offline.analysis.results import HeavyTransition, Weighting
from vip_offline.errors import VipOfflineError
from vip_offline.training.weighting.weights import (
    effective_sample_size,
    n_step_return,
    regression_weights,
    return_to_go,
    tau_for,
)
from vip_offline.utils.arrays import Floats

TAUS = np.logspace(-3, 3, 61)  # the grid, in units of the paper's 0.1 and of every encoder alike
HEAVIEST = 6  # transitions shown per weighting


def weightings_of(rewards: tuple[Floats, ...], shared: Demonstrations) -> tuple[Weighting, ...]:
    """Weights by one step, by n steps and by the whole return.

    Args:
        rewards: per episode (T - 1,).
        shared: of the analysed episodes.

    Returns:
        Three weightings; none if a reward is not finite or there is no transition.
    """
    options, transitions = shared.options, np.array(shared.lengths) - 1
    if not all(np.isfinite(reward).all() for reward in rewards):
        # one's own goal image is the only one: that episode's rewards are not known
        return ()
    if not transitions.sum():
        return ()
    mine = np.repeat(shared.success, transitions)
    has_both_outcomes = bool(shared.success.any() and not shared.success.all())
    weightings = []
    for weight_by, ahead in (("step", 1), ("n-step", options.n_steps), ("return", 0)):
        score = np.concatenate(
            [n_step_return(reward, ahead) if ahead else return_to_go(reward) for reward in rewards]
        )
        # the least and the greatest tau that matter depend on the encoder's scale
        taus = TAUS / (float(score.std()) or 1.0)
        sizes = [effective_sample_size(regression_weights(score, float(tau))) for tau in taus]
        try:
            tau = float("nan") if is_flat(score) else tau_for(score, options.target_ess)
        except VipOfflineError:
            tau = float("nan")
        weights = regression_weights(score, tau) if np.isfinite(tau) else np.ones(len(score))
        weightings.append(
            Weighting(
                weight_by=weight_by,
                taus=taus,
                effective_sample_size=np.array(sizes),
                target_ess=options.target_ess,
                tau=tau,
                on_successes=float(weights[mine].sum() / weights.sum())
                if has_both_outcomes
                else float("nan"),
                of_successes=float(mine.mean()) if has_both_outcomes else float("nan"),
                heaviest=_heaviest(weights, transitions, ahead) if np.isfinite(tau) else (),
            )
        )
    return tuple(weightings)


def _heaviest(
    weights: Floats, transitions: NDArray[np.int64], ahead: int
) -> tuple[HeavyTransition, ...]:
    """The transitions of most weight, none of which overlaps another."""
    stops = np.cumsum(transitions)
    heaviest: list[HeavyTransition] = []
    for place in np.argsort(-weights, kind="stable"):
        episode = int(np.searchsorted(stops, place, side="right"))
        step = int(place - (stops[episode] - transitions[episode]))
        to_end = int(transitions[episode]) - step
        span = min(ahead, to_end) if ahead else to_end
        clear = all(
            heavy.episode != episode
            or step >= heavy.step + max(heavy.ahead, 1)
            or step + max(span, 1) <= heavy.step
            for heavy in heaviest
        )
        if clear:
            heaviest.append(HeavyTransition(episode, step, span, float(weights[place]), None))
        if len(heaviest) == HEAVIEST:
            break
    return tuple(heaviest)
