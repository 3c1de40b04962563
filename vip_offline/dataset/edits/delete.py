"""Delete labellings and embeddings from a store; the demonstrations stay."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vip_offline.dataset.array_writer import staging_of
from vip_offline.dataset.dependents import delete_command, labels_made_from
from vip_offline.dataset.store import Store
from vip_offline.dataset.store_writer import TODO, to_delete, writing
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.utils.files import flush, replace_file

DELETED = ".deleted"


@dataclass(frozen=True)
class DeleteResult:
    """What was deleted."""

    labels: tuple[str, ...]
    embeddings: tuple[str, ...]  # ENCODER/CAMERA
    size: int  # bytes on the disk


def delete(path: Path, labels: Sequence[str], embeddings: Sequence[str]) -> DeleteResult:
    """Delete whole labellings and embeddings, or nothing.

    Each is renamed out of the store and then removed. A process killed in between leaves a store
    that is whole, with or without it; the next writer removes what lies beside the store.

    Args:
        path: of the store.
        labels: names of labellings.
        embeddings: as ``ENCODER/CAMERA``, or ``ENCODER`` for all of its cameras.

    Raises:
        VipOfflineError: if one is not there, nothing is named, a labelling was made from an
            embedding and is not deleted with it, or another process writes to the store.
    """
    if not labels and not embeddings:
        raise VipOfflineError("Nothing to delete: name a --label or an --embedding.")
    begun = to_delete(path)  # by a process that was killed: opening the store ends it
    begun += [key.rpartition("/")[0] for key in begun if key.startswith("embeddings/")]
    with writing(path) as store:
        names = store.label_names
        labels = [name for name in labels if f"labels/{name}" not in begun]
        embeddings = [text for text in embeddings if f"embeddings/{text}" not in begun]
        for name in labels:
            if name not in names:
                raise VipOfflineError(f"{path}: no label {name!r}.{did_you_mean(name, names)}")
        pairs = list(
            dict.fromkeys(pair for text in embeddings for pair in _embeddings(store, text))
        )
        for encoder, camera in pairs:
            needing = [
                name for name in labels_made_from(store, encoder, [camera]) if name not in labels
            ]
            if needing:
                cameras = [camera for name, camera in pairs if name == encoder]
                raise VipOfflineError(
                    f"{path}: embedding {encoder}/{camera} is needed by the labellings that were "
                    f"made from it ({', '.join(needing)}). Delete them with it: "
                    f"`{delete_command(store, encoder, cameras)}`."
                )
        folders = [path / "labels" / name for name in dict.fromkeys(labels)]
        for encoder, camera in pairs:
            # first what says that it is there: without, it counts as not embedded
            folders += [
                path / "embeddings" / encoder / f"{camera}@{part}" for part in ("content", "hash")
            ]
            folders += [path / "embeddings" / encoder / camera]
        size = sum(_size(folder) for folder in folders)
        _remove(store, [folder for folder in folders if folder.exists()])
    return DeleteResult(tuple(dict.fromkeys(labels)), tuple(f"{e}/{c}" for e, c in pairs), size)


def _embeddings(store: Store, text: str) -> Iterator[tuple[str, str]]:
    """(encoder, camera) pairs that match ``ENCODER`` or ``ENCODER/CAMERA``."""
    present = [
        (encoder, camera)
        for encoder in store.encoders
        for camera in store.keys(f"embeddings/{encoder}")
        if "@" not in camera
    ]
    encoder, _, camera = text.partition("/")
    meant = [pair for pair in present if pair[0] == encoder and camera in ("", pair[1])]
    if not meant:
        known = [f"{name}/{camera}" for name, camera in present]
        raise VipOfflineError(f"{store.path}: no embedding {text!r}.{did_you_mean(text, known)}")
    yield from meant


def _size(folder: Path) -> int:
    """Bytes of all files under a folder."""
    return sum(
        (Path(where) / name).stat().st_size for where, _, names in os.walk(folder) for name in names
    )


def _remove(store: Store, folders: Sequence[Path]) -> None:
    """Take folders out of the store by renaming, then remove them."""
    staging = staging_of(store.path)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    keys = [folder.relative_to(store.path).as_posix() for folder in folders]
    replace_file(staging / TODO, json.dumps(keys).encode())
    for place, folder in enumerate(folders):
        folder.rename(staging / f"{place}{DELETED}")
        flush(folder.parent)
    shutil.rmtree(staging)
