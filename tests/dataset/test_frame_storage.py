"""The contract of the three frame storages."""

import os
from pathlib import Path

import numpy as np
import pytest
from imported import imported
from origins import demos, folders, replay

from vip_offline.dataset.frame_storage import (
    FrameStorage,
    StoredFrames,
    VideoFrames,
    ZarrFrames,
    storage_at,
    storage_of,
)
from vip_offline.dataset.store import Store, open_store

ORIGINS = {StoredFrames: replay, VideoFrames: folders, ZarrFrames: replay}
CAMERAS = {StoredFrames: "img", VideoFrames: "front", ZarrFrames: "img"}


def stored(kind: type[FrameStorage], folder: Path) -> tuple[Store, Path]:
    """A store of three episodes of 5, 7 and 4 rows, and the file or folder with its frames."""
    origin = folder / "set.zarr" if ORIGINS[kind] is replay else folder / "set"
    ORIGINS[kind](origin)
    store = imported(origin, folder / "store.zarr", link_frames=kind is ZarrFrames)
    return store, store.path if kind is StoredFrames else origin


@pytest.mark.parametrize("kind", ORIGINS)
def test_frames_hashes_and_states(tmp_path: Path, kind: type[FrameStorage]) -> None:
    store, source = stored(kind, tmp_path)
    camera = CAMERAS[kind]
    storage = storage_of(store, camera)
    assert type(storage) is kind and type(storage_at(store, storage.key)) is kind
    assert storage.external == (kind is not StoredFrames)
    expected = np.concatenate([episode.frames for episode in demos()])
    frames = storage.reader()(0, store.rows)
    assert frames.shape == (store.rows, *storage.shape)
    assert np.abs(frames.astype(int) - expected).max() <= (2 if kind is VideoFrames else 0)
    np.testing.assert_array_equal(storage.reader()(4, 6), frames[4:6])  # of two episodes
    hashes = [storage.episode_hash()(episode) for episode in range(len(store))]
    np.testing.assert_array_equal(hashes, store.recorded_content(camera))
    before = storage.file_states()
    assert not storage.touched(before, before).any()
    for file in source.rglob("*"):
        os.utime(file, ns=(0, 1_600_000_000_000_000_000))
    assert storage.touched(before, storage.file_states()).all()


@pytest.mark.parametrize(("kind", "first"), [(StoredFrames, 0), (VideoFrames, 2), (ZarrFrames, 0)])
def test_first_file_that_an_append_writes(
    tmp_path: Path, kind: type[FrameStorage], first: int
) -> None:
    store, _ = stored(kind, tmp_path)
    assert storage_of(store, CAMERAS[kind]).first_file(row=store.spans()[2][0], episode=2) == first


def test_other_arrays_hold_no_frames(tmp_path: Path) -> None:
    store, _ = stored(StoredFrames, tmp_path)
    keys = [f"data/{name}" for name in store.keys("data")]
    assert [key for key in keys if storage_at(store, key)] == ["data/frames_img"]
    assert storage_at(store, "meta/content_img") is None
    assert type(storage_of(open_store(store.path), "unknown")) is StoredFrames
