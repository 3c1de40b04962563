import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from imported import imported
from made_up_clips import write_film
from origins import replay
from store_files import everything, overwrite, overwrite_attribute, spoil_frame

from vip_offline.dataset import frame_hashes, frame_storage
from vip_offline.dataset.frame_hashes import hash_all, hashed_keys, rows_to_hash
from vip_offline.dataset.importers.folders.folder_source import FolderSource
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions, RelabelOptions
from vip_offline.rewards.relabel import relabel

FRAMES, EMBEDDING = "data/frames_front", "embeddings/pixels/front"


@pytest.fixture(autouse=True)
def another_process() -> Iterator[None]:
    """What this process hashed is no business of the next test."""
    frame_hashes._hashed.clear()
    yield
    frame_hashes._hashed.clear()


def hashed(store: Store, **options: Any) -> int:
    """Rows that are hashed."""
    rows = list[int]()
    assert hash_all(store, rows.append, **options) == {}
    return sum(rows)


def touch(path: Path) -> None:
    """Give all files of a store another time."""
    for file in path.rglob("*"):
        os.utime(file, ns=(0, 1_600_000_000_000_000_000))


def test_what_was_not_touched_is_not_hashed(make_store: Callable[..., Path]) -> None:
    path = make_store()
    relabel(path, RelabelOptions(encoder="pixels"))
    store = open_store(path)
    assert hashed_keys(store) == [FRAMES, EMBEDDING]
    assert rows_to_hash(store, hashed_keys(store)) == 0
    assert hashed(store) == 0
    assert hashed(store, every=True) == rows_to_hash(store, hashed_keys(store), every=True) == 36
    assert hashed(store, every=True, keys=[FRAMES]) == 18


def test_a_touched_file_that_is_equal_is_no_change(labelled: Path) -> None:
    touch(labelled)
    assert hashed(open_store(labelled)) == 36
    open_store(labelled).label()


def test_a_copied_store_is_hashed_once(labelled: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.zarr"
    shutil.copytree(labelled, path)
    store = open_store(path)
    assert hashed(store) == 36
    assert hashed(store) == 0  # this process knows
    with writing(path) as writer:
        writer.remember_states()
    frame_hashes._hashed.clear()
    assert hashed(open_store(path)) == 0
    assert everything(path)["labels/pixels/name"] == "pixels"


def test_bytes_that_are_the_same_are_not_decoded(
    labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(labelled)
    monkeypatch.setattr(frame_storage, "content_of_blocks", None)
    assert hashed(open_store(labelled), keys=[FRAMES]) == 18


@pytest.mark.parametrize("key", [FRAMES, EMBEDDING])
def test_bytes_that_changed_in_a_file_that_looks_the_same(labelled: Path, key: str) -> None:
    store = open_store(labelled)
    files = store.files(key)
    times = files[0].stat().st_mtime_ns
    overwrite(labelled, key, 6, 200 if key == FRAMES else 0.5)
    with writing(labelled) as writer:  # as if the file system had not kept track of it
        array = writer.array(f"files/{key}")
        array[0, :3] = [files[0].stat().st_size, times, files[0].stat().st_ino]
        os.utime(files[0], ns=(0, times))
    assert hash_all(open_store(labelled)) == {}
    (changed,) = hash_all(open_store(labelled), every=True)
    assert changed == key


def test_a_changed_record_of_hashes_is_noticed(labelled: Path) -> None:
    overwrite(labelled, "meta/content_front", 1, 7)
    changed = hash_all(open_store(labelled), every=True, keys=[FRAMES])
    assert changed[FRAMES].tolist() == [1]


def test_what_changed_is_not_remembered_as_right(labelled: Path) -> None:
    overwrite(labelled, FRAMES, 6, 200)
    for _ in range(2):
        changed = hash_all(open_store(labelled))
        assert {key: episodes.tolist() for key, episodes in changed.items()} == {FRAMES: [1]}
        with writing(labelled) as writer:
            writer.remember_states()
        frame_hashes._hashed.clear()
    with pytest.raises(VipOfflineError, match="embedding pixels/front of episode 1 is outdated"):
        open_store(labelled).label()


def test_a_changed_embedding_is_named(labelled: Path) -> None:
    overwrite(labelled, EMBEDDING, 12, 0.5)
    assert hash_all(open_store(labelled))[EMBEDDING].tolist() == [2]
    with pytest.raises(VipOfflineError, match="embedding pixels/front of episode 2 is outdated"):
        open_store(labelled).label()


def test_damaged_frames_are_no_change_but_an_error(labelled: Path) -> None:
    spoil_frame(labelled, "front", 6)
    with pytest.raises(VipOfflineError, match=r"frames_front: .* is damaged \(row 6"):
        hash_all(open_store(labelled))


def test_hashes_of_an_unknown_kind_are_refused(labelled: Path) -> None:
    for key in ("meta/content_front", f"{EMBEDDING}@hash"):
        overwrite_attribute(labelled, key, hash="sha-1")
        with pytest.raises(VipOfflineError, match=rf"{key} holds hashes of kind 'sha-1'.*Update"):
            hash_all(open_store(labelled))
        overwrite_attribute(labelled, key, hash="blake2b")


def test_many_frames_are_hashed_as_all_at_once(
    labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_storage, "HASH_FRAMES", 2)
    assert hashed(open_store(labelled), every=True) == 36


def write_padded(path: Path, offset: int) -> None:
    """A video of a size that does not depend on its pictures: a box of nothing makes it up."""
    write_film(path, offset=offset)
    content = path.read_bytes()
    room = 100_000 - len(content)
    path.write_bytes(content + room.to_bytes(4, "big") + b"free" + bytes(room - 8))


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder of two videos, and a labelled store of them beside it."""
    folder = tmp_path / "here/videos"
    folder.mkdir(parents=True)
    for place, name in enumerate("ab"):
        write_padded(folder / f"{name}.mp4", place * 100)
    import_source(FolderSource(folder), tmp_path / "here/x.zarr", ImportOptions())
    relabel(tmp_path / "here/x.zarr", RelabelOptions(encoder="pixels", goal=("last",)))
    return folder


def test_a_video_in_which_bytes_changed(videos: Path) -> None:
    path, video = videos.parent / "x.zarr", videos / "b.mp4"
    content = bytearray(video.read_bytes())
    start = content.index(b"mdat") + 20
    content[start : start + 400] = bytes(400)
    video.write_bytes(content)
    with pytest.raises(VipOfflineError, match=r"episode 1\b|b\.mp4"):
        everything(path)


def test_a_video_that_was_replaced_by_one_of_equal_size(videos: Path) -> None:
    path = videos.parent / "x.zarr"
    write_padded(videos / "b.mp4", 50)
    assert hash_all(open_store(path))["data/pts_video"].tolist() == [1]
    with pytest.raises(VipOfflineError, match="embedding pixels/video of episode 1 is outdated"):
        open_store(path).label()


def test_a_touched_video_is_no_change(videos: Path) -> None:
    touch(videos)
    path = videos.parent / "x.zarr"
    assert hashed(open_store(path)) == 12
    everything(path)


def test_a_store_that_was_moved_with_its_videos(videos: Path, tmp_path: Path) -> None:
    expected = everything(videos.parent / "x.zarr")
    videos.parent.rename(tmp_path / "elsewhere")
    path = tmp_path / "elsewhere/x.zarr"
    content = everything(path)
    np.testing.assert_array_equal(content["frames/video"], expected["frames/video"])
    assert hashed(open_store(path)) == 0  # a renamed file is the same
    shutil.rmtree(tmp_path / "elsewhere/videos")
    with pytest.raises(VipOfflineError, match=r"elsewhere/videos/a\.mp4"):
        everything(path)


def test_a_linked_zarr_that_was_changed(tmp_path: Path) -> None:
    replay(tmp_path / "set.zarr")
    path = tmp_path / "x.zarr"
    imported(tmp_path / "set.zarr", path, link_frames=True)
    (camera,) = open_store(path).cameras
    relabel(path, RelabelOptions(encoder="pixels", goal=("last",)))
    assert open_store(path).frames_key(camera).startswith("data/rows_")
    touch(tmp_path / "set.zarr")
    everything(path)
    array = zarr.open_group(tmp_path / "set.zarr", mode="r+")["data/img"]
    assert isinstance(array, zarr.Array)
    array[7] = 3
    assert hash_all(open_store(path))[f"data/rows_{camera}"].tolist() == [1]
    with pytest.raises(VipOfflineError, match=rf"pixels/{camera} of episode 1 is outdated"):
        open_store(path).label()
