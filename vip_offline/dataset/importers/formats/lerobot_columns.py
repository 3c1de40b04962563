"""Types, shapes and values of numeric columns of a LeRobotDataset."""

from typing import Any

import numpy as np
import pyarrow
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError


def is_number(dtype: str) -> bool:
    """Whether a dtype name is a numeric or boolean numpy type."""
    try:
        return np.dtype(dtype).kind in "biuf"
    except TypeError:
        return False


def channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(3, H, W), as some data sets say, -> (H, W, 3)."""
    return (*shape[1:], shape[0]) if len(shape) == 3 and shape[0] == 3 else shape


def numbers_of(column: Any, shape: tuple[int, ...], where: str, name: str) -> NDArray[Any]:
    """(T, *shape) of a pyarrow column of numbers or of nested lists.

    Raises:
        VipOfflineError: on empty cells, or another number of values than `shape` requires.
    """
    array = column.combine_chunks()
    length = len(array)
    while pyarrow.types.is_list(array.type) or pyarrow.types.is_fixed_size_list(array.type):
        array = array.flatten()
    if array.null_count:
        raise VipOfflineError(f"{where}: column {name!r} has {array.null_count} empty cells.")
    values = array.to_numpy(zero_copy_only=False)
    size = int(np.prod(shape, dtype=int))
    if len(values) != length * size:
        raise VipOfflineError(
            f"{where}: column {name!r} holds {len(values)} numbers in {length} rows; info.json "
            f"says {shape} each."
        )
    return np.asarray(values).reshape(length, *shape) if shape else np.asarray(values)
