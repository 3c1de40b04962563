"""Run one encoder over a store; what is there is not computed again.

Reading, preprocessing, encoding and writing overlap: batches run on from one episode into the
next, and each episode is written when its last frame is embedded.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vip_offline import __version__
from vip_offline.dataset.store_format import now
from vip_offline.dataset.store_writer import StoreWriter
from vip_offline.encoders.encoder import Encoder

# s, after which whole episodes are written: each time costs some flushes of the disk
WRITE_INTERVAL = 0.5
RowSpan = tuple[int, int]  # from, up to


def embed_store(
    store: StoreWriter,
    encoder: Encoder,
    camera: str,
    batch_size: int = 0,
    on_frames: Callable[[int], None] = lambda frames: None,
) -> int:
    """Write ``embeddings/<encoder>/<camera>`` for every episode that lacks it.

    Memory does not grow with the store: a few batches of frames are there at a time, and the
    embeddings of one episode.

    Args:
        store: open for writing.
        encoder: the frozen encoder.
        camera: whose frames.
        batch_size: frames per forward pass; 0: what the encoder's backend does fastest.
        on_frames: called with the number of frames after each batch, for a progress bar.

    Returns:
        How many frames were embedded now.

    Raises:
        VipOfflineError: if the store holds this name from another encoder.
    """
    store.accept_frames(camera)
    provenance = {"backend": encoder.backend.name, "code_version": __version__, "created": now()}
    store.begin_embedding(encoder.name, camera, encoder.dim, encoder.provenance | provenance)
    missing = [int(index) for index in np.flatnonzero(~store.embedded(encoder.name, camera))]
    spans = store.spans()
    todo = [spans[index] for index in missing]
    batches = _batches(todo, batch_size or encoder.backend.batch)
    unwritten = deque(missing)
    finished, written = dict[int, NDArray[np.float32]](), time.monotonic()
    waiting, embedded = list[NDArray[np.float32]](), 0
    frames = store.frame_reader(camera)
    for values in encoder.stream(
        batches, lambda pieces: np.concatenate([frames(start, stop) for start, stop in pieces])
    ):
        waiting.append(values)
        embedded += len(values)
        on_frames(len(values))
        while unwritten:
            length = spans[unwritten[0]][1] - spans[unwritten[0]][0]
            if sum(map(len, waiting)) < length:
                break
            rows = np.concatenate(waiting)
            finished[unwritten.popleft()] = rows[:length]
            waiting = [rows[length:]]
        if finished and time.monotonic() - written > WRITE_INTERVAL:
            store.write_embeddings(encoder.name, camera, finished)
            finished, written = {}, time.monotonic()
    if finished:
        store.write_embeddings(encoder.name, camera, finished)
    store.end_embedding(encoder.name, camera)
    return embedded


def _batches(spans: Sequence[RowSpan], size: int) -> Iterator[list[RowSpan]]:
    """Rows of `size` frames at a time, running on from span to span; the last has what is left."""
    pieces, room = list[RowSpan](), size
    for start, stop in spans:
        while start < stop:
            until = min(stop, start + room)
            pieces.append((start, until))
            room -= until - start
            start = until
            if not room:
                yield pieces
                pieces, room = [], size
    if pieces:
        yield pieces
