"""Safe traversal of the datasets in an HDF5 file, and which of them make columns.

A file of HDF5 can name others of this machine, of any kind, whose content then comes as its own:
external links, external storage, virtual datasets. All are refused, so `member` is how a name is
opened here: h5py's own brackets follow whatever stands there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from vip_offline.dataset.importers.base.array_columns import column_of
from vip_offline.dataset.importers.base.source import Column
from vip_offline.errors import VipOfflineError
from vip_offline.utils.regular_files import require_regular
from vip_offline.utils.size_limits import require_stored

HOPS = 16  # soft links after another, as in HDF5 itself
OUT = (
    "It is not opened, since a file from elsewhere could name any of yours. If you trust it, write "
    "all into one file."
)


def open_hdf5(path: Path) -> h5py.File:
    """An HDF5 file for reading.

    Raises:
        VipOfflineError: if it is no regular file.
        OSError: if it is no HDF5, or damaged.
    """
    return h5py.File(require_regular(path), "r")


def member(group: Any, name: str, hops: int = HOPS) -> Any:
    """The object at a path below a group, in the same file.

    Args:
        group: an h5py.Group.
        name: one or several, with slashes between them; from the root if it begins with one.
        hops: soft links that may follow one another.

    Raises:
        KeyError: if nothing is there, or circles of links.
        VipOfflineError: if what is there lies in another file, or claims more than it stores.
    """
    if hops < 0:
        raise KeyError(f"{name}: too many links after another")
    item = group.file["/"] if name.startswith("/") else group
    for part in name.split("/"):
        if part in ("", "."):
            continue
        link = item.get(part, getlink=True) if isinstance(item, h5py.Group) else None
        if link is None:
            raise KeyError(f"{name}: nothing is there")
        where = f"{group.file.filename}: {item.name.rstrip('/')}/{part}"
        if isinstance(link, h5py.ExternalLink):
            raise VipOfflineError(f"{where} is a link into the file {link.filename!r}. {OUT}")
        item = member(item, link.path, hops - 1) if isinstance(link, h5py.SoftLink) else item[part]
        if isinstance(item, h5py.Dataset):
            _require_own(item, where)
    return item


def has(group: Any, name: str) -> bool:
    """Whether a path exists below a group, even as a broken link."""
    holder, _, last = name.rpartition("/")
    try:
        inside = member(group, holder)
    except KeyError:
        return False
    return isinstance(inside, h5py.Group) and inside.get(last, getlink=True) is not None


def _require_own(dataset: Any, where: str) -> None:
    creation = dataset.id.get_create_plist()
    if creation.get_external_count():
        names = [
            creation.get_external(place)[0].decode(errors="replace")
            for place in range(creation.get_external_count())
        ]
        raise VipOfflineError(f"{where} keeps its values in the file {', '.join(names)!r}. {OUT}")
    if creation.get_layout() == h5py.h5d.VIRTUAL:
        names = sorted({source.file_name for source in dataset.virtual_sources()})
        raise VipOfflineError(f"{where} is put together of the files {', '.join(names)!r}. {OUT}")
    if dataset.shape is not None:
        claimed = dataset.size * dataset.dtype.itemsize
        require_stored(where, claimed, iter([dataset.id.get_storage_size()]))


def datasets_below(
    group: Any, prefix: str = "", parents: tuple[Any, ...] = ()
) -> Iterator[tuple[str, h5py.Dataset | str]]:
    """Every dataset, soft links followed, circles of links cut.

    Yields:
        The name and the dataset, or why it cannot be opened.

    Raises:
        VipOfflineError: see `member`.
    """
    for name in group:
        try:
            item = member(group, name)
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
    """Name of a compression filter that is not installed; "" if the dataset can be read."""
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
    """What a dataset is per row of an episode, or why it is left out."""
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
