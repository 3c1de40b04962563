"""Rewards and distances of episodes from their embeddings, one episode or a whole store."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.store import Store
from vip_offline.dataset.store_format import Attributes
from vip_offline.options import RelabelOptions
from vip_offline.rewards.functions import DISTANCES, episode_reward, sparse_success
from vip_offline.rewards.nearest_goal import GoalSet, nearest_distance
from vip_offline.utils.parallel import threaded_map


def label_episodes(
    embedding: NDArray[np.float32],
    lengths: list[int],
    goals: NDArray[np.float64] | None,
    *,
    goal_sets: Sequence[NDArray[np.float32]] | None = None,
    reward: str = "difference",
    similarity: str = "l2",
    n: int = 1,
    gamma: float = 1.0,
    reach: float = 0.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[int]]:
    """Label whole episodes.

    Args:
        embedding: (N, D), one episode after the other.
        lengths: of the episodes, in rows; they add up to N.
        goals: (K, D), to be reached one after the other; None: each episode's own last row.
        goal_sets: per episode (G, D) of which the nearest counts, in place of `goals`.
        reward: a key of `REWARDS`.
        similarity: a key of `DISTANCES`.
        n: steps ahead.
        gamma: discount of ``shaping``.
        reach: share of a stage's first distance at which its goal counts as reached.

    Returns:
        (N,) reward, NaN in last rows; (N,) distance to the goal pursued; per episode how many
        goals it reached.
    """
    distance_to = DISTANCES[similarity]
    ends = np.cumsum(lengths)
    spans = list(zip(ends - lengths, ends, strict=True))
    if goal_sets is not None:
        near = [
            nearest_distance(embedding[a:b], among, distance_to)
            for (a, b), among in zip(spans, goal_sets, strict=True)
        ]
        distances = np.concatenate(near)[:, None]
    elif goals is None:
        to_last_row = [distance_to(embedding[a:b], embedding[b - 1]) for a, b in spans]
        distances = np.concatenate(to_last_row)[:, None]
    else:
        distances = np.stack([distance_to(embedding, goal) for goal in goals], axis=1)
    rewards, distance = np.empty(len(embedding), np.float32), np.empty(len(embedding), np.float32)
    reached = []
    for a, b in spans:
        rewards[a:b], distance[a:b], count = episode_reward(
            distances[a:b], reward, n=n, gamma=gamma, reach=reach
        )
        reached.append(count)
    return rewards, distance, reached


def label_store(
    store: Store,
    provenance: Attributes,
    options: RelabelOptions,
    goal: NDArray[np.float64] | None,
    goal_set: GoalSet | None,
    camera: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[int]]:
    """Label the store, a block of episodes at a time: reading overlaps with computing."""
    spans = store.spans()
    from_success = options.reward == "success"

    def block(
        part: tuple[range, NDArray[np.float32]],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], list[int]]:
        episodes, embedding = part
        return label_episodes(
            embedding,
            [spans[index][1] - spans[index][0] for index in episodes],
            goal,
            goal_sets=None
            if goal_set is None
            else [goal_set.others(episode) for episode in episodes],
            reward="difference" if from_success else options.reward,
            similarity=provenance["similarity"],
            n=options.n_steps,
            gamma=options.gamma,
            reach=options.reach,
        )

    blocks = store.embedding_blocks(options.encoder, camera)
    parts = list(threaded_map(block, blocks, len(os.sched_getaffinity(0))))
    rewards, distances, reached = zip(*parts, strict=True)
    reward = np.concatenate(rewards)
    if from_success:
        away = 1.0 - store.data("succeeded")
        for start, stop in spans:
            reward[start:stop] = sparse_success(away[start:stop], 0.5, options.n_steps)
    return reward, np.concatenate(distances), [count for counts in reached for count in counts]


def label_scores(
    store: Store, options: RelabelOptions, distance: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[int]]:
    """Label the store by (N,) distances that somebody else gave; as `label_episodes`."""
    from_success = options.reward == "success"
    rewards, reached = np.empty(len(distance), np.float32), list[int]()
    away = 1.0 - store.data("succeeded") if from_success else distance
    for start, stop in store.spans():
        if from_success:
            rewards[start:stop] = sparse_success(away[start:stop], 0.5, options.n_steps)
            continue
        rewards[start:stop], _, count = episode_reward(
            distance[start:stop, None],
            options.reward,
            n=options.n_steps,
            gamma=options.gamma,
            reach=options.reach,
        )
        reached.append(count)
    return rewards, distance.astype(np.float32), reached
