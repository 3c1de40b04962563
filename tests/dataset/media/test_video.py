import os
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.dataset.media.frame_rate import rate_of
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.media.video import (
    Decoder,
    FrameReader,
    decode_frames,
    resized,
    write_video,
)
from vip_offline.errors import VipOfflineError

RATE = 20


def ramp(path: Path, frames: int = 60, offset: int = 0, rate: float = RATE) -> NDArray[np.uint8]:
    """A video whose frames are known by their grey level, with pictures out of order in it."""
    levels = (np.arange(frames) * 4 + offset).astype(np.uint8)
    grey = np.ascontiguousarray(np.broadcast_to(levels[:, None, None, None], (frames, 32, 48, 3)))
    write_video(path, grey, rate)
    return grey


def test_an_mp4_that_others_decode(tmp_path: Path) -> None:
    levels = np.linspace(0, 240, 12).astype(np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (12, 64, 48, 3))
    path = tmp_path / "deep" / "video.mp4"
    write_video(path, np.ascontiguousarray(frames), 25)
    with av.open(str(path)) as container:
        decoded = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
        assert container.streams.video[0].average_rate == 25
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).max() <= 4
    assert [entry.name for entry in path.parent.iterdir()] == ["video.mp4"]


def test_a_timeline_is_that_of_the_decoded_frames(tmp_path: Path) -> None:
    ramp(tmp_path / "a.mp4")
    line = timeline(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stamps = [frame.pts for frame in container.decode(video=0)]
        order = [packet.pts or 0 for packet in container.demux(video=0) if packet.size]
    assert [*line.pts] == stamps
    assert line.shape == (32, 48, 3) and rate_of(line.seconds) == pytest.approx(RATE)
    np.testing.assert_allclose(np.diff(line.seconds), 1 / RATE)
    assert order != sorted(order) or not order


@pytest.mark.parametrize("wanted", [[0, 1, 2], [7, 30, 59], [59]])
def test_frames_by_their_stamps(tmp_path: Path, wanted: list[int]) -> None:
    grey = ramp(tmp_path / "a.mp4")
    pts = timeline(tmp_path / "a.mp4").pts[wanted]
    frames = np.stack(
        list(decode_frames(Decoder(tmp_path / "a.mp4"), [int(stamp) for stamp in pts]))
    )
    assert np.abs(frames.astype(int) - grey[wanted]).max() <= 3
    drawn = next(decode_frames(Decoder(tmp_path / "a.mp4"), [int(pts[0])], size=(16, 8)))
    assert drawn.shape == (16, 8, 3)


def test_a_reader_goes_back_and_to_another_file(tmp_path: Path) -> None:
    first, second = ramp(tmp_path / "a.mp4"), ramp(tmp_path / "b.mp4", offset=10)
    pts = timeline(tmp_path / "a.mp4").pts
    reader = FrameReader(None)
    for path, grey, start in (
        (tmp_path / "a.mp4", first, 50),
        (tmp_path / "a.mp4", first, 3),
        (tmp_path / "b.mp4", second, 20),
        (tmp_path / "a.mp4", first, 3),
    ):
        frames = reader(path, pts[start : start + 5])
        assert np.abs(frames.astype(int) - grey[start : start + 5]).max() <= 3
    reader.close()


def test_the_hash_is_of_what_decides_the_frames(tmp_path: Path) -> None:
    ramp(tmp_path / "a.mp4"), ramp(tmp_path / "b.mp4", offset=3)
    (tmp_path / "copy.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    lines = {name: timeline(tmp_path / f"{name}.mp4") for name in ("a", "b", "copy")}
    pts, size = lines["a"].pts, (32, 48)

    def content(name: str, start: int, stop: int, size: tuple[int, int] = size) -> bytes:
        return lines[name].content(pts[start:stop], size).tobytes()

    assert content("a", 5, 9) == content("copy", 5, 9)
    others = [
        content("a", 5, 10),
        content("a", 6, 10),
        content("b", 5, 9),
        content("a", 5, 9, (16, 24)),
    ]
    assert len({content("a", 5, 9), *others}) == 5


def test_what_cannot_be_decoded_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    ramp(path)
    pts = [int(stamp) for stamp in timeline(path).pts]
    with pytest.raises(VipOfflineError, match=r"the picture at 3.000 s cannot be decoded"):
        list(decode_frames(Decoder(path), [*pts, pts[-1] + pts[1] - pts[0]]))
    path.write_bytes(b"no video")
    with pytest.raises(VipOfflineError, match="is no video that can be opened"):
        timeline(path)


def test_a_file_without_pictures(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VipOfflineError, match="holds no video stream"):
        timeline(tmp_path / "a.mp4")


def test_drawn_at_its_own_size_it_is_left_alone() -> None:
    frame = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    assert resized(frame, None) is frame and resized(frame, (4, 6)) is frame
    assert resized(frame, (2, 3)).shape == (2, 3, 3)


def test_the_first_of_two_streams_is_taken_and_their_number_known(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for row in range(6):
            for stream in streams:
                frame = np.full((48, 64, 3), 20 * row, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    line = timeline(path)
    assert (line.views, len(line.pts)) == (2, 6)


def test_a_playlist_is_no_video_whatever_its_name(tmp_path: Path) -> None:
    ramp(tmp_path / "other.mp4", 3)
    (tmp_path / "a.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    for opens in (timeline, Decoder):
        with pytest.raises(VipOfflineError, match=r"a\.mp4: is in none of the containers .*playl"):
            opens(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:  # so it would be read
        assert len([*container.decode(video=0)]) == 3


def test_only_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(VipOfflineError, match=r"a\.mp4: is a FIFO"):
        timeline(tmp_path / "a.mp4")


@pytest.mark.slow
def test_a_frame_beyond_all_size_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16384, 4112, "gray"
        frame = av.VideoFrame(16384, 4112, "gray")
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    with pytest.raises(VipOfflineError, match=r"a\.mkv: is 16384 x 4112 px; at most"):
        timeline(tmp_path / "a.mkv")
