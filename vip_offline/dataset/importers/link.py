"""Labels a replay buffer in place: a store beside it holds the labels and refers to its frames."""

from collections.abc import Callable
from pathlib import Path

from vip_offline.dataset.importers.registry import format_of, open_source
from vip_offline.dataset.importers.run import import_source, origin_files
from vip_offline.dataset.store import is_store, open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions

LINK_SUFFIX = ".vip.zarr"


def beside(path: Path) -> Path:
    """``pusht.zarr`` and ``pusht.zarr.zip`` -> ``pusht.vip.zarr``."""
    return path.with_name(f"{path.name.removesuffix('.zip').removesuffix('.zarr')}{LINK_SUFFIX}")


def store_of(path: Path) -> Path:
    """The path itself, or for a replay buffer the store beside it.

    Raises:
        VipOfflineError: if it is a replay buffer that was not labelled yet, or was changed since,
            or the store beside it is of another.
    """
    if not is_replay(path):
        return path
    store = beside(path)
    if not store.exists():
        raise VipOfflineError(
            f"{path}: is a replay buffer without labels. `vip-offline relabel {path}` writes them "
            f"into {store}; `vip-offline import {path} --dry-run` shows what it holds."
        )
    _require_of(path, store)
    if open_store(store).attributes.get("origin_files") != origin_files(path):
        linked(path)  # refuses a buffer that changed; one that was copied is known from here on
    return store


def _require_of(path: Path, store: Path) -> None:
    """Refuse a store that was made from another buffer, such as set.zarr.zip beside set.zarr."""
    source = Path(str(open_store(store).attributes.get("source", "")))
    if source.name != path.name:
        raise VipOfflineError(
            f"{path}: its labels would go into {store}, which is of {source}. Rename one of the "
            "two buffers, or move it into a folder of its own."
        )


def linked(
    path: Path,
    *,
    on_start: Callable[[int, int], None] = lambda existing, planned: None,
    on_episodes: Callable[[int], None] = lambda count: None,
) -> Path:
    """The store beside a replay buffer, created if missing; frames are not copied.

    Raises:
        VipOfflineError: if the buffer cannot be read, was changed since the store was made, or the
            store is of another buffer.
    """
    if beside(path).exists():
        _require_of(path, beside(path))
    source = open_source(path, "zarr")
    try:
        options = ImportOptions(link_frames=True)
        store = beside(path)
        import_source(source, store, options, on_start=on_start, on_episodes=on_episodes)
        return store
    finally:
        source.close()


def is_replay(path: Path) -> bool:
    """Whether a path is a zarr of the layout that is read here, but no store."""
    if not path.exists() or is_store(path):
        return False
    try:
        return format_of(path) == "zarr"
    except VipOfflineError:
        return False
