"""Low-level writing: creates and extends arrays of a store and records their file states."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from vip_offline.dataset.damage import damaged
from vip_offline.dataset.frame_hashes import file_hashes, recorded_hashes
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.storage.file_states import FIELDS, STATE
from vip_offline.dataset.storage.shards import rows_per_file, rows_per_shard
from vip_offline.dataset.store import Store
from vip_offline.dataset.store_format import Attributes
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import flush, hidden_beside

WRITTEN: Any = {"write_empty_chunks": True}
NEW = ".new"  # in a store: an array that is being made; readers pass over hidden names
TEXT_BYTES = 512  # bytes of a name or a path
# bytes of a chunk of the small arrays; the one that an episode ends in is written again
CHUNK_BYTES, MOST_ROWS, LEAST_ROWS = 512 * 2**10, 16384, 256


def rows_per_chunk(tail: tuple[int, ...], dtype: Any) -> int:
    """Rows per chunk of an array of shape (N, *tail): about 512 KiB, 256 to 16,384 rows."""
    size = max(1, int(np.prod(tail, dtype=int)) * np.dtype(dtype).itemsize)
    return int(max(LEAST_ROWS, min(MOST_ROWS, CHUNK_BYTES // size)))


def staging_of(path: Path) -> Path:
    """Staging folder beside a store: arrays before they are renamed in, and deleted ones."""
    return hidden_beside(path, "staging")


class ArrayWriter(Store):
    """A store whose arrays can be created and extended."""

    _unlisted = True  # arrays were made since their names were recorded; at first: perhaps

    @property
    def staging(self) -> Path:
        """See `staging_of`."""
        return staging_of(self.path)

    def require_array(
        self,
        key: str,
        tail: tuple[int, ...],
        dtype: Any,
        fill: Any,
        attributes: Attributes,
        rows: int = 0,
    ) -> zarr.Array[Any]:
        """The array `key` of shape (N, *tail), created with `rows` rows of `fill` if it is missing.

        Raises:
            VipOfflineError: if an existing array has another row shape or dtype.
        """
        array = self.find(key)
        if array is None:
            self._unlisted = True
            frames = key.startswith("data/frames_")
            embeddings = key.startswith("embeddings/") and "@" not in key
            chunk = 1 if frames else rows_per_chunk(tail, dtype)
            shard = rows_per_shard(tail)
            self.make_parents(key)
            # one that has rows at once appears with them, see `put_first`; it is made within the
            # store, which may be a volume of its own in a folder where nothing may be written
            hidden = self.path / NEW
            shutil.rmtree(hidden, ignore_errors=True)
            made = DurableStore(hidden) if rows else self._durable
            array = zarr.create_array(
                made,
                name=None if rows else key,
                shape=(rows, *tail),
                chunks=(chunk, *tail),
                # a shard is written whole, so single rows of other arrays are not worth one
                shards=(shard, *tail) if frames else None,
                # embeddings are noise to a compressor
                compressors=[Crc32cCodec()] if embeddings else [ZstdCodec(), Crc32cCodec()],
                dtype=dtype,
                fill_value=fill,
                attributes=attributes,
                config=WRITTEN,
                # flat names: not four folders for a shard
                chunk_key_encoding={"name": "default", "separator": "."},
            )
            if rows:
                array[:] = fill
                made.sync()
                hidden.rename(self.path / key)
                flush((self.path / key).parent)
                array = self.array(key)
            return array
        if array.shape[1:] != tail or array.dtype != np.dtype(dtype):
            raise VipOfflineError(
                f"{self.path}: {key} holds {array.dtype} {array.shape}; rows of "
                f"{np.dtype(dtype)} {tail} do not fit. Write them to another store."
            )
        return array

    def make_group(self, key: str, attributes: Attributes) -> None:
        """Create a group with these attributes."""
        self._root.require_group(key).attrs.put(attributes)

    def update_attributes(self, attributes: Attributes) -> None:
        """Update attributes of the store and flush them to the disk."""
        self._root.attrs.update(attributes)
        self.sync()

    def sync(self) -> None:
        """Flush all written files to the disk (fsync)."""
        self._durable.sync()

    def make_parents(self, key: str) -> None:
        """Create the parent groups of an array before the array itself.

        zarr creates both at the same time. A process killed in between, or a full disk, would leave
        a group without its ``zarr.json``.
        """
        names = key.split("/")[:-1]
        for count in range(1, len(names) + 1):
            self._root.require_group("/".join(names[:count]))

    def put(self, array: zarr.Array[Any], start: int, values: NDArray[Any]) -> None:
        """Write rows from `start` on; the array grows if they reach beyond its end.

        Raises:
            VipOfflineError: if the chunk in which they begin is damaged.
        """
        key, rows = array.path, rows_per_file(array)
        if start % rows:  # what is there of that chunk is written again with it
            self.read_array(array, key, start - 1, start)
        if array.shape[0] < start + len(values):
            array.resize((start + len(values), *array.shape[1:]))
        # what is nothing but zeros is written, too: were it left out, a lost one would look alike
        array = array.with_config(WRITTEN)
        try:
            array[start : start + len(values)] = values
        except (ValueError, RuntimeError, KeyError) as error:
            raise damaged(self, array, key, start, start + len(values), error) from error

    def put_first(self, array: zarr.Array[Any], start: int, values: NDArray[Any]) -> None:
        """Write rows first, then extend the shape in ``zarr.json``.

        For arrays from which a concurrent reader learns how much of the other arrays is valid. With
        the shape first, it would read rows that are not written yet.
        """
        stop = start + len(values)
        longer = array.metadata.to_dict() | {"shape": (max(stop, array.shape[0]), *array.shape[1:])}
        self.put(zarr.Array.from_dict(array.store_path, longer), start, values)
        if stop > array.shape[0]:
            array.resize((stop, *array.shape[1:]))

    def append_rows(
        self, key: str, start: int, values: NDArray[Any], fill: Any, attributes: Attributes
    ) -> None:
        """Append rows to an array, which appears with them; see `require_array`."""
        stop = start + len(values)
        array = self.require_array(key, values.shape[1:], values.dtype, fill, attributes, stop)
        self.put(array, start, values)

    def append_codes(self, key: str, texts: Sequence[str], index: int) -> None:
        """Append categorical texts: (E,) int16 codes, with the list of names as an attribute."""
        stop = index + len(texts)
        array = self.require_array(f"meta/{key}", (), np.int16, -1, {"names": []}, stop)
        names = [*cast("list[str]", array.attrs["names"])]
        fresh = [text for text in dict.fromkeys(texts) if text not in names]
        if fresh:
            names += fresh
            array.attrs["names"] = names
        self.put(array, index, np.array([names.index(text) for text in texts], np.int16))

    def append_texts(self, key: str, texts: Sequence[str], index: int) -> None:
        """Append texts as (E, TEXT_BYTES) zero-padded UTF-8.

        Raises:
            VipOfflineError: if a text is longer.
        """
        values = np.zeros((len(texts), TEXT_BYTES), np.uint8)
        for row, text in zip(values, texts, strict=True):
            data = text.encode()
            if len(data) > TEXT_BYTES:
                raise VipOfflineError(
                    f"{self.path}: {key} {text!r} is longer than {TEXT_BYTES} bytes."
                )
            row[: len(data)] = np.frombuffer(data, np.uint8)
        self.append_rows(f"meta/{key}", index, values, 0, {"encoding": "utf-8"})

    def list_arrays(self) -> None:
        """Record the names of all arrays, so that a deleted array is noticed."""
        if not self._unlisted:
            return
        keys = sorted(
            f"{group}/{name}"
            for group in ("data", "extras", "meta")
            for name in self._group_keys(group)
        )
        if keys != list(self._listed) and self.version > 1:
            self._root.attrs["arrays"] = keys
        self._unlisted = False

    def know_states(self, key: str, first: int = 0) -> None:
        """Record size, time, inode and hash of an array's files, from file number `first` on."""
        states, then = self.file_states(key), self.known_files(key)[:first]
        known = np.zeros((len(states), FIELDS), np.int64)
        known[: len(then)] = then
        known[first:, :STATE] = states[first:]
        new = range(first, len(states))
        known[first:, STATE] = file_hashes(self, key, new, recorded_hashes(self, key))
        if not len(then):  # what is damaged is not gone on with
            shutil.rmtree(self.path / "files" / key, ignore_errors=True)
        array = self.require_array(f"files/{key}", (FIELDS,), np.int64, 0, {})
        self.put_first(array, 0, known)
        if array.shape[0] > len(known):
            array.resize(known.shape)
