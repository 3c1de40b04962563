"""The frames of an episode by which a person decides whether to keep it."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from vip_offline.analysis.curation.ranking import Segment
from vip_offline.analysis.curation.results import Shot
from vip_offline.dataset.store import Store

EVEN = 6  # frames that are evenly spaced in time, the first and the last among them
SEGMENTS = 2  # of which the frames are shown, too
HEIGHT = 112  # px of a frame


def shot_rows(length: int, segments: Sequence[Segment]) -> list[int]:
    """Rows to be shown of an episode: some of all, and the ends of what is found wanting."""
    rows = set(np.linspace(0, length - 1, min(EVEN, length)).round().astype(int).tolist())
    for segment in segments[:SEGMENTS]:
        rows |= {segment.start, segment.stop - 1}
    return sorted(rows)


def shots_of(store: Store, camera: str, index: int, rows: Iterable[int]) -> tuple[Shot, ...]:
    """Read frames of one episode; none where the camera's are not in the store.

    Raises:
        VipOfflineError: if a frame is gone or damaged.
    """
    if camera not in store.cameras:
        return ()
    start, _ = store.spans()[index]
    read, shots = store.frame_reader(camera), []
    for row in rows:
        frame = read(start + row, start + row + 1)[0]
        height, width = frame.shape[:2]
        if height > HEIGHT:
            size = (max(1, round(width * HEIGHT / height)), HEIGHT)
            frame = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))
        shots.append(Shot(row, frame))
    return tuple(shots)
