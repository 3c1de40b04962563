import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from counted import Counted
from made_up_clips import (
    pictures,
    rows,
    write_clip,
    write_film,
    write_manifest,
    write_two_cameras,
)

from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips import index as index_module
from vip_offline.pretraining.clips.folder_listing import Listing, list_clips
from vip_offline.pretraining.clips.open_clips import open_clips


def clip_folder(root: Path, count: int = 3) -> Path:
    for seed in range(count):
        write_clip(root / f"{seed}", pictures(4 + seed, seed))
    return root


def test_clips_of_several_paths(tmp_path: Path, make_store: Callable[..., Path]) -> None:
    folder, store = clip_folder(tmp_path / "a"), make_store()
    film = write_film(tmp_path / "film.mp4")
    table = write_manifest(tmp_path / "ego4d", ["0,x/clip/,2,"])
    write_clip(tmp_path / "ego4d/x/clip", pictures(2), ["000000.jpg", "000001.jpg"])
    counted = Counted()
    clips = open_clips([folder, store, film, table.parent], advance=counted)
    assert clips.lengths.tolist() == [4, 5, 6, 5, 7, 6, 6, 2]
    assert clips.lengths.dtype == clips.groups.dtype == np.int64
    assert clips.groups.tolist() == [0, 0, 0, 1, 1, 1, 2, 3]
    assert clips.group_names == ("a", "demos", "film.mp4", "x")
    assert clips.takes.dtype == np.int64 and len(set(clips.takes.tolist())) == 8
    assert clips.skipped == () and counted.totals == [8] and counted.done == 8
    assert clips.name(1) == str(folder / "1")
    np.testing.assert_array_equal(clips.read(2, rows(5, 0)), pictures(6, 2)[[5, 0]])
    assert clips.read(4, rows(0)).shape == (1, 32, 32, 3)


def test_paths_are_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip_folder(tmp_path / "a")
    whole = open_clips([tmp_path / "a"])
    monkeypatch.chdir(tmp_path / "a")
    assert open_clips([Path()]).group_names == ("a",)
    assert open_clips([Path("../a/")]).fingerprint == whole.fingerprint


def test_a_folder_of_stores(tmp_path: Path, make_store: Callable[..., Path]) -> None:
    for name in ("one", "two"):
        make_store(name)
    clips = open_clips([tmp_path], camera="front")
    assert clips.group_names == ("one", "two") and len(clips.lengths) == 6
    with pytest.raises(VipOfflineError, match=r"one.zarr: no camera 'back'"):
        open_clips([tmp_path], camera="back")
    with pytest.raises(VipOfflineError, match="--camera front: only stores have cameras"):
        open_clips([clip_folder(tmp_path / "a")], camera="front")


def test_cameras_of_an_episode_show_one_take(tmp_path: Path) -> None:
    stores = [write_two_cameras(tmp_path / name / "demos.zarr") for name in ("one", "two")]
    write_clip(tmp_path / "a" / "short", pictures(1))
    write_clip(tmp_path / "a" / "whole", pictures(2))
    clips = open_clips([tmp_path / "a", *stores], max_skipped=0.2)
    first, *others = clips.takes.tolist()
    assert others[:4] == others[:2] * 2 and others[4:] == others[4:6] * 2
    assert len({first, *others}) == 5
    assert len(set(open_clips(stores, camera="right").takes.tolist())) == 4


def test_groups_of_one_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_clip(tmp_path / name / "kitchen" / "0", pictures(2))
    names = open_clips([tmp_path / "a", tmp_path / "b"]).group_names
    assert names == (f"kitchen ({tmp_path / 'a'})", f"kitchen ({tmp_path / 'b'})")


def test_what_cannot_be_used_is_left_out_by_name(tmp_path: Path) -> None:
    root = clip_folder(tmp_path / "a")
    write_clip(root / "short", pictures(1))
    (root / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(VipOfflineError, match=r"2 of 5 clips \(40.0%\) cannot be used") as error:
        open_clips([root], max_skipped=0.39)
    assert "short: has 1 frame" in str(error.value) and "--max-skipped" in str(error.value)
    clips = open_clips([root], max_skipped=0.4)
    assert len(clips.lengths) == 3 and len(clips.skipped) == 2
    assert "broken.mp4: is no video" in clips.skipped[0] and "short: " in clips.skipped[1]
    assert clips.group_names == ("a",)
    clip_folder(tmp_path / "b")
    both = open_clips([root, tmp_path / "b"], max_skipped=0.4)
    assert both.groups.tolist() == [0, 0, 0, 1, 1, 1] and both.group_names == ("a", "b")


def test_none_can_be_used(tmp_path: Path) -> None:
    write_clip(tmp_path / "a" / "0", pictures(1))
    with pytest.raises(VipOfflineError, match=r"None of the 1 clips can be used(.|\n)*a/0: has 1"):
        open_clips([tmp_path / "a"], max_skipped=1)


def test_no_clips(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").touch()
    for path, message in (
        (tmp_path / "empty", "empty: holds no clip"),
        (write_manifest(tmp_path / "m", []), r"manifest.csv: holds no clip"),
        (tmp_path / "gone", "gone: is not there"),
        (tmp_path / "a.txt", r"a.txt: is no kind of file that holds clips"),
    ):
        with pytest.raises(VipOfflineError, match=message):
            open_clips([path])
    with pytest.raises(VipOfflineError, match="No clips given"):
        open_clips([])


def test_nothing_is_drawn_twice_as_often(tmp_path: Path) -> None:
    root = clip_folder(tmp_path / "a")
    with pytest.raises(VipOfflineError, match="a: is given twice"):
        open_clips([root, tmp_path / "a" / ".." / "a"])
    with pytest.raises(VipOfflineError, match=r"a/1: is in .*a as well as in .*a/1"):
        open_clips([root, root / "1"])


def test_the_fingerprint(tmp_path: Path, make_store: Callable[..., Path]) -> None:
    root = clip_folder(tmp_path / "a")
    film = write_film(root / "film.mp4")
    first = open_clips([root, make_store()]).fingerprint
    int(first, 16)
    assert open_clips([root, tmp_path / "demos.zarr"]).fingerprint == first
    (tmp_path / "elsewhere").mkdir()
    moved = root.rename(tmp_path / "elsewhere" / "a")
    assert open_clips([moved, tmp_path / "demos.zarr"]).fingerprint == first
    write_clip(tmp_path, pictures(1, 9), ["new.png"])
    (tmp_path / "new.png").replace(moved / "1" / "2.png")
    second = open_clips([moved, tmp_path / "demos.zarr"]).fingerprint
    write_film(moved / film.name, offset=3)
    third = open_clips([moved, tmp_path / "demos.zarr"]).fingerprint
    assert len({first, second, third, open_clips([moved]).fingerprint}) == 4


def test_an_index_spares_the_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, index = clip_folder(tmp_path / "a"), tmp_path / "index.npz"
    write_film(root / "film.mp4")
    first = open_clips([root], index=index)
    looked: list[str] = []

    def listing(folder: str) -> Listing:
        looked.append(folder)
        return list_clips(folder)

    monkeypatch.setattr(index_module, "list_clips", listing)
    monkeypatch.setattr(index_module, "stamps_of", lambda video: pytest.fail(video))
    second = open_clips([root], index=index)
    assert looked == [] and second.fingerprint == first.fingerprint
    for clip in range(4):
        np.testing.assert_array_equal(second.read(clip, rows(3, 0)), first.read(clip, rows(3, 0)))
    (root / "1" / "0.png").unlink()
    os.utime(root / "1", ns=(0, 1))
    third = open_clips([root], index=index)
    assert looked == [str(root / "1")]
    assert third.lengths.tolist() == [6, 4, 4, 6] and third.fingerprint != first.fingerprint


def test_threads_get_what_one_gets(tmp_path: Path, make_store: Callable[..., Path]) -> None:
    root = clip_folder(tmp_path / "a")
    write_film(root / "film.mp4")
    clips = open_clips([root, make_store()])
    random = np.random.default_rng(0)
    chosen = random.integers(0, len(clips.lengths), 60)
    asked = [(int(clip), random.integers(0, clips.lengths[clip], 4)) for clip in chosen]
    alone = [clips.read(*request) for request in asked]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda value: clips.read(*value), asked))
    for expected, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(expected, other)
