from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from origins import demos, replay

from vip_offline.data import linked
from vip_offline.data.linked import LinkedFrames, whole_numbers
from vip_offline.errors import VipOfflineError


def test_rows_in_any_order_by_several_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay(tmp_path / "set.zarr")
    monkeypatch.setattr(linked, "BLOCK", 4 * 32 * 32 * 3 * 4)  # four frames
    frames = LinkedFrames(tmp_path / "set.zarr", "data/img")
    wanted = np.concatenate([each.frames for each in demos()])
    starts = [*range(12), *range(11, -1, -1)]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda start: frames(np.arange(start, start + 5)), starts)
        for start, each in zip(starts, found, strict=True):
            np.testing.assert_array_equal(each, wanted[start : start + 5])
    assert len(frames) == 16


def test_what_scale_pixels_have_is_never_guessed() -> None:
    bytes_ = np.array([[[[0, 7, 255]]]], np.uint8)
    assert whole_numbers(bytes_, "x") is bytes_
    np.testing.assert_array_equal(whole_numbers(bytes_.astype(np.float32), "x"), bytes_)
    with pytest.raises(VipOfflineError, match="x is float32 and, in row 0"):
        whole_numbers(np.array([[[[0, 0.5, 1]]]], np.float32), "x")
