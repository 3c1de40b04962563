import numpy as np
import pytest

from vip_offline.policies.brightness import GRID_SIDE, brightness_grid


@pytest.mark.parametrize("size", [(48, 60), (50, 61)])
def test_each_cell_is_the_mean_of_its_pixels(size: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    grid = brightness_grid(frame)
    assert grid.shape == (GRID_SIDE, GRID_SIDE)
    tops, lefts = (np.arange(GRID_SIDE + 1) * length // GRID_SIDE for length in size)
    for row in range(GRID_SIDE):
        for column in range(GRID_SIDE):
            cell = frame[tops[row] : tops[row + 1], lefts[column] : lefts[column + 1]]
            assert grid[row, column] == pytest.approx(cell.mean())


def test_a_turned_picture_has_a_turned_grid() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    np.testing.assert_allclose(brightness_grid(frame[::-1]), brightness_grid(frame)[::-1])


def test_a_picture_of_few_pixels() -> None:
    frame = np.arange(2, dtype=np.uint8)[:, None, None].repeat(3, 1).repeat(3, 2)
    assert brightness_grid(frame).tolist() == [[0.0] * GRID_SIDE] * 3 + [[1.0] * GRID_SIDE] * 3
