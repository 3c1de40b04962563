"""What plain zarr on a local disk lacks: fsync, checked descriptions, one writer at a time."""

import asyncio
import contextlib
import fcntl
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.buffer.core import default_buffer_prototype
from zarr.storage import LocalStore

from vip_offline.data.metadata_seal import sealed, unsealed
from vip_offline.errors import VipOfflineError

DESCRIPTION = "zarr.json"


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_writable(folder: Path) -> None:
    """Make a folder, and find out whether files can be written there.

    Raises:
        OSError: as the system gives it, with the path: a file in its place, no rights, no space.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
        pass


def replace_file(path: Path, content: bytes | memoryview) -> bool:
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


class DurableStore(LocalStore):
    """A LocalStore that knows which files it wrote, so that `sync` can flush just those.

    zarr replaces each object atomically (``*.partial``, then rename) but never calls fsync, so
    after a power cut a renamed file may be empty. `sync` closes that gap. Descriptions
    (``zarr.json``) are written with a checksum and compared with it when they are read.
    """

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._touched: set[Path] = set()  # files, and folders, that are not on the disk yet

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
        content = await super().get(key, prototype, byte_range)
        if content is None or byte_range is not None or key.rsplit("/", 1)[-1] != DESCRIPTION:
            return content
        try:
            return prototype.buffer.from_bytes(unsealed(content.to_bytes()))
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
        if key.rsplit("/", 1)[-1] == DESCRIPTION:
            content: bytes | memoryview = sealed(value.to_bytes())
        else:
            content = memoryview(value.as_numpy_array())  # type: ignore[arg-type]
        if not await asyncio.to_thread(replace_file, path, content):
            self._touched.add(path)
        self._touched |= {path.parent, path.parent.parent}

    def sync(self) -> None:
        """Flush what was written since the last call: files, then their folders."""
        for path in sorted(self._touched, key=lambda path: path.is_dir()):
            if path.exists():
                flush(path)
        self._touched.clear()


@contextlib.contextmanager
def only_writer(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the folder's write lock.

    The lock is the kernel's, on the folder itself: it leaves no file, and a killed process
    cannot leave it behind.

    Args:
        folder: that is written to.
        shared: keep writers out alone: others may read, too.

    Raises:
        VipOfflineError: if another process holds it, or removed the folder meanwhile.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VipOfflineError(
                f"{folder}: another process is writing to it. Wait until that one ends (or stop "
                f"it; `fuser {folder}` may name it), then run this again."
            ) from None
        # the lock of a folder that is gone would keep nobody from the one in its place
        if not folder.exists() or not os.path.samestat(os.fstat(descriptor), folder.stat()):
            raise VipOfflineError(
                f"{folder}: another process removed it just now. Run the same command again."
            )
        yield
    finally:
        os.close(descriptor)
