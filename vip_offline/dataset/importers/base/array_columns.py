"""Classifies an array as a column of numbers or of pictures."""

from typing import Any

import numpy as np

from vip_offline.dataset.importers.base.source import Column
from vip_offline.dataset.media.pictures import not_a_view, pictures_shape

# numbers per row from which on a depth map or a mask is meant, not a few flags
LEAST_PIXELS = 16 * 16


def column_of(
    name: str, shape: tuple[int, ...], dtype: Any, rows: int, whose: str = "the episode has"
) -> Column | str:
    """The column that an array of a shape and a numpy dtype makes, or why it makes none.

    It must have so many rows; the reason calls them those of `whose`.
    """
    kind = np.dtype(dtype).kind
    if kind in "SUT":
        return "is text"
    if kind not in "biuf":
        return f"is {dtype}, not numbers"
    if not shape or shape[0] != rows:
        return f"is not per row: its shape is {shape}, {whose} {rows} rows"
    row = tuple(shape[1:])
    if len(row) >= 2 and row[0] * row[1] >= LEAST_PIXELS and not_a_view(name):
        return not_a_view(name)
    frame = pictures_shape(row, dtype)
    if frame is not None:
        return Column("pictures", frame, str(dtype))
    return Column("numbers", row, str(dtype))
