"""How an episode ended, in the eyes of the reward: one number per episode.

With the reward of Eq. 1 the undiscounted return from row t is d_t - d_T, d being the distance to
the goal and T the episode's last row. Its first term says where the state is and not what was done:
it is large at every episode's beginning and nothing at its end. What the state alone decides may be
taken off as a baseline, and here it is known exactly. What is left is the outcome, -d_T.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vip_offline.options import Control


def outcome(distance: ArrayLike) -> float:
    """-d_T: how near to the goal an episode ended, 0 at the goal.

    Args:
        distance: (T,) to the goal, of each row of the episode, in the unit of the embedding.
    """
    return -float(np.asarray(distance, np.float64)[-1])


def controlled(
    outcomes: ArrayLike, lengths: Sequence[int], control: Control, seed: int
) -> NDArray[np.float64]:
    """The outcomes, or what a control puts in their place.

    Args:
        outcomes: (E,).
        lengths: (E,) transitions of each episode.
        control: ``permuted`` deals the outcomes out at random; ``length`` takes minus the length,
            as if the shortest episode were the best; anything else leaves them.
        seed: of the permutation.

    Returns:
        (E,).
    """
    values = np.asarray(outcomes, np.float64)
    if control == "permuted":
        return np.random.default_rng(seed).permutation(values)
    if control == "length":
        return -np.asarray(lengths, np.float64)
    return values


def best_share(outcomes: ArrayLike, share: float) -> list[int]:
    """The best episodes: so many per cent of them, as in "%BC" (Chen et al. 2021).

    Args:
        outcomes: (E,).
        share: above 0, up to 1. Of equal ones the earlier is better.

    Returns:
        Their places, ascending.
    """
    values = np.asarray(outcomes, np.float64)
    count = max(1, round(share * len(values)))
    return sorted(int(place) for place in np.argsort(-values, kind="stable")[:count])
