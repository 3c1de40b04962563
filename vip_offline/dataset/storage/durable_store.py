"""What plain zarr on a local disk lacks: fsync and checked descriptions."""

import asyncio
import os
import uuid
from collections import Counter
from pathlib import Path

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.buffer.core import default_buffer_prototype
from zarr.storage import LocalStore

from vip_offline.dataset.storage.description_checksum import sealed, unsealed
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import flush_all

ZARR_JSON = "zarr.json"


class DurableStore(LocalStore):
    """A LocalStore that knows which files it wrote, so that `sync` can flush just those.

    zarr replaces each object atomically (``*.partial``, then rename) but never calls fsync, so
    after a power cut a renamed file may be empty. `sync` closes that gap. Descriptions
    (``zarr.json``) are written with a checksum and compared with it when they are read.
    """

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._touched: set[Path] = set()  # files, and folders, that are not on the disk yet
        self._written: Counter[str] = Counter()  # key of a description -> how often

    def version(self, node: str) -> tuple[int, ...] | None:
        """What changes whenever the description of `node` does, whoever writes it; None: none."""
        key = f"{node}/{ZARR_JSON}"
        try:
            file = (self.root / key).stat()
        except OSError:
            return None
        return self._written[key], file.st_ino, file.st_size, file.st_mtime_ns

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """As `LocalStore.get`.

        Raises:
            VipOfflineError: if a description is not what was written.
        """
        prototype = prototype or default_buffer_prototype()
        if byte_range is not None or key.rsplit("/", 1)[-1] != ZARR_JSON:
            return await super().get(key, prototype, byte_range)
        if not self._is_open:
            await self._open()
        try:  # here and now: to hand so small a file to another thread takes longer than to read it
            content = (self.root / key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        try:
            return prototype.buffer.from_bytes(unsealed(content))
        except (ValueError, RecursionError) as error:
            raise VipOfflineError(
                f"{self.root / key}: cannot be read: {error}. Restore it from a copy; if it was "
                f"edited on purpose, `vip-offline inspect {self.root} --seal` accepts it as it is."
            ) from error

    async def _set(self, key: str, value: Buffer, exclusive: bool = False) -> None:
        if not self._is_open:
            await self._open()
        self._check_writable()
        path = self.root / key
        if exclusive and path.exists():  # one process writes at a time
            raise FileExistsError(path)
        if key.rsplit("/", 1)[-1] == ZARR_JSON:
            flushed = _replace(path, sealed(value.to_bytes()))
            self._written[key] += 1
        else:
            content = memoryview(value.as_numpy_array())  # type: ignore[arg-type]
            flushed = await asyncio.to_thread(_replace, path, content)
        if not flushed:
            self._touched.add(path)
        self._touched |= {path.parent, path.parent.parent}

    def sync(self) -> None:
        """Flush what was written since the last call: files, then their folders."""
        flush_all(self._touched)
        self._touched.clear()


def _replace(path: Path, content: bytes | memoryview) -> bool:
    """Write a file whole or not at all; whether it is on the disk already.

    One that takes another's place is flushed first: after a power cut either of them is there,
    never an empty file under a name that had content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            replacing = path.exists()
            if replacing:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return replacing
