"""Videos of every kind come frame by frame and in order."""

from pathlib import Path

import numpy as np
import pytest
from made_up_films import KINDS, ramp, write
from numpy.typing import NDArray

from vip_offline.dataset.media.frame_rate import rate_of
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.media.video import Decoder, FrameReader, decode_frames
from vip_offline.dataset.tables.file_listing import VIDEO_SUFFIXES
from vip_offline.errors import VipOfflineError

LOSS = 9  # grey levels


def read(path: Path, *places: int) -> NDArray[np.uint8]:
    pts = [int(stamp) for stamp in timeline(path).pts[list(places)]]
    return np.stack(list(decode_frames(Decoder(path), pts)))


def levels(frames: NDArray[np.uint8]) -> list[int]:
    """Which frame of the ramp each is."""
    return [round((float(frame[20:, 20:].mean()) - 10) / 4) for frame in frames]


def test_every_kind_that_can_be_written_here_is_listed() -> None:
    assert {f".{kind}" for kind in KINDS} | {".ogv"} == set(VIDEO_SUFFIXES)  # Theora cannot be


@pytest.mark.parametrize("kind", KINDS)
def test_each_frame_is_the_one_that_is_asked_for(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"a.{kind}")
    line = timeline(path)
    rate, frames = rate_of(line.seconds), read(path, *range(50))
    assert len(line.pts) == 50 and rate == pytest.approx(25)
    np.testing.assert_allclose(line.seconds - line.seconds[0], np.arange(50) / 25, atol=2e-3)
    if kind not in ("wmv", "mpg", "mpeg"):  # these know only some grey levels
        assert levels(frames) == list(range(50))
    # frames that the gif's palette or the codec make alike are told by the order of all
    assert np.abs(frames[:, 20:, 20:].astype(int) - ramp(50)[:, 20:, 20:]).max() <= LOSS
    reader = FrameReader(None)
    for start in (40, 3, 27, 0, 45):
        block = reader(path, line.pts[start : start + 5])
        np.testing.assert_array_equal(block, frames[start : start + 5])
    reader.close()


@pytest.mark.parametrize("kind", ["ts", "mts"])
def test_a_transport_stream_cut_off_in_front(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"a.{kind}")
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 4 // 188 * 188 :])
    frames = levels(read(path, *range(len(timeline(path).pts))))
    assert 0 < frames[0] < 30 and frames == list(range(frames[0], 50))
    assert timeline(path).seconds[0] == 0


@pytest.mark.parametrize("shift", [-5, -20, 7])
def test_an_edit_list_cuts_off_or_delays(tmp_path: Path, shift: int) -> None:
    path = write(tmp_path / "a.mp4", shift=shift, avoid_negative_ts="disabled", use_editlist="1")
    first = max(0, -shift)
    assert levels(read(path, *range(50 - first))) == list(range(first, 50))
    assert timeline(path).seconds[0] == pytest.approx(max(0, shift) / 25)


def test_dropped_frames_leave_the_usual_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", 12, at=np.delete(np.arange(15), [4, 5, 9]))
    assert rate_of(timeline(path).seconds) == pytest.approx(25, rel=0.02)


def test_frames_that_change_their_size_are_refused_unless_drawn_at_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ts", 6)
    larger = write(tmp_path / "b.ts", 6, shift=60, size=(64, 96))
    path.write_bytes(path.read_bytes() + larger.read_bytes())
    pts = timeline(path).pts
    with pytest.raises(VipOfflineError, match=r"a\.ts: its frames change their size \(32x48 px"):
        FrameReader(None)(path, pts)
    assert FrameReader((32, 48))(path, pts).shape == (len(pts), 32, 48, 3)


def test_a_clock_that_runs_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ts", shift=2**33 // 3600 - 55)  # 33 bits of 90 kHz
    assert levels(read(path, *range(50))) == list(range(50))
    np.testing.assert_allclose(timeline(path).seconds, np.arange(50) / 25, atol=1e-6)
