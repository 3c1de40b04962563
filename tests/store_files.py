"""What two stores must have in common to be the same, and how one is damaged."""

import json
from pathlib import Path
from typing import Any

import zarr

from vip_offline.data.metadata_seal import SEAL


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a store; dates, release, and what depends on when and where left out."""
    files = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.relative_to(path).parts[0] != "files":
            data = file.read_bytes()
            if file.name == "zarr.json":
                metadata = json.loads(data)
                for key in ("created", "code_version", SEAL):
                    metadata.get("attributes", {}).pop(key, None)
                data = json.dumps(metadata, sort_keys=True).encode()
            files[file.relative_to(path).as_posix()] = data
    return files


def overwrite(path: Path, key: str, row: int | slice, value: Any) -> None:
    """Put a value, or an array of them, into one or several rows of an array."""
    array = zarr.open_group(path, mode="r+")[key]
    assert isinstance(array, zarr.Array)
    array[row] = value
