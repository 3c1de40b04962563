"""A small head that reads progress off frozen embeddings, trained on the store's own successes.

It stands for the idea of SARM and ReWiND (progress learned from demonstrations, clips rewound as
negatives) without their language and video models. A head on one embedding cannot tell a clip from
its reverse, and one that sees the time, or a history as long as the time, may learn a clock. So
this one sees *two* frames a, b of an episode and says how much of the task is done between them:
(t_b - t_a) / T. Every pair is there in both orders, the rewound one with the negative target. What
is scored is the half difference of both orders, so that a clip played backwards loses exactly what
it gains forwards, and no input holds the time. With stages each is an equal share of the task, and
time counts within its stage alone.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vip_offline.dataset.store import Store
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.rewards.functions import follow_stages
from vip_offline.utils.arrays import Floats

PREFIX = "head:"
KINDS = ("ridge", "mlp")
FOLDS = 5  # at most; with fewer successes as many as there are
COMPONENTS = 64  # main directions of the embedding, at most
PCA_ROWS = 2000  # that they are taken from, at most
PAIRS = 4000  # of all training successes, before rewinding
PENALTIES = tuple(np.logspace(-1, 5, 7))
SEED = 0
CLIP = 4  # rewound clips are a 4th of the task long

Ahead = Callable[[Floats, Floats], Floats]  # two (P, D) embeddings -> (P,) progress between them


@dataclass(frozen=True)
class ProgressHead:
    """Scores of a head that is trained once the embeddings are there; see `head_scores`."""

    kind: str
    description: str
    provenance: Mapping[str, Any]  # JSON values: settings alone
    columns: tuple[str, ...] = ("meta/success", "data/succeeded")  # of the store, read for targets
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeadScores:
    """What the heads say of all rows, each episode's by a head that did not see it."""

    distance: Floats  # (N,), top - progress since the episode's first frame
    measured: Mapping[str, Any]  # JSON values: how good that is, on the successes


def is_head(source: str) -> bool:
    """Whether --from asks for a head rather than for a file or a column."""
    return source.startswith(PREFIX)


def progress_head(source: str, stages: int = 1) -> ProgressHead:
    """Return the head that ``head:KIND`` names.

    Args:
        source: ``head:KIND``.
        stages: that the task has.

    Raises:
        VipOfflineError: if there is no such kind.
    """
    kind = source.removeprefix(PREFIX)
    if kind not in KINDS:
        known = [PREFIX + name for name in KINDS]
        raise VipOfflineError(
            f"--from {source}: is no head; there are {', '.join(known)}."
            f"{did_you_mean(source, known)}"
        )
    settings = {
        "head": kind, "folds": FOLDS, "components": COMPONENTS, "pairs": PAIRS, "seed": SEED,
        "target": "(t_b - t_a) / T of two frames of a success, both orders",
    }  # fmt: skip
    if stages > 1:
        settings["target"] = f"the same of (stage + share of the stage's time) / {stages}"
    return ProgressHead(kind, f"progress by a {kind} head on the embeddings", {"from": settings})


def check_successes(store: Store) -> NDArray[np.int64]:
    """Return the successes that a head is trained on; (S,) episodes.

    Raises:
        VipOfflineError: with fewer than two.
    """
    good = np.flatnonzero(store.meta("success"))
    if len(good) < 2:
        raise VipOfflineError(
            f"{store.path}: {len(good)} of its {len(store)} episodes "
            f"{'is a success' if len(good) == 1 else 'are successes'}, and a progress head needs "
            "at least 2: each is scored by a head that was trained on others. Record or import "
            f"{2 - len(good)} more, or give a --goal."
        )
    return good


def fold_of(success: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(E,) success -> (E,) fold: whole episodes, successes and failures spread evenly.

    A failure gets a fold, too. So it is scored by a head that saw as many successes as a success'
    head did: otherwise the size of the training set alone would tell one from the other.
    """
    folds = min(FOLDS, int(success.sum()))
    fold = np.empty(len(success), np.int64)
    generator = np.random.default_rng(SEED)
    for outcome in (True, False):
        episodes = np.flatnonzero(success == outcome)
        fold[generator.permutation(episodes)] = np.arange(len(episodes)) % folds
    return fold


def task_ends(store: Store) -> NDArray[np.int64]:
    """(E,) row within each episode at which its task is done: the first that succeeded, else last.

    What lies behind it is as done as that, so a robot that waits at the goal makes no progress.
    """
    succeeded = store.data("succeeded")
    ends = []
    for start, stop in store.spans():
        done = np.flatnonzero(succeeded[start:stop])
        ends.append(max(1, int(done[0])) if len(done) else stop - start - 1)
    return np.array(ends, np.int64)


def stage_ends(
    store: Store,
    embeddings: Sequence[NDArray[np.float32]],
    goals: NDArray[np.float64],
    distance: Callable[[ArrayLike, ArrayLike], Floats],
    reach: float,
) -> NDArray[np.int64]:
    """Return (E, K) rows within each episode at which its stages are done; -1: a stage is not.

    The last stage is done where the task is (`task_ends`), so its goal is not looked at.

    Args:
        store: of the episodes.
        embeddings: per episode (T, D).
        goals: (K, D) of the stages, K > 1.
        distance: of (T, D) to (D,).
        reach: share of a stage's first distance at which its goal counts as reached.

    Raises:
        VipOfflineError: if fewer than two successes reach every stage.
    """
    ends = np.full((len(embeddings), len(goals)), -1, np.int64)
    ends[:, -1] = task_ends(store)
    for index, rows in enumerate(embeddings):
        until = rows[: ends[index, -1] + 1]
        stage, _ = follow_stages(np.stack([distance(until, g) for g in goals], axis=1), reach)
        for goal in range(int(stage[-1])):
            ends[index, goal] = np.argmax(stage > goal)
    success = store.meta("success").astype(bool)
    count = int((success & (ends >= 0).all(axis=1)).sum())
    if count < 2:
        raise VipOfflineError(
            f"{store.path}: {count} of its {int(success.sum())} successes reach every --stage one "
            f"after the other at --reach {reach:g}, and a progress head needs at least 2. Choose "
            "other stages, or a larger --reach."
        )
    return ends


def head_scores(
    embeddings: Sequence[NDArray[np.float32]],
    success: NDArray[np.bool_],
    ends: NDArray[np.int64],
    kind: str,
) -> HeadScores:
    """Train one head per fold and score each episode by the head that did not see it.

    The score of frame t is the progress since the episode's own first frame, so that how a scene
    looks from the start on counts for nothing. It is 0 at first and about 1 where the task is done.

    Args:
        embeddings: per episode (T, D).
        success: (E,), at least two of them.
        ends: (E, K) see `stage_ends`; (E, 1) `task_ends` without stages. No head is trained on
            successes that do not reach every stage.
        kind: one of `KINDS`.
    """
    usable = success & (ends >= 0).all(axis=1)
    fold = fold_of(usable)
    scores: list[Floats] = [np.empty(0)] * len(embeddings)
    rewound: list[Floats] = []
    for held_out in np.unique(fold).tolist():
        train = np.flatnonzero(usable & (fold != held_out))
        ahead = _fitted([embeddings[k] for k in train.tolist()], ends[train], kind)
        for episode in np.flatnonzero(fold == held_out):
            rows = embeddings[int(episode)].astype(np.float64)
            scores[episode] = ahead(np.broadcast_to(rows[0], rows.shape), rows)
            if success[episode]:
                rewound.append(_rewound(rows[: ends[episode, -1] + 1], ahead))
    score = np.concatenate(scores)
    top = max(1.0, float(score.max()))
    measured = _measured(scores, success, np.concatenate(rewound), top)
    if ends.shape[1] > 1:
        measured |= {"stages": ends.shape[1], "left_out": int((success & ~usable).sum())}
    return HeadScores(top - score, measured)


def measured_in_words(measured: Mapping[str, Any]) -> str:
    """One sentence for people, with what a clock would have."""
    order = measured["order"]
    staged = (
        f"{measured['left_out']} successes that do not reach all {measured['stages']} stages are "
        "not learned from; "
        if measured.get("left_out")
        else ""
    )
    return staged + (
        f"of {measured['successes']} successes, each scored by a head that did not see it: order "
        f"correlation {'unknown' if order is None else format(order, '.2f')} (a clock has 1.00, so "
        "this is no evidence of progress); of their clips played backwards "
        f"{measured['rewound_gain']:.0%} of {measured['rewound']} gain (a clock: 100%). Neither "
        "says whether failures score lower: see analyze."
    )


def _fitted(embeddings: Sequence[NDArray[np.float32]], ends: NDArray[np.int64], kind: str) -> Ahead:
    """Train a head on whole successes of which the (S, K) rows are known that end a stage."""
    from sklearn.decomposition import PCA  # slow to import, and needed only here

    generator = np.random.default_rng(SEED)
    share = max(2, PCA_ROWS // len(embeddings))
    some = [values[generator.permutation(len(values))[:share]] for values in embeddings]
    rows = np.concatenate(some).astype(np.float64)
    size = min(COMPONENTS, *rows.shape)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of frames that are all the same
        pca = PCA(size, svd_solver="randomized", random_state=SEED).fit(rows)
    scale = float(np.sqrt(pca.explained_variance_.sum())) or 1.0
    # one scale for all directions: those that hardly vary stay small, and are noise

    def seen(embedding: Floats) -> Floats:
        return np.asarray(pca.transform(embedding) / scale, np.float64)

    before, after, target, episode = [], [], [], []
    for index, (values, knots) in enumerate(zip(embeddings, ends, strict=True)):
        progress = np.interp(np.arange(len(values)), [0, *knots], np.linspace(0, 1, len(knots) + 1))
        a, b = _pairs(len(values), max(20, PAIRS // len(embeddings)), generator)
        small = seen(values.astype(np.float64))
        before.append(small[a])
        after.append(small[b])
        target.append(progress[b] - progress[a])
        episode.append(np.full(len(a), index))
    predict = _ridge if kind == "ridge" else _mlp
    one_way = predict(*(np.concatenate(part) for part in (before, after, target, episode)))

    def ahead(a: Floats, b: Floats) -> Floats:
        first, second = seen(a), seen(b)
        return (one_way(first, second) - one_way(second, first)) / 2

    return ahead


def _pairs(
    length: int, count: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows a < b: half of them from the first row, as scores are, half from anywhere."""
    later = generator.integers(1, length, count)
    first = generator.integers(0, later)
    first[: count // 2] = 0
    return first, later


def _ridge(before: Floats, after: Floats, target: Floats, episode: NDArray[np.int64]) -> Ahead:
    """Linear in the change, without intercept: both orders at once, which give the same weights."""
    from sklearn.linear_model import Ridge, RidgeCV
    from sklearn.model_selection import GroupKFold

    groups = len(np.unique(episode))
    change = after - before
    if groups > 1:  # the penalty by whole episodes: frames of one are nearly copies
        splits = list(GroupKFold(min(FOLDS, groups)).split(change, groups=episode))
        ridge = RidgeCV(PENALTIES, fit_intercept=False, cv=splits).fit(change, target)
    else:
        ridge = Ridge(1.0, fit_intercept=False).fit(change, target)
    return lambda a, b: np.asarray(ridge.predict(b - a), np.float64)


def _mlp(before: Floats, after: Floats, target: Floats, episode: NDArray[np.int64]) -> Ahead:
    """Two layers on both frames; every pair also rewound, with the negative target."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    forwards, backwards = np.hstack([before, after]), np.hstack([after, before])
    mlp = MLPRegressor(
        hidden_layer_sizes=(64,), alpha=1e-2, batch_size=256, max_iter=30, random_state=SEED
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 30 passes are the budget
        mlp.fit(np.concatenate([forwards, backwards]), np.concatenate([target, -target]))
    return lambda a, b: np.asarray(mlp.predict(np.hstack([a, b])), np.float64)


def _rewound(rows: Floats, ahead: Ahead) -> Floats:
    """Progress that clips of a success seem to make when they are played backwards."""
    length = max(1, (len(rows) - 1) // CLIP)
    starts = np.arange(len(rows) - length)
    return ahead(rows[starts + length], rows[starts])


def _measured(
    scores: Sequence[Floats], success: NDArray[np.bool_], rewound: Floats, top: float
) -> dict[str, Any]:
    from scipy.stats import spearmanr  # takes a second to import

    orders = [
        float(spearmanr(score, np.arange(len(score))).statistic)
        for score, good in zip(scores, success, strict=True)
        if good and len(score) > 2 and np.ptp(score) > 0
    ]
    return {
        "successes": int(success.sum()),
        "order": round(float(np.mean(orders)), 4) if orders else None,
        "rewound": len(rewound),
        "rewound_gain": round(float((rewound > 0).mean()), 4),
        "top": top,
    }
