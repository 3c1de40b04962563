"""Stores of videos that are shown turned, by this release and by the one before."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from made_up_films import SIZE, ramp, write
from store_files import overwrite_attribute

from vip_offline.dataset.importers.convert import Converter
from vip_offline.dataset.importers.folders.folder_source import FolderSource
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.dataset.validation.run import check
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

UPRIGHT = np.rot90(ramp(8), 1, (1, 2))


def imported(folder: Path, *, copy: bool = False) -> Path:
    """A store of two videos that are shown turned by 90 degrees."""
    folder.mkdir()
    for name in ("a", "b"):
        write(folder / f"{name}.mp4", 8, turn=(90, False, False))
    store = folder / "x.zarr"
    import_source(FolderSource(folder), store, ImportOptions(copy_frames=copy))
    return store


def as_before(store: Path) -> Path:
    """Make of it what the release wrote that left frames as the file holds them."""
    contents = zarr.open_group(store, mode="r+")["meta/content_video"]
    assert isinstance(contents, zarr.Array)
    overwrite_attribute(store, "data/pts_video", upright=None, frame_shape=[*SIZE, 3])
    line = timeline(store.parent / "a.mp4").as_stored()
    contents[:] = np.stack([line.content(line.pts, SIZE)] * 2)
    return store


@pytest.mark.parametrize("copy", [False, True])
def test_frames_of_a_store_are_upright(tmp_path: Path, copy: bool) -> None:
    store = open_store(imported(tmp_path / "videos", copy=copy))
    assert store.upright("video")
    frames = store.frames("video", 8, 16)
    assert frames.shape == UPRIGHT.shape
    assert np.abs(frames.astype(int) - UPRIGHT).mean() < 2
    assert not check(store.path).wrong


def test_a_store_of_before_means_what_it_meant_and_the_check_says_so(tmp_path: Path) -> None:
    store = open_store(as_before(imported(tmp_path / "videos")))
    frames = store.frames("video", 8, 16)
    assert np.abs(frames.astype(int) - ramp(8)).mean() < 2
    (wrong,) = (group for group in check(store.path).groups if group.severity == "wrong")
    assert (wrong.kind, wrong.count, wrong.way_out) == ("not-upright", 2, "import again")


def test_turned_frames_are_not_added_to_frames_of_before(tmp_path: Path) -> None:
    path = as_before(imported(tmp_path / "videos"))
    source = FolderSource(tmp_path / "videos")
    catalogue = source.catalogue()
    convert = Converter(source, catalogue, catalogue.keys, ImportOptions())
    episode, _ = convert(0)
    convert.close()
    with (
        writing(path) as store,
        pytest.raises(VipOfflineError, match="episode 2: the video of camera video is"),
    ):
        store.append(episode)
