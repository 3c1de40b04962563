"""Validates the metadata of an untrusted zarr before zarr acts on them.

zarr makes codecs by the names that a description gives, and one of numcodecs' (pickle) ran code of
the file's choice when a chunk was read. Only codecs that turn bytes into values are let through,
wherever they are named: in an array's own description, in a summary of all, inside shards.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore, ZipStore

from vip_offline.errors import VipOfflineError
from vip_offline.utils.regular_files import require_regular
from vip_offline.utils.size_limits import MOST_DESCRIPTION_BYTES

DESCRIPTIONS = (".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json")
CODECS = frozenset(
    (
        # compress bytes
        *("blosc", "zstd", "lz4", "gzip", "zlib", "bz2", "lzma", "zfpy", "pcodec"),
        # turn numbers into others
        *("delta", "shuffle", "fixedscaleoffset", "packbits", "quantize", "bitround"),
        *("astype", "categorize", "base64"),
        # find damage
        *("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3"),
        # lay values out as bytes
        *("bytes", "endian", "transpose", "sharding_indexed"),
        *("vlen-utf8", "vlen-bytes", "vlen-array", "json2", "msgpack2"),
        # decode pictures
        *("apng", "avif", "bmp", "gif", "heif", "htj2k", "jpeg", "jpeg2k", "jpegls", "jpegxl"),
        *("jpegxr", "jpegxs", "ljpeg", "png", "qoi", "spng", "webp"),
    )
)
PREFIXES = ("numcodecs.", "imagecodecs_", "imagecodecs.")  # of the packages that bring them


class VettedStore(WrapperStore[Store]):
    """A folder or zip archive for reading, without codecs that could run code.

    Raises:
        VipOfflineError: when a description that names another codec is read, or one that is
            beyond all size, or what is no regular file.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        # `store` is a LocalStore or ZipStore
        self._path = store.root if isinstance(store, LocalStore) else getattr(store, "path", Path())

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """See `zarr.abc.store.Store.get`."""
        if isinstance(self._store, LocalStore):
            path = self._path / key
            if not path.is_dir():
                require_regular(path)
        description = key.rpartition("/")[2] in DESCRIPTIONS
        if description and await self._store.exists(key):
            size = await self._store.getsize(key)
            if size > MOST_DESCRIPTION_BYTES:
                raise VipOfflineError(
                    f"{self._path}: {key} has {size:,} bytes, which is no description. Restore it."
                )
        value = await self._store.get(key, prototype, byte_range)
        if description and value is not None:
            require_known_codecs(value.to_bytes(), f"{self._path}: {key}")
        return value

    def stored(self, key: str) -> Iterator[int]:
        """Bytes of the files below a key; of an archive, its own."""
        if isinstance(self._store, ZipStore):
            yield self._path.stat().st_size
            return
        for folder, _, names in os.walk(self._path / key):
            for name in names:
                yield (Path(folder) / name).lstat().st_size


def require_known_codecs(description: bytes, where: str) -> None:
    """Refuse a description (one of `DESCRIPTIONS`) that names a codec which is none of `CODECS`.

    Raises:
        VipOfflineError: names the array and the codec.
    """
    try:
        about = json.loads(description)
    except ValueError:
        return  # zarr, which reads it in the same way, says so
    for key, node in _nodes(about):
        for slot in ("compressor", "filters", "codecs"):
            for codec in _names(node.get(slot)):
                if _plain(codec) not in CODECS:
                    place = f", {key}" if key else ""
                    raise VipOfflineError(
                        f"{where}{place}: is written with the codec {codec!r}, which is none of "
                        "those that are known to run no code. If you trust the file, write its "
                        "array again with zstd."
                    )


def _nodes(about: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """What is said of a node, and of those that it sums up."""
    if not isinstance(about, dict):
        return
    yield key, about
    summary = about.get("consolidated_metadata")
    nested = summary.get("metadata") if isinstance(summary, dict) else None
    for nodes in (about.get("metadata"), nested):
        if isinstance(nodes, dict):
            for name, node in nodes.items():
                if not name.endswith(".zattrs"):
                    yield from _nodes(node, name)


def _names(codecs: Any) -> Iterator[str]:
    """The names of codecs, those inside shards too; what names none, as it stands."""
    if codecs is None:
        return
    for codec in codecs if isinstance(codecs, list) else [codecs]:
        if not isinstance(codec, dict):
            yield codec if isinstance(codec, str) else repr(codec)
            continue
        names = [codec[key] for key in ("id", "name") if key in codec]
        yield from map(str, names or [repr(codec)])
        settings = codec.get("configuration")
        if isinstance(settings, dict):
            yield from _names(settings.get("codecs"))
            yield from _names(settings.get("index_codecs"))


def _plain(codec: str) -> str:
    for prefix in PREFIXES:
        codec = codec.removeprefix(prefix)
    return codec
