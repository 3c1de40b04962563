"""What the episodes of a store begin and end with, and what of their pictures stands still."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.controls import NETWORK_SIDE, shrink
from vip_offline.analysis.curation.oddities import Jump, Scene
from vip_offline.dataset.frame_storage import ReadFrames
from vip_offline.dataset.labels import Label
from vip_offline.dataset.store import Store
from vip_offline.encoders.preprocessing import fit_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import Fit
from vip_offline.utils.arrays import Floats

LAST = 5  # frames whose mean is where an episode ends
SAMPLED = 8  # frames of each half, whose median is what stands still


def scenes_of(
    store: Store, label: Label, jumps: Sequence[int | None]
) -> tuple[list[Scene], list[str]]:
    """A scene per episode, and sentences on what could not be looked at.

    Args:
        store: finished.
        label: whose embeddings and camera count.
        jumps: per episode the row in which its picture jumps, if it does.

    Raises:
        VipOfflineError: if a frame is gone or damaged.
    """
    encoder, camera = str(label.provenance["encoder"]), str(label.provenance["camera"])
    notes = []
    try:
        embedding = store.embedding(encoder, camera)[0].astype(np.float64)
    except VipOfflineError as error:
        embedding = None
        notes.append(
            f"Other goals were not looked for: the embeddings are not in the store ({error})."
        )
    first = camera.split(",")[0]
    read = store.frame_reader(first) if first in store.cameras else None
    if read is None:
        notes.append(f"Moved cameras were not looked for: no frames of {first} are in the store.")
    fit = fit_of(label.provenance)
    scenes = []
    for (start, stop), row in zip(store.spans(), jumps, strict=True):
        early = late = begin = end = before_end = None
        jump = None
        if read is not None:
            early, late = _halves(read, start, stop, fit)
            if row:
                pair = shrink(read(start + row - 1, start + row + 1), NETWORK_SIDE, fit)
                jump = Jump(row, edges_of(pair[:1]), edges_of(pair[1:]))
        if embedding is not None:
            rows = embedding[start:stop]
            tail = min(LAST, max(1, len(rows) // 2))
            begin = rows[0]
            end, before_end = rows[-tail:].mean(axis=0), rows[-2 * tail : -tail].mean(axis=0)
        scenes.append(Scene(begin, end, before_end, early, late, jump))
    return scenes, notes


def _halves(read: ReadFrames, start: int, stop: int, fit: Fit) -> tuple[Floats, Floats]:
    rows = np.linspace(start, stop - 1, min(2 * SAMPLED, stop - start)).round().astype(int)
    small = shrink(np.concatenate([read(row, row + 1) for row in rows]), NETWORK_SIDE, fit)
    middle = len(small) // 2
    return edges_of(small[:middle]), edges_of(small[middle:])


def edges_of(frames: NDArray[np.uint8]) -> Floats:
    """(N, side, side, 3) -> (P,) strength of the edges of what stands still, by the median frame.

    Edges stay where they are in another light, and lie elsewhere where the camera does. Their mean
    is 1, since a stronger light makes all of them stronger.
    """
    grey = np.median(frames, axis=0).mean(axis=-1)
    across, along = np.gradient(grey)
    strength = np.hypot(across, along)
    # blurred by a pixel: what is shifted by less is the same picture
    padded = np.pad(strength, 1, mode="edge")
    side = len(strength)
    edges = np.zeros_like(strength)
    for y in range(3):
        for x in range(3):
            edges += padded[y : y + side, x : x + side]
    mean = float(edges.mean())
    strengths: Floats = np.asarray(edges / mean if mean else edges, np.float64).ravel()
    return strengths
