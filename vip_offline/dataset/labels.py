"""Labellings of a store: rewards, distances and goals, refused if their data changed since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from vip_offline.dataset.read_hashes import (
    Reads,
    StaleError,
    changed_reads,
    episodes_in_words,
    reads,
)
from vip_offline.dataset.store_format import Attributes
from vip_offline.errors import VipOfflineError, did_you_mean

if TYPE_CHECKING:
    from vip_offline.dataset.store import Store

# arrays of a labelling whose hashes it keeps beside those of what it was made from
LABEL_ARRAYS = ("reward", "distance")


@dataclass(frozen=True)
class Label:
    """One labelling of a store: N rows; the reward is NaN in the last row of each episode."""

    name: str
    reward: NDArray[np.float32]  # (N,), of the step from row t to t+1
    distance: NDArray[np.float32]  # (N,), of row t to the goal
    goal: NDArray[np.float32] | None  # (K, D), per stage; None: each episode has its own
    provenance: Attributes
    goal_set: NDArray[np.float32] | None = None  # (G, D) of which the nearest counts
    read: Reads = field(default_factory=dict)  # hashes of what it was made from; none: unknown


def read_label(store: Store, name: str) -> Label:
    """See `Store.label`."""
    names = store.label_names
    if not names:
        raise VipOfflineError(
            f"{store.path}: no labels yet. Run `vip-offline relabel {store.path}`."
        )
    if not name and len(names) > 1:
        raise VipOfflineError(
            f"{store.path}: has {len(names)} labellings ({', '.join(names)}); "
            "name one with --label."
        )
    name = name or names[0]
    if name not in names:
        raise VipOfflineError(f"{store.path}: no label {name!r}.{did_you_mean(name, names)}")
    key = f"labels/{name}"
    attributes = dict(cast("zarr.Group", store.node(key)).attrs)
    for array in cast("Sequence[str]", attributes.get("arrays", ())):
        store.array(f"{key}/{array}")
    reward, distance = store.rows_of(f"{key}/reward"), store.rows_of(f"{key}/distance")
    done = store.rows_of(f"{key}/done")
    complete = len(reward) == len(distance) == store.rows
    way_out = f"Run `vip-offline relabel {store.path}` again, with the options that made it."
    if len(done) != len(store) or not done.all() or not complete:
        changes = [f"it covers {int(done.sum())} of {len(store)} episodes"]
        raise StaleError(f"{store.path}: label {name!r}", changes, way_out)
    goals = (f"{key}/goal", f"{key}/goal_set")
    goal, goal_set = (
        store.rows_of(array) if store.find(array) is not None else None for array in goals
    )
    sources = cast("Sequence[str]", attributes.get("read", ()))
    hashes = store.rows_of(f"{key}/read") if sources else np.zeros((0, 0, 0), np.uint8)
    read = {source: hashes[:, place] for place, source in enumerate(sources)}
    # an embedding that was removed cannot be asked
    known = {
        source: recorded
        for source, recorded in read.items()
        if not source.startswith("embeddings/") or store.find(source) is not None
    }
    changes = [*_outdated(store, known)] or changed_reads(known, reads(store, known))
    if changes:
        raise StaleError(f"{store.path}: label {name!r}", changes, way_out)
    return Label(name, reward, distance, goal, store.label_provenance(name), goal_set, read)


def _outdated(store: Store, read: Reads) -> Iterator[str]:
    """A phrase for each embedding that the label was made from and that is outdated."""
    for key in read:
        group, _, name = key.partition("/")
        if group == "embeddings":
            encoder, _, camera = name.partition("/")
            episodes = np.flatnonzero(store.outdated(encoder, camera))
            if len(episodes):
                yield f"the embedding {name} of {episodes_in_words(episodes)} is outdated"
