"""What plain zarr on a local disk lacks: fsync at a commit, and one writer at a time."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from vip_offline.errors import VipOfflineError


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


class DurableStore(LocalStore):
    """A LocalStore that knows which files it wrote, so that `sync` can flush just those.

    zarr replaces each object atomically (``*.partial``, then rename) but never calls fsync, so
    after a power cut a renamed file may be empty. `sync` closes that gap.
    """

    def __init__(self, root: Path | str, *, read_only: bool = False) -> None:
        super().__init__(root, read_only=read_only)
        self._touched: set[Path] = set()

    async def _set(self, key: str, value: Buffer, exclusive: bool = False) -> None:
        await super()._set(key, value, exclusive)
        self._touched.add(self.root / key)

    def sync(self) -> None:
        """Flush every file written since the last call, then their folders."""
        files = [path for path in self._touched if path.exists()]
        folders = {parent for path in self._touched for parent in (path.parent, path.parent.parent)}
        for path in [*files, *(each for each in folders if each.exists())]:
            flush(path)
        self._touched.clear()


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's write lock.

    The lock is the kernel's, on the folder itself: it leaves no file, and a killed process
    cannot leave it behind.

    Raises:
        VipOfflineError: if another process holds it, or removed the folder meanwhile.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
