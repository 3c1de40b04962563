"""Input hashes of a result: one per episode of each array that it was computed from.

Small columns are read and hashed at every use, so a change by any program is noticed. For frames
and embeddings the hashes kept in the store are used, see `frame_hashes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.storage.content_hash import SHORT_DIGEST, content_of, hashes_of
from vip_offline.errors import VipOfflineError

if TYPE_CHECKING:
    from vip_offline.dataset.store import Store

Reads = Mapping[str, NDArray[np.uint8]]  # array, see `reads` -> (E, SHORT) hashes
LENGTHS = "lengths"
NAMED_EPISODES = 8  # episodes that a sentence names


class StaleError(VipOfflineError):
    """A result whose inputs changed since it was computed."""

    def __init__(self, result: str, changes: Sequence[str], way_out: str) -> None:
        """Say so.

        Args:
            result: what it is of, as in ``x.zarr: label 'pixels'``.
            changes: see `changed_reads`.
            way_out: a sentence.
        """
        self.reason = "; ".join(changes)
        super().__init__(f"{result} is outdated ({self.reason}). {way_out}")


def reads(store: Store, keys: Iterable[str]) -> dict[str, NDArray[np.uint8]]:
    """Hashes of the present content of arrays, (E, SHORT) by key.

    Keys are ``lengths`` of the episodes, ``frames/CAMERA``, ``embeddings/ENCODER/CAMERA``, an array
    of ``data``, ``extras`` or ``meta``, or a labelling's such as ``labels/NAME/reward``.
    """
    return {key: _hashes(store, key) for key in keys}


def _hashes(store: Store, key: str) -> NDArray[np.uint8]:
    spans = store.spans()
    every = [(index, index + 1) for index in range(len(spans))]
    group, _, name = key.partition("/")
    if key == LENGTHS:
        return hashes_of(np.array([stop - start for start, stop in spans], np.int64), every)
    if group == "frames":
        return store.content(name)[:, :SHORT_DIGEST]
    if group == "embeddings":
        encoder, _, camera = name.partition("/")
        return store.embedding_content(encoder, camera)[:, :SHORT_DIGEST]
    if group == "meta":
        return hashes_of(store.meta(name), every)
    if group == "data":
        return hashes_of(store.data(name), spans)
    return hashes_of(store.rows_of(key), spans)


def changed_reads(before: Reads, after: Reads) -> list[str]:
    """Changes in words; arrays for which one side has no hashes are ignored."""
    episodes, now = (max(map(len, side.values()), default=0) for side in (before, after))
    if before and after and episodes != now:
        count = abs(now - episodes)
        verb = "was" if count == 1 else "were"
        done = "added" if now > episodes else "taken away"
        return [f"{count} episode{'s' * (count > 1)} {verb} {done}"]
    changes = []
    for key in before:
        if key in after:
            changed = np.flatnonzero((before[key] != after[key]).any(axis=1))
            if len(changed):
                changes.append(f"{in_words(key)} of {episodes_in_words(changed)} changed")
    return changes


def made_from(store: Store, keys: Iterable[str]) -> dict[str, object]:
    """Input hashes to keep with a table, page or export: one hash for each array."""
    hashes = {key: content_of(hashes).tobytes().hex() for key, hashes in reads(store, keys).items()}
    return {"store": str(store.path.absolute()), "read": hashes}


def changed_arrays(store: Store, hashes: Mapping[str, str]) -> list[str]:
    """Arrays that changed since `made_from`, in words."""
    now = reads(store, hashes)
    return [
        f"{in_words(key)} changed"
        for key, value in hashes.items()
        if content_of(now[key]).tobytes().hex() != value
    ]


def episodes_in_words(episodes: Sequence[int] | NDArray[np.int64]) -> str:
    """``episode 3``, ``episodes 3, 7`` or the first few and how many more."""
    listed = ", ".join(str(index) for index in episodes[:NAMED_EPISODES])
    more = f" and {len(episodes) - NAMED_EPISODES} more" if len(episodes) > NAMED_EPISODES else ""
    return f"episode{'s' * (len(episodes) > 1)} {listed}{more}"


ARRAY_NAMES = {
    LENGTHS: "the length",
    "data/action": "actions",
    "data/proprio": "proprio",
    "data/succeeded": "the success flags",
    "meta/placement": "the placement",
    "meta/success": "the success label",
    "meta/success_labelled": "whether success is labelled",
}


def in_words(key: str) -> str:
    """Name of an array in messages."""
    group, _, name = key.partition("/")
    if group == "frames":
        return f"frames of camera {name}"
    if group == "embeddings":
        return f"the embedding {name}"
    if group == "labels":
        return f"the {key.rsplit('/', 1)[-1]} of label {name.rpartition('/')[0]!r}"
    return ARRAY_NAMES.get(key, key)
