from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up_clips import pictures, rows, write_clip, write_film
from origins import demos, replay

from vip_offline.dataset.importers.link import linked
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.discover import (
    Candidate,
    group_of,
    in_folder,
    in_store,
    video_candidate,
)
from vip_offline.pretraining.clips.folder_listing import Listing
from vip_offline.pretraining.clips.index import Index
from vip_offline.pretraining.clips.video_clips import Decoders


def found(root: Path, camera: str = "") -> list[Candidate]:
    return list(in_folder(root, camera, Index(None), Decoders()))


def test_groups_are_the_first_folders() -> None:
    root = Path("/data/ego4d")
    assert group_of(root, ()) == group_of(root, ("clip",)) == "ego4d"
    assert group_of(root, ("kitchen", "clip")) == group_of(root, ("kitchen", "a", "b")) == "kitchen"


def test_clips_of_every_kind_at_any_depth(tmp_path: Path, make_store: Callable[..., Path]) -> None:
    root = tmp_path / "all"
    for name in ("10", "9", "kitchen/a/b"):
        write_clip(root / name, pictures(2))
    write_film(root / "kitchen" / "film.mp4")
    make_store().rename(root / "kitchen" / "demos.zarr")
    clips = found(root)
    assert [(clip.key, clip.group) for clip in clips] == [
        ("all/9", "all"),
        ("all/10", "all"),
        ("all/kitchen/film.mp4", "kitchen"),
        ("all/kitchen/a/b", "kitchen"),
        *((f"demos/front/{i}", "demos") for i in range(3)),
    ]
    assert [clip.opened().length for clip in clips] == [2, 2, 6, 2, 5, 7, 6]
    assert [clip.of_store for clip in clips] == [False] * 4 + [True] * 3
    assert len({clip.where for clip in clips}) == len(clips)
    assert [bool(clip.take) for clip in clips] == [False] * 4 + [True] * 3
    assert len({clip.take for clip in clips[4:]}) == 3


def test_the_folder_itself_may_be_a_clip(tmp_path: Path) -> None:
    root = write_clip(tmp_path / "a", pictures(3))
    assert [(candidate.where, candidate.group) for candidate in found(root)] == [(str(root), "a")]


def test_a_short_clip_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    write_clip(tmp_path / "a" / "short", pictures(1))
    write_film(tmp_path / "a" / "short.mp4", 1)
    for candidate in found(tmp_path / "a"):
        with pytest.raises(VipOfflineError, match=r"short.*: has 1 frame, and a clip needs 2"):
            candidate.opened()


def test_a_link_to_a_folder_around_it_ends(tmp_path: Path) -> None:
    root = tmp_path / "a"
    write_clip(root / "clip", pictures(2))
    write_clip(tmp_path / "elsewhere", pictures(2))
    (root / "clip" / "loop").symlink_to(root)
    (root / "other").symlink_to(tmp_path / "elsewhere")
    assert [candidate.key for candidate in found(root)] == ["a/clip", "a/other"]


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "a" / "clip", pictures(2))

    class Locked(Index):
        def listing(self, folder: str, mtime: int) -> Listing:
            if folder.endswith("clip"):  # root may list what is locked for others
                raise PermissionError(13, "Permission denied")
            return super().listing(folder, mtime)

    (only,) = in_folder(tmp_path / "a", "", Locked(None), Decoders())
    with pytest.raises(VipOfflineError, match=r"a/clip: cannot be listed \(Permission denied\)"):
        only.opened()


def test_a_video_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    candidate = video_candidate(tmp_path / "a.mp4", (), Index(None), Decoders())
    assert (candidate.key, candidate.group) == ("a.mp4", "a.mp4")
    with pytest.raises(VipOfflineError, match=r"a.mp4: is no video that can be opened"):
        candidate.opened()


def test_a_store_and_its_cameras(store_path: Path) -> None:
    assert [candidate.key for candidate in in_store(store_path, "front")] == [
        f"demos/front/{i}" for i in range(3)
    ]
    with pytest.raises(VipOfflineError, match="no camera 'back'"):
        list(in_store(store_path, "back"))


def test_a_replay_buffer_is_read_through_the_store_beside_it(tmp_path: Path) -> None:
    root = tmp_path / "a"
    root.mkdir()
    replay(root / "pusht.zarr")
    with pytest.raises(VipOfflineError, match=r"pusht.zarr: is a replay buffer without labels"):
        found(root)
    linked(root / "pusht.zarr")
    clips = found(root)
    assert [clip.key for clip in clips] == [f"pusht.vip/img/{i}" for i in range(3)]
    assert [candidate.where for candidate in in_store(root / "pusht.zarr", "")] == [
        c.where for c in clips
    ]
    expected = demos()[1].frames
    got = clips[1].opened().read(rows(2, 0, 2))
    np.testing.assert_array_equal(got, expected[[2, 0, 2]])
