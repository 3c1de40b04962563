"""The datasets below a group of an HDF5 file, and which of them can be columns."""

from collections.abc import Iterator
from typing import Any

import h5py

from vip_offline.data.sources.columns import column_of
from vip_offline.data.sources.source import Column


def datasets_below(
    group: Any, prefix: str = "", parents: tuple[Any, ...] = ()
) -> Iterator[tuple[str, h5py.Dataset | str]]:
    """Every dataset, soft and external links followed, circles of links cut.

    Args:
        group: an h5py.Group.
        prefix: of the names.
        parents: groups on the way here.

    Yields:
        The name and the dataset, or why it cannot be opened.
    """
    for name in group:
        try:
            item = group[name]
        except (KeyError, OSError, RuntimeError, ValueError) as error:
            yield f"{prefix}{name}", f"cannot be opened, is it a link to nothing? ({error})"
            continue
        if isinstance(item, h5py.Dataset):
            yield f"{prefix}{name}", item
        elif isinstance(item, h5py.Group) and item in (group, *parents):
            yield f"{prefix}{name}", "is a link to a group that holds it"
        elif isinstance(item, h5py.Group):
            yield from datasets_below(item, f"{prefix}{name}/", (group, *parents))
        else:
            yield f"{prefix}{name}", "is a type, not an array"


def missing_filter(dataset: Any) -> str:
    """The compression filter that this machine lacks; "" if it can be read."""
    creation = dataset.id.get_create_plist()
    for place in range(creation.get_nfilters()):
        code, _, _, label = creation.get_filter(place)
        if not _available(code):
            return f"{label.decode(errors='replace') or 'of no name'} (number {code})"
    return ""


def _available(code: int) -> bool:
    if h5py.h5z.filter_avail(code):
        return True
    try:
        import hdf5plugin  # noqa: F401  # registers its filters
    except ImportError:
        return False
    return bool(h5py.h5z.filter_avail(code))


def column_of_dataset(name: str, dataset: Any, rows: int) -> Column | str:
    """What a dataset is per row of an episode, or why it is left out.

    Args:
        name: of the dataset.
        dataset: an h5py.Dataset.
        rows: of the episode.
    """
    dtype = dataset.dtype
    if dataset.shape is None:
        return "is empty"
    if h5py.check_string_dtype(dtype) is not None:
        return "is text"
    if h5py.check_ref_dtype(dtype) is not None:
        return "holds references"
    if h5py.check_vlen_dtype(dtype) is not None:
        return (
            "its rows differ in length. If they are encoded pictures (JPEG, PNG), decode them to "
            "an array (T, H, W, 3) of uint8"
        )
    return column_of(name, dataset.shape, dtype, rows)
