"""HDF5 as no library here writes it by itself."""

from typing import Any

import h5py


def with_filter(group: Any, name: bytes, shape: tuple[int, ...]) -> None:
    """An empty dataset of uint8, compressed with a filter that no machine has."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1, *shape[1:]))
    creation.set_filter(60000, h5py.h5z.FLAG_OPTIONAL, ())  # optional, but only for the writer
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(group.id, name, h5py.h5t.NATIVE_UINT8, space, creation)
