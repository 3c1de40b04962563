import os
from pathlib import Path

import numpy as np
import pytest
from made_up_clips import pictures, write_clip, write_film

from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips import index as module
from vip_offline.pretraining.clips.folder_listing import Listing, list_clips
from vip_offline.pretraining.clips.index import Index
from vip_offline.pretraining.clips.video_clips import Stamps, stamps_of


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which folders and videos were really looked at."""
    read: list[str] = []

    def listing(folder: str) -> Listing:
        read.append(folder)
        return list_clips(folder)

    def stamps(video: str) -> Stamps:
        read.append(video)
        return stamps_of(video)

    monkeypatch.setattr(module, "list_clips", listing)
    monkeypatch.setattr(module, "stamps_of", stamps)
    return read


def listing_of(index: Index, folder: Path) -> Listing:
    return index.listing(str(folder), folder.stat().st_mtime_ns)


@pytest.mark.parametrize("names", [["0.png", "1.png"], ["0.png", "é 3.png"]])
def test_a_folder_is_listed_once(tmp_path: Path, looked: list[str], names: list[str]) -> None:
    folder = write_clip(tmp_path / "a", pictures(2), names)
    first = Index(tmp_path / "deep" / "index.npz")
    listing = listing_of(first, folder)
    first.save()
    assert (
        listing_of(Index(tmp_path / "deep" / "index.npz"), folder)
        == listing
        == list_clips(str(folder))
    )
    assert looked == [str(folder)]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["index.npz"]


def test_a_folder_that_changed_is_listed_again(tmp_path: Path, looked: list[str]) -> None:
    folder = write_clip(tmp_path / "a", pictures(2))
    first = Index(tmp_path / "index.npz")
    listing_of(first, folder)
    first.save()
    (folder / "1.png").rename(folder / "2.png")
    os.utime(folder, ns=(0, 1))
    again = listing_of(Index(tmp_path / "index.npz"), folder)
    assert again.pictures is not None and again.pictures(1) == "2.png"
    assert len(looked) == 2


@pytest.mark.parametrize("rate", [20, 29.7])
def test_a_video_is_read_once_until_it_changes(
    tmp_path: Path, looked: list[str], rate: float
) -> None:
    video = str(write_film(tmp_path / "a.mp4", rate=rate))
    first = Index(tmp_path / "index.npz")
    stamps = first.stamps(video)
    first.save()
    second = Index(tmp_path / "index.npz")
    again = second.stamps(video)
    assert len(looked) == 1
    assert again(np.arange(6)) == stamps(np.arange(6)) and again.content == stamps.content
    second.save()
    write_film(Path(video), 7, rate=rate)
    assert Index(tmp_path / "index.npz").stamps(video).length == 7
    assert len(looked) == 2


def test_irregular_stamps_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = tmp_path / "a.mp4"
    video.touch()
    irregular = Stamps(3, "hash", listed=np.array([0, 33, 67]))
    monkeypatch.setattr(module, "stamps_of", lambda path: irregular)
    first = Index(tmp_path / "index.npz")
    first.stamps(str(video))
    first.save()
    monkeypatch.undo()
    again = Index(tmp_path / "index.npz").stamps(str(video))
    assert again(np.arange(3)) == [0, 33, 67] and again.content == "hash"


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other version"])
def test_a_damaged_index_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked: list[str], damage: str
) -> None:
    folder, path = write_clip(tmp_path / "a", pictures(2)), tmp_path / "index.npz"
    first = Index(path)
    listing_of(first, folder)
    with monkeypatch.context() as patch:
        patch.setattr(module, "INDEX_VERSION", 0)
        first.save()
    whole = path.read_bytes()
    contents = {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no archive"}
    path.write_bytes(contents.get(damage, whole))
    second = Index(path)
    listing_of(second, folder)
    assert len(looked) == 2
    second.save()
    listing_of(Index(path), folder)
    assert len(looked) == 2


def test_whichever_byte_changed_it_is_read_or_made_anew(tmp_path: Path) -> None:
    folder, path = write_clip(tmp_path / "a", pictures(2)), tmp_path / "index.npz"
    index = Index(path)
    listing_of(index, folder)
    index.save()
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        assert listing_of(Index(path), folder) == list_clips(str(folder))


def test_what_is_unchanged_is_not_written_again(tmp_path: Path) -> None:
    folder, path = write_clip(tmp_path / "a", pictures(2)), tmp_path / "index.npz"
    for _ in range(2):
        index = Index(path)
        listing_of(index, folder)
        index.save()
        if not index._before:
            os.utime(path, ns=(0, 1))
    assert path.stat().st_mtime_ns == 1


def test_no_room_for_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    index = Index(tmp_path / "file" / "index.npz")
    listing_of(index, write_clip(tmp_path / "a", pictures(2)))
    with pytest.raises(VipOfflineError, match=r"file/index.npz: .* cannot be kept there"):
        index.save()


def test_without_a_path_nothing_is_kept(tmp_path: Path, looked: list[str]) -> None:
    folder = write_clip(tmp_path / "a", pictures(2))
    for _ in range(2):
        index = Index(None)
        listing_of(index, folder)
        index.save()
    assert len(looked) == 2
