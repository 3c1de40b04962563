"""Where a training stands, as one file that is whole or the one before it."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import whole_file
from vip_offline.utils.regular_files import require_regular

Arrays = dict[str, NDArray[Any]]
VERSION = 2  # of a checkpoint; 1: without hashes of the arrays that the training reads
READ_KEY = "read"  # of an identity, see `dataset.identity`
CHECKPOINT = "checkpoint.npz"
# what numpy raises besides; a zip carries a checksum of each array, which is compared
UNREADABLE = (TypeError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error)


def write_checkpoint(
    folder: Path,
    arrays: Mapping[str, NDArray[Any]],
    identity: Mapping[str, Any],
    metrics: list[dict[str, float]],
) -> None:
    """Keep where a training stands; the file is whole or the one before it."""
    texts = {
        "identity": json.dumps(
            {k: v for k, v in identity.items() if k != READ_KEY}, sort_keys=True
        ),
        "metrics": json.dumps(metrics),
        "version": VERSION,
    }
    read = {f"{READ_KEY}/{key}": hashes for key, hashes in identity.get(READ_KEY, {}).items()}
    contents: dict[str, Any] = {**arrays, **read, **texts}
    with whole_file(folder / CHECKPOINT) as partial, partial.open("wb") as file:
        np.savez(file, **contents)


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stood."""

    arrays: Arrays
    identity: dict[str, Any]  # of the training
    metrics: list[dict[str, float]]  # so far


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Where a training stood; None if it never got so far.

    Raises:
        VipOfflineError: if the file is damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with require_regular(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        version = int(arrays.pop("version", 1))
        if version > VERSION:
            raise VipOfflineError(
                f"{path}: is of version {version}; this program reads 1 to {VERSION}. Update "
                f"vip-offline, or remove {folder} to train from the beginning."
            )
        identity, metrics = (json.loads(str(arrays.pop(key))) for key in ("identity", "metrics"))
        names = [key for key in arrays if key.startswith(f"{READ_KEY}/")]
        identity[READ_KEY] = {key.removeprefix(f"{READ_KEY}/"): arrays.pop(key) for key in names}
        return Checkpoint(arrays, identity, metrics)
    except (OSError, EOFError, ValueError, KeyError, *UNREADABLE) as error:
        raise VipOfflineError(
            f"{path}: cannot be read ({error}). Remove {folder} to train from the beginning: the "
            "steps until then are in this file alone."
        ) from None
