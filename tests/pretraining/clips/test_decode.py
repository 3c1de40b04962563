import io
from pathlib import Path

import numpy as np
import pytest
from made_up_clips import pictures, write_clip, write_film
from numpy.typing import NDArray

from vip_offline.dataset.media.video import resized
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips import decode
from vip_offline.pretraining.clips.decode import downscaled_size, write_frames
from vip_offline.pretraining.clips.open_clips import open_clips


def test_the_short_side_is_made_smaller_and_never_larger() -> None:
    assert downscaled_size(480, 640, 240) == (240, 320)
    assert downscaled_size(640, 480, 240) == (320, 240)
    assert downscaled_size(100, 1000, 128) == (100, 1000)
    assert downscaled_size(128, 128, 128) == (128, 128)
    assert downscaled_size(360, 641, 224) == (224, 399)


@pytest.mark.parametrize("threads", [1, 3])
def test_frames_lie_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(decode, "SEGMENT", 4)
    monkeypatch.setattr(decode, "FRAME_BLOCK", 2)
    for seed, length in enumerate((3, 4, 11)):
        write_clip(tmp_path / "a" / f"{seed}", pictures(length, seed))
    write_film(tmp_path / "a" / "film.mp4", 9)
    clips = open_clips([tmp_path / "a"])
    file, counts = io.BytesIO(), list[int]()
    written = write_frames(clips, 8, file, threads, 0, counts.append)
    assert sum(counts) == 27 and max(counts) == 4
    assert written.kept == [0, 1, 2, 3] and not written.damaged
    expected = [
        np.stack(
            [
                resized(f, downscaled_size(f.shape[0], f.shape[1], 8))
                for f in clips.read(c, np.arange(n))
            ]
        )
        for c, n in enumerate(clips.lengths)
    ]
    assert written.sizes == [frame.shape[1:3] for frame in expected] and expected[0].shape[1] == 8
    assert file.getvalue() == b"".join(frame.tobytes() for frame in expected)
    assert written.offsets == np.cumsum([0, *(frame.nbytes for frame in expected)])[:-1].tolist()


def test_few_frames_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "a", pictures(9))
    clips, asked = open_clips([tmp_path / "a"]), list[int]()
    read = clips.read

    def watched(clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        asked.append(len(rows))
        return read(clip, rows)

    monkeypatch.setattr(clips, "read", watched)
    monkeypatch.setattr(decode, "DECODED_BYTES", 3 * 16 * 24 * 3)
    write_frames(clips, 8, io.BytesIO(), 1, 0, lambda count: None)
    assert asked == [1, 3, 3, 2]


@pytest.mark.parametrize("bad", [0, 1, 2])
@pytest.mark.parametrize("row", [0, 5, 10])
@pytest.mark.parametrize("kind", ["damaged", "of another size"])
def test_a_clip_that_turns_out_bad_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: int, row: int, kind: str
) -> None:
    monkeypatch.setattr(decode, "SEGMENT", 4)
    for seed in range(3):
        write_clip(tmp_path / "a" / f"{seed}", pictures(11, seed))
    if kind == "damaged":
        (tmp_path / "a" / str(bad) / f"{row}.png").write_bytes(b"no picture")
    else:
        write_clip(tmp_path / "a" / str(bad), pictures(1, size=(32, 32)), [f"{row}.png"])
    clips, file = open_clips([tmp_path / "a"]), io.BytesIO()
    good = [clip for clip in range(3) if clip != bad]
    counts: list[int] = []
    written = write_frames(clips, 64, file, 2, 0.4, counts.append)
    assert written.kept == good and list(written.damaged) == [bad] and sum(counts) == 33
    assert f"a/{bad}" in written.damaged[bad]
    assert file.getvalue() == b"".join(pictures(11, seed).tobytes() for seed in good)
    assert written.offsets == [0, pictures(11).nbytes]
    with pytest.raises(VipOfflineError, match=r"1 of 3 clips \(33.3%\) cannot be used"):
        write_frames(clips, 64, io.BytesIO(), 2, 0.3, counts.append)


def test_size_is_named_across_what_threads_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "SEGMENT", 4)
    write_clip(tmp_path / "a", pictures(4))
    write_clip(tmp_path / "a", pictures(4, size=(8, 8)), [f"{i}.png" for i in range(4, 8)])
    with pytest.raises(VipOfflineError, match=r"None of the 1 clips.*a, frame 4: its size"):
        write_frames(open_clips([tmp_path / "a"]), 64, io.BytesIO(), 2, 1, lambda count: None)
