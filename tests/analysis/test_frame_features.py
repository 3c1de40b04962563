from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import brightness_episode

from vip_offline.analysis import frame_features
from vip_offline.analysis.frame_features import (
    THUMBNAIL_HEIGHT,
    read_frame_features,
    thumbnail,
    thumbnail_rows,
)
from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing


def test_every_frame_is_seen_once(store_path: Path) -> None:
    store, progress = open_store(store_path), list[int]()
    features = read_frame_features(store, "front", progress.append)
    assert progress == [5, 7, 6]
    for (start, stop), seen in zip(store.spans(), features, strict=True):
        levels = store.frames("front", start, stop)[:, 0, 0, 0]
        assert (seen.pixels == levels[:, None]).all()
        assert len(seen.random) == stop - start
    assert features[0].repeats.tolist() == [False] * 5
    assert features[1].repeats.tolist() == [False] + [True] * 6  # a failure that stays dark
    assert features[1].black.all()
    assert (features[0].thumbnails[-1] == 100).all()


def test_a_long_episode_is_seen_in_pieces(
    store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(store_path)
    whole = read_frame_features(store, "front", lambda frames: None)
    monkeypatch.setattr(frame_features, "LENGTH", 3)
    pieces = read_frame_features(store, "front", lambda frames: None)
    for at_once, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(at_once.pixels, other.pixels)
        np.testing.assert_array_equal(at_once.repeats, other.repeats)
        np.testing.assert_array_equal(at_once.black, other.black)
        np.testing.assert_array_equal(at_once.thumbnails, other.thumbnails)
        np.testing.assert_allclose(at_once.random, other.random, rtol=1e-4, atol=1e-6)


def test_thumbnails_are_spread_over_the_episode() -> None:
    assert thumbnail_rows(3) == [0, 1, 2]
    rows = thumbnail_rows(100)
    assert len(rows) == frame_features.THUMBNAILS
    assert (rows[0], rows[-1]) == (0, 99)
    wide = np.zeros((THUMBNAIL_HEIGHT * 2, THUMBNAIL_HEIGHT * 4, 3), np.uint8)
    assert thumbnail(wide).shape == (THUMBNAIL_HEIGHT, 2 * THUMBNAIL_HEIGHT, 3)
    small = np.zeros((8, 8, 3), np.uint8)
    assert thumbnail(small) is small


def test_the_camera_that_is_meant(make_store: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "two.zarr"
    episode = brightness_episode(4, True, 0)
    frames = {"a": episode.frames["front"], "b": 255 - episode.frames["front"]}
    with writing(path, create={}) as store:
        store.append(Episode(**{**vars(episode), "frames": frames}))
    a, b = (read_frame_features(open_store(path), name, lambda frames: None)[0] for name in "ab")
    np.testing.assert_array_equal(a.pixels, 255 - b.pixels)
