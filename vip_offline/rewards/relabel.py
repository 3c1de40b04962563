"""Choose the goal, apply the reward, write a labelling."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vip_offline import __version__
from vip_offline.dataset.labels import Label
from vip_offline.dataset.read_hashes import reads
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_format import check_name, now
from vip_offline.dataset.store_writer import StoreWriter, writing
from vip_offline.errors import VipOfflineError
from vip_offline.options import RelabelOptions
from vip_offline.options.fields import check_ranges
from vip_offline.rewards.field_of_view import field_of_view
from vip_offline.rewards.functions import DISTANCES
from vip_offline.rewards.goal_check import goal_notes
from vip_offline.rewards.goals import (
    FRAME_PATTERN,
    NEAREST,
    Goals,
    choose_goals,
    goal_embeddings,
    goal_set_of,
    other_view_note,
    read_pictures,
)
from vip_offline.rewards.label_episodes import label_scores, label_store
from vip_offline.rewards.label_provenance import (
    LazyEncoder,
    accept_changed_frames,
    embedding_identity,
    existing_label,
    label_settings,
    sources_of,
)
from vip_offline.rewards.progress_head import (
    ProgressHead,
    check_successes,
    head_scores,
    is_head,
    measured_in_words,
    progress_head,
    stage_ends,
    task_ends,
)
from vip_offline.rewards.scores import Scores, read_scores
from vip_offline.utils.console import Advance

if TYPE_CHECKING:
    from vip_offline.encoders.encoder import Encoder


@dataclass(frozen=True)
class Relabelled:
    """Result of `relabel`."""

    name: str
    embedded_frames: int  # now; the others were there
    backend: str  # what embedded them; empty: nothing was embedded
    goal: str  # for people
    written: bool  # False: this very labelling was there already
    reached: tuple[int, ...] | None  # goals that each episode reached; None: nobody asked
    notes: tuple[str, ...]  # what a user should know
    again: tuple[str, ...] = ()  # why something that was there is made again


def check_relabel(options: RelabelOptions) -> None:
    """Refuse settings that cannot label, before anything is read.

    Raises:
        VipOfflineError: naming the option, its value and the range.
    """
    check_ranges(options)
    if options.from_:
        _check_from(options)
        return
    if options.key_map:
        raise VipOfflineError("--key-map: says what the columns of --from are. Give that, too.")
    if not options.goal and not options.stages:
        raise VipOfflineError("No goal: name one with --goal, or several with --stage.")
    if options.stages and options.goal != RelabelOptions.goal:
        raise VipOfflineError(
            f"--goal {', '.join(options.goal)} and --stage: a sequence of stages has its own "
            "goals. Give one or the other."
        )
    read_pictures((*options.goal, *options.stages))
    if any(goal.startswith("text:") for goal in (*options.goal, *options.stages)):
        from vip_offline.encoders.text import check_text

        check_text(options.encoder)


def _check_from(options: RelabelOptions) -> None:
    """Refuse settings of a goal beside scores that have none."""
    if is_head(options.from_):
        progress_head(options.from_)
        if len(options.stages) == 1:
            raise VipOfflineError("--stage: a head takes two stages or more, or none.")
        if options.key_map:
            raise VipOfflineError(f"--key-map: --from {options.from_} reads no columns.")
    for field in ("goal", *(() if is_head(options.from_) else ("stages",)), "similarity"):
        if getattr(options, field) != getattr(RelabelOptions, field):
            flag = {"stages": "--stage"}.get(field, f"--{field}")
            raise VipOfflineError(
                f"{flag}: the scores of --from {options.from_} have no goal. Leave one of them out."
            )


def check_goals(path: Path, options: RelabelOptions) -> None:
    """Refuse a store that these goals cannot be taken from, before an encoder is fetched.

    Raises:
        VipOfflineError: see `relabel`.
    """
    store = open_store(path)
    store.require_finished()
    cameras = store.cameras_of(options.camera)
    if options.from_:
        _source(store, options)
    goals = _goals(store, options)
    field_of_view(store, options.encoder, cameras, options.fit)
    _check_pictures(store, goals, cameras)


def needs_encoder(path: Path, options: RelabelOptions) -> bool:
    """Whether labelling needs the network, not only the embeddings that are there.

    Raises:
        VipOfflineError: if there is no such store or camera.
    """
    store = open_store(path)
    requested = ",".join((*options.goal, *options.stages)).split(",")
    named = [goal.strip() for goal in requested]
    frames = all(
        goal in ("successes", "last", NEAREST) or FRAME_PATTERN.fullmatch(goal) for goal in named
    )
    cameras = store.cameras_of(options.camera)
    return not frames or not all(
        store.embedded(options.encoder, camera).all() for camera in cameras
    )


def relabel(
    path: Path,
    options: RelabelOptions,
    *,
    overwrite: bool = False,
    advance: Advance = lambda amount=0, total=None: None,
    on_prepare: Callable[[str], None] = lambda sentence: None,
    loaded: "Encoder | None" = None,
) -> Relabelled:
    """Embed what is not embedded, and write the rewards under a name.

    Where all embeddings are there, the encoder is not loaded.

    Args:
        path: the store.
        options: encoder, camera, goal, reward, name.
        overwrite: replace a labelling of this name that was made differently.
        advance: told the frames to embed in total, then those of each batch.
        on_prepare: called with a sentence before work of some seconds that is done once.
        loaded: the options' encoder, where the caller has it already.

    Raises:
        VipOfflineError: if the store is unfinished, locked or not one, without what the goal
            needs, or holds another labelling or embedding under the name.
    """
    name = check_name("label", options.name or _own_name(options.from_) or options.encoder)
    check_relabel(options)
    if loaded is not None and loaded.name != options.encoder:
        raise VipOfflineError(
            f"The encoder that is loaded is {loaded.name}, not {options.encoder} as in the options."
        )
    with writing(path) as store:
        store.require_finished()
        cameras = store.cameras_of(options.camera)
        camera = ",".join(cameras)
        again = accept_changed_frames(store, options.encoder, cameras)
        scores = _source(store, options) if options.from_ else None
        goals = _goals(store, options)
        view = field_of_view(store, options.encoder, cameras, options.fit)
        notes = (*view.notes, *_check_pictures(store, goals, cameras))
        work = LazyEncoder(options, view.preprocessing, on_prepare, loaded)
        identity = embedding_identity(store, work, cameras)
        provenance = label_settings(identity, options, goals, camera, len(store), scores)
        exists, why = existing_label(store, name, provenance, overwrite=overwrite)
        again += [f"label {name!r} is made again: {why}"] if why else []
        backend, embedded = embed_missing(store, work, cameras, advance)
        goal = goal_embeddings(
            store,
            goals,
            identity,
            camera,
            work.embed,
            lambda key, values, origin: store.write_goal(options.encoder, key, values, origin),
        )
        goal_set = goal_set_of(store, goals, options.encoder, camera) if goals.nearest else None
        if scores is None:
            notes += goal_notes(
                store, goals, goal, goal_set, options.encoder, camera, provenance["similarity"]
            )
        else:
            notes += scores.notes
        counts_goals = bool(options.stages and scores is None) or options.reward == "sparse"
        reached: list[int] = []
        measured = store.label_provenance(name).get("measured") if exists else None
        if isinstance(scores, ProgressHead) and (counts_goals or not exists):
            on_prepare(f"relabel: a {scores.kind} head is trained for each fold of the episodes")
            scores, measured = _trained(store, options, camera, scores, goals, goal)
        notes += (measured_in_words(measured),) if measured else ()
        if isinstance(scores, Scores) and (counts_goals or not exists):
            reward, distance, reached = label_scores(store, options, scores.distance)
        elif counts_goals or not exists:
            reward, distance, reached = label_store(
                store, provenance, options, goal, goal_set, camera
            )
        if not exists:
            written = {"code_version": __version__, "created": now()}
            written |= {"measured": measured} if measured else {}
            stored_goal = None if goal is None or scores is not None else goal.astype(np.float32)
            among = None if goal_set is None else goal_set.embeddings
            read = reads(store, sources_of(options, goals, cameras, scores))
            store.write_label(
                Label(name, reward, distance, stored_goal, provenance | written, among, read)
            )
        return Relabelled(
            name,
            embedded,
            backend,
            goals.description if scores is None else scores.description,
            not exists,
            tuple(reached) if counts_goals else None,
            notes,
            tuple(again),
        )


def _own_name(source: str) -> str:
    """Name of a labelling by --from: the file's stem, the column's, or the head's."""
    return source.replace(":", "-") if is_head(source) else Path(source).stem


def _source(store: Store, options: RelabelOptions) -> Scores | ProgressHead:
    """What --from names; a head is trained later, when the embeddings are there."""
    if not is_head(options.from_):
        return read_scores(store, options.from_, options.key_map)
    check_successes(store)
    return progress_head(options.from_, max(1, len(options.stages)))


def _trained(
    store: Store,
    options: RelabelOptions,
    camera: str,
    head: ProgressHead,
    goals: Goals,
    goal: NDArray[np.float64] | None,
) -> tuple[Scores, Mapping[str, Any]]:
    """What a head says of every frame, and how good that is on the successes."""
    embedding, _ = store.embedding(options.encoder, camera)
    episodes = [embedding[start:stop] for start, stop in store.spans()]
    success = store.meta("success").astype(bool)
    ends = task_ends(store)[:, None]
    if goal is not None:
        distance = DISTANCES["cosine" if goals.in_words else "l2"]
        ends = stage_ends(store, episodes, goal, distance, options.reach)
    scored = head_scores(episodes, success, ends, head.kind)
    scores = Scores(scored.distance, head.description, head.provenance, head.columns)
    return scores, scored.measured


def _goals(store: Store, options: RelabelOptions) -> Goals:
    """What is to be reached; nothing but a head's stages where the scores come from elsewhere."""
    if options.from_ and not options.stages:
        return Goals(())
    return choose_goals(store, options.goal, options.stages)


def _check_pictures(store: Store, goals: Goals, cameras: list[str]) -> tuple[str, ...]:
    """Refuse a picture for several cameras; say where one shows another field of view."""
    pictures = [picture for stage in goals.stages for picture in stage.pictures]
    if pictures and len(cameras) > 1:
        raise VipOfflineError(
            f"--goal {pictures[0].path}: shows one camera's view, but there are {len(cameras)} "
            f"({', '.join(cameras)}). Name one with --camera."
        )
    height, width, _ = store.frame_shape(cameras[0])
    notes = (other_view_note(goal.path, goal.frame, height, width) for goal in pictures)
    return tuple(filter(None, notes))


def embed_missing(
    store: StoreWriter, work: LazyEncoder, cameras: list[str], advance: Advance
) -> tuple[str, int]:
    """Embed what is missing; returns the backend and the number of frames."""
    options = work.options
    missing = {camera: ~store.embedded(options.encoder, camera) for camera in cameras}
    lengths = np.array([stop - start for start, stop in store.spans()])
    if not any(rows.any() for rows in missing.values()):
        return "", 0
    from vip_offline.encoders.embed_store import embed_store

    encoder = work.encoder()
    advance(total=sum(int(lengths[rows].sum()) for rows in missing.values()))
    embedded = sum(
        embed_store(store, encoder, camera, options.batch_size, advance) for camera in cameras
    )
    return encoder.backend.name, embedded
