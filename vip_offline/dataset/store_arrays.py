"""Arrays of an open store, read with their checksums; a deleted array or chunk is an error."""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from vip_offline.dataset.damage import check_present, damaged, way_out
from vip_offline.dataset.storage.content_hash import DIGEST, HASH_KIND
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.storage.shards import (
    ShardError,
    array_file,
    is_plain,
    read_chunks,
    rows_per_file,
)
from vip_offline.dataset.store_format import LEFTOVER, Attributes
from vip_offline.errors import VipOfflineError


def _has_files(folder: Path) -> bool:
    """Whether a folder holds any file other than leftovers of a killed writer."""
    return any(not LEFTOVER.fullmatch(name) for _, _, names in os.walk(folder) for name in names)


class StoreArrays:
    """Arrays and episode spans of a store. Only finished episodes are visible."""

    def __init__(self, path: Path, durable: DurableStore) -> None:
        self.path = path
        self._durable = durable
        self._root = zarr.open_group(durable, mode="r" if durable.read_only else "r+")
        self._ends: NDArray[np.int64] | None = None  # read once: everything asks for them
        self._arrays: dict[str, zarr.Array[Any]] = {}  # that are open, of a store that is only read
        # what was opened, and the version of its description then
        self._nodes: dict[str, tuple[tuple[int, ...], zarr.Array[Any] | zarr.Group]] = {}

    def node(self, key: str, *, listed: bool = False) -> zarr.Array[Any] | zarr.Group | None:
        """The array or group at `key`; None if there is none.

        Raises:
            VipOfflineError: if its description cannot be read, or is gone although it was
                written down as `listed`, or what it describes is there.
        """
        version = self._durable.version(key)
        then, opened = self._nodes.pop(key, (None, None))
        if opened is not None and version is not None and version == then:
            self._nodes[key] = version, opened
            return opened
        try:
            node = self._root.get(key)
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise VipOfflineError(
                f"{self.path}: the description of {key} (its zarr.json) cannot be read: {error}. "
                f"{way_out(self, key, described=False)}"
            ) from error
        if node is None and (listed or _has_files(self.path / key)):
            raise VipOfflineError(
                f"{self.path}: the description of {key} (its zarr.json) is gone. "
                f"{way_out(self, key, described=False)}"
            )
        if node is not None and version is not None:
            self._nodes[key] = version, node
        return node

    def find(self, key: str) -> zarr.Array[Any] | None:
        """The array at `key`; None if there is none.

        Raises:
            VipOfflineError: see `node`.
        """
        if key in self._arrays:
            return self._arrays[key]
        node = self.node(key, listed=key in self._listed)
        if not isinstance(node, zarr.Array):
            return None
        if self._durable.read_only and self._ends is not None:  # not before: it may grow till then
            self._arrays[key] = node
        return node

    @property
    def _listed(self) -> Sequence[str]:
        """Keys of all arrays that were written, so that a deleted one is noticed."""
        return cast("Sequence[str]", self._root.attrs.get("arrays", ()))

    def array(self, key: str) -> zarr.Array[Any]:
        """The zarr array at `key`; reads through it skip the check for missing chunks.

        Raises:
            VipOfflineError: if there is none of this name.
        """
        array = self.find(key)
        if array is None:
            raise VipOfflineError(f"{self.path}: has no array {key}. `vip-offline inspect` it.")
        return array

    def _names(self, key: str) -> list[str]:
        """Names of what lies in a group, sorted; none if there is no such group."""
        if key and not isinstance(self.node(key), zarr.Group):
            return []
        folders = (path for path in (self.path / key).iterdir() if _has_files(path))
        return sorted(path.name for path in folders if not path.name.startswith("."))

    def rows_of(self, key: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Rows of an array, checked.

        Raises:
            VipOfflineError: if it is not there, or a chunk is missing or damaged.
        """
        return self.read_array(self.array(key), key, start, stop)

    def read_array(
        self, array: zarr.Array[Any], key: str, start: int, stop: int | None
    ) -> NDArray[Any]:
        """`rows_of` for an array that is already open."""
        stop = array.shape[0] if stop is None else min(stop, array.shape[0])
        if is_plain(array):
            try:
                return read_chunks(self.path / key, array, start, max(start, stop))
            except ShardError as error:
                raise damaged(self, array, key, start, stop, error) from error
        check_present(self, array, key, start, stop)
        try:
            return np.asarray(array[start:stop])
        except (ValueError, RuntimeError, OSError, KeyError) as error:
            raise damaged(self, array, key, start, stop, error) from error

    @property
    def attributes(self) -> Attributes:
        """Attributes of the store: task, camera, recipe, code version, date."""
        return dict(self._root.attrs)

    @property
    def checked(self) -> bool:
        """Whether damage is detectable: schema version 2, or version 1 and sealed."""
        return self.version > 1 or bool(self._root.attrs.get("sealed", False))

    @property
    def version(self) -> int:
        """Schema version of the store."""
        return int(cast("int", self._root.attrs.get("schema_version", 0)))

    @property
    def ends(self) -> NDArray[np.int64]:
        """(E,) exclusive end rows of the finished episodes, read once per opened store."""
        if self._ends is None:
            self._ends = self._read_ends()
        return self._ends

    def _read_ends(self) -> NDArray[np.int64]:
        if self.find("meta/done") is None:
            return np.zeros(0, np.int64)
        done = self.rows_of("meta/done")
        finished = len(done) if done.all() else int(np.argmin(done))
        return cast("NDArray[np.int64]", self.rows_of("meta/episode_ends", 0, finished))

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def rows(self) -> int:
        """N, the rows of all finished episodes."""
        ends = self.ends
        return int(ends[-1]) if len(ends) else 0

    def spans(self) -> list[tuple[int, int]]:
        """(start, stop) rows of each finished episode."""
        ends = [int(end) for end in self.ends]
        return list(pairwise([0, *ends]))

    def keys(self, group: str) -> list[str]:
        """Names of the arrays in a group, sorted; none if there is no such group.

        Raises:
            VipOfflineError: if one that was written is gone.
        """
        for key in self._listed:
            if key.startswith(f"{group}/"):
                self.find(key)  # refuses one that is gone
        return self._group_keys(group)

    def _group_keys(self, group: str) -> list[str]:
        return [name for name in self._names(group) if self.find(f"{group}/{name}") is not None]

    def _group_names(self, group: str) -> list[str]:
        return [name for name in self._names(group) if self.node(f"{group}/{name}") is not None]

    def data(self, key: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """(N, ...) of one small array: ``proprio``, ``action``, ``succeeded``, ``true_reward``.

        Without proprioception or actions those are (N, 0). Rows `start` to `stop` alone may be
        asked for.
        """
        stop = self.rows if stop is None else stop
        if key in ("proprio", "action") and self.find(f"data/{key}") is None:
            return np.zeros((stop - start, 0), np.float32)
        return self.rows_of(f"data/{key}", start, stop)

    def extra(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """(N, ...) of one of the origin's other columns; or its rows `start` to `stop` alone."""
        return self.rows_of(f"extras/{name}", start, self.rows if stop is None else stop)

    def texts(self, key: str) -> list[str]:
        """(E,) names, paths or instructions of the episodes; empty where there are none."""
        array = self.find(f"meta/{key}")
        if array is None:
            return [""] * len(self)
        values = self.meta(key)
        if values.ndim == 1:
            names = cast("list[str]", array.attrs["names"])
            return [names[index] for index in values]
        return [bytes(row).rstrip(b"\0").decode() for row in values]

    def meta(self, key: str) -> NDArray[Any]:
        """(E,) of one array about episodes: ``success``, ``kind``, ``placement``."""
        return self.rows_of(f"meta/{key}", 0, len(self))

    def hashes(self, key: str) -> NDArray[np.uint8]:
        """(E, DIGEST) hashes recorded in the array `key`; zeros where there is none.

        Raises:
            VipOfflineError: if they are of a hash function that this release does not know.
        """
        array, hashes = self.find(key), np.zeros((len(self), DIGEST), np.uint8)
        if array is not None:
            kind = array.attrs.get("hash", HASH_KIND)
            if kind != HASH_KIND or array.shape[1:] != (DIGEST,):
                raise VipOfflineError(
                    f"{self.path}: {key} holds hashes of kind {kind!r}, {array.shape[1:]} bytes; "
                    f"this program knows {HASH_KIND!r}, {DIGEST} bytes. Update vip-offline, or "
                    "import again."
                )
            rows = self.read_array(array, key, 0, len(self))
            hashes[: len(rows)] = rows
        return hashes

    def files(self, key: str) -> list[Path]:
        """Files that hold an array, in the order of its rows, whether they exist or not."""
        array = self.array(key)
        files = -(-array.shape[0] // rows_per_file(array))
        return [array_file(self.path / key, array, number) for number in range(files)]

    def rows_per_file(self, key: str) -> int:
        """Rows of an array that one file holds: a chunk, or a shard."""
        return rows_per_file(self.array(key))

    def tree(self) -> list[tuple[str, str, str, Attributes]]:
        """(path, shape, dtype, attributes) of every array and attributed group, sorted."""
        rows: list[tuple[str, str, str, Attributes]] = []
        # the two left out are bookkeeping
        groups = [name for name in self._names("") if name not in ("files", "sealed")]
        waiting = sorted(groups, reverse=True)
        while waiting:
            key = waiting.pop()
            node = self.node(key)
            if isinstance(node, zarr.Array):
                rows.append((key, str(node.shape), str(node.dtype), dict(node.attrs)))
            elif node is not None:
                if node.attrs:
                    rows.append((f"{key}/", "", "", dict(node.attrs)))
                waiting += sorted((f"{key}/{name}" for name in self._names(key)), reverse=True)
        return rows
