"""Finding the LeRobot data set that a store came from."""

from pathlib import Path

import numpy as np
import pytest
from made_up_exports import imported, recorded, with_rewards
from origins import lerobot

from vip_offline.dataset.exporters.lerobot_origin import index_of, lerobot_origin, require_length
from vip_offline.errors import VipOfflineError


def test_it_is_opened_where_the_store_says(tmp_path: Path) -> None:
    lerobot(tmp_path / "set", (5, 7))
    imported(tmp_path / "set", tmp_path / "a.zarr")
    origin = lerobot_origin(with_rewards(tmp_path / "a.zarr"))
    assert origin.path == tmp_path / "set"
    index = index_of(origin, 1, 7)
    assert index.dtype == np.int64
    assert index.tolist() == list(range(5, 12))
    with pytest.raises(VipOfflineError, match="episode 1: has 7 rows, the store has 6"):
        index_of(origin, 1, 6)


def test_a_store_of_another_origin_is_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.zarr", source_format="robomimic HDF5")
    with pytest.raises(VipOfflineError, match=r"not imported from LeRobot \(robomimic HDF5\)"):
        lerobot_origin(with_rewards(path))


def test_equal_lengths_pass() -> None:
    require_length(Path("set"), 3, 5, 5)
    with pytest.raises(VipOfflineError, match="set, episode 3: has 6 rows, the store has 5 of it"):
        require_length(Path("set"), 3, 5, 6)
