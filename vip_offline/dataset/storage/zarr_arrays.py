"""Arrays of an untrusted zarr group, opened one by one: one failure does not hide the others."""

import json
import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zarr

from vip_offline.dataset.storage.untrusted_zarr import VettedStore
from vip_offline.errors import VipOfflineError
from vip_offline.utils.size_limits import MOST_DESCRIPTION_BYTES, read_description, require_stored

ZARR_FILES = (".zarray", ".zgroup", "zarr.json")


def array_at(root: zarr.Group, key: str, where: str) -> zarr.Array[Any]:
    """An array, its codec fetched from imagecodecs if zarr does not know it.

    It claims no more than there is on the disk.

    Raises:
        VipOfflineError: if its codec is not installed or not to be trusted, it cannot be opened,
            or its size is beyond what is stored.
    """
    try:
        array = _open(root, key)
        if array is None:  # its codec is unknown
            _register_imagecodecs()
            array = _open(root, key, last=True)
    except VipOfflineError:
        raise
    except Exception as error:  # zarr, numcodecs and json raise what they like
        raise VipOfflineError(f"{where}: {key} {_reason(error)}") from error
    if not isinstance(array, zarr.Array):
        raise VipOfflineError(f"{where}: {key} is no array.")
    claimed = math.prod(array.shape) * array.dtype.itemsize
    if isinstance(root.store, VettedStore):
        stored = root.store.stored(f"{root.path}/{key}".lstrip("/"))
        require_stored(f"{where}: {key}", claimed, stored)
    return array


def _open(root: zarr.Group, key: str, last: bool = False) -> Any:
    """What lies at a key; None if its codec is unknown, unless this is the last try."""
    try:
        try:
            return root[key]
        except KeyError:
            if getattr(root.metadata, "consolidated_metadata", None) is None:
                raise
            # the summary of all descriptions is older than this array
            return zarr.open_array(root.store, path=f"{root.path}/{key}".lstrip("/"), mode="r")
    except ValueError as error:  # both zarr's and numcodecs' UnknownCodecError are
        if last or not _codec(error):
            raise
        return None


def _codec(error: Exception) -> str:
    """The name in an UnknownCodecError; "" of other errors."""
    if type(error).__name__ != "UnknownCodecError":
        return ""
    name = re.search(r"'+([^']+)'+", str(error))
    return name[1] if name else "without a name"


def _reason(error: Exception) -> str:
    codec = _codec(error)
    if not codec:
        return f"cannot be opened ({type(error).__name__}: {str(error)[:300]}). Restore it."
    package = (
        "pip install 'vip-offline[umi]'"
        if codec.startswith("imagecodecs_")
        else "pip install the package that brings it, or write the array again with zstd"
    )
    return f"is compressed with the codec {codec!r}, which is not installed. {package}"


def _register_imagecodecs() -> None:
    """Make imagecodecs' codecs known to zarr, if it is installed: JPEG XL of UMI's sets."""
    try:
        import imagecodecs.numcodecs
    except ImportError:
        return
    imagecodecs.numcodecs.register_codecs(verbose=False)


def array_keys(path: Path, root: zarr.Group, group: str) -> list[str]:
    """Keys of all arrays below a group such as ``data``, by their descriptions; none is opened."""
    base = base_of(path, root)
    keys = {*_array_keys(base / group, f"{group}/")} if (base / group).is_dir() else set()
    consolidated = getattr(root.metadata, "consolidated_metadata", None)
    if consolidated is not None:
        keys |= {
            key
            for key, about in consolidated.flattened_metadata.items()
            if key.startswith(f"{group}/") and hasattr(about, "shape")
        }
    return sorted(keys)


def base_of(path: Path, root: zarr.Group) -> Path | zipfile.Path:
    """Where the root lies: a folder, or a place in an archive."""
    if not path.is_file():
        return path / root.path
    return zipfile.Path(path, f"{root.path}/" if root.path else "")


def _array_keys(folder: Any, prefix: str) -> Iterator[str]:
    for inner in folder.iterdir():
        if not inner.is_dir() or inner.name.startswith("."):
            continue
        key = f"{prefix}{inner.name}"
        deeper = [] if _is_array(inner) else [*_array_keys(inner, f"{key}/")]
        group = any((inner / name).exists() for name in ZARR_FILES) and not _is_array(inner)
        # a folder that describes nothing and holds nothing is an array that lost its description
        yield from deeper if deeper or group else [key]


def _is_array(folder: Any) -> bool:
    if (folder / ".zarray").exists():
        return True
    if not (folder / "zarr.json").exists():
        return False
    file = folder / "zarr.json"
    try:
        about = json.loads(
            read_description(file)
            if isinstance(file, Path)
            else file.read_bytes()[:MOST_DESCRIPTION_BYTES]
        )
    except ValueError:
        return True  # opening it says what is wrong
    return not (isinstance(about, dict) and about.get("node_type") == "group")
