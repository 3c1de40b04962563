"""Take a store as it is now for right: one of an earlier release, or one that was edited."""

import os
from dataclasses import dataclass
from pathlib import Path

from vip_offline.dataset.storage.description_checksum import sealed, unsealed
from vip_offline.dataset.storage.durable_store import DESCRIPTION
from vip_offline.dataset.store import is_store, open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import only_writer, replace_file


@dataclass(frozen=True)
class Sealed:
    """What `seal` did."""

    descriptions: tuple[str, ...]  # arrays and groups whose description had been edited
    hashed: bool  # whether a store of an earlier release got hashes of all that it holds


def seal(path: Path) -> Sealed:
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
            if DESCRIPTION in names and _seal(Path(folder, DESCRIPTION)):
                edited.append(Path(folder).relative_to(path).as_posix())
    store = open_store(path)
    hashed = store.version == 1
    if hashed:
        with writing(path) as writer:
            writer.seal()
    return Sealed(tuple(sorted(edited)), hashed)


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
