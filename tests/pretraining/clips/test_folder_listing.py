import os
from pathlib import Path

import pytest

from vip_offline.dataset.tables.file_listing import natural
from vip_offline.pretraining.clips.folder_listing import list_clips, names_of


@pytest.mark.parametrize(
    "names",
    [
        ["0.jpg", "2.jpg", "10.jpg"],
        ["a1b2.png", "a1b10.png", "a2b1.png"],
        ["a0.jpg", "a.jpg", "b.jpg"],
        ["01.jpg", "1.jpg", "2.jpg"],
    ],
)
def test_numbers_sort_as_numbers(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(backwards, key=natural) == names
    listed = names_of(reversed(names))
    assert [listed(row) for row in range(listed.length)] == names


@pytest.mark.parametrize(
    "names",
    [
        [f"{i}.jpg" for i in range(12)],
        [f"{i:06d}.jpg" for i in range(1, 12)],
        [f"frame_{i:02d}_rgb.PNG" for i in range(95, 103)],
    ],
)
def test_a_series_takes_no_memory_per_frame(names: list[str]) -> None:
    series = names_of(reversed(names))
    assert not series.listed
    assert [series(row) for row in range(series.length)] == names


@pytest.mark.parametrize(
    "names",
    [
        ["0.jpg", "1.png"],
        ["9.95.webp", "10.webp", "10.05.webp"],
        ["1.jpg", "3.jpg"],
        ["1.jpg", "02.jpg"],
        ["x.jpg", "é.jpg"],
    ],
)
def test_what_is_no_series_is_listed(names: list[str]) -> None:
    listed = names_of(names)
    assert listed.listed
    assert [listed(row) for row in range(listed.length)] == names


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    for name in (b"a\xff.jpg", b"b.jpg"):
        (tmp_path / os.fsdecode(name)).touch()
    names = list_clips(str(tmp_path)).pictures
    assert names is not None and os.fsencode(names(0)) == b"a\xff.jpg"


def test_a_folder(tmp_path: Path) -> None:
    for name in ("b10.MP4", "b9.mkv", "1.jpg", "2.JPEG", ".3.jpg", "notes.txt"):
        (tmp_path / name).touch()
    for name in ("x2", "x10", ".git", "odd.jpg"):
        (tmp_path / name).mkdir()
    listing = list_clips(str(tmp_path))
    assert listing.folders == ("odd.jpg", "x2", "x10")
    assert listing.videos == ("b9.mkv", "b10.MP4")
    assert listing.pictures is not None and listing.pictures.length == 2
    (tmp_path / "x2" / "notes.txt").touch()
    assert list_clips(str(tmp_path / "x2")).pictures is None
