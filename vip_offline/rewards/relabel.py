"""Choose the goal, apply the reward, write a labelling."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vip_offline import __version__
from vip_offline.dataset.read_hashes import LENGTHS, StaleError, episodes_in_words, reads
from vip_offline.dataset.store import (
    OF_DATA,
    Attributes,
    Label,
    Store,
    check_name,
    now,
    open_store,
    settings_of,
)
from vip_offline.dataset.store_writer import StoreWriter, check_same_making, writing
from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.encoders.registry import check_encoder, known_provenance, provenance_of
from vip_offline.errors import VipOfflineError
from vip_offline.recipe import RelabelOptions
from vip_offline.rewards.field_of_view import field_of_view
from vip_offline.rewards.functions import DISTANCES, episode_reward, sparse_success
from vip_offline.rewards.goal_check import goal_notes
from vip_offline.rewards.goals import (
    FRAME_PATTERN,
    NEAREST,
    Goals,
    Picture,
    choose_goals,
    goal_embeddings,
    goal_set_of,
    read_pictures,
)
from vip_offline.rewards.nearest_goal import GoalSet, nearest_distance
from vip_offline.utils.parallel import threaded_map

if TYPE_CHECKING:
    from vip_offline.encoders.encoder import Encoder


@dataclass(frozen=True)
class Relabelled:
    """What `relabel` did."""

    name: str
    embedded_frames: int  # now; the others were there
    backend: str  # what embedded them; empty: nothing was embedded
    goal: str  # for people
    goal_rows: tuple[int, ...]  # rows of the store that are goals
    written: bool  # False: this very labelling was there already
    reached: tuple[int, ...] | None  # goals that each episode reached; None: nobody asked
    notes: tuple[str, ...]  # what a user should know
    again: tuple[str, ...] = ()  # why something that was there is made again


@dataclass
class _Work:
    """Loads the encoder if something must be embedded, once."""

    options: RelabelOptions
    preprocessing: Preprocessing
    on_prepare: Callable[[str], None]
    loaded: "Encoder | None" = field(default=None)

    def encoder(self) -> "Encoder":
        if self.loaded is None:
            from vip_offline.encoders.encoder import load_encoder

            options = self.options
            weights = Path(options.weights) if options.weights else None
            self.loaded = load_encoder(
                options.encoder,
                weights,
                computing=options.computing,
                on_prepare=self.on_prepare,
                way_out="Use --backend torch.",
            )
        self.loaded = self.loaded.seeing(self.preprocessing)
        return self.loaded

    def embed(self, goal: Picture | str) -> NDArray[np.float32]:
        if isinstance(goal, Picture):
            embedding: NDArray[np.float32] = self.encoder()(goal.frame[None])[0]
            return embedding
        from vip_offline.encoders.text import embed_text

        return embed_text(self.options.encoder, goal, self.options.weights)


def check_relabel(options: RelabelOptions) -> None:
    """Refuse settings that cannot label, before anything is read.

    Raises:
        VipOfflineError: naming the option, its value and the range.
    """
    if options.batch_size < 0:
        raise VipOfflineError(f"--batch-size {options.batch_size}: must be at least 1.")
    if options.n_steps < 1:
        raise VipOfflineError(f"--n-steps {options.n_steps}: must be at least 1.")
    if not 0 < options.gamma <= 1:
        raise VipOfflineError(f"--gamma {options.gamma}: must lie above 0, up to 1.")
    if not 0 <= options.reach < 1:
        raise VipOfflineError(f"--reach {options.reach}: must lie from 0 up, below 1.")
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


def check_goals(path: Path, options: RelabelOptions) -> None:
    """Refuse a store that these goals cannot be taken from, before an encoder is fetched.

    Raises:
        VipOfflineError: see `relabel`.
    """
    store = open_store(path)
    store.require_finished()
    cameras = store.cameras_of(options.camera)
    goals = choose_goals(store, options.goal, options.stages)
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
    on_start: Callable[[int], None] = lambda frames: None,
    on_frames: Callable[[int], None] = lambda frames: None,
    on_prepare: Callable[[str], None] = lambda sentence: None,
    loaded: "Encoder | None" = None,
) -> Relabelled:
    """Embed what is not embedded, and write the rewards under a name.

    Where all embeddings are there, the encoder is not loaded.

    Args:
        path: the store.
        options: encoder, camera, goal, reward, name.
        overwrite: replace a labelling of this name that was made differently.
        on_start: called with the number of frames to embed, before the first.
        on_frames: called with the number of frames after each batch.
        on_prepare: called with a sentence before work of some seconds that is done once.
        loaded: the options' encoder, where the caller has it already.

    Raises:
        VipOfflineError: if the store is unfinished, locked or not one, without what the goal
            needs, or holds another labelling or embedding under the name.
    """
    name = check_name("label", options.name or options.encoder)
    check_relabel(options)
    if loaded is not None and loaded.name != options.encoder:
        raise VipOfflineError(
            f"The encoder that is loaded is {loaded.name}, not {options.encoder} as in the options."
        )
    with writing(path) as store:
        store.require_finished()
        cameras = store.cameras_of(options.camera)
        camera = ",".join(cameras)
        again = _outdated(store, options.encoder, cameras)
        goals = choose_goals(store, options.goal, options.stages)
        view = field_of_view(store, options.encoder, cameras, options.fit)
        notes = (*view.notes, *_check_pictures(store, goals, cameras))
        work = _Work(options, view.preprocessing, on_prepare, loaded)
        identity = _identity(store, work, cameras)
        provenance = _provenance(identity, options, goals, camera, len(store))
        exists, why = _is_there(store, name, provenance, overwrite=overwrite)
        again += [f"label {name!r} is made again: {why}"] if why else []
        backend, embedded = _embed(store, work, cameras, on_start, on_frames)
        goal = goal_embeddings(
            store,
            goals,
            identity,
            camera,
            work.embed,
            lambda key, values, origin: store.write_goal(options.encoder, key, values, origin),
        )
        goal_set = goal_set_of(store, goals, options.encoder, camera) if goals.nearest else None
        notes += goal_notes(
            store, goals, goal, goal_set, options.encoder, camera, provenance["similarity"]
        )
        counts_goals = bool(options.stages) or options.reward == "sparse"
        reached: list[int] = []
        if counts_goals or not exists:
            reward, distance, reached = _label(store, provenance, options, goal, goal_set, camera)
        if not exists:
            written = {"code_version": __version__, "created": now()}
            stored_goal = None if goal is None else goal.astype(np.float32)
            among = None if goal_set is None else goal_set.embeddings
            read = reads(store, _sources(options, goals, cameras))
            store.write_label(
                Label(name, reward, distance, stored_goal, provenance | written, among, read)
            )
        return Relabelled(
            name,
            embedded,
            backend,
            goals.said,
            tuple(provenance["goal_rows"]),
            not exists,
            tuple(reached) if counts_goals else None,
            notes,
            tuple(again),
        )


def _outdated(store: StoreWriter, encoder: str, cameras: list[str]) -> list[str]:
    """Take frames for what they are now; why their embeddings are made again, in words."""
    again = []
    for camera in cameras:
        changed = {*store.accept_frames(camera)}
        outdated = [int(index) for index in np.flatnonzero(store.outdated(encoder, camera))]
        for why, episodes in (
            (f"frames of camera {camera} changed", [k for k in outdated if k in changed]),
            (
                f"the embedding of camera {camera} is not what was computed",
                [k for k in outdated if k not in changed],
            ),
        ):
            if episodes:
                verb = "are" if len(episodes) > 1 else "is"
                again.append(f"{episodes_in_words(episodes)} {verb} embedded again: {why}")
    return again


def _sources(options: RelabelOptions, goals: Goals, cameras: list[str]) -> list[str]:
    """What a labelling is made from, as `reads` names it."""
    sources = [LENGTHS, *(f"embeddings/{options.encoder}/{camera}" for camera in cameras)]
    requested = ",".join((*options.goal, *options.stages))
    if goals.nearest or "successes" in requested:
        sources.append("meta/success")
    if options.reward == "success":
        sources.append("data/succeeded")
    return sources


def _check_pictures(store: Store, goals: Goals, cameras: list[str]) -> tuple[str, ...]:
    """Refuse a picture for several cameras; say where one shows another field of view."""
    pictures = [picture for stage in goals.stages for picture in stage.pictures]
    if pictures and len(cameras) > 1:
        raise VipOfflineError(
            f"--goal {pictures[0].path}: shows one camera's view, but there are {len(cameras)} "
            f"({', '.join(cameras)}). Name one with --camera."
        )
    height, width, _ = store.frame_shape(cameras[0])
    notes = []
    for picture in pictures:
        rows, columns = picture.frame.shape[:2]
        if abs(columns / rows - width / height) > 0.02 * width / height:
            notes.append(
                f"{picture.path} has {columns} x {rows} px, the frames {width} x {height}: it "
                "shows another field of view, so no frame comes as near to it as it might."
            )
    return tuple(notes)


def _is_there(
    store: Store, name: str, provenance: Attributes, *, overwrite: bool
) -> tuple[bool, str]:
    """Whether this very labelling is there; if it is there of other data, what is other.

    Raises:
        VipOfflineError: if another one has its name, unless that is to be replaced.
    """
    if name not in store.label_names:
        return False, ""
    before = settings_of(store.label_provenance(name))
    keys = sorted(before.keys() | provenance.keys())
    differing = [key for key in keys if before.get(key) != provenance.get(key)]
    if "asked" not in before:  # by an earlier release
        differing = [key for key in differing if key != "asked"]
    same_asked = before.get("asked") == provenance["asked"]
    settings = [key for key in differing if key not in OF_DATA or not same_asked]
    settings = [key for key in settings if key != "asked" or len(settings) == 1]
    if settings and not overwrite:
        raise VipOfflineError(
            f"{store.path}: label {name!r} is there already and was made with other settings "
            f"({', '.join(settings)}). Give another --name, or --overwrite to replace it."
        )
    if settings:
        return False, ""
    try:
        store.label(name)
    except StaleError as error:
        return False, error.reason
    except VipOfflineError:
        return False, "what was there is damaged"
    return not differing, "its goal changed with the data" if differing else ""


def _identity(store: Store, work: _Work, cameras: list[str]) -> Attributes:
    """Provenance of the embeddings; those that are there must be of the same making.

    Raises:
        VipOfflineError: if another encoder's lie under this name.
    """
    options = work.options
    stored = store.embedding_provenance(options.encoder, cameras[0])
    complete = all(store.embedded(options.encoder, camera).all() for camera in cameras)
    if options.weights or not complete:
        check_encoder(options.encoder, options.weights)
    if work.loaded is not None:
        identity: Attributes | None = work.encoder().provenance
    else:
        identity = known_provenance(options.encoder, options.weights, work.preprocessing)
    if identity is None and complete and stored is not None:
        # the weights are not here, but what they gave is
        sha256 = str(stored.get("weights_sha256"))
        identity = provenance_of(options.encoder, sha256, work.preprocessing)
    if identity is None:
        identity = work.encoder().provenance
    for camera in cameras:
        existing = store.embedding_provenance(options.encoder, camera)
        if existing is not None:
            key = f"embeddings/{options.encoder}/{camera}"
            check_same_making(store.path, key, existing, identity)
    return identity


def _embed(
    store: StoreWriter,
    work: _Work,
    cameras: list[str],
    on_start: Callable[[int], None],
    on_frames: Callable[[int], None],
) -> tuple[str, int]:
    """Embed what is missing: what computed it, and how many frames."""
    options = work.options
    missing = {camera: ~store.embedded(options.encoder, camera) for camera in cameras}
    lengths = np.array([stop - start for start, stop in store.spans()])
    if not any(rows.any() for rows in missing.values()):
        return "", 0
    from vip_offline.encoders.embed_store import embed_store

    encoder = work.encoder()
    on_start(sum(int(lengths[rows].sum()) for rows in missing.values()))
    embedded = sum(
        embed_store(store, encoder, camera, options.batch_size, on_frames) for camera in cameras
    )
    return encoder.backend.name, embedded


def _provenance(
    identity: Attributes, options: RelabelOptions, goals: Goals, camera: str, episodes: int
) -> dict[str, Any]:
    similarity = options.similarity
    if similarity == "auto":
        # between words and pictures CLIP compares directions; lengths mean nothing
        similarity = "cosine" if goals.in_words else "l2"
    used: dict[str, Any] = {"reward": options.reward, "similarity": similarity}
    if options.n_steps > 1:
        used["n_steps"] = options.n_steps
    if options.reward == "shaping":
        used["gamma"] = options.gamma
    if options.stages or options.reward == "sparse":
        used["reach"] = options.reach
    requested = {"goal": list(options.goal), "stages": list(options.stages)}
    described = {**goals.provenance(), "asked": requested}
    return {**identity, "camera": camera, **used, **described, "episodes": episodes}


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


def _label(
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
