"""A row of an analysis: what is measured of one labelling, or of one control."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vip_offline.analysis.controls import clock_distance
from vip_offline.analysis.demonstrations import Demonstrations
from vip_offline.analysis.frame_features import FrameFeatures
from vip_offline.analysis.metrics import (
    bump_fraction,
    dense_fit,
    goal_agreement,
    in_plane,
    leave_one_out_goals,
    noise_of,
    order_correlation,
    separation,
    signal,
)
from vip_offline.analysis.results import Row
from vip_offline.analysis.weightings import weightings_of
from vip_offline.dataset.labels import Label
from vip_offline.dataset.store import Store
from vip_offline.errors import VipOfflineError
from vip_offline.rewards.functions import DISTANCES, goal_distance, potential_difference
from vip_offline.rewards.nearest_goal import GoalSet, nearest_distance
from vip_offline.rewards.scores import has_no_goal
from vip_offline.utils.arrays import Floats

DistanceFunction = Callable[[ArrayLike, ArrayLike], Floats]
PLANE_ROWS = 1500  # that the two main directions are found from


@dataclass(frozen=True)
class GoalRows:
    """The rows whose frames are goal images."""

    rows: tuple[int, ...]
    description: str
    from_others: bool = True  # False: none of these rows decides the distances
    nearest: bool = False  # the nearest of them counts, not their mean


def goal_rows_of(store: Store, label: Label) -> GoalRows:
    """Return the rows whose frames make a labelling's goal, or else the default goal."""
    rows = tuple(int(row) for row in label.provenance.get("goal_rows", ()))
    description = str(label.provenance.get("goal", ""))
    stages = label.provenance.get("stages", [])
    has_pictures = any(stage.get("pictures") or stage.get("prompts") for stage in stages)
    if rows and len(stages) == 1 and not has_pictures:
        return GoalRows(rows, description, nearest=bool(label.provenance.get("nearest")))
    spans, success = store.spans(), store.meta("success")
    lasts = [stop - 1 for (_, stop), good in zip(spans, success, strict=True) if good]
    lasts = lasts or [stop - 1 for _, stop in spans]
    if not stages:  # each episode's own last frame, which it cannot but reach
        return GoalRows(tuple(lasts), "the last frames of other episodes")
    return GoalRows(tuple(lasts), description, from_others=False)


def labelling_row(store: Store, label: Label, shared: Demonstrations, left_out: list[str]) -> Row:
    """Measure one labelling; what cannot be measured is added to `left_out`, in sentences."""
    provenance = label.provenance
    encoder, camera = str(provenance["encoder"]), str(provenance["camera"])
    goals = goal_rows_of(store, label)
    rewards = tuple(reward[:-1].astype(np.float64) for reward in shared.split(label.reward))
    made_of = f"{encoder}, camera {camera}, goal: {goals.description}"
    stored = tuple(distance.astype(np.float64) for distance in shared.split(label.distance))
    if has_no_goal(provenance):
        return _row(label.name, str(provenance["goal"]), stored, (), rewards, shared)
    if not goals.from_others:
        left_out.append(
            f"{label.name}: its goal ({goals.description}) is of no episode of the store, or of "
            "several stages; its distances are taken as they are."
        )
    try:
        embedding, _ = store.embedding(encoder, camera)
    except VipOfflineError as error:
        left_out.append(
            f"{label.name}: its embeddings are not in the store ({error}), so goals are not taken "
            "from other episodes, and there is no picture of them in two dimensions."
        )
        return _row(label.name, made_of, stored, (), rewards, shared)
    measure = DISTANCES[str(provenance.get("similarity", "l2"))]
    row = _of_embedding(label.name, made_of, embedding, goals, rewards, shared, measure)
    alone = [index for index, distance in enumerate(row.distances) if np.isnan(distance).all()]
    if alone and goals.from_others:
        left_out.append(
            f"{label.name}: the goal is of episode {alone[0]} alone, so that one is not scored by "
            "it. Give more goal images, or one from elsewhere."
        )
    return row if goals.from_others else replace(
        _row(label.name, made_of, stored, row.own, rewards, shared),
        plane=row.plane, explained=row.explained, agreement=row.agreement,
    )  # fmt: skip


def control_rows(
    features: list[FrameFeatures] | None, shared: Demonstrations, goals: GoalRows
) -> list[Row]:
    """Measure the controls: raw pixels and a random network where frames are stored, and time."""
    rows: list[Row] = []
    if features is not None:
        pixels = np.concatenate([episode.pixels for episode in features])
        random = np.concatenate([episode.random for episode in features])
        frame, untrained = "the frame itself at 32 px, in [0, 1]", "four convolutions, untrained"
        rows = [
            _of_embedding("raw pixels", frame, pixels, goals, None, shared, _of_grey_levels),
            _of_embedding("random network", untrained, random, goals, None, shared, goal_distance),
        ]
    distances = clock_distance(shared.lengths)
    clock = _row("time", "the clock alone", distances, (), _eq1(distances), shared)
    return [replace(row, control=True) for row in (*rows, clock)]


def _of_grey_levels(embedding: ArrayLike, goal: ArrayLike) -> Floats:
    """`goal_distance` of pixels as the encoder `pixels` has them, without a copy as floats."""
    return goal_distance(embedding, goal) / 255


def _eq1(distances: Sequence[Floats]) -> tuple[Floats, ...]:
    return tuple(potential_difference(distance)[:-1] for distance in distances)


def _of_embedding(
    name: str,
    made_of: str,
    embedding: NDArray[Any],
    goals: GoalRows,
    rewards: tuple[Floats, ...] | None,
    shared: Demonstrations,
    measure: DistanceFunction,
) -> Row:
    pictures = embedding[list(goals.rows)]
    ends = np.array([stop for _, stop in shared.spans])
    whose = [int(index) for index in np.searchsorted(ends, goals.rows, side="right")]
    parts = shared.split(embedding)
    if goals.nearest:
        among = GoalSet(pictures, np.asarray(whose))
        distances = tuple(
            nearest_distance(part, among.others(index), measure) for index, part in enumerate(parts)
        )
    else:
        distances = tuple(
            measure(part, goal) if np.isfinite(goal).all() else np.full(len(part), np.nan)
            for part, goal in zip(
                parts, leave_one_out_goals(pictures, whose, len(ends)), strict=True
            )
        )
    own_goal_distances = tuple(measure(part, part[-1]) for part in parts)
    rewards = _eq1(distances) if rewards is None else rewards
    row = _row(name, made_of, distances, own_goal_distances, rewards, shared)
    stride = -(-len(embedding) // PLANE_ROWS)
    plane = in_plane(embedding[::stride])
    return replace(
        row,
        goal_from_others=True,
        mean_goal=not goals.nearest,
        agreement=goal_agreement(pictures, embedding[[start for start, _ in shared.spans]]),
        plane=None if plane is None else tuple(plane.of(part) for part in parts),
        explained=None if plane is None else plane.explained,
    )


def _row(
    name: str,
    made_of: str,
    distances: tuple[Floats, ...],
    own_goal_distances: tuple[Floats, ...],
    rewards: tuple[Floats, ...],
    shared: Demonstrations,
) -> Row:
    closer = np.array([distance[0] - distance[-1] for distance in distances])
    success, moved = shared.success, shared.movement
    compared = None
    if moved is not None and success.any():
        compared = separation(np.where(success | (moved >= moved[success].min()), closer, np.nan),
                              success)  # fmt: skip
    known = [distance for distance in distances if np.isfinite(distance).all()]
    identical = shared.identical
    if identical is not None:
        identical = [same for distance, same in zip(distances, identical, strict=True)
                     if np.isfinite(distance).all()]  # fmt: skip
    fit = float("nan")
    if shared.true_rewards is not None:
        fit = dense_fit(np.concatenate(rewards), np.concatenate(shared.true_rewards))
    options = shared.options
    return Row(
        name=name,
        control=False,
        made_of=made_of,
        goal_from_others=False,
        distances=distances,
        own=own_goal_distances,
        rewards=rewards,
        bumps=np.array([bump_fraction(distance) for distance in own_goal_distances or distances]),
        order=np.array([order_correlation(distance) for distance in distances]),
        came_closer=separation(closer, success),
        came_closer_moved=compared,
        agreement=float("nan"),
        noise=noise_of(known, identical),
        signal={n: signal(known, n) for n in sorted({1, 5, options.n_steps})},
        dense_fit=fit,
        weightings=weightings_of(rewards, shared),
        plane=None,
        explained=None,
    )
