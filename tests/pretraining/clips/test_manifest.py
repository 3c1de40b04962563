from pathlib import Path

import numpy as np
import pytest
from made_up_clips import pictures, write_clip, write_manifest

from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.manifest import in_manifest, read_rows


def numbered(folder: Path, count: int, first: int, seed: int = 0) -> Path:
    names = [f"{first + i:06d}.jpg" for i in range(count)]
    return write_clip(folder, pictures(count, seed, (32, 32)), names)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("relative", [True, False])
def test_clips_of_a_table(tmp_path: Path, first: int, slash: str, relative: bool) -> None:
    lines = []
    for seed, name in enumerate(("kitchen/a", "b")):
        folder = numbered(tmp_path / name, 3 + seed, first, seed)
        lines.append(f'{seed},{name if relative else folder}{slash},{3 + seed},"open, close"')
    clips = list(in_manifest(write_manifest(tmp_path, lines)))
    assert [clip.group for clip in clips] == ["kitchen", tmp_path.name]
    opened = [clip.opened() for clip in clips]
    assert [clip.length for clip in opened] == [3, 4]
    assert [clip.name for clip in opened] == [str(tmp_path / "kitchen/a"), str(tmp_path / "b")]
    frames = opened[1].read(np.arange(4))
    assert frames.shape == (4, 32, 32, 3)
    assert np.abs(frames[0].astype(int) - pictures(1, 1, (32, 32))[0]).mean() < 60  # jpg


@pytest.mark.parametrize(("first", "gone"), [(0, 0), (0, 3), (1, 1), (1, 4)])
def test_the_first_and_the_last_frame_must_be_there(tmp_path: Path, first: int, gone: int) -> None:
    lines = []
    for name in ("a", "b"):
        numbered(tmp_path / name, 4, first)
        lines.append(f"0,{name},4,")
    (tmp_path / "b" / f"{gone:06d}.jpg").unlink()
    (tmp_path / "a" / f"{first + 1:06d}.jpg").unlink()  # nobody looks at those between
    whole, broken = in_manifest(write_manifest(tmp_path, lines))
    assert whole.opened().length == 4
    with pytest.raises(VipOfflineError, match=rf"/b: its frame {gone:06d}.jpg .* is missing"):
        broken.opened()


def test_where_frames_begin_is_seen_at_any_of_the_first_clips(tmp_path: Path) -> None:
    numbered(tmp_path / "b", 4, 0)
    clips = list(in_manifest(write_manifest(tmp_path, ["0,gone,4,", "1,b,4,"])))
    assert clips[1].opened().length == 4


def test_a_replaced_frame_changes_the_identity(tmp_path: Path) -> None:
    numbered(tmp_path / "b", 4, 0)
    path = write_manifest(tmp_path, ["1,b,4,"])
    (before,) = (candidate.opened().identity for candidate in in_manifest(path))
    (same,) = (candidate.opened().identity for candidate in in_manifest(path))
    (tmp_path / "b" / "000003.jpg").write_bytes(b"other")
    (after,) = (candidate.opened().identity for candidate in in_manifest(path))
    assert before == same != after


def test_a_clip_of_one_frame(tmp_path: Path) -> None:
    numbered(tmp_path / "b", 1, 0)
    (only,) = in_manifest(write_manifest(tmp_path, ["1,b,1,"]))
    with pytest.raises(VipOfflineError, match="b: has 1 frame"):
        only.opened()


@pytest.mark.parametrize("length", ["", "x", "4.5"])
def test_a_length_that_is_no_number(tmp_path: Path, length: str) -> None:
    path = write_manifest(tmp_path, ["0,a,4,", f"1,b,{length},"])
    with pytest.raises(VipOfflineError, match=rf"manifest.csv, line 3: len is '{length}'"):
        read_rows(path)


def test_a_line_that_ends_early(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="line 2: names no path"):
        read_rows(write_manifest(tmp_path, ["0"]))
    with pytest.raises(VipOfflineError, match="line 2: len is None"):
        read_rows(write_manifest(tmp_path, ["0,a"]))


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("path,length\na,4\n")
    with pytest.raises(VipOfflineError, match=r"no column 'len' \(it has: path, length\)"):
        read_rows(path)
    path.write_text("")
    with pytest.raises(VipOfflineError, match=r"no column 'path' \(it has: none\)"):
        read_rows(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VipOfflineError, match=r"manifest.csv: cannot be read"):
        read_rows(path)
