"""Did a policy try again? Counted on one curve of distances to the goal (the paper's App. F.4)."""

import math

import numpy as np
from numpy.typing import ArrayLike

from vip_offline.errors import VipOfflineError

# Shares of the first distance. Where frames hardly differ it jitters by 2 to 3 %, and the extremes
# of some hundred such frames lie six or seven standard deviations apart: up to 21 %.
NEAR_SHARE = 0.25
AWAY = 0.25


def reattempts(distance: ArrayLike, near: float = NEAR_SHARE, away: float = AWAY) -> int:
    """Count how often a curve approached the goal, moved away and approached it again.

    It comes near where it has fallen by `near` from the greatest value since the start or since it
    last moved away, and it moves away where it has risen by `away` from the least value since it
    came near. It is near *again* only if it also makes good half of the retreat: if it lies at or
    below the middle between its least value before and its greatest value since. What lies between
    the two thresholds changes nothing, so that noise below both of them is never counted.

    A single frame counts, such as one in which the arm hides the object: where that happens, filter
    the curve first (``scipy.ndimage.median_filter``).

    Args:
        distance: (T,) to the goal, in any unit; at least 0.
        near: fall that counts as an approach, as a share of the first distance.
        away: rise that counts as a retreat, as a share of the first distance.

    Returns:
        Approaches after the first one. 0 of a curve that never comes near, of one that starts at
        the goal (it has no scale), and of fewer than three frames.

    Raises:
        VipOfflineError: if the curve is not one, holds what is no distance, or a threshold is not
            positive.
    """
    distance = np.asarray(distance, np.float64)
    if distance.ndim != 1:
        raise VipOfflineError(
            f"Re-attempts are counted on one curve of shape (T,), not {distance.shape}. Give one "
            "episode's distances to the goal."
        )
    for name, share in (("near", near), ("away", away)):
        if not (math.isfinite(share) and share > 0):
            raise VipOfflineError(
                f"{name}={share}: must be a positive share of the first distance, such as "
                f"{NEAR_SHARE}."
            )
    unknown = np.flatnonzero(~(np.isfinite(distance) & (distance >= 0)))
    if len(unknown):
        raise VipOfflineError(
            f"The distance at frame {unknown[0]} is {distance[unknown[0]]}: re-attempts can be "
            "counted only where all distances are known, and at least 0. Leave the episode out."
        )
    if not len(distance) or distance[0] == 0:
        return 0
    fall, rise = near * distance[0], away * distance[0]
    approaches, is_near = 0, False
    least, greatest = math.inf, distance[0]  # no approach yet, so no retreat to make good
    for value in distance:
        if is_near:
            least = min(least, value)
            if value >= least + rise:
                is_near, greatest = False, value
        else:
            greatest = max(greatest, value)
            if value <= greatest - fall and value <= (least + greatest) / 2:
                is_near, least = True, value
                approaches += 1
    return max(approaches - 1, 0)
