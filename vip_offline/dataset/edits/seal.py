"""Accept the present content of a store: of an earlier release, or edited by hand."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vip_offline.dataset.read_hashes import LENGTHS, reads
from vip_offline.dataset.storage.description_checksum import sealed, unsealed
from vip_offline.dataset.storage.durable_store import ZARR_JSON
from vip_offline.dataset.store import is_store, open_store
from vip_offline.dataset.store_writer import StoreWriter, writing
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import only_writer, replace_file


@dataclass(frozen=True)
class SealResult:
    """What `seal` did."""

    descriptions: tuple[str, ...]  # arrays and groups whose description had been edited
    hashed: bool  # whether a store of an earlier release got hashes of all that it holds


def seal(path: Path) -> SealResult:
    """Give edited descriptions (``zarr.json``) their checksum, and an older store its hashes.

    Raises:
        VipOfflineError: if there is no store, a description is none, something in the store
            cannot be read, or another process writes to it.
    """
    if not is_store(path):
        open_store(path)  # says what is wrong
    edited = []
    with only_writer(path):
        for folder, _, names in os.walk(path):
            if ZARR_JSON in names and _seal(Path(folder, ZARR_JSON)):
                edited.append(Path(folder).relative_to(path).as_posix())
    store = open_store(path)
    hashed = store.version == 1
    if hashed:
        with writing(path) as writer:
            hash_store(writer)
    return SealResult(tuple(sorted(edited)), hashed)


def hash_store(writer: StoreWriter) -> None:
    """Record hashes of all arrays of a schema version 1 store, so that damage is noticed later."""
    for camera in writer.cameras:
        writer.accept_frames(camera)
    writer.hash_embeddings()
    keys = [
        LENGTHS,
        *(
            f"{group}/{name}"
            for group in ("extras", "meta")
            for name in writer.keys(group)
            if name not in ("episode_ends", "done")
        ),
    ]
    keys += [f"data/{name}" for name in writer.keys("data") if not name.startswith("frames_")]
    for name in writer.label_names:
        keys += [f"labels/{name}/{array}" for array in ("reward", "distance")]
    read = reads(writer, keys)
    stacked = np.stack([*read.values()], axis=1)
    array = writer.require_array("sealed/read", stacked.shape[1:], np.uint8, 0, {})
    array.resize(stacked.shape)
    writer.put(array, 0, stacked)
    array.attrs["read"] = keys
    writer.update_attributes({"sealed": True})
    for camera in writer.cameras:
        writer.know_states(writer.frames_key(camera))
    writer.sync()


def _seal(path: Path) -> bool:
    """Whether a description needed its checksum anew."""
    text = path.read_bytes()
    try:
        try:
            unsealed(text)
        except ValueError:
            replace_file(path, sealed(text))
            return True
    except (ValueError, AttributeError, RecursionError) as error:
        raise VipOfflineError(
            f"{path}: is no description of an array ({error}). Restore it from a "
            "copy; it cannot be accepted as it is."
        ) from error
    return False
