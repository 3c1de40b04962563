"""Actions of any unit <-> [-1, 1], what a network's tanh gives: one straight line per dimension.

Metres, radians and efforts are learnt alike only if each dimension fills the network's range: an
error of the network costs the same share of what that dimension does in the demonstrations.
"""

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.validation.outliers import Outliers
from vip_offline.options import NormaliseActions

MARGIN = 0.05  # of the width, on either side: tanh comes near its ends but never gets there
STD_REACH = 3.0  # on either side of the mean that "std" reaches at least
# half width of a constant dimension, of its value: what a network that errs by a tenth of its range
# then adds to it is one part in ten thousand
CONSTANT = 1e-3
NAMED = 3  # outliers in a note
LINE_WIDTH = 79  # characters


def limits_of(
    actions: Sequence[NDArray[np.float32]], outliers: Outliers, method: NormaliseActions
) -> NDArray[np.float64]:
    """From where to where demonstrated actions are learnt as they are; beyond they are clipped.

    Args:
        actions: per episode (T, A), finite.
        outliers: among them.
        method: ``limits`` keeps outliers; ``none`` keeps whatever there is.

    Returns:
        (2, A), least and greatest.
    """
    if method in ("quantile", "std"):
        return np.stack([outliers.low, outliers.high])
    rows = np.concatenate(actions).astype(np.float64)
    return np.stack([rows.min(axis=0), rows.max(axis=0)])


def action_range(
    actions: Sequence[NDArray[np.float32]], outliers: Outliers, method: NormaliseActions
) -> NDArray[np.float32] | None:
    """What -1 and 1 are to stand for, per dimension.

    A dimension that never changes is met in the middle of a range of a thousandth of its value; of
    a constant 0, whose unit nothing tells, of the narrowest of the other dimensions.

    Args:
        actions: per episode (T, A), finite.
        outliers: among them.
        method: ``quantile`` and ``limits``: what `limits_of` says; ``std``: three deviations about
            the mean of what is no outlier, and at least as far as ``quantile``. All with a margin.

    Returns:
        (2, A), least and greatest; None for ``none``: actions are what the network gives.
    """
    if method == "none":
        return None
    low, high = limits_of(actions, outliers, method)
    if method == "std":
        rows = np.concatenate(actions).astype(np.float64)
        kept = np.ma.masked_array(rows, np.concatenate(outliers.marks))
        mean, std = (np.ma.getdata(kept.mean(axis=0)), np.ma.getdata(kept.std(axis=0)))
        low = np.minimum(low, mean - STD_REACH * std)
        high = np.maximum(high, mean + STD_REACH * std)
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    middle, half = (low + high) / 2, (high - low) / 2
    half = np.maximum(half, CONSTANT * np.abs(middle))
    narrowest = half[half > 0].min(initial=np.inf)
    half = np.where(half > 0, half, CONSTANT * (narrowest if np.isfinite(narrowest) else 1.0))
    return np.stack([middle - half, middle + half]).astype(np.float32)


def to_reach(action: NDArray[np.float32], reach: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """(T, A) actions -> what the network is to give for them, in [-1, 1]."""
    if reach is None:
        return action
    low, high = reach
    scaled: NDArray[np.float32] = (action - low) / (high - low) * 2 - 1
    return scaled.clip(-1, 1)


def clipped(
    actions: Sequence[NDArray[np.float32]], outliers: Outliers, limits: NDArray[np.float64]
) -> list[NDArray[np.float32]]:
    """Per episode (T, A) actions whose outliers end at the (2, A) limits; others as they are."""
    low, high = limits.astype(np.float32)
    return [
        np.where(marks, rows.clip(low, high), rows)
        for rows, marks in zip(actions, outliers.marks, strict=True)
    ]


def scale_note(reach: NDArray[np.float32], method: NormaliseActions) -> str:
    """What the (2, A) ends of the network's range stand for, in lines of 79 characters."""
    spans = [f"{place}: {low:.4g} to {high:.4g}" for place, (low, high) in enumerate(reach.T)]
    text = f"actions: normalised ({method}); -1 to 1 is, by dimension, {', '.join(spans)}"
    return textwrap.fill(text, LINE_WIDTH, subsequent_indent="  ")


def outlier_note(
    outliers: Outliers, episodes: Sequence[int], limits: NDArray[np.float64], *, kept: bool
) -> str:
    """Which actions are outliers and what becomes of them, in lines of 79 characters.

    Args:
        outliers: at least one.
        episodes: of the store, whose actions were looked at.
        limits: (2, A) of what is learnt as it is.
        kept: whether outliers are learnt as they are, too.
    """
    count = len(outliers.listed)
    named = [
        f"episode {episodes[one.episode]}, action[{one.row}, {one.dimension}] = {one.value:.4g}"
        + ("" if kept else " (the rest: {:.4g} to {:.4g})".format(*limits[:, one.dimension]))
        for one in outliers.listed[:NAMED]
    ]
    more = f"; and {count - NAMED} more" if count > NAMED else ""
    what = "learnt as they are" if kept else "clipped to the range of the rest"
    text = f"actions: {count} outlier{'s'[: count > 1]}, {what}: {'; '.join(named)}{more}"
    return textwrap.fill(text, LINE_WIDTH, subsequent_indent="  ")
