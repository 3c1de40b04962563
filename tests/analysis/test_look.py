from pathlib import Path

import numpy as np
import pytest
from made_up_films import write
from made_up_videos import crossing, write_crossing
from PIL import Image

from vip_offline.analysis.look import FILM_FRAMES, SHORT, Look, look_at, open_look, summarise_look
from vip_offline.analysis.metrics import order_correlation
from vip_offline.dataset.media.video import write_video
from vip_offline.encoders.encoder import Encoder, load_encoder
from vip_offline.rewards.functions import goal_distance

LEVEL = 1 / 255  # of a pixel, in the embedding of `pixels`


@pytest.fixture(scope="module")
def pixels() -> Encoder:
    return load_encoder("pixels")


def look(path: Path, encoder: Encoder, goal: str = "") -> Look:
    (only,) = look_at(open_look([path], goal), encoder)
    return only


def test_the_curve_is_the_distance_to_the_last_frame(tmp_path: Path, pixels: Encoder) -> None:
    video = crossing(30)
    found = look(write_crossing(tmp_path / "a.mp4", frames=30), pixels)
    embedding = pixels(video)
    expected = goal_distance(embedding, embedding[-1])
    curve = found.curves[0]
    # H.264 changes each of the 32 x 32 x 3 numbers by a few levels
    np.testing.assert_allclose(curve.distance, expected, atol=8 * LEVEL * 55)
    assert curve.distance[-1] == 0
    assert curve.order == pytest.approx(order_correlation(curve.distance))
    assert [c.name for c in found.curves] == ["pixels", "raw pixels", "random network", "clock"]
    assert found.curves[1].likeness > 0.99  # the same pixels
    clock = found.curves[3]
    np.testing.assert_allclose(clock.distance, np.linspace(1, 0, 30), atol=1e-12)
    assert (clock.order, clock.closer) == (1, 1)
    np.testing.assert_allclose(found.seconds, np.arange(30) / 12, atol=1e-3)
    assert found.notes == ()


def test_a_goal_picture_counts_as_a_frame_does(tmp_path: Path, pixels: Encoder) -> None:
    path = write_crossing(tmp_path / "a.mp4")
    Image.fromarray(crossing()[16]).resize((384, 384)).save(tmp_path / "goal.png")
    found = look(path, pixels, str(tmp_path / "goal.png"))
    assert found.curves[0].distance.argmin() == 16
    assert found.goal_picture is not None and found.goal_picture.shape == (SHORT, SHORT, 3)
    assert found.goal.endswith("goal.png") and found.notes == ()


def test_several_videos_have_the_others_ends_for_a_goal(tmp_path: Path, pixels: Encoder) -> None:
    ways = {"full": 1.0, "near": 0.9, "short": 0.4}
    paths = [write_crossing(tmp_path / f"{name}.mp4", way=way) for name, way in ways.items()]
    looks = list(look_at(open_look(paths, ""), pixels))
    last = np.concatenate([pixels(crossing(way=way)[-1:]) for way in ways.values()])
    for row, found in enumerate(looks):
        goal = np.delete(last, row, axis=0).mean(axis=0)
        start = goal_distance(pixels(crossing()[:1]), goal)[0]
        assert found.curves[0].distance[0] == pytest.approx(start, rel=0.05)
        assert found.goal == "the mean of the others' last frames"


def test_videos_of_different_scenes_are_noticed(tmp_path: Path, pixels: Encoder) -> None:
    one = write_crossing(tmp_path / "one.mp4", scene=0)
    for other, differ in ((0, False), (5, True)):
        two = write_crossing(tmp_path / f"{other}.mp4", scene=other, frames=20, way=0.95)
        first, _ = look_at(open_look([one, two], ""), pixels)
        assert any("as far from each other" in note for note in first.notes) == differ, first.notes
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(one.read_bytes())
    first, _ = look_at(open_look([one, copy], ""), pixels)
    assert any("end in the same picture" in note for note in first.notes)


def test_shapes_that_differ_and_what_is_cut_off_are_said(tmp_path: Path, pixels: Encoder) -> None:
    wide = write_crossing(tmp_path / "wide.mp4", size=(90, 160))
    Image.fromarray(crossing(2, (160, 90))[1]).save(tmp_path / "goal.png")
    cut, shape, *_ = look(wide, pixels, str(tmp_path / "goal.png")).notes
    assert "sees the central square, 57% of the width" in cut
    assert "90 x 160 px (portrait)" in shape and "160 x 90 px (landscape)" in shape
    assert shape.endswith("of each its central square is compared.")
    padded = load_encoder("pixels", fit="pad")
    shape, *_ = look(wide, padded, str(tmp_path / "goal.png")).notes
    assert shape.endswith("each is compared whole, between bars.")


def test_a_video_in_which_nothing_moves_is_noticed(tmp_path: Path, pixels: Encoder) -> None:
    path = tmp_path / "still.mp4"
    noise = np.random.default_rng(0).integers(0, 6, (12, 96, 96, 3), np.uint8)
    write_video(path, np.repeat(crossing(1), 12, 0) + noise, 12)
    (note,) = look(path, pixels).notes
    assert "nothing moves" in note


def test_turned_and_large_videos_are_upright_and_small(tmp_path: Path, pixels: Encoder) -> None:
    path = write(tmp_path / "turned.mp4", 6, turn=(90, False, False), size=(400, 720))
    found = look(path, pixels)
    assert found.shape == (720, 400)
    assert found.film.frame(0).shape == (round(720 * SHORT / 400), SHORT, 3)


def test_a_long_video_has_a_film_of_limited_length(tmp_path: Path, pixels: Encoder) -> None:
    T = 3 * FILM_FRAMES
    path = tmp_path / "long.mp4"
    write_video(path, iter(np.zeros((T, 16, 16, 3), np.uint8)), 30)
    film = look(path, pixels).film
    assert len(film.rows) == FILM_FRAMES == len(film.jpegs)
    assert (film.rows[0], film.rows[-1]) == (0, T - 1)
    assert film.speed == pytest.approx((T - 1) / 30 * film.rate / (FILM_FRAMES - 1), rel=1e-3)


def test_a_flat_curve_has_no_correlation(tmp_path: Path, pixels: Encoder) -> None:
    path = tmp_path / "black.mp4"
    write_video(path, np.zeros((5, 32, 32, 3), np.uint8), 10)
    numbers = summarise_look(look(path, pixels))
    assert numbers["curves"]["pixels"] == {
        "order": None, "closer": 0, "likeness": None, "distance": [0] * 5
    }  # fmt: skip
    assert numbers["curves"]["clock"]["order"] == 1
