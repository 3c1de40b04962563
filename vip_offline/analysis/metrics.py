"""What distances to a goal say of progress: arrays in, numbers out.

A curve is the (T,) distances of one episode to a goal, see `rewards.functions`.
Nothing here knows of stores or labels, so each may be pasted into a notebook.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.optimize import brentq

from vip_offline.analysis.closed_loop.statistics import CONFIDENCE
from vip_offline.utils.arrays import Floats

FLAT = 1e-6  # share of its mean within which a curve or a score counts as constant: rounding
LEAST_MARGIN = 1e-9  # between an area under the curve and the bounds of its interval, at least
FEW_PAIRS = 10  # near-identical pairs below which they are no measure of noise


def normalised(distance: ArrayLike) -> Floats:
    """(T,) distances, 1 at the first: Fig. 6, 20. One that starts at the goal stays as it is."""
    distance = np.asarray(distance, np.float64)
    return distance / (float(distance[0]) or 1.0)


def bump_fraction(distance: ArrayLike) -> float:
    """Share of the T - 1 transitions over which the distance rises (Table 5).

    The paper does not say what it divides by, nor what a tie is: here by the transitions, and a
    distance that stays the same is no bump.

    Args:
        distance: (T,); in Table 5 to the sequence's own last frame.

    Returns:
        From 0 to 1; nan of a single frame, or of a distance that is not known throughout. About one
        half for a random walk.
    """
    steps = np.diff(np.asarray(distance, np.float64))
    # nan > 0 is False: what is unknown would count as no bump
    return float((steps > 0).mean()) if len(steps) and not np.isnan(steps).any() else float("nan")


def order_correlation(distance: ArrayLike) -> float:
    """Spearman's correlation of minus the distance with time: do later frames seem nearer?

    Returns:
        From -1 to 1; nan of fewer than three frames, or of a distance that never changes.
    """
    distance = np.asarray(distance, np.float64)
    if len(distance) < 3 or is_flat(distance):
        return float("nan")
    from scipy.stats import rankdata  # scipy.stats takes a second to import

    ranks = np.asarray(rankdata(-distance), np.float64)
    return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])


def mean_of(values: ArrayLike) -> float:
    """Mean of the finite values; nan if there are none."""
    values = np.asarray(values, np.float64)
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def is_flat(values: ArrayLike) -> bool:
    """Whether all values are one but for rounding, by the scale of the greatest."""
    values = np.asarray(values, np.float64)
    return not values.size or bool(np.ptp(values) <= FLAT * np.abs(values).max())


@dataclass(frozen=True)
class Separation:
    """How well one number per episode tells successes from failures."""

    auc: float  # probability that a success has more of it than a failure; ties count half
    low: float  # 95 % interval
    high: float
    successes: int
    failures: int


def separation(score: ArrayLike, success: ArrayLike) -> Separation | None:
    """Area under the ROC curve, with Newcombe's interval, which has a width at 0 and at 1 as well.

    Newcombe, Statistics in Medicine 25 (2006), method 5: the values that a score test with Hanley
    and McNeil's variance does not reject. A bootstrap over ten successes that all lie above the
    failures would give an interval of width 0.

    Args:
        score: (E,), more for a success; infinite or nan is left out.
        success: (E,) bool.

    Returns:
        None where successes or failures are missing.
    """
    score, success = np.asarray(score, np.float64), np.asarray(success, bool)
    known = np.isfinite(score)
    good, bad = score[known & success], score[known & ~success]
    if not len(good) or not len(bad):
        return None
    from sklearn.metrics import roc_auc_score

    auc = float(roc_auc_score(np.repeat([1, 0], [len(good), len(bad)]), np.r_[good, bad]))
    low, high = auc_interval(auc, len(good), len(bad))
    return Separation(auc, low, high, len(good), len(bad))


def auc_interval(auc: float, successes: int, failures: int) -> tuple[float, float]:
    """95 % interval of an area under the ROC curve; see `separation`."""
    z2 = float(special.ndtri((1 + CONFIDENCE) / 2)) ** 2
    about = (successes + failures) / 2 - 1

    def beyond(theta: float) -> float:
        spread = 1 + about * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (auc - theta) ** 2 - z2 * theta * (1 - theta) * spread / (successes * failures)

    # at 0 and at 1 the estimate itself is a root as well, not the one that is meant
    low = float(brentq(beyond, 0.0, auc - LEAST_MARGIN)) if auc > LEAST_MARGIN else 0.0
    high = float(brentq(beyond, auc + LEAST_MARGIN, 1.0)) if auc < 1 - LEAST_MARGIN else 1.0
    return low, high


def goal_agreement(goals: ArrayLike, starts: ArrayLike) -> float:
    """How far goals lie from each other, over how far episodes' starts lie from their mean.

    Args:
        goals: (G, D) embeddings of goal images.
        starts: (S, D) embeddings of first frames.

    Returns:
        0 where all goals are one point, about 1 where they differ as much as a start does from
        the goal; nan of fewer than two goals, or if starts lie at the goal.
    """
    goals, starts = np.asarray(goals, np.float64), np.asarray(starts, np.float64)
    if len(goals) < 2 or not len(starts):
        return float("nan")
    square = np.einsum("gd,gd->g", goals, goals)
    gap2 = square[:, None] + square - 2 * goals @ goals.T
    gaps = np.sqrt(gap2.clip(0))[np.triu_indices(len(goals), 1)]
    away = np.linalg.norm(starts - goals.mean(axis=0), axis=1).mean()
    return float(gaps.mean() / away) if away > 0 else float("nan")


@dataclass(frozen=True)
class Noise:
    """How much a distance changes between frames that show the same."""

    step: float  # root mean square of such a change
    pairs: int  # of near-identical frames that it is from; 0: from the curves' roughness


def noise_of(curves: Sequence[ArrayLike], identical: Sequence[ArrayLike] | None) -> Noise | None:
    """The noise of a difference of two distances.

    From steps between near-identical frames where there are `FEW_PAIRS` of them. Otherwise from
    second differences, in which whatever is straight over three frames cancels: independent noise
    of variance s^2 gives them 6 s^2, and a difference of two frames 2 s^2. A motion that is not
    straight counts as noise there, so that value is an upper bound.

    Args:
        curves: per episode (T,) distances.
        identical: per episode (T - 1,) bool, whether a step is between near-identical frames; None
            where there are no frames to tell.

    Returns:
        None where neither can be had.
    """
    if identical is not None:
        still = [
            np.diff(np.asarray(curve, np.float64))[np.asarray(same, bool)]
            for curve, same in zip(curves, identical, strict=True)
        ]
        steps = np.concatenate(still) if still else np.zeros(0)
        if len(steps) >= FEW_PAIRS:
            return Noise(float(np.sqrt((steps**2).mean())), len(steps))
    bends = [np.diff(np.asarray(curve, np.float64), 2) for curve in curves]
    bend = np.concatenate(bends) if bends else np.zeros(0)
    return Noise(float(np.sqrt((bend**2).mean() / 3)), 0) if len(bend) else None


def signal(curves: Sequence[ArrayLike], n: int) -> float:
    """Root mean square change of the distance over `n` steps; nan where none is so long."""
    changes = [
        curve[n:] - curve[:-n]
        for curve in (np.asarray(values, np.float64) for values in curves)
        if len(curve) > n
    ]
    if not changes:
        return float("nan")
    return float(np.sqrt((np.concatenate(changes) ** 2).mean()))


@dataclass(frozen=True)
class Histogram:
    """Rewards of several labellings in the same bins (Fig. 7, 21, 22)."""

    edges: Floats  # (B + 1,), evenly spaced, 0 among them
    counts: tuple[NDArray[np.int64], ...]  # per labelling (B,); outermost bins hold what is beyond


def reward_histogram(rewards: Sequence[ArrayLike], bins: int = 40) -> Histogram:
    """Count rewards in equal bins, symmetric about an edge at 0.

    The paper gives no edges; one at 0 is needed so that its "first positive bin" exists. The
    reach is the 99.5th percentile of all magnitudes; what lies beyond counts in the outermost bin,
    so that each labelling's counts add up to its number of rewards that are known.

    Args:
        rewards: per labelling (N,), nan where it is not known; of different encoders those of
            curves that start at 1, as their scales differ.
        bins: in all, an even number.
    """
    known = [np.asarray(reward, np.float64) for reward in rewards]
    flat = [reward[~np.isnan(reward)] for reward in known]
    magnitude = np.abs(np.concatenate(flat)) if flat else np.zeros(0)
    reach = float(np.quantile(magnitude, 0.995)) if len(magnitude) else 0.0
    reach = reach or float(magnitude.max(initial=0.0)) or 1.0
    half = bins // 2
    reach = max(reach, half * float(np.finfo(np.float64).tiny))  # or its bins would be empty
    steps = np.arange(-half, half + 1, dtype=np.float64)
    edges = steps * (reach / half)  # 0 exactly, whatever rounding does
    inside = [reward.clip(edges[0], edges[-1]) for reward in flat]
    return Histogram(edges, tuple(np.histogram(reward, edges)[0] for reward in inside))


def count_difference(a: NDArray[np.int64], b: NDArray[np.int64]) -> Floats:
    """(|a| - |b|) / |b| of each bin, as under Fig. 7; nan where b has none."""
    out = np.full(len(a), np.nan)
    np.divide(a - b, b, out=out, where=b > 0)
    return out


def dense_fit(reward: ArrayLike, true_reward: ArrayLike) -> float:
    """R^2 of the line that best gives a true dense reward from the visual one (Fig. 17 to 19).

    Args:
        reward: (N,).
        true_reward: (N,); pairs in which either is not finite are left out.

    Returns:
        From 0 to 1; nan of fewer than three pairs, or where either never changes.
    """
    reward = np.asarray(reward, np.float64)
    true_reward = np.asarray(true_reward, np.float64)
    both = np.isfinite(reward) & np.isfinite(true_reward)
    if both.sum() < 3 or is_flat(reward[both]) or is_flat(true_reward[both]):
        return float("nan")
    return float(np.corrcoef(reward[both], true_reward[both])[0, 1] ** 2)


@dataclass(frozen=True)
class Plane:
    """Embeddings in two dimensions (Fig. 2)."""

    points: Floats  # (N, 2)
    explained: tuple[float, float]  # shares of the variance
    mean: Floats  # (D,)
    axes: Floats  # (2, D)

    def of(self, embedding: ArrayLike) -> Floats:
        """(M, D) other embeddings -> (M, 2)."""
        return np.asarray((np.asarray(embedding, np.float64) - self.mean) @ self.axes.T)


def in_plane(embedding: ArrayLike) -> Plane | None:
    """The two directions in which (N, D) embeddings vary most; None of fewer than three rows."""
    embedding = np.asarray(embedding, np.float64)
    if len(embedding) < 3 or embedding.shape[1] < 2 or not np.ptp(embedding, axis=0).any():
        return None
    from sklearn.decomposition import PCA

    # two directions of a thousand: the full decomposition takes fifty times as long; so many power
    # iterations leave no error that a figure could show
    solver = "randomized" if min(embedding.shape) > 50 else "full"
    fit = PCA(2, svd_solver=solver, iterated_power=15, random_state=0)
    points = fit.fit_transform(embedding)
    first, second = (float(ratio) for ratio in fit.explained_variance_ratio_)
    return Plane(points, (first, second), np.asarray(fit.mean_), np.asarray(fit.components_))


def leave_one_out_goals(goals: ArrayLike, of_episode: Sequence[int], episodes: int) -> Floats:
    """For each episode the mean of the goal images of the others.

    With its own last frame in the mean, an episode comes near the goal by being itself.

    Args:
        goals: (G, D) embeddings of goal images.
        of_episode: (G,) the episode that each is from.
        episodes: E.

    Returns:
        (E, D), nan for an episode beside which no goal is left.
    """
    goals = np.asarray(goals, np.float64)
    total, out = goals.sum(axis=0), np.empty((episodes, goals.shape[1]))
    for episode in range(episodes):
        own_rows = np.flatnonzero(np.asarray(of_episode) == episode)
        count = len(goals) - len(own_rows)
        # the difference of sums would be rounding alone where nothing is left
        out[episode] = (total - goals[own_rows].sum(axis=0)) / count if count else np.nan
    return out
