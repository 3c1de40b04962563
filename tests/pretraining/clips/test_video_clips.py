from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from made_up_clips import rows, write_film

from vip_offline.dataset.media.timeline import timeline
from vip_offline.errors import VipOfflineError
from vip_offline.pretraining.clips.video_clips import KEPT_OPEN, Decoders, VideoClip, stamps_of


def clip_of(path: Path, decoders: Decoders | None = None) -> VideoClip:
    return VideoClip(str(path), stamps_of(str(path)), decoders or Decoders())


def levels(clip: VideoClip, *requested: int) -> list[int]:
    return [round(float(frame.mean()) / 10) for frame in clip.read(rows(*requested))]


def test_frames_in_any_order_and_repeated(tmp_path: Path) -> None:
    clip = clip_of(write_film(tmp_path / "a.mp4", 20))
    assert clip.length == 20
    for requested in ([0], [19, 3, 3, 7], [2, 1, 0], list(range(20))):
        assert levels(clip, *requested) == requested


def test_regular_stamps_are_kept_as_a_series(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4")
    stamps = stamps_of(str(path))
    assert stamps.listed is None
    assert stamps(np.arange(6)) == timeline(path).pts.tolist()


def test_irregular_stamps(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mp4", 20, rate=30)
    with (
        av.open(str(tmp_path / "a.mp4")) as source,
        av.open(str(tmp_path / "b.mkv"), "w") as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    clip = clip_of(tmp_path / "b.mkv")
    assert clip.stamps.listed is not None  # of 33 and 34 ms
    for requested in ([0], [19, 3, 3, 7], list(range(20))):
        assert levels(clip, *requested) == requested


def test_threads_get_what_one_gets(tmp_path: Path) -> None:
    decoders = Decoders()
    clips = [clip_of(write_film(tmp_path / f"{i}.mp4", 20, i), decoders) for i in range(3)]
    random = np.random.default_rng(0)
    asked = [(int(random.integers(3)), random.integers(0, 20, 4)) for _ in range(60)]
    alone = [clips[clip].read(request) for clip, request in asked]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda value: clips[value[0]].read(value[1]), asked))
    for expected, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(expected, other)


def test_few_stay_open(tmp_path: Path) -> None:
    decoders = Decoders()
    clips = [clip_of(write_film(tmp_path / f"{i}.mp4", 2), decoders) for i in range(KEPT_OPEN + 3)]
    for clip in clips:
        clip.read(rows(0, 1))
    assert len(decoders._idle) == KEPT_OPEN
    assert decoders._idle[-1].path.name == f"{KEPT_OPEN + 2}.mp4"
    clips[-1].read(rows(0))
    assert len(decoders._idle) == KEPT_OPEN  # the one that was open served


def test_a_cut_video_names_the_frame(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", 25)
    clip = clip_of(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.8)])
    with pytest.raises(VipOfflineError, match=r"a.mp4, frame \d+: ") as error:
        clip.read(np.arange(25))
    assert str(error.value).count("a.mp4") == 1
    assert not clip.decoders._idle  # one that failed is not lent again
    path.write_bytes(whole)
    assert levels(clip, 24) == [24]


def test_the_content_tells_films_apart(tmp_path: Path) -> None:
    first = clip_of(write_film(tmp_path / "a.mp4"))
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    other = clip_of(write_film(tmp_path / "c.mp4", offset=3))
    assert first.identity == clip_of(tmp_path / "b.mp4").identity != other.identity
