"""Does a goal belong to the task at all? A black or foreign picture gives rewards as well."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.store import Store
from vip_offline.rewards.functions import DISTANCES, goal_distance
from vip_offline.rewards.goals import Goals, success_rows
from vip_offline.rewards.nearest_goal import GoalSet, nearest_distance
from vip_offline.utils.arrays import Floats

# Measured with lite0 on ten successes each of drawer-close, door-close, push and drawer-open.
# "Usual" is what each success covers of the way to the mean of the other successes' last frames.
#   goal image                          end distance / usual   way covered / usual
#   a success's own last frame (16)           1.1 to 1.5             0.5 to 0.9
#   red and blue swapped (8)                  2.0 to 2.5             0.3 to 0.5
#   upside down (8)                           2.4 to 2.9             0.0 to 0.4
#   another task's, where it covers any (4)   2.2 to 2.5             0.2 to 0.3
#   another task's else, black, white, noise  1.8 to 4.2             below 0
# Mirrored pictures (1.3 to 1.9, 0.4 to 0.9) cannot be told from good ones. Of 40 pictures each
# there is a note for 0 good ones, 39 with red and blue swapped, 40 upside down, 3 mirrored, 1 made
# brighter and 1 darker by 30 %; for all 24 of other tasks, and all black and white ones.
FAR_GOAL = 1.67  # between 1.51, the greatest of good pictures, and 1.84, the least of wrong ones
SHORT_SHARE = 0.5  # between 0.54, the least of good pictures, and 0.46, the greatest of wrong ones
SAMPLED_FRAMES = 100  # successes at most: each needs two rows, which lie in chunks of their own


@dataclass(frozen=True)
class Approach:
    """How close S successful episodes come to a goal."""

    first: Floats  # (S,) distances of their first frames
    last: Floats  # (S,) of their last frames

    @property
    def no_nearer(self) -> int:
        """Number of episodes that end no closer to the goal than they began."""
        return int((self.last >= self.first).sum())

    @property
    def covered(self) -> float:
        """Median share of the initial distance covered at the end; negative: they moved away."""
        return float(np.median(1 - self.last / np.maximum(self.first, 1e-12)))


def misses_goal(approach: Approach, usual: Approach) -> bool:
    """Whether successes end far from a goal and cover little of the way to it.

    Both are needed: a good picture from another day lies far off, but the way to it is covered.

    Args:
        approach: to the goal.
        usual: to the mean of the other successes' last frames.
    """
    far = np.median(approach.last) > FAR_GOAL * np.median(usual.last)
    return bool(far and usual.covered > 0 and approach.covered < SHORT_SHARE * usual.covered)


def goal_notes(
    store: Store,
    goals: Goals,
    goal: NDArray[np.float64] | None,
    goal_set: GoalSet | None,
    encoder: str,
    camera: str,
    similarity: str,
) -> tuple[str, ...]:
    """What a user should know where successes do not come nearer to the goal; of stages the last.

    Args:
        store: whose embedding is complete.
        goals: where they come from.
        goal: (K, D); None: each episode's own last frame, or the nearest of `goal_set`.
        goal_set: see `goals.goal_set_of`.
        encoder: of the embedding.
        camera: of the embedding.
        similarity: a key of `DISTANCES`.
    """
    if goal is None and goal_set is None:
        return ()  # an episode's own last frame is reached by definition
    lengths = np.diff([0, *(stop for _, stop in store.spans())])
    good = np.flatnonzero(store.meta("success").astype(bool) & (lengths > 1))
    if not len(good):
        return ()
    places = np.linspace(0, len(good) - 1, min(len(good), SAMPLED_FRAMES)).round().astype(int)
    chosen = [int(index) for index in good[places]]
    spans = [store.spans()[index] for index in chosen]
    first = store.embedding_rows(encoder, camera, [start for start, _ in spans])
    last = store.embedding_rows(encoder, camera, [stop - 1 for _, stop in spans])
    measure = DISTANCES[similarity]

    def to_nearest(rows: NDArray[np.float32], among: GoalSet) -> Floats:
        near = [
            nearest_distance(row[None], among.others(index), measure)
            for row, index in zip(rows, chosen, strict=True)
        ]
        return np.concatenate(near)

    if goal is None:
        assert goal_set is not None
        approach = Approach(to_nearest(first, goal_set), to_nearest(last, goal_set))
    else:
        approach = Approach(measure(first, goal[-1]), measure(last, goal[-1]))
    which = f"{len(chosen)} successes" + f" (of {len(good)})" * (len(good) > len(chosen))
    if approach.no_nearer * 2 >= len(chosen):
        return (
            f"{approach.no_nearer} of {which} end no nearer to the goal than they began: "
            f"{_question(goals, store)}",
        )
    if goal is None or goals.stages[-1].prompts or len(chosen) < 2:
        return ()  # words lie further from any picture than pictures from each other
    to_goal = Approach(goal_distance(first, goal[-1]), goal_distance(last, goal[-1]))
    usual = _to_each_other(first, last)
    if not misses_goal(to_goal, usual):
        return ()
    return (
        f"{which} cover {to_goal.covered:.0%} of the way to the goal, but {usual.covered:.0%} of "
        f"the way to the mean of each other's last frames: {_question(goals, store)}",
    )


def _to_each_other(first: NDArray[np.float32], last: NDArray[np.float32]) -> Approach:
    """(S, D) first and last frames -> how near each comes to the mean of the others' last ones."""
    means = (last.sum(axis=0, dtype=np.float64) - last) / (len(last) - 1)
    return Approach(np.linalg.norm(first - means, axis=1), np.linalg.norm(last - means, axis=1))


def _question(goals: Goals, store: Store) -> str:
    stage = goals.stages[-1]
    if stage.pictures:
        return "is the goal image of this task, RGB and upright?"
    if stage.prompts:
        return "do the words describe what this camera sees at the end?"
    if goals.nearest:
        return "are they successes of one task? `vip-offline analyze` shows their frames."
    if list(stage.rows) == success_rows(store):
        return (
            "do they end at one goal? If it moves with an object, use --goal nearest:successes or "
            "--goal last."
        )
    return "does the goal frame show the task done?"
