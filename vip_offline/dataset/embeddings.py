"""Embeddings of a store: which episodes have one, whether it is up to date, and its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.frame_hashes import current, embedding_hash
from vip_offline.dataset.storage.content_hash import content_of
from vip_offline.dataset.store_format import Attributes
from vip_offline.errors import VipOfflineError

if TYPE_CHECKING:
    from vip_offline.dataset.store import Store


class Embedding:
    """The embedding of one camera by one encoder; it may be missing or partial."""

    def __init__(self, store: Store, encoder: str, camera: str) -> None:
        self.store, self.encoder, self.camera = store, encoder, camera
        self.key = f"embeddings/{encoder}/{camera}"

    @property
    def provenance(self) -> Attributes | None:
        """Encoder, weights and preprocessing that made it; None if there is no embedding."""
        array = self.store.find(self.key)
        return None if array is None else dict(array.attrs)

    def made(self) -> NDArray[np.bool_]:
        """(E,) finished episodes that have an embedding, up to date or not."""
        store = self.store
        made = np.zeros(len(store), bool)
        if store.find(self.key) is not None and store.find(f"{self.key}@content") is not None:
            marks = store.rows_of(f"{self.key}@content", 0, len(store))
            made[: len(marks)] = marks.any(axis=1)
        return made

    def outdated(self) -> NDArray[np.bool_]:
        """(E,) episodes whose frames, or whose embedding itself, changed since it was computed."""
        made = self.made()
        if not made.any():
            return made
        store, key = self.store, self.key
        marks, frames = store.rows_of(f"{key}@content", 0, len(store)), store.content(self.camera)
        same = np.zeros(len(store), bool)
        same[: len(marks)] = (marks == frames[: len(marks)]).all(axis=1)
        if store.find(f"{key}@hash") is not None:
            hashes = store.hashes(f"{key}@hash")
            unchanged = current(store, key, hashes, embedding_hash(store, key)) == hashes
            same &= unchanged.all(axis=1) | ~hashes.any(axis=1)
        return made & ~same

    def current(self) -> NDArray[np.bool_]:
        """(E,) finished episodes that have an embedding of their present frames."""
        return self.made() & ~self.outdated()

    def content(self) -> NDArray[np.uint8]:
        """(E, DIGEST) hashes of a complete embedding."""
        store, key = self.store, self.key
        if store.find(f"{key}@hash") is not None:
            hashes = store.hashes(f"{key}@hash")
            if hashes.any(axis=1).all():
                return current(store, key, hashes, embedding_hash(store, key))
        return np.stack([content_of(store.rows_of(key, *span)) for span in store.spans()])

    def require_complete(self) -> Embedding:
        """This embedding, if it covers every finished episode.

        Raises:
            VipOfflineError: naming the first episode that it lacks.
        """
        done, store = self.current(), self.store
        if not done.all():
            missing = int(np.argmin(done))
            which = f" --camera {self.camera}" if len(store.cameras) > 1 else ""
            raise VipOfflineError(
                f"{store.path}: {self.key} lacks episode {missing} ({int(done.sum())} of "
                f"{len(done)} are there). Run `vip-offline relabel {store.path} --encoder "
                f"{self.encoder}{which}` again."
            )
        return self


def complete_keys(store: Store, encoder: str, cameras: str) -> list[str]:
    """Keys of the complete embeddings by one encoder of the cameras in ``a,b``."""
    return [Embedding(store, encoder, name).require_complete().key for name in cameras.split(",")]
