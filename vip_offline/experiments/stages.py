"""Recording, importing and relabelling, with a progress bar and a closing sentence.

Each imports what it needs itself: torch takes seconds, and recording does without.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vip_offline.errors import VipOfflineError
from vip_offline.options import BackendName, Computing, Device, Fit, Recipe, RelabelOptions
from vip_offline.utils.console import Bar

if TYPE_CHECKING:
    from vip_offline.dataset.importers.base.source import Source
    from vip_offline.encoders.encoder import Encoder
    from vip_offline.options import ImportOptions, TrainOptions


def record_stage(recipe: Recipe, bar: Bar, processes: int = 2) -> str:
    """Record the episodes that are missing, by so many processes; says what was done."""
    from vip_offline.simulation.record import record

    _hash_unrecorded(Path(recipe.store), bar)
    with bar("record", recipe.record.episodes, "episode") as advance:
        done = record(
            Path(recipe.store),
            recipe.record,
            processes=processes,
            on_start=lambda present, planned: advance(present),
            on_episode=lambda episode: advance(1),
        )
    if not done.episodes:
        return f"record: all {done.existing} episodes are there"
    again = f", {done.discarded} attempts thrown away" if done.discarded else ""
    return f"record: {done.episodes} episodes, {done.frames} frames{again} -> {recipe.store}"


NAMED_AT_MOST = 12  # files and columns that are named when they are left out


def import_stage(
    source: "Source",
    store: Path,
    options: "ImportOptions",
    bar: Bar,
    say: Callable[[str], None],
    *,
    overwrite: bool = False,
) -> str:
    """Import the episodes that are missing; says what was done."""
    from vip_offline.dataset.importers.replace import import_anew
    from vip_offline.dataset.importers.run import import_source

    if not overwrite:
        _hash_unrecorded(store, bar)
    with bar("import", 0, "episode") as advance:

        def on_start(present: int, planned: int) -> None:
            advance(total=planned)
            advance(present)

        write = import_anew if overwrite else import_source
        done = write(source, store, options, on_start=on_start, on_episodes=advance)
    for note in done.notes:
        say(f"note: {note}")
    _say_left_out(done.left_out, say)
    for reason in done.broken:
        say(f"left out: {reason}")
    for role in done.missing:
        say(f"note: {role}")
    total = done.existing + done.episodes
    unlabelled = (
        f", success not labelled{f' in {done.unlabelled}' if done.unlabelled < total else ''}: "
        "counted as successes"
        if done.unlabelled
        else ""
    )
    if not done.episodes:
        return f"import: all {done.existing} episodes are there{unlabelled}"
    without = f", {len(done.broken)} left out" if done.broken else ""
    return f"import: {done.episodes} episodes, {done.rows} rows{without}{unlabelled} -> {store}"


def _hash_unrecorded(path: Path, bar: Bar) -> None:
    """Hash what a killed writer left without a record; the next one finds it done."""
    from vip_offline.dataset.frame_hashes import hash_all, rows_to_hash, unrecorded_keys
    from vip_offline.dataset.store import is_store, open_store

    # what is damaged is named by whoever uses it
    with contextlib.suppress(VipOfflineError):
        store = open_store(path) if is_store(path) else None
        keys = unrecorded_keys(store) if store else []
        rows = rows_to_hash(store, keys) if store else 0
        if store and rows:
            with bar("check", rows, "row") as advance:
                hash_all(store, advance, keys=keys)


def _say_left_out(left_out: Mapping[str, str], say: Callable[[str], None]) -> None:
    for name, why in [*left_out.items()][:NAMED_AT_MOST]:
        say(f"left out: {name}: {why}")
    if len(left_out) > NAMED_AT_MOST:
        say(f"left out: {len(left_out) - NAMED_AT_MOST} more, which import --dry-run lists")


def seal_stage(path: Path) -> list[str]:
    """Accept a store as it is; says what was accepted."""
    from vip_offline.dataset.edits.seal import seal

    done = seal(path)
    messages = [f"accepted as it is: {name}/zarr.json" for name in done.descriptions]
    if done.hashed:
        messages.append(
            f"sealed: all that {path} holds is hashed. `vip-offline upgrade {path}` would give it "
            "checksums that are compared at every reading."
        )
    return messages or [f"{path}: every description has its checksum"]


def upgrade_stage(path: Path, bar: Bar) -> str:
    """Rewrite a store of an earlier release; says what was done."""
    from vip_offline.dataset.edits.upgrade import upgrade

    with bar("upgrade", 0, "array") as advance:
        done = upgrade(path, lambda total: advance(total=total), advance)
    return f"upgrade: {path} is in today's format{'' if done else ' already'}"


def check_stage(
    path: Path, bar: Bar, say: Callable[[str], None], *, every: bool = False
) -> list[str]:
    """Find out whether frames and embeddings are what they were, where files were touched.

    Returns:
        What is not, in words.

    Raises:
        VipOfflineError: if there is no such store, or frames cannot be read.
    """
    from vip_offline.dataset.frame_hashes import hash_all, hashed_keys, rows_to_hash
    from vip_offline.dataset.read_hashes import episodes_in_words
    from vip_offline.dataset.store import open_store
    from vip_offline.dataset.store_writer import writing

    store = open_store(path)
    if not store.checked:
        say(
            f"note: {path} was written by an earlier release without checksums, so damage in it "
            f"goes unnoticed. `vip-offline upgrade {path}` gives it some."
        )
    rows = rows_to_hash(store, hashed_keys(store), every=every)
    if not rows:
        return []
    with bar("check", rows, "row") as advance:
        changed = hash_all(store, advance, every=every)
    # a store that cannot be written to, or is written to now, is hashed again next time
    with contextlib.suppress(VipOfflineError, OSError), writing(path) as writer:
        writer.remember_states()
    return [
        f"{key} of {episodes_in_words(episodes)} is not what was written"
        for key, episodes in changed.items()
    ]


def link_stage(path: Path, bar: Bar, say: Callable[[str], None]) -> None:
    """Where a replay buffer is given in place of a store: make the one beside it."""
    from vip_offline.dataset.importers.link import beside, is_replay, linked
    from vip_offline.dataset.store import open_store

    if not is_replay(path):
        return
    fresh = not beside(path).exists()
    with bar("link", 0, "episode") as advance:

        def on_start(present: int, planned: int) -> None:
            advance(total=planned)
            advance(present)

        store = linked(path, on_start=on_start, on_episodes=advance)
    if fresh:
        _say_left_out(open_store(store).attributes.get("not_taken", {}), say)
        say(f"link: {path} stays as it is; what is made of it goes into {store}")


def cameras_stage(
    path: Path, options: "TrainOptions", weights: str, bar: Bar, say: Callable[[str], None]
) -> None:
    """Embed the cameras that the policies are to see and that no labelling needed.

    Raises:
        VipOfflineError: see `embed_cameras`.
    """
    from vip_offline.dataset.store import open_store
    from vip_offline.rewards.policy_cameras import embed_cameras, missing_cameras

    if not options.cameras or options.algo == "scratch-bc":
        return
    store = open_store(path)
    missing = missing_cameras(store, options.label, options.cameras)
    if not missing:
        return
    name, encoder = options.label, str(store.label(options.label).provenance["encoder"])
    if not weights:
        download_stage(encoder, bar)
    with bar("embed", 0, "frame") as advance:
        frames = embed_cameras(
            path,
            name,
            options.cameras,
            weights,
            advance=advance,
            on_prepare=say,
        )
    say(f"embed: {frames} frames of {', '.join(missing)} by {encoder}")


def download_stage(encoder: str, bar: Bar) -> None:
    """Bring an encoder's weights into the cache, if they are neither there nor carried."""
    from vip_offline.encoders.registry import download_weights
    from vip_offline.utils.download import BLOCK

    with bar("download", 0, "MB") as advance:
        download_weights(
            encoder,
            lambda done, total: advance(1, total=total // BLOCK if total else None),
        )


class NamesEncoder(Protocol):
    """Options of a command that embeds frames which no store holds."""

    @property
    def encoder(self) -> str:
        """Its name."""

    @property
    def weights(self) -> str:
        """Its checkpoint; "": the published one."""

    @property
    def fit(self) -> Fit:
        """How a frame that is not square becomes one."""

    @property
    def backend(self) -> BackendName:
        """What computes it."""

    @property
    def device(self) -> Device:
        """Where."""


def encoder_stage(options: NamesEncoder, bar: Bar, say: Callable[[str], None]) -> "Encoder":
    """Load an encoder for frames, after its download.

    Raises:
        VipOfflineError: see `load_encoder`.
    """
    if not options.weights:
        download_stage(options.encoder, bar)
    from vip_offline.encoders.encoder import load_encoder

    return load_encoder(
        options.encoder,
        Path(options.weights) if options.weights else None,
        computing=Computing(options.backend, options.device),
        on_prepare=say,
        fit=options.fit,
        way_out="Use --backend torch.",
    )


def encoder_of_store(
    path: Path, options: RelabelOptions, say: Callable[[str], None]
) -> RelabelOptions:
    """Take the encoder whose embeddings a store holds, where scores of frames need none.

    Raises:
        VipOfflineError: if it holds those of several.
    """
    from vip_offline.dataset.store import open_store

    store = open_store(path)
    cameras = store.cameras_of(options.camera)
    names = [
        name
        for name in store.encoders
        if all(store.embedded(name, camera).any() for camera in cameras)
    ]
    if len(names) > 1:
        raise VipOfflineError(
            f"{path}: holds embeddings by {', '.join(names)}. Say with --encoder which one the "
            f"labelling of --from {options.from_} goes with, and the policy sees."
        )
    if not names:
        return options
    say(f"relabel: {names[0]} is the encoder, since the store holds its embeddings alone")
    return replace(options, encoder=names[0])


def relabel_stage(
    recipe: Recipe, bar: Bar, say: Callable[[str], None], *, overwrite: bool = False
) -> str:
    """Embed and reward what is not; says what was done."""
    from vip_offline.rewards.relabel import check_goals, check_relabel, needs_encoder, relabel

    options = recipe.relabel
    check_relabel(options)
    check_stage(Path(recipe.store), bar, say)
    check_goals(Path(recipe.store), options)
    if not options.weights and needs_encoder(Path(recipe.store), options):
        download_stage(options.encoder, bar)
    with bar("relabel", 0, "frame") as advance:
        done = relabel(
            Path(recipe.store),
            options,
            overwrite=overwrite,
            advance=advance,
            on_prepare=say,
        )
    for reason in done.again:
        say(f"relabel: {reason}")
    for note in done.notes:
        say(f"note: {note}")
    if done.embedded_frames:
        say(f"relabel: {done.embedded_frames} frames embedded by {done.backend}")
    if done.reached is not None:
        goals = 1 if options.from_ else max(1, len(options.stages))
        for goal in range(1, goals + 1):
            count = sum(reached >= goal for reached in done.reached)
            which = f"goal {goal} of {goals}" if goals > 1 else "the goal"
            say(f"relabel: {which} reached in {count} of {len(done.reached)} episodes")
    what = "written" if done.written else "is there"
    return (
        f"relabel: label {done.name!r} {what}; {'scores' if options.from_ else 'goal'}: {done.goal}"
    )
