"""Frames of videos that are shown turned or mirrored."""

from pathlib import Path

import numpy as np
import pytest
from made_up_films import SIZE, ramp, turned, write

from vip_offline.dataset.media.orientation import AS_STORED
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.media.video import Decoder, FrameReader, decode_frames
from vip_offline.errors import VipOfflineError

# degrees and mirrors of a display matrix -> what is shown
TURNS = {
    (0, False, False): lambda a: a,
    (90, False, False): lambda a: np.rot90(a, 1, (1, 2)),
    (180, False, False): lambda a: np.rot90(a, 2, (1, 2)),
    (270, False, False): lambda a: np.rot90(a, 3, (1, 2)),
    (0, True, False): lambda a: a[:, :, ::-1],
    (0, False, True): lambda a: a[:, ::-1],
    (90, True, False): lambda a: np.rot90(a, 1, (1, 2))[:, :, ::-1],
}


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("turn", TURNS)
def test_frames_are_upright(tmp_path: Path, kind: str, turn: tuple[int, bool, bool]) -> None:
    path = write(tmp_path / f"a.{kind}", 6, turn=turn)
    upright = TURNS[turn](ramp(6))
    line = timeline(path)
    assert line.shape == upright.shape[1:]
    frames = FrameReader(None)(path, line.pts)
    decoded = np.stack(list(decode_frames(Decoder(path), line.pts.tolist())))
    np.testing.assert_array_equal(frames, decoded)
    assert np.abs(frames.astype(int) - upright).mean() < 2
    stored = FrameReader(None, upright=False)(path, line.pts)
    assert stored.shape[1:3] == SIZE and np.abs(stored.astype(int) - ramp(6)).mean() < 2
    assert next(decode_frames(Decoder(path), [int(line.pts[0])], size=(10, 20))).shape == (
        10,
        20,
        3,
    )


def test_the_hash_tells_turns_apart_and_is_of_before_without(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4", 6)
    lines = [
        timeline(turned(film, tmp_path / f"{index}.mp4", turn)) for index, turn in enumerate(TURNS)
    ]
    contents = [line.content(line.pts, (32, 32)).tobytes() for line in lines]
    assert len({*contents}) == len(TURNS)
    stored = [line.as_stored() for line in lines]
    assert {line.content(line.pts, (32, 32)).tobytes() for line in stored} == {contents[0]}
    assert stored[1].shape == (*SIZE, 3) and stored[1].turn == AS_STORED


def test_an_oblique_turn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"a\.mp4: is shown turned by \d+ degrees"):
        timeline(write(tmp_path / "a.mp4", 2, turn=(30, False, False)))
