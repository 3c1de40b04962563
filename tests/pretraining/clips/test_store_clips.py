from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up_clips import pictures, rows, write_two_cameras
from store_files import lose_frame

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.store_clips import clips_of


def test_every_camera_of_every_episode(tmp_path: Path) -> None:
    pairs = list(clips_of(write_two_cameras(tmp_path / "a.zarr"), ""))
    assert [key for key, _ in pairs] == ["left/0", "left/1", "right/0", "right/1"]
    assert [clip.length for _, clip in pairs] == [4, 3, 4, 3]
    for (_, clip), seed in zip(pairs, (0, 1, 10, 11), strict=True):
        frames = pictures(clip.length, seed)
        for requested in (rows(0), rows(2, 0, 0), np.arange(clip.length)):
            np.testing.assert_array_equal(clip.read(requested), frames[requested])
    assert "a.zarr, episode 1, camera right" in pairs[3][1].name
    takes = [clip.take for _, clip in pairs]
    assert takes[:2] == takes[2:] and takes[0] != takes[1]


def test_one_camera(tmp_path: Path) -> None:
    path = write_two_cameras(tmp_path / "a.zarr")
    assert [key for key, _ in clips_of(path, "right")] == ["right/0", "right/1"]
    with pytest.raises(VipOfflineError, match=r"no camera 'rihgt'\. Did you mean 'right'"):
        list(clips_of(path, "rihgt"))


def test_the_content_is_the_identity(tmp_path: Path) -> None:
    identities = [clip.identity for _, clip in clips_of(write_two_cameras(tmp_path / "a.zarr"), "")]
    moved = [clip.identity for _, clip in clips_of(write_two_cameras(tmp_path / "b.zarr"), "")]
    assert identities == moved and len(set(identities)) == 4
    assert identities[0] == open_store(tmp_path / "a.zarr").content("left")[0].tobytes().hex()


def test_a_missing_frame_is_named(store_path: Path) -> None:
    clip = next(clip for key, clip in clips_of(store_path, "") if key == "front/1")
    lose_frame(store_path, "front", 6)
    with pytest.raises(VipOfflineError, match="row 6: it was never written"):
        clip.read(rows(0, 1))


def test_no_store(tmp_path: Path, make_store: Callable[..., Path]) -> None:
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(VipOfflineError, match="is not a vip-offline store"):
        list(clips_of(tmp_path / "a.zarr", ""))
