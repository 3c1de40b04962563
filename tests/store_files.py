"""What two stores must have in common to be the same, and how one is damaged."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from vip_offline.dataset.storage.description_checksum import SEAL
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.store import open_store


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


def overwrite_attribute(path: Path, key: str, **attributes: Any) -> None:
    """Change attributes of a group or array, as this program would; None deletes one."""
    node = zarr.open_group(DurableStore(path), mode="r+")
    node = node[key] if key else node  # type: ignore[assignment]
    kept = {k: v for k, v in {**node.attrs, **attributes}.items() if v is not None}
    node.attrs.put(kept)


def shard_of(path: Path, camera: str, row: int) -> tuple[Path, int, int]:
    """File of a frame, and where in it: offset and size."""
    array = zarr.open_group(path, mode="r")[f"data/frames_{camera}"]
    assert isinstance(array, zarr.Array) and array.shards is not None
    rows = array.shards[0]
    file = path / f"data/frames_{camera}" / f"c.{row // rows}.0.0.0"
    index = np.frombuffer(file.read_bytes()[-16 * rows - 4 : -4], "<u8").reshape(rows, 2)
    offset, size = index[row % rows]
    return file, int(offset), int(size)


def spoil_frame(path: Path, camera: str, row: int) -> None:
    """Flip a bit in the middle of a frame's bytes."""
    file, offset, size = shard_of(path, camera, row)
    content = bytearray(file.read_bytes())
    content[offset + size // 2] ^= 1
    file.write_bytes(content)


def lose_frame(path: Path, camera: str, row: int) -> None:
    """Take a frame out of its shard, as if it had never been written."""
    array = zarr.open_group(path, mode="r+")[f"data/frames_{camera}"]
    assert isinstance(array, zarr.Array)
    array.with_config({"write_empty_chunks": False})[row] = 0


def overwrite(path: Path, key: str, row: int | slice, value: Any) -> None:
    """Put a value, or an array of them, into one or several rows of an array."""
    array = zarr.open_group(path, mode="r+")[key]
    assert isinstance(array, zarr.Array)
    array[row] = value


def everything(path: Path) -> dict[str, Any]:
    """All that a program is given of a store: array -> its values."""
    store = open_store(path)
    store.require_finished()
    given: dict[str, Any] = {"attributes": store.attributes, "kinds": store.kinds()}
    given |= {f"meta/{name}": store.meta(name) for name in store.keys("meta")}
    given |= {f"extras/{name}": store.extra(name) for name in store.keys("extras")}
    for name in ("proprio", "action", "succeeded", "true_reward"):
        given[f"data/{name}"] = store.data(name)
    for camera in store.cameras:
        given[f"frames/{camera}"] = store.frames(camera, 0, store.rows)
        given[f"content/{camera}"] = store.content(camera)
        for encoder in store.encoders:
            given[f"embeddings/{encoder}/{camera}"] = store.embedding(encoder, camera)[0]
            given[f"outdated/{encoder}/{camera}"] = store.outdated(encoder, camera)
    for name in store.label_names:
        given |= {f"labels/{name}/{key}": value for key, value in vars(store.label(name)).items()}
    return given


def assert_same(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Of two stores, see `everything`."""
    assert given.keys() == wanted.keys()
    for key in wanted:
        np.testing.assert_equal(given[key], wanted[key], err_msg=key)
