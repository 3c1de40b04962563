"""A labelled store -> an `Analysis`."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from vip_offline.analysis.demonstrations import Demonstrations, demonstrations_of
from vip_offline.analysis.episode_flags import EpisodeData, flags_of
from vip_offline.analysis.frame_features import (
    FrameFeatures,
    read_frame_features,
    thumbnail,
)
from vip_offline.analysis.goal_warnings import goal_warnings
from vip_offline.analysis.recommendation import against_best, recommend
from vip_offline.analysis.results import Analysis, EpisodeView, HeavyTransition, Row
from vip_offline.analysis.rows import control_rows, goal_rows_of, labelling_row
from vip_offline.dataset.labels import Label
from vip_offline.dataset.store import Store, open_store
from vip_offline.encoders.preprocessing import fit_of
from vip_offline.options import AnalyzeOptions
from vip_offline.rewards.goal_views import goals_of
from vip_offline.rewards.scores import has_no_goal
from vip_offline.utils.console import Advance


def analyse(
    path: Path, options: AnalyzeOptions, advance: Advance = lambda amount=0, total=None: None
) -> Analysis:
    """Measure whether the labellings of a store describe progress.

    Args:
        path: the store.
        options: which labellings, and at what their weights are looked at.
        advance: told the frames to look at in total, then those of each episode.

    Raises:
        VipOfflineError: if there is no such store or labelling, or it is unfinished.
    """
    store = open_store(path)
    store.require_finished()
    labels = [store.label(name) for name in options.labels or [store.label().name]]
    left_out: list[str] = []
    features = _frame_features(store, labels[0], advance, left_out)
    shared = demonstrations_of(store, features, options)
    if shared.true_rewards is None:
        left_out.append("No dense true reward is stored, so none is compared with (Fig. 17-19).")
    if shared.success.all():
        left_out.append(
            "No episode is marked as a failure, so nothing says whether the reward tells failures "
            "from successes."
        )
    elif not shared.success.any():
        left_out.append("No episode is marked as a success: see the line above.")
    rows = [labelling_row(store, label, shared, left_out) for label in labels]
    if features is not None:
        rows = [_with_pictures(store, row, label) for row, label in zip(rows, labels, strict=True)]
    aimed = [label for label in labels if not has_no_goal(label.provenance)]
    goals = goal_rows_of(store, aimed[0] if aimed else labels[0])
    if len({label.provenance.get("goal") for label in aimed}) > 1:
        left_out.append(
            f"The labellings have different goals; controls are shown by that of {aimed[0].name} "
            f"({goals.description}) alone."
        )
    fits = list(dict.fromkeys(fit_of(label.provenance) for label in labels))
    if len(fits) > 1:
        left_out.append(
            f"The labellings see frames by different fits ({', '.join(fits)}); controls see them "
            f"by that of {labels[0].name} ({fits[0]}) alone."
        )
    rows += control_rows(features, shared, goals)
    episodes = _views(store, features, shared, rows[0])
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
        goals=goals_of(store, {label.name: label.provenance for label in aimed}),
        warnings=tuple(goal_warnings(rows, int(shared.success.sum()))),
    )


def _frame_features(
    store: Store, label: Label, advance: Advance, left_out: list[str]
) -> list[FrameFeatures] | None:
    camera = str(label.provenance["camera"]).split(",")[0]
    if camera not in store.cameras:
        left_out.append(
            f"The frames of camera {camera} are not in the store, so there are no pictures, no "
            "controls by raw pixels and by a random network, and no look at the camera itself."
        )
        return None
    advance(total=store.rows)
    return read_frame_features(store, camera, advance, fit_of(label.provenance))


def _with_pictures(store: Store, row: Row, label: Label) -> Row:
    """Add pairs of frames to the heaviest transitions."""
    camera = str(label.provenance["camera"]).split(",")[0]
    if camera not in store.cameras:
        return row
    read, spans = store.frame_reader(camera), store.spans()

    def pictured(heavy: HeavyTransition) -> HeavyTransition:
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
    store: Store, features: list[FrameFeatures] | None, shared: Demonstrations, first: Row
) -> tuple[EpisodeView, ...]:
    proprio = store.data("proprio")
    views = []
    for index, (start, stop) in enumerate(shared.spans):
        curve = first.distances[index]
        shown = None if features is None else features[index]
        views.append(
            EpisodeData(
                curve=curve if np.isfinite(curve).all() else None,
                success=bool(shared.success[index]),
                small=None if shown is None else shown.pixels.reshape(stop - start, 32, 32, 3),
                repeats=None if shown is None else shown.repeats,
                black=None if shown is None else shown.black,
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
            thumbnails=None if features is None else features[index].thumbnails,
            flags=flags,
        )
        for index, ((start, stop), flags) in enumerate(
            zip(shared.spans, flags_of(views), strict=True)
        )
    )
