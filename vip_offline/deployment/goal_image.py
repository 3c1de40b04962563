"""The picture that shows what a labelling took for the goal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.media.pictures import read_picture
from vip_offline.dataset.store import Store


def goal_picture(
    store: Store, camera: str, provenance: Mapping[str, Any]
) -> NDArray[np.uint8] | None:
    """Return one of the goal pictures; None if the goal is a prompt or its file is gone."""
    rows = provenance["goal_rows"]
    if not rows and not provenance["stages"]:  # each episode's own last frame
        rows = [store.spans()[0][1] - 1]
    if rows:
        picture: NDArray[np.uint8] = store.frames(camera, rows[-1], rows[-1] + 1)[0]
        return picture
    files = [path for path in provenance["stages"][-1]["pictures"] if Path(path).is_file()]
    return read_picture(Path(files[0])) if files else None
