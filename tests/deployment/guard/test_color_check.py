import numpy as np
import pytest

from vip_offline.deployment.guard.color_check import looks_swapped

MEAN, STD = np.array([180.0, 100.0, 40.0]), np.array([5.0, 5.0, 5.0])


def frames(*colour: float, count: int = 10) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.tile(np.array(colour, np.float64), (count, 1))


@pytest.mark.parametrize(
    ("colour", "swapped"),
    [
        ((180, 100, 40), False),
        ((40, 100, 180), True),  # 28 deviations off as it is, 0 the other way round
        ((50, 90, 170), True),
        ((110, 100, 110), False),  # grey: the same either way
        ((90, 50, 20), False),  # a darker room: 12.9 off as it is, 22.7 the other way round
        ((255, 200, 120), False),  # a brighter one
        ((0, 0, 0), False),
        ((0, 0, 60), False),  # 25.6 off, and 17.9 the other way round: of another kind
        ((170, 100, 50), False),
    ],
)
def test_what_looks_swapped(colour: tuple[float, ...], swapped: bool) -> None:
    assert looks_swapped(frames(*colour), MEAN, STD) is swapped


def test_a_training_set_without_colour_says_nothing() -> None:
    grey = np.array([100.0, 100.0, 101.0])
    for colour in ((180, 100, 40), (40, 100, 180)):
        assert not looks_swapped(frames(*colour), grey, STD)


def test_a_still_scene_has_the_cameras_noise_at_least() -> None:
    still = np.zeros(3)
    # 2 off of a colour that never changed is noise; not so 140
    assert not looks_swapped(frames(100, 80, 98), np.array([98.0, 80, 100]), still)
    assert looks_swapped(frames(40, 100, 180), MEAN, still)


def test_fewer_than_ten_frames_are_no_evidence() -> None:
    assert not looks_swapped(frames(40, 100, 180, count=9), MEAN, STD)


def test_only_the_last_ten_count() -> None:
    before = frames(180, 100, 40, count=50)
    assert looks_swapped(np.concatenate([before, frames(40, 100, 180)]), MEAN, STD)
