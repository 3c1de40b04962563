from pathlib import Path

import numpy as np
from PIL import Image

from vip_offline.dataset.store import open_store
from vip_offline.deployment.export import goal_picture


def test_the_goal_that_the_page_shows(store_path: Path, tmp_path: Path) -> None:
    store = open_store(store_path)
    frame, picture = store.frames("front", 4, 5)[0], tmp_path / "goal.png"
    Image.fromarray(frame // 2).save(picture)
    stage = {"rows": [], "pictures": {str(picture): "its hash"}, "prompts": []}
    rows = {"goal_rows": [0, 4], "stages": [stage]}
    shown = goal_picture(store, "front", rows)
    assert shown is not None
    np.testing.assert_array_equal(shown, frame)
    own = goal_picture(store, "front", {"goal_rows": [], "stages": []})
    assert own is not None
    np.testing.assert_array_equal(own, frame)
    given = {"goal_rows": [], "stages": [stage]}
    file = goal_picture(store, "front", given)
    assert file is not None
    np.testing.assert_array_equal(file, frame // 2)
    picture.unlink()
    assert goal_picture(store, "front", given) is None
