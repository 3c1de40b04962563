"""Fast reader for the arrays of a store: zarr is slow at chunks with checksums.

The files are plain zarr v3, chunked along the first axis, compressed by zstd or not, and checked by
crc32c; frames are sharded with one row to a chunk. Whatever reads zarr reads them. zarr 3.1 reads
the index of a shard anew for each chunk that is asked for, which doubles the time of a random
frame, and compares checksums in one thread (`python -m benchmarks.integrity`).
"""

import os
import threading
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs import Zstd
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, ZstdCodec

CHECKSUM = 4  # bytes of a crc32c
ABSENT = np.uint64(2**64 - 1)  # offset and size, in an index, of a chunk that was never written
OPEN_SHARDS = 8  # shards that are held open
SHARD_BYTES = 32 * 2**20  # of frames, before compression: a shard is written whole
SHARD_ROWS = 128  # at most


def rows_per_shard(row: tuple[int, ...]) -> int:
    """Rows of this shape, at one byte per value, in one shard file."""
    return max(1, min(SHARD_ROWS, SHARD_BYTES // max(1, int(np.prod(row, dtype=int)))))


def rows_per_file(array: zarr.Array[Any]) -> int:
    """Rows of an array that one file holds: a chunk, or a shard."""
    return int((array.shards or array.chunks)[0])


def array_file(folder: Path, array: zarr.Array[Any], number: int) -> Path:
    """File of this number, in the order of the rows, of the array in a folder."""
    return folder / array.metadata.encode_chunk_key((number, *(0 for _ in array.shape[1:])))


class ShardError(ValueError):
    """A missing or damaged row or shard; `row` is its number."""

    row = 0


class Shard:
    """An open shard and its index."""

    def __init__(self, path: Path, rows: int) -> None:
        self._file = os.open(path, os.O_RDONLY)
        try:
            tail = rows * 16 + CHECKSUM
            size = os.fstat(self._file).st_size
            index = os.pread(self._file, tail, max(0, size - tail))
            if len(index) < tail:
                raise ShardError("it is cut off")
            self.index = np.frombuffer(_checked(index), "<u8").reshape(rows, 2)
        except BaseException:
            self.close()
            raise

    def __call__(self, row: int) -> memoryview | None:
        """The bytes of a chunk; None if it was never written."""
        offset, size = self.index[row]
        if offset == ABSENT:
            return None
        content = os.pread(self._file, int(size), int(offset))
        if len(content) < max(int(size), CHECKSUM):
            raise ShardError("it is cut off")
        return _checked(content)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def _crc32c(content: NDArray[np.uint8]) -> bytes:
    return int(google_crc32c.value(content)).to_bytes(CHECKSUM, "little")


def _checked(content: bytes) -> memoryview:
    """Content whose last bytes are its checksum, without them."""
    body = memoryview(content)[:-CHECKSUM]
    if len(content) < CHECKSUM or _crc32c(np.frombuffer(body, np.uint8)) != content[-CHECKSUM:]:
        raise ShardError("its checksum does not match")
    return body


def is_readable(array: zarr.Array[Any]) -> bool:
    """Whether an array is sharded as `ShardReader` reads it."""
    codecs: Any = getattr(array.metadata, "codecs", ())
    if len(codecs) != 1 or not isinstance(codecs[0], ShardingCodec):
        return False
    kinds = [type(codec) for codec in codecs[0].codecs]
    frame: tuple[int, ...] = array.shape[1:]
    shards: tuple[int, ...] = array.shards or ()
    return (
        kinds == [BytesCodec, ZstdCodec, Crc32cCodec]
        and array.dtype == np.uint8
        and tuple(array.chunks) == (1, *frame)
        and shards[1:] == frame
    )


def is_plain(array: zarr.Array[Any]) -> bool:
    """Whether an array is chunked as `read_chunks` reads it."""
    codecs: Any = getattr(array.metadata, "codecs", ())
    kinds = [type(codec) for codec in codecs if not isinstance(codec, ZstdCodec)]
    return (
        kinds == [BytesCodec, Crc32cCodec]
        and array.dtype.kind in "biuf"
        and array.dtype == array.dtype.newbyteorder("<")
        and tuple(array.chunks[1:]) == tuple(array.shape[1:])
    )


def read_chunks(folder: Path, array: zarr.Array[Any], start: int, stop: int) -> NDArray[Any]:
    """(stop - start, ...) rows of an array that is not sharded, see `is_plain`.

    Raises:
        ShardError: if a chunk is missing or damaged.
    """
    rows, dtype, tail = array.chunks[0], array.dtype, array.shape[1:]
    codecs: Any = getattr(array.metadata, "codecs", ())
    compressed = any(isinstance(codec, ZstdCodec) for codec in codecs)
    values = np.empty((stop - start, *tail), dtype)
    if not values.size:
        return values
    for number in range(start // rows, (stop - 1) // rows + 1):
        begin, end = max(start, number * rows), min(stop, (number + 1) * rows)
        path = array_file(folder, array, number)
        try:
            if not compressed and end - begin == rows:
                _read_into(values[begin - start : end - start], path)
                continue
            body = _checked(path.read_bytes())
            block = np.frombuffer(Zstd().decode(body) if compressed else body, dtype)
            block = block.reshape(rows, *tail)
        except (ValueError, RuntimeError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise _wrong(begin, f"{why}") from error
        values[begin - start : end - start] = block[begin - number * rows : end - number * rows]
    return values


def _read_into(rows: NDArray[Any], path: Path) -> None:
    """Read a whole chunk to where it belongs: embeddings are large, and a copy costs as much."""
    content = rows.reshape(-1).view(np.uint8)
    with path.open("rb", buffering=0) as file:
        size = file.readinto(content.data)
        if size != content.size or file.read(CHECKSUM + 1) != _crc32c(content):
            raise ShardError("its checksum does not match")


def _wrong(row: int, why: str) -> ShardError:
    error = ShardError(f"row {row}: {why}")
    error.row = row
    return error


class ShardReader:
    """Rows of one sharded array, see `is_readable`, for several threads."""

    def __init__(self, folder: Path, array: zarr.Array[Any]) -> None:
        assert array.shards is not None
        self._per_shard, self._shape = array.shards[0], array.shape[1:]
        self._path = partial(array_file, folder, array)
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._lock = threading.Lock()
        self._decode = Zstd().decode

    def __call__(self, start: int, stop: int) -> NDArray[np.uint8]:
        """(stop - start, ...) rows.

        Raises:
            ShardError: if one is missing or damaged; its text names the row.
        """
        values = np.empty((stop - start, *self._shape), np.uint8)
        flat = values.reshape(stop - start, -1) if values.size else values
        for row in range(start, stop):
            try:
                self._decode(self._chunk(row), flat[row - start])
            except (ValueError, RuntimeError, OSError) as error:
                why = error.strerror if isinstance(error, OSError) else error
                raise _wrong(row, f"{why}") from error
        return values

    def _chunk(self, row: int) -> memoryview:
        number, place = divmod(row, self._per_shard)
        with self._lock:
            content = self._shard(number)(place)
            if content is None:
                # a writer may have put another file in its place since it was opened
                self._open.pop(number).close()
                content = self._shard(number)(place)
        if content is None:
            raise ShardError("it was never written")
        return content

    def _shard(self, number: int) -> Shard:
        if number not in self._open:
            self._open[number] = Shard(self._path(number), self._per_shard)
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(number)
        return self._open[number]

    def __del__(self) -> None:
        for shard in self._open.values():
            shard.close()
