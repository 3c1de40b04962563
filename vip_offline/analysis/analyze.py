"""A labelled store -> an `Analysis`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vip_offline.analysis.controls import clock_distance
from vip_offline.analysis.episode_flags import EpisodeData, flags_of
from vip_offline.analysis.frame_features import OnFrames, Watched, thumbnail, watch
from vip_offline.analysis.goal_warnings import goal_warnings
from vip_offline.analysis.metrics import (
    Floats,
    bump_fraction,
    dense_fit,
    goal_agreement,
    in_plane,
    is_flat,
    leave_one_out_goals,
    noise_of,
    order_correlation,
    separation,
    signal,
)
from vip_offline.analysis.recommendation import against_best, recommend
from vip_offline.analysis.results import Analysis, EpisodeView, Heavy, Row, Weighting
from vip_offline.dataset.store import Label, Store, open_store
from vip_offline.encoders.preprocessing import fit_of
from vip_offline.errors import VipOfflineError
from vip_offline.recipe import AnalyzeOptions
from vip_offline.rewards.functions import DISTANCES, goal_distance, potential_difference
from vip_offline.rewards.goal_views import goals_of
from vip_offline.rewards.nearest_goal import GoalSet, nearest_distance
from vip_offline.training.weighting.weights import (
    effective_sample_size,
    n_step_return,
    regression_weights,
    return_to_go,
    tau_for,
)

Measure = Callable[[ArrayLike, ArrayLike], Floats]

TAUS = np.logspace(-3, 3, 61)  # the grid, in units of the paper's 0.1 and of every encoder alike
IDENTICAL = 0.5  # grey levels by which near-identical frames differ on average, at 32 px
PLANE_ROWS = 1500  # that the two main directions are found from
HEAVIEST = 6  # transitions shown per weighting


@dataclass(frozen=True)
class _Demonstrations:
    """What all rows share."""

    spans: list[tuple[int, int]]
    success: NDArray[np.bool_]  # (E,)
    movement: Floats | None  # (E,) how far each episode moved; None: nothing tells
    identical: list[NDArray[np.bool_]] | None  # per episode (T - 1,)
    true_rewards: tuple[Floats, ...] | None  # per episode (T - 1,)
    options: AnalyzeOptions

    @property
    def lengths(self) -> list[int]:
        return [stop - start for start, stop in self.spans]

    def split(self, rows: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """(N, ...) -> per episode."""
        return tuple(rows[start:stop] for start, stop in self.spans)


@dataclass(frozen=True)
class _Goals:
    """The rows whose frames are goal pictures."""

    rows: tuple[int, ...]
    said: str
    from_others: bool = True  # False: none of these rows decides the distances
    nearest: bool = False  # the nearest of them counts, not their mean


def analyse(
    path: Path,
    options: AnalyzeOptions,
    on_start: OnFrames = lambda frames: None,
    on_frames: OnFrames = lambda frames: None,
) -> Analysis:
    """Find out whether labellings of a store mean progress.

    Args:
        path: the store.
        options: which labellings, and at what their weights are looked at.
        on_start: called with the number of frames that will be looked at.
        on_frames: called with a number of frames after they were.

    Raises:
        VipOfflineError: if there is no such store or labelling, or it is unfinished.
    """
    store = open_store(path)
    store.require_finished()
    labels = [store.label(name) for name in options.labels or [store.label().name]]
    left_out: list[str] = []
    watched = _watched(store, labels[0], on_start, on_frames, left_out)
    shared = _shared(store, watched, options)
    if shared.true_rewards is None:
        left_out.append("No dense true reward is stored, so none is compared with (Fig. 17-19).")
    if shared.success.all():
        left_out.append(
            "No episode is marked as a failure, so nothing says whether the reward tells failures "
            "from successes."
        )
    elif not shared.success.any():
        left_out.append("No episode is marked as a success: see the line above.")
    rows = [_labelling(store, label, shared, left_out) for label in labels]
    if watched is not None:
        rows = [_with_pictures(store, row, label) for row, label in zip(rows, labels, strict=True)]
    goals = _goals_of(store, labels[0])
    if len({label.provenance.get("goal") for label in labels}) > 1:
        left_out.append(
            f"The labellings have different goals; controls are shown by that of {labels[0].name} "
            f"({goals.said}) alone."
        )
    fits = list(dict.fromkeys(fit_of(label.provenance) for label in labels))
    if len(fits) > 1:
        left_out.append(
            f"The labellings see frames by different fits ({', '.join(fits)}); controls see them "
            f"by that of {labels[0].name} ({fits[0]}) alone."
        )
    rows += _controls(watched, shared, goals)
    episodes = _views(store, watched, shared, rows[0])
    verdict, reasons = recommend(rows, shared.success)
    return Analysis(
        store=str(path),
        task=str(store.attributes.get("task", "")),
        episodes=episodes,
        rows=tuple(rows),
        true_rewards=shared.true_rewards,
        left_out=tuple(dict.fromkeys(left_out)),
        verdict=verdict,
        reasons=tuple(reasons),
        against_best=against_best(rows, shared.success),
        goals=goals_of(store, {label.name: label.provenance for label in labels}),
        warnings=tuple(goal_warnings(rows, int(shared.success.sum()))),
    )


def _watched(
    store: Store, label: Label, on_start: OnFrames, on_frames: OnFrames, left_out: list[str]
) -> list[Watched] | None:
    camera = str(label.provenance["camera"]).split(",")[0]
    if camera not in store.cameras:
        left_out.append(
            f"The frames of camera {camera} are not in the store, so there are no pictures, no "
            "controls by raw pixels and by a random network, and no look at the camera itself."
        )
        return None
    on_start(store.rows)
    return watch(store, camera, on_frames, fit_of(label.provenance))


def _shared(
    store: Store, watched: list[Watched] | None, options: AnalyzeOptions
) -> _Demonstrations:
    spans, true = store.spans(), None
    if "true_reward" in store.keys("data"):
        column = store.data("true_reward").astype(np.float64)
        known = column[np.isfinite(column)]
        if len(known) and not is_flat(known):
            true = tuple(column[start : stop - 1] for start, stop in spans)
    identical = None
    if watched is not None:
        identical = [_identical(features) for features in watched]
    return _Demonstrations(
        spans=spans,
        success=store.meta("success").astype(bool),
        movement=_movement(store, watched),
        identical=identical,
        true_rewards=true,
        options=options,
    )


def _identical(watched: Watched) -> NDArray[np.bool_]:
    change = np.abs(np.diff(watched.pixels.astype(np.int16), axis=0)).mean(axis=1)
    return np.asarray(change <= IDENTICAL)


def _movement(store: Store, watched: list[Watched] | None) -> Floats | None:
    """(E,) how far from its start each episode went: the robot, or else the picture."""
    proprio = store.data("proprio").astype(np.float64)
    if proprio.shape[1] and np.isfinite(proprio).all():
        spread = proprio.std(axis=0)
        rows = proprio[:, spread > 0] / spread[spread > 0]
        return np.array([_reach(rows[start:stop]) for start, stop in store.spans()])
    if watched is None:
        return None
    return np.array([_reach(features.pixels) for features in watched])


def _reach(rows: NDArray[Any]) -> float:
    return float(goal_distance(rows, rows[0]).max()) if rows.shape[1] else 0.0


# --- labellings ----------------------------------------------------------------------------


def _goals_of(store: Store, label: Label) -> _Goals:
    """Whose frames make a labelling's goal; where none does, those that would by default."""
    rows = tuple(int(row) for row in label.provenance.get("goal_rows", ()))
    description = str(label.provenance.get("goal", ""))
    stages = label.provenance.get("stages", [])
    has_pictures = any(stage.get("pictures") or stage.get("prompts") for stage in stages)
    if rows and len(stages) == 1 and not has_pictures:
        return _Goals(rows, description, nearest=bool(label.provenance.get("nearest")))
    spans, success = store.spans(), store.meta("success")
    lasts = [stop - 1 for (_, stop), good in zip(spans, success, strict=True) if good]
    lasts = lasts or [stop - 1 for _, stop in spans]
    if not stages:  # each episode's own last frame, which it cannot but reach
        return _Goals(tuple(lasts), "the last frames of other episodes")
    return _Goals(tuple(lasts), description, from_others=False)


def _labelling(store: Store, label: Label, shared: _Demonstrations, left_out: list[str]) -> Row:
    provenance = label.provenance
    encoder, camera = str(provenance["encoder"]), str(provenance["camera"])
    goals = _goals_of(store, label)
    rewards = tuple(reward[:-1].astype(np.float64) for reward in shared.split(label.reward))
    made_of = f"{encoder}, camera {camera}, goal: {goals.said}"
    stored = tuple(distance.astype(np.float64) for distance in shared.split(label.distance))
    if not goals.from_others:
        left_out.append(
            f"{label.name}: its goal ({goals.said}) is of no episode of the store, or of several "
            "stages; its distances are taken as they are."
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
            "it. Give more goal pictures, or one from elsewhere."
        )
    return row if goals.from_others else replace(
        _row(label.name, made_of, stored, row.own, rewards, shared),
        plane=row.plane, explained=row.explained, agreement=row.agreement,
    )  # fmt: skip


def _controls(watched: list[Watched] | None, shared: _Demonstrations, goals: _Goals) -> list[Row]:
    rows: list[Row] = []
    if watched is not None:
        pixels = np.concatenate([features.pixels for features in watched])
        random = np.concatenate([features.random for features in watched])
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
    goals: _Goals,
    rewards: tuple[Floats, ...] | None,
    shared: _Demonstrations,
    measure: Measure,
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
    shared: _Demonstrations,
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
        weightings=_weightings(rewards, shared),
        plane=None,
        explained=None,
    )


def _weightings(rewards: tuple[Floats, ...], shared: _Demonstrations) -> tuple[Weighting, ...]:
    options, transitions = shared.options, np.array(shared.lengths) - 1
    if not all(np.isfinite(reward).all() for reward in rewards):
        # one's own goal picture is the only one: that episode's rewards are not known
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


def _heaviest(weights: Floats, transitions: NDArray[np.int64], ahead: int) -> tuple[Heavy, ...]:
    """The transitions of most weight, none of which overlaps another."""
    stops = np.cumsum(transitions)
    heaviest: list[Heavy] = []
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
            heaviest.append(Heavy(episode, step, span, float(weights[place]), None))
        if len(heaviest) == HEAVIEST:
            break
    return tuple(heaviest)


# --- pictures ------------------------------------------------------------------------------


def _with_pictures(store: Store, row: Row, label: Label) -> Row:
    """The heaviest transitions, as pairs of frames."""
    camera = str(label.provenance["camera"]).split(",")[0]
    if camera not in store.cameras:
        return row
    read, spans = store.frame_reader(camera), store.spans()

    def pictured(heavy: Heavy) -> Heavy:
        begin = spans[heavy.episode][0] + heavy.step
        rows = (begin, begin + heavy.ahead)
        return replace(heavy, pictures=np.stack([thumbnail(read(t, t + 1)[0]) for t in rows]))

    return replace(
        row,
        weightings=tuple(
            replace(weighting, heaviest=tuple(pictured(heavy) for heavy in weighting.heaviest))
            for weighting in row.weightings
        ),
    )


def _views(
    store: Store, watched: list[Watched] | None, shared: _Demonstrations, first: Row
) -> tuple[EpisodeView, ...]:
    proprio = store.data("proprio")
    views = []
    for index, (start, stop) in enumerate(shared.spans):
        curve = first.distances[index]
        looked = None if watched is None else watched[index]
        views.append(
            EpisodeData(
                curve=curve if np.isfinite(curve).all() else None,
                success=bool(shared.success[index]),
                small=None if looked is None else looked.pixels.reshape(stop - start, 32, 32, 3),
                repeats=None if looked is None else looked.repeats,
                black=None if looked is None else looked.black,
                proprio=proprio[start:stop],
            )
        )
    names, kinds = store.texts("name"), store.kinds()
    return tuple(
        EpisodeView(
            index=index,
            name=names[index],
            kind=kinds[index],
            success=bool(shared.success[index]),
            frames=stop - start,
            thumbnails=None if watched is None else watched[index].thumbnails,
            flags=flags,
        )
        for index, ((start, stop), flags) in enumerate(
            zip(shared.spans, flags_of(views), strict=True)
        )
    )
