"""Rewrites a store of an earlier release in the present format, in place."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zarr
from numpy.typing import NDArray

from vip_offline.dataset.frame_storage import storage_at
from vip_offline.dataset.storage.content_hash import content_of
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.store import Store, open_as, open_store
from vip_offline.dataset.store_format import SCHEMA_VERSION, Attributes
from vip_offline.dataset.store_writer import StoreWriter, writing
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import hidden_beside, only_writer, put_back, put_in_place

COPIED_BYTES = 64 * 2**20  # that are in memory at once


def upgrade(
    path: Path,
    on_start: Callable[[int], None] = lambda arrays: None,
    on_array: Callable[[int], None] = lambda arrays: None,
) -> bool:
    """Rewrite a store with checksums, its frames in shards; whether there was something to do.

    It is written beside the store and put in its place when it is whole; an upgrade that is
    interrupted leaves the store as it was. `on_start` is called with the number of arrays, and
    `on_array` with 1 after each.

    Raises:
        VipOfflineError: if it is no store, another process writes to it, or stored frames are not
            those that were recorded, or a sealed store is not what was sealed.
    """
    put_back(path)
    old = open_store(path)
    if old.version == SCHEMA_VERSION:
        return False
    new = hidden_beside(path, "upgraded")
    with only_writer(path):
        old = open_store(path)
        old.check_sealed()
        tree = old.tree()
        on_start(sum(bool(shape) for _, shape, _, _ in tree))
        shutil.rmtree(new, ignore_errors=True)
        try:
            _rewrite(old, new, tree, on_array)
            put_in_place(new, path)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return True


def _rewrite(
    old: Store,
    new: Path,
    tree: list[tuple[str, str, str, dict[str, Any]]],
    on_array: Callable[[int], None],
) -> None:
    attributes = {k: v for k, v in old.attributes.items() if k != "sealed"}
    durable = DurableStore(new)
    zarr.create_group(durable, attributes={**attributes, "schema_version": SCHEMA_VERSION})
    writer = open_as(StoreWriter, new, read_only=False)
    for key, shape, _, about in tree:
        if not shape:
            writer.make_group(key.rstrip("/"), about)
            continue
        array = old.array(key)
        rows = array.shape[0] if array.shape else 0
        size = max(1, array.nbytes // max(1, rows))
        step = max(1, COPIED_BYTES // size)
        storage = storage_at(old, key)
        if storage is not None and not storage.external:
            _check_frames(old, storage.camera)
        for start in range(0, max(rows, 1), step):
            _put_rows(writer, key, start, old.rows_of(key, start, start + step), array, about)
        on_array(1)
    _finish_copy(writer)
    with writing(new) as store:
        store.hash_embeddings()


def _put_rows(
    writer: StoreWriter,
    key: str,
    start: int,
    values: NDArray[Any],
    like: zarr.Array[Any],
    attributes: Attributes,
) -> None:
    """Copy rows of another store's array."""
    if key.startswith("goals/"):
        _, encoder, content = key.split("/")
        writer.write_goal(encoder, content, values, attributes)
        return
    array = writer.require_array(key, like.shape[1:], like.dtype, like.fill_value, attributes)
    if len(values):
        writer.put(array, start, values)


def _finish_copy(writer: StoreWriter) -> None:
    """Record frame hashes, file states and the list of arrays of a copied store."""
    for camera in writer.cameras:
        storage = writer.frame_storage(camera)
        if not storage.external:  # others are looked at when they are used
            writer.accept_frames(camera)
            writer.know_states(storage.key)
    writer.list_arrays()
    writer.sync()


def _check_frames(store: Store, camera: str) -> None:
    """Refuse to give damaged frames a valid checksum."""
    recorded = store.recorded_content(camera)
    read = store.frame_reader(camera)
    for index, (start, stop) in enumerate(store.spans()):
        hashed = recorded[index].any()
        if hashed and (content_of(read(start, stop)) != recorded[index]).any():
            raise VipOfflineError(
                f"{store.path}, episode {index}: its frames of camera {camera} are not those that "
                "were stored. Restore them from a copy, or record or import the store again."
            )
