import resource
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from counted import Counted
from filelock import FileLock
from made_up_clips import pictures, rows, write_clip, write_film, write_two_cameras
from store_files import lose_frame

from vip_offline.dataset.media.video import resized
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.clip import Clips
from vip_offline.pretraining.clips.open_clips import open_clips
from vip_offline.pretraining.clips.pack import pack_clips, packed_bytes

SIDE = 8


@pytest.fixture
def clips(tmp_path: Path, make_store: Callable[..., Path]) -> Clips:
    for seed in range(3):
        write_clip(tmp_path / "a" / f"{seed}", pictures(4 + seed, seed))
    write_film(tmp_path / "a" / "films" / "film.mp4")
    return open_clips([tmp_path / "a", make_store()])


def left(folder: Path) -> list[str]:
    """What lies there, without locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("side", [SIDE, 20, 100])
def test_the_same_frames_smaller(tmp_path: Path, clips: Clips, side: int) -> None:
    counted = Counted()
    pack = pack_clips(clips, side, tmp_path / "p", advance=counted)
    assert counted.totals == [clips.lengths.sum()] == [counted.done]
    for name in ("lengths", "groups", "takes"):
        np.testing.assert_array_equal(getattr(pack, name), getattr(clips, name))
    assert (pack.group_names, pack.skipped) == (clips.group_names, ())
    for clip, length in enumerate(clips.lengths):
        assert pack.name(clip) == clips.name(clip)
        origin = clips.read(clip, np.arange(length))
        height, width = origin.shape[1:3]
        scale = min(1, side / min(height, width))
        size = round(height * scale), round(width * scale)
        expected = np.stack([resized(frame, size) for frame in origin])
        np.testing.assert_array_equal(pack.read(clip, np.arange(length)), expected)
        np.testing.assert_array_equal(pack.read(clip, rows(1, 0, 1)), expected[[1, 0, 1]])
    file = next((tmp_path / "p").glob("*/frames.bin"))
    assert packed_bytes(clips, side) == file.stat().st_size


def test_a_pack_is_made_once(tmp_path: Path, clips: Clips) -> None:
    first = pack_clips(clips, SIDE, tmp_path / "p")
    counted = Counted()
    again = pack_clips(clips, SIDE, tmp_path / "p", advance=counted)
    assert not counted.totals  # nothing was decoded
    np.testing.assert_array_equal(again.read(3, rows(0, 5)), first.read(3, rows(0, 5)))
    assert again.fingerprint == first.fingerprint == f"{clips.fingerprint}-{SIDE}"
    pack_clips(clips, SIDE + 1, tmp_path / "p")
    name = clips.fingerprint[:16]
    assert left(tmp_path / "p") == sorted([f"{name}-{SIDE}", f"{name}-{SIDE + 1}"])


def test_other_clips_get_another_pack(tmp_path: Path, clips: Clips) -> None:
    pack_clips(clips, SIDE, tmp_path / "p")
    write_clip(tmp_path, pictures(1, 7), ["new.png"])
    (tmp_path / "new.png").replace(tmp_path / "a" / "0" / "1.png")
    changed = open_clips([tmp_path / "a", tmp_path / "demos.zarr"])
    again = pack_clips(changed, 100, tmp_path / "p")
    np.testing.assert_array_equal(again.read(0, rows(1)), pictures(1, 7))


@pytest.mark.parametrize("file", ["frames.bin", "index.npz"])
def test_a_pack_that_is_not_whole_is_made_again(tmp_path: Path, clips: Clips, file: str) -> None:
    expected = pack_clips(clips, SIDE, tmp_path / "p").read(0, rows(0, 1))
    path = next((tmp_path / "p").glob(f"*/{file}"))
    path.write_bytes(path.read_bytes()[:-40])
    counted = Counted()
    again = pack_clips(clips, SIDE, tmp_path / "p", advance=counted)
    np.testing.assert_array_equal(again.read(0, rows(0, 1)), expected)
    assert len(counted.totals) == 1 and len(left(tmp_path / "p")) == 1


def test_a_damaged_clip_is_left_out(tmp_path: Path, clips: Clips) -> None:
    (tmp_path / "a" / "1" / "3.png").write_bytes(b"no picture")
    film = tmp_path / "a" / "films" / "film.mp4"
    film.write_bytes(film.read_bytes()[:-300])
    # opened before they were damaged
    with pytest.raises(VipOfflineError, match=r"1 of 7 clips \(14.3%\) .*(.|\n)*a/1/3.png"):
        pack_clips(clips, 100, tmp_path / "p")
    assert left(tmp_path / "p") == []
    pack = pack_clips(clips, 100, tmp_path / "p", max_skipped=0.3)
    assert len(pack.skipped) == 2 and len(pack.lengths) == 5
    assert "a/1/3.png: is no picture" in pack.skipped[0] and "film.mp4" in pack.skipped[1]
    assert pack.lengths.tolist() == [4, 6, 5, 7, 6] and pack.groups.tolist() == [0, 0, 2, 2, 2]
    assert pack.name(1).endswith("a/2")
    np.testing.assert_array_equal(pack.read(1, np.arange(6)), pictures(6, 2))
    with pytest.raises(VipOfflineError, match=r"2 of 7 clips \(28.6%\)"):
        pack_clips(clips, 100, tmp_path / "p", max_skipped=0.2)


def test_takes_outlast_what_is_left_out(tmp_path: Path) -> None:
    write_clip(tmp_path / "a" / "0", pictures(3))
    clips = open_clips([tmp_path / "a", write_two_cameras(tmp_path / "demos.zarr")])
    names = [clips.name(clip) for clip in range(5)]
    (tmp_path / "a" / "0" / "1.png").write_bytes(b"no picture")
    for row in range(4):  # of the first episode, as the left camera saw it
        lose_frame(tmp_path / "demos.zarr", "left", row)
    pack = pack_clips(clips, SIDE, tmp_path / "p", max_skipped=0.5)
    assert [pack.name(clip) for clip in range(3)] == names[2:]
    left_second, right_first, right_second = pack.takes.tolist()
    assert left_second == right_second != right_first
    np.testing.assert_array_equal(pack.takes, clips.takes[2:])


def test_clips_left_out_before_count(tmp_path: Path) -> None:
    for seed in range(3):
        write_clip(tmp_path / "a" / f"{seed}", pictures(1 if seed == 0 else 3, seed))
    (tmp_path / "a" / "1" / "2.png").write_bytes(b"no picture")
    clips = open_clips([tmp_path / "a"], max_skipped=0.5)
    with pytest.raises(VipOfflineError, match="2 of 3 clips") as error:
        pack_clips(clips, SIDE, tmp_path / "p", max_skipped=0.5)
    assert "a/0: has 1 frame" in str(error.value) and "a/1/2.png" in str(error.value)
    assert len(pack_clips(clips, SIDE, tmp_path / "p", max_skipped=0.7).skipped) == 2


def test_the_size_is_told_by_a_clip_that_can_be_read(tmp_path: Path) -> None:
    for seed in range(2):
        write_clip(tmp_path / "a" / f"{seed}", pictures(3, seed))
    (tmp_path / "a" / "0" / "0.png").write_bytes(b"no picture")
    clips = open_clips([tmp_path / "a"])
    assert packed_bytes(clips, 8) == 6 * 8 * 12 * 3
    (tmp_path / "a" / "1" / "0.png").write_bytes(b"no picture")
    with pytest.raises(VipOfflineError, match=r"1/0.png: is no picture"):
        packed_bytes(clips, 8)


PACK = """
    import sys, time
    from pathlib import Path
    from vip_offline.pretraining.clips.open_clips import open_clips
    from vip_offline.pretraining.clips.pack import pack_clips
    started = []
    def advance(amount=0, total=None):
        if total is not None:
            started.append(total)
            return
        Path(sys.argv[2], f"at-it-{len(started)}").touch()
        time.sleep(float(sys.argv[3]))
    clips = open_clips([Path(sys.argv[1])])
    pack = pack_clips(clips, 8, Path(sys.argv[2]), advance=advance)
    print(len(started), pack.read(0, pack.lengths[:1] - 1).sum())
"""


def packer(tmp_path: Path, pause: float) -> subprocess.Popen[str]:
    arguments = [str(tmp_path / "a"), str(tmp_path / "p"), str(pause)]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PACK), *arguments], stdout=-1, stderr=-1, text=True
    )


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_a_killed_packer_left_is_removed(tmp_path: Path, clips: Clips) -> None:
    process = packer(tmp_path, 60)
    wait_for(tmp_path / "p" / "at-it-1")
    process.kill()
    process.communicate()
    (tmp_path / "p" / "at-it-1").unlink()
    assert [name for name in left(tmp_path / "p") if name.endswith(".partial")]
    pack_clips(clips, SIDE, tmp_path / "p")  # another pack: of the store, too
    assert left(tmp_path / "p") == [f"{clips.fingerprint[:16]}-{SIDE}"]


def test_what_another_packer_is_at_is_let_be(tmp_path: Path, clips: Clips) -> None:
    theirs = tmp_path / "p" / ".0123-8.abc.partial"
    theirs.mkdir(parents=True)
    with FileLock(tmp_path / "p" / ".0123-8.lock"):
        pack_clips(clips, SIDE, tmp_path / "p")
        assert theirs.exists()
    pack_clips(clips, SIDE + 1, tmp_path / "p")
    assert not theirs.exists()


@pytest.mark.slow
def test_of_two_processes_one_decodes(tmp_path: Path, clips: Clips) -> None:
    first = packer(tmp_path, 0.2)
    wait_for(tmp_path / "p" / "at-it-1")
    second = packer(tmp_path, 0.2)
    results = [process.communicate(timeout=120) for process in (first, second)]
    assert [error for _, error in results] == ["", ""]
    (first_count, pixels), (other, same) = (output.split() for output, _ in results)
    assert (first_count, other) == ("1", "0") and pixels == same
    assert [n for n in left(tmp_path / "p") if n != "at-it-1"] == [
        f"{open_clips([tmp_path / 'a']).fingerprint[:16]}-8"
    ]


def test_a_full_disk_leaves_nothing(tmp_path: Path, clips: Clips) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))  # as near as one gets to it
    try:
        with pytest.raises(VipOfflineError, match=r"p: has no room for the decoded frames"):
            pack_clips(clips, 100, tmp_path / "p")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left(tmp_path / "p") == []
    pack_clips(clips, 100, tmp_path / "p")


def test_a_folder_that_cannot_be_written(tmp_path: Path, clips: Clips) -> None:
    (tmp_path / "p").touch()
    with pytest.raises(VipOfflineError, match=r"p: the decoded frames cannot be written there"):
        pack_clips(clips, SIDE, tmp_path / "p")


def test_threads_wait_for_each_other(tmp_path: Path, clips: Clips) -> None:
    counted = Counted()
    threads = [
        threading.Thread(
            target=pack_clips,
            args=(clips, SIDE, tmp_path / "p"),
            kwargs={"advance": counted},
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counted.totals) == 1 and len(left(tmp_path / "p")) == 1
