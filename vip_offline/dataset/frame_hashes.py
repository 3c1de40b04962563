"""Change detection: whether frames and embeddings still match their recorded hashes.

Three steps, from cheap to expensive. A file whose size, modification time and inode equal the
recorded ones is unchanged. Otherwise its bytes are hashed. If that hash differs too, its content is
decoded and hashed. So a copied store is read once.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.frame_storage import storage_at
from vip_offline.dataset.storage.content_hash import content_of
from vip_offline.dataset.storage.file_states import STATE, file_hash
from vip_offline.errors import VipOfflineError
from vip_offline.utils.parallel import threaded_map

if TYPE_CHECKING:
    from vip_offline.dataset.store import Store

HASHING_THREADS = len(os.sched_getaffinity(0))
HASH_EPISODES = 64  # whose files are hashed before the next are looked at
OnRows = Callable[[int], None]  # so many more rows are hashed

# (store, array) -> the states of its files when it was hashed, and its hashes
_hashed: dict[tuple[str, str], tuple[bytes, NDArray[np.uint8]]] = {}


def current(
    store: Store,
    key: str,
    recorded: NDArray[np.uint8],
    hash_of: Callable[[int], NDArray[np.uint8]],
    on_rows: OnRows = lambda rows: None,
    *,
    every: bool = False,
) -> NDArray[np.uint8]:
    """(E, 16) hashes of the present content, computed only for episodes whose files changed.

    Args:
        store: whose episodes.
        key: of the array, or of the one that says where its frames are.
        recorded: (E, 16) recorded hashes; zeros where there is none.
        hash_of: computes the hash of one episode.
        on_rows: see `hash_all`.
        every: see `hash_all`.
    """
    states = store.file_states(key).tobytes()
    place = (str(store.path.resolve()), key)
    touched = store.touched(key) & recorded.any(axis=1) | every
    if not touched.any():
        return recorded
    if not every and place in _hashed:
        then, known = _hashed[place]
        if then == states and len(known) == len(recorded):
            return known
    hashes = recorded.copy()
    spans = store.spans()
    same = np.zeros(len(spans), bool)
    for block in blocks_of(np.flatnonzero(touched & recorded.any(axis=1)), HASH_EPISODES):
        same[block] = same_bytes(store, key, block, recorded)
        on_rows(sum(spans[index][1] - spans[index][0] for index in block if same[index]))
    episodes = [int(index) for index in np.flatnonzero(touched & ~same)]
    storage = storage_at(store, key)
    threads = 1 if storage is not None and storage.sequential else HASHING_THREADS
    for index, digest in zip(episodes, threaded_map(hash_of, episodes, threads), strict=True):
        hashes[index] = digest
        on_rows(spans[index][1] - spans[index][0])
    _hashed[place] = states, hashes
    return hashes


def rows_to_hash(store: Store, keys: Iterable[str], *, every: bool = False) -> int:
    """How many rows `current` will read, for a progress bar."""
    lengths = np.array([stop - start for start, stop in store.spans()], int)
    return sum(int(lengths[store.touched(key) | every].sum()) for key in keys)


def hashed_keys(store: Store) -> list[str]:
    """Keys of the arrays whose content is hashed: one per camera, and the embeddings."""
    keys = [store.frames_key(camera) for camera in store.cameras]
    for encoder in store.encoders:
        names = store.keys(f"embeddings/{encoder}")
        keys += [
            f"embeddings/{encoder}/{name}"
            for name in names
            if "@" not in name and f"{name}@hash" in names
        ]
    return keys


def unrecorded_keys(store: Store) -> list[str]:
    """Keys of frames whose file states are not all recorded: their writer was killed."""
    keys = []
    for key in map(store.frames_key, store.cameras if store.checked and len(store) else ()):
        then, now = store.known_states(key), store.file_states(key)
        if len(then) < len(now) or not then.any(axis=1).all():
            keys.append(key)
    return keys


def hash_all(
    store: Store,
    on_rows: OnRows = lambda rows: None,
    *,
    every: bool = False,
    keys: Sequence[str] = (),
) -> dict[str, NDArray[np.int64]]:
    """Hash the episodes whose files changed since their hash was recorded, or `every` episode.

    `on_rows` is called with the number of rows of each episode that was hashed.

    Returns:
        Array -> episodes that are not what they were; of none is left out.
    """
    changed = {}
    for key in keys or hashed_keys(store):
        recorded = recorded_hashes(store, key)
        storage = storage_at(store, key)
        hash_of = embedding_hash(store, key) if storage is None else storage.episode_hash()
        now = current(store, key, recorded, hash_of, on_rows, every=every)
        episodes = np.flatnonzero((now != recorded).any(axis=1))
        if len(episodes):
            changed[key] = episodes
    return changed


def recorded_hashes(store: Store, key: str) -> NDArray[np.uint8]:
    """(E, DIGEST) recorded hashes of an array's episodes; see `hashed_keys`."""
    storage = storage_at(store, key)
    return store.hashes(f"{key}@hash" if storage is None else f"meta/content_{storage.camera}")


def file_hashes(
    store: Store, key: str, files: Sequence[int], recorded: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """(F,) int64 hashes of files of an array; 0 for frames outside the store.

    Args:
        store: whose files.
        key: of an array.
        files: which, in ascending order.
        recorded: (E, DIGEST) hashes of the episodes, which are hashed along: so it is noticed, too,
            when somebody changes these.
    """
    storage = storage_at(store, key)
    if storage is not None and storage.external:
        return np.zeros(len(files), np.int64)
    paths, rows, spans = store.files(key), store.rows_per_file(key), store.spans()
    starts, ends = [start for start, _ in spans], [stop for _, stop in spans]

    def hash_of(number: int) -> int:
        first = bisect.bisect_right(ends, number * rows)
        last = bisect.bisect_left(starts, (number + 1) * rows)
        return file_hash(paths[number], recorded[first:last].tobytes())

    return np.array([*threaded_map(hash_of, files, HASHING_THREADS)], np.int64)


def same_bytes(
    store: Store, key: str, episodes: Sequence[int], recorded: NDArray[np.uint8]
) -> list[bool]:
    """Which of these ascending episodes lie only in files whose bytes match the recorded hashes."""
    known = store.known_files(key)[:, STATE]
    if not known.any():
        return [False for _ in episodes]
    rows, spans = store.rows_per_file(key), store.spans()
    within = [range(spans[i][0] // rows, (spans[i][1] - 1) // rows + 1) for i in episodes]
    numbers = sorted({number for files in within for number in files if number < len(known)})
    numbers = [number for number in numbers if known[number]]
    now = file_hashes(store, key, numbers, recorded)
    same = {number for number, digest in zip(numbers, now, strict=True) if digest == known[number]}
    return [same.issuperset(files) for files in within]


def blocks_of(episodes: NDArray[np.int64], size: int) -> Iterator[list[int]]:
    """Lists of at most `size` episode numbers."""
    for begin in range(0, len(episodes), size):
        yield episodes[begin : begin + size].tolist()


def states_when_hashed(store: Store, key: str) -> bytes | None:
    """States of an array's files when this process hashed it; None: it did not."""
    states, _ = _hashed.get((str(store.path.resolve()), key), (None, None))
    return states


def embedding_hash(store: Store, key: str) -> Callable[[int], NDArray[np.uint8]]:
    """A function that hashes the embedding of one episode; zeros if it cannot be read."""
    spans = store.spans()

    def of_embedding(index: int) -> NDArray[np.uint8]:
        try:
            return content_of(store.rows_of(key, *spans[index]))
        except VipOfflineError:
            return np.zeros(16, np.uint8)

    return of_embedding
