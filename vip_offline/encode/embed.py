"""Run one encoder over a store, episode by episode; what is there is not computed again."""

from collections.abc import Callable

import numpy as np

from vip_offline import __version__
from vip_offline.data.store import Store, now
from vip_offline.encode.encoders import Encoder


def embed_store(
    store: Store,
    encoder: Encoder,
    camera: str,
    batch_size: int = 16,
    on_frames: Callable[[int], None] = lambda frames: None,
) -> int:
    """Write ``embeddings/<encoder>/<camera>`` for every episode that lacks it.

    Args:
        store: open for writing.
        encoder: the frozen encoder.
        camera: whose frames.
        batch_size: frames per forward pass.
        on_frames: called with the number of frames after each episode, for a progress bar.

    Returns:
        How many frames were embedded now.

    Raises:
        VipOfflineError: if the store holds this name from another encoder.
    """
    made = {"code_version": __version__, "created": now()}
    store.begin_embedding(encoder.name, camera, encoder.dim, encoder.provenance | made)
    embedded = 0
    missing = np.flatnonzero(~store.embedded(encoder.name, camera))
    spans = store.spans()
    for index in missing:
        start, stop = spans[index]
        values = encoder(store.frames(camera, start, stop), batch_size)
        store.write_embedding(encoder.name, camera, int(index), values)
        embedded += stop - start
        on_frames(stop - start)
    return embedded
