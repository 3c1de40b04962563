from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from origins import demos, replay

from vip_offline.dataset import zarr_frames
from vip_offline.dataset.zarr_frames import ZarrFrameReader


def test_rows_in_any_order_by_several_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay(tmp_path / "set.zarr")
    monkeypatch.setattr(zarr_frames, "READ_BYTES", 4 * 32 * 32 * 3 * 4)  # four frames
    frames = ZarrFrameReader(tmp_path / "set.zarr", "data/img")
    expected = np.concatenate([episode.frames for episode in demos()])
    starts = [*range(12), *range(11, -1, -1)]
    with ThreadPoolExecutor(4) as pool:
        blocks = pool.map(lambda start: frames(np.arange(start, start + 5)), starts)
        for start, block in zip(starts, blocks, strict=True):
            np.testing.assert_array_equal(block, expected[start : start + 5])
    assert len(frames) == 16


@pytest.mark.parametrize("layout", ["(T, 3, H, W)", "uint16"])
def test_whatever_rows_hold_they_come_as_rgb(tmp_path: Path, layout: str) -> None:
    group = zarr.open_group(tmp_path / "set.zarr", mode="w")
    frames = np.concatenate([episode.frames for episode in demos()])
    held = (
        frames.transpose(0, 3, 1, 2) if layout.startswith("(") else frames.astype(np.uint16) * 257
    )
    group.create_array("data/img", data=np.ascontiguousarray(held))
    rows = ZarrFrameReader(tmp_path / "set.zarr", "data/img")(np.array([1, 3]))
    np.testing.assert_array_equal(rows, frames[[1, 3]])
