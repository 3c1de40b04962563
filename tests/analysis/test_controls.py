import numpy as np
import pytest

from vip_offline.analysis.controls import (
    NETWORK_CHANNELS,
    NETWORK_SIDE,
    PIXELS_SIDE,
    clock_distance,
    random_features,
    random_weights,
    raw_pixels,
    shrink,
)


def pictures(count: int, height: int = 96, width: int = 128) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_a_shrunk_pixel_is_the_mean_of_its_area() -> None:
    frames = pictures(2, 128, 128)
    small = shrink(frames)
    assert small.shape == (2, NETWORK_SIDE, NETWORK_SIDE, 3)
    mean = frames.reshape(2, NETWORK_SIDE, 2, NETWORK_SIDE, 2, 3).mean((2, 4))
    assert np.abs(small - mean).max() <= 1  # Pillow rounds rows, then columns
    grey = np.full((1, 50, 70, 3), 77, np.uint8)
    assert (shrink(grey) == 77).all()


def test_a_control_sees_what_the_encoder_sees() -> None:
    frames = pictures(1, 64, 128)
    left_out = frames.copy()
    left_out[:, :, :32] = left_out[:, :, 96:] = 0
    np.testing.assert_array_equal(shrink(frames, fit="crop"), frames[:, :, 32:96])
    np.testing.assert_array_equal(shrink(left_out, fit="crop"), shrink(frames, fit="crop"))
    assert (shrink(left_out, fit="squash") != shrink(frames, fit="squash")).any()
    padded = shrink(frames, fit="pad")
    assert not padded[:, :16].any()
    assert not padded[:, 48:].any()
    mean = frames.reshape(1, 32, 2, 64, 2, 3).mean((2, 4))
    assert np.abs(padded[:, 16:48] - mean).max() <= 1
    square = pictures(1)[:, :, :96]
    for fit in ("crop", "pad"):
        np.testing.assert_array_equal(shrink(square, fit=fit), shrink(square))


def test_pixels_are_one_row_per_frame() -> None:
    small = shrink(pictures(3))
    rows = raw_pixels(small)
    assert rows.shape == (3, PIXELS_SIDE * PIXELS_SIDE * 3)
    assert rows.dtype == np.uint8


def test_the_random_network_is_always_the_same_and_tells_pictures_apart() -> None:
    small = shrink(pictures(4))
    features = random_features(small, random_weights())
    assert features.shape == (4, NETWORK_CHANNELS[-1])
    np.testing.assert_array_equal(features, random_features(small, random_weights()))
    # a frame's features do not depend on its neighbours
    alone = random_features(small[2:3], random_weights())
    np.testing.assert_allclose(features[2:3], alone, rtol=1e-4, atol=1e-6)
    assert np.linalg.norm(features[0] - features[1]) > 1e-3


def test_the_clock_runs_alike_for_all() -> None:
    short, long = clock_distance([3, 5])
    np.testing.assert_allclose(long, [1, 0.75, 0.5, 0.25, 0])
    np.testing.assert_allclose(short, long[:3])
    assert [distances.tolist() for distances in clock_distance([1])] == [[1.0]]


@pytest.mark.parametrize("size", [(16, 16), (30, 200)])
def test_any_size_will_do(size: tuple[int, int]) -> None:
    assert shrink(pictures(1, *size)).shape == (1, NETWORK_SIDE, NETWORK_SIDE, 3)
