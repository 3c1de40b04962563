"""Imports the episodes of an origin into a store; resumable."""

import hashlib
import json
import math
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.dataset.episode import Episode, VideoReference, ZarrReference
from vip_offline.dataset.importers.base.rates import parse_rates
from vip_offline.dataset.importers.base.source import Catalogue, ColumnMap, Source, column_and_part
from vip_offline.dataset.importers.convert import Converter
from vip_offline.dataset.importers.key_mapping import (
    map_columns,
    missing_roles,
    resampled_by,
    stored_as,
)
from vip_offline.dataset.read_hashes import episodes_in_words
from vip_offline.dataset.storage.content_hash import content_of
from vip_offline.dataset.storage.file_states import states_of
from vip_offline.dataset.store import Store
from vip_offline.dataset.store_writer import writing
from vip_offline.dataset.tables.resampling import CLOSE
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions
from vip_offline.utils.files import path_from

OF_PLACE = ("source", "videos", "videos_from_store")  # of an origin, which may be moved
BATCH_BYTES = 8 * 2**20  # of episodes that are written together
BATCH_EPISODES = 1024
BATCH_SECONDS = 5.0  # after which episodes are written while others are decoded
AHEAD = 8  # episodes that are converted while the first of them is decoded


Waiting = list[Future[None]]


@dataclass(frozen=True)
class ImportResult:
    """Result of `import_source`."""

    episodes: int  # written now
    existing: int  # before
    rows: int  # written now
    broken: tuple[str, ...]  # why episodes were left out
    notes: tuple[str, ...]
    left_out: Mapping[str, str]  # file or column -> why
    missing: tuple[str, ...]  # roles that nothing plays
    unlabelled: int  # episodes of which nothing says whether they succeeded


def chosen(catalogue: Catalogue, options: ImportOptions) -> list[int]:
    """Numbers of the episodes to import.

    Raises:
        VipOfflineError: if the options take less than none.
    """
    if options.max_episodes < 0:
        raise VipOfflineError(f"--max-episodes {options.max_episodes}: must be 0 (all) or above.")
    every = list(range(len(catalogue.lengths)))
    return every[: options.max_episodes] if options.max_episodes else every


@dataclass(frozen=True)
class ImportPlan:
    """What an import will write; also shown as a preview."""

    catalogue: Catalogue
    keys: ColumnMap
    episodes: list[int]  # that are taken, unless they turn out broken
    refusal: str  # why it stops before it begins; empty: it does not


def plan_import(source: Source, options: ImportOptions) -> ImportPlan:
    """Plan an import from the catalogue, without reading rows.

    Raises:
        VipOfflineError: if the origin cannot be described, or has not the columns that are named.
    """
    catalogue = source.catalogue()
    keys = map_columns(catalogue, options, source.path)
    planned, refusal = chosen(catalogue, options), ""
    rate = parse_rates(options.rates).get("")
    if rate and catalogue.control_rate and abs(catalogue.control_rate / rate - 1) > CLOSE:
        refusal = (
            f"{source.path}: its own description says {catalogue.control_rate:g} Hz, --rate "
            f"{rate:g}. Leave --rate out, or name the file it is meant for: --rate NAME=HZ."
        )
    elif rate and not catalogue.control_rate:
        catalogue = replace(catalogue, control_rate=rate)
    broken = [index for index in planned if index in catalogue.broken]
    if not planned:
        refusal = f"{source.path}: holds no episode."
    elif broken and not options.skip_broken:
        refusal = catalogue.broken[broken[0]]
    elif len(broken) == len(planned):
        refusal = (
            f"{source.path}: no episode could be read. The first: {catalogue.broken[broken[0]]}"
        )
    return ImportPlan(catalogue, keys, planned, refusal)


def origin_files(path: Path) -> list[int]:
    """Size and modification times of a file or folder, to detect changes without reading it."""
    return [int(value) for value in states_of([path])[0]]


def attributes_of(
    source: Source, path: Path, catalogue: Catalogue, keys: ColumnMap, options: ImportOptions
) -> Any:
    """Attributes of the store; an import resumes only with equal ones."""
    lengths = np.ascontiguousarray(catalogue.lengths, np.int64)
    fingerprint = hashlib.blake2b(lengths.tobytes(), digest_size=8)
    fingerprint.update("\n".join(catalogue.names).encode())
    names = []
    for spec in keys.proprio:
        column, part = column_and_part(spec)
        width = catalogue.columns[column].size
        labels = [column] if width == 1 else [f"{column}[{place}]" for place in range(width)]
        names += labels[part]
    return json.loads(
        json.dumps(
            {
                "source": str(source.path.absolute()),
                "source_format": catalogue.format,
                "source_fingerprint": fingerprint.hexdigest(),
                "import": asdict(options),
                "key_map": asdict(keys),
                "task": catalogue.task,
                "control_rate": catalogue.control_rate,
                "resampled": {
                    name: resampled_by(name, column, keys)
                    for name, column in catalogue.columns.items()
                    if column.resampled
                },
                "not_taken": dict(catalogue.left_out),
                "proprio": names,
                "splits": list(stored_as(catalogue.splits).values()),
                "about": catalogue.about,
                "origin_files": origin_files(source.path),
                "videos": str(catalogue.videos.absolute()) if catalogue.videos else "",
                "videos_from_store": path_from(path, catalogue.videos) if catalogue.videos else "",
                "episodes_planned": len(chosen(catalogue, options)),
            }
        )
    )


def import_source(
    source: Source,
    path: Path,
    options: ImportOptions,
    *,
    on_start: Callable[[int, int], None] = lambda existing, planned: None,
    on_episodes: Callable[[int], None] = lambda count: None,
) -> ImportResult:
    """Write an origin's episodes into a store; an interrupted import resumes with the next one.

    Args:
        source: the origin, open.
        path: the store; made if it is not there, continued if it is of the same import.
        options: what is taken, and how.
        on_start: called with the numbers of episodes there and planned.
        on_episodes: called with how many more are on the disk.

    Raises:
        VipOfflineError: on anything that cannot be read; a store that this call began is removed
            then, one that an earlier call began stays as it was.
    """
    if path.exists() and path.resolve() == source.path.resolve():
        raise VipOfflineError(f"{path}: cannot be imported into itself. Name another store.")
    plan = plan_import(source, options)
    if plan.refusal:  # before anything is written
        raise VipOfflineError(plan.refusal)
    catalogue, keys, planned = plan.catalogue, plan.keys, plan.episodes
    fresh, refused = not path.exists(), False
    try:
        attributes = attributes_of(source, path, catalogue, keys, options)
        with writing(path, create=attributes) as store:
            existing, rows = len(store), 0
            left_out: dict[int, str] = {}
            first = int(store.meta("source_episode")[-1]) + 1 if existing else 0
            convert = Converter(source, catalogue, keys, options)
            state = origin_files(source.path)
            if existing and store.attributes.get("origin_files", state) != state:
                on_start(0, len(planned))
                _check_origin(store, source.path, convert, on_episodes)
            else:
                on_start(existing, len(planned))
            here = {key: attributes[key] for key in OF_PLACE} | {"origin_files": state}
            if existing and {key: store.attributes.get(key) for key in here} != here:
                store.update_attributes(here)

            def whole(index: int, episode: Episode, decoding: Waiting) -> Iterator[Episode]:
                try:
                    for future in decoding:
                        future.result()
                except VipOfflineError as error:
                    leave_out(index, error)
                else:
                    yield episode

            def leave_out(index: int, error: VipOfflineError) -> None:
                if not options.skip_broken:
                    raise error
                left_out[index] = str(error)

            def converted() -> Iterator[Episode]:
                pending: deque[tuple[int, Episode, Waiting]] = deque()
                for index in planned[first:]:
                    try:
                        pending.append((index, *convert(index)))
                    except VipOfflineError as error:
                        while pending:  # mistakes are met in the order of the episodes
                            yield from whole(*pending.popleft())
                        leave_out(index, error)
                    while pending and (len(pending) > AHEAD or not pending[0][-1]):
                        yield from whole(*pending.popleft())
                while pending:
                    yield from whole(*pending.popleft())

            try:
                for batch in episode_batches(
                    converted(), BATCH_SECONDS if options.decode else math.inf
                ):
                    if left_out:  # first: after an interrupt they are looked at again
                        store.leave_out(left_out)
                    store.append(*batch)
                    rows += sum(len(episode) for episode in batch)
                    on_episodes(len(batch))
                if left_out:
                    store.leave_out(left_out)
                if not len(store):
                    raise VipOfflineError(
                        f"{source.path}: no episode could be read. The first: "
                        f"{next(iter(left_out.values()))}"
                    )
                broken = tuple(store.attributes.get("left_out", {}).values())
                return ImportResult(
                    len(store) - existing,
                    existing,
                    rows,
                    broken,
                    catalogue.notes,
                    catalogue.left_out,
                    tuple(missing_roles(keys, catalogue.columns)),
                    int((~store.success_labelled).sum()),
                )
            except VipOfflineError:
                refused = True
                raise
            finally:
                convert.close()
    except VipOfflineError:
        if fresh and refused:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _check_origin(
    store: Store, origin: Path, convert: Converter, on_episodes: Callable[[int], None]
) -> None:
    """Refuse to resume if the content of the origin changed."""
    changed: dict[str, list[int]] = {}
    contents = {camera: store.recorded_content(camera) for camera in store.cameras}
    numbers = store.meta("source_episode")
    for index, (start, stop) in enumerate(store.spans()):
        episode, _ = convert(int(numbers[index]))
        columns = {
            "actions": (episode.action, store.data("action", start, stop)),
            "proprio": (episode.proprio, store.data("proprio", start, stop)),
            "rewards": (episode.true_reward, store.data("true_reward", start, stop)),
            "the success flags": (episode.succeeded, store.data("succeeded", start, stop)),
            **{
                name: (values, store.extra(name, start, stop))
                for name, values in episode.extras.items()
                if values.size
            },
        }
        for camera, frames in episode.frames.items():
            columns[f"frames of camera {camera}"] = content_of(frames), contents[camera][index]
        elsewhere: dict[str, VideoReference | ZarrReference] = {**episode.clips, **episode.links}
        for camera, clip in elsewhere.items():
            columns[f"frames of camera {camera}"] = clip.content, contents[camera][index]
        for name, (now, then) in columns.items():
            exact = now.dtype.kind != "f"
            if now.shape != then.shape or not np.array_equal(now, then, equal_nan=not exact):
                changed.setdefault(name, []).append(index)
        on_episodes(1)
    if changed:
        listed = "; ".join(
            f"{name} of {episodes_in_words(episodes)}" for name, episodes in changed.items()
        )
        way_out = (
            f"Restore it, or remove {store.path} with the labels in it, and relabel {origin} again."
            if store.attributes.get("import", {}).get("link_frames")
            else "Import it with --overwrite, or into another store."
        )
        raise VipOfflineError(
            f"{store.path}: {origin} changed since it was imported ({listed}). {way_out}"
        )


def episode_batches(
    episodes: Iterator[Episode], seconds: float = math.inf
) -> Iterator[list[Episode]]:
    """Batches of episodes, limited by bytes, by count, and by the time since the last batch."""
    batch: list[Episode] = []
    size, begun = 0, time.monotonic()
    for episode in episodes:
        batch.append(episode)
        size += sum(frames.nbytes for frames in episode.frames.values())
        size += episode.proprio.nbytes + episode.action.nbytes
        size += sum(column.nbytes for column in episode.extras.values())
        late = time.monotonic() - begun >= seconds
        if size >= BATCH_BYTES or len(batch) >= BATCH_EPISODES or late:
            yield batch
            batch, size, begun = [], 0, time.monotonic()
    if batch:
        yield batch
