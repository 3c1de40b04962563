import numpy as np
import pytest

from vip_offline.dataset.importers.base.array_columns import column_of
from vip_offline.dataset.importers.base.source import Column


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "meant"),
    [
        ("a", (9,), "f4", Column("numbers", (), "float32")),
        ("a", (9, 2, 2), "?", Column("numbers", (2, 2), "bool")),
        ("a", (9, 3, 20, 24), "u1", Column("pictures", (20, 24, 3), "uint8")),
        ("goal_mask", (9, 3), "f4", Column("numbers", (3,), "float32")),  # flags, no mask
        ("a", (8, 2), "f4", "is not per row: its shape is (8, 2), the episode has 9 rows"),
        ("a", (), "f4", "is not per row: its shape is (), the episode has 9 rows"),
        ("a", (9,), "U3", "is text"),
        ("a", (9,), "O", "is object, not numbers"),
        ("a", (9,), "M8[s]", "is datetime64[s], not numbers"),
    ],
)
def test_what_an_array_is_per_row(
    name: str, shape: tuple[int, ...], dtype: str, meant: Column | str
) -> None:
    assert column_of(name, shape, np.dtype(dtype), 9) == meant


def test_a_mask_is_no_camera() -> None:
    assert "no view" in str(column_of("top_mask", (9, 32, 32), np.dtype("u1"), 9))
