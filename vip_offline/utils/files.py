"""Atomic writes of files and folders, checksums, and a lock for one writer."""

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vip_offline.errors import VipOfflineError

FLUSHES_AT_ONCE = 8


def flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_all(paths: Iterable[Path]) -> None:
    """Flush files, then folders, several at a time: a journal commits once for all that wait."""
    present = [path for path in paths if path.exists()]
    folders = {path for path in present if path.is_dir()}
    with ThreadPoolExecutor(FLUSHES_AT_ONCE) as pool:
        list(pool.map(flush, [path for path in present if path not in folders]))
        list(pool.map(flush, folders))


def require_writable(folder: Path) -> None:
    """Create a folder, and check that files can be written in it.

    Raises:
        OSError: as the system gives it, with the path: a file in its place, no rights, no space.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):  # which has no name that a killed process leaves
        pass


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends without an error.

    The file is flushed before the rename and its folder, which is made, after it, so a power cut
    leaves the old file or the new one. An error in the block leaves the old file unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # in the same folder: a rename is atomic only within one file system
    for left in path.parent.glob(glob.escape(f".{path.name}.") + "*.partial"):
        _remove_unless_locked(left)  # of a process that was killed
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    with partial.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield partial
            flush(partial)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    flush(path.parent)


def _remove_unless_locked(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def replace_file(path: Path, content: bytes) -> None:
    """Write bytes to a file atomically; see `whole_file`."""
    with whole_file(path) as partial:
        partial.write_bytes(content)


def write_json(summary: Mapping[str, Any], path: Path) -> None:
    """Write indented JSON atomically.

    Raises:
        ValueError: of NaN or infinity.
    """
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    replace_file(path, text.encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hidden_beside(path: Path, ending: str) -> Path:
    """``runs/x`` -> ``runs/.x.ending``, on the file system on which `path` really lies.

    A symbolic link is followed first, since nothing is renamed from one file system to another;
    ``.`` and ``..`` get the name that they stand for.
    """
    real = path.resolve()
    return real.with_name(f".{real.name}.{ending}")


def path_from(store: Path, other: Path) -> str:
    """Path of a file or folder relative to a store, since both may be moved together."""
    return Path(os.path.relpath(other.resolve(), store.resolve())).as_posix()


def replaced_of(path: Path) -> Path:
    """Temporary name of an old folder while it is replaced."""
    return hidden_beside(path, "replaced")


def put_in_place(new: Path, path: Path) -> None:
    """Replace a folder: the old one is removed after the new one is in its place.

    Both are on one file system. A symbolic link stays, and what it names is replaced.
    """
    path, replaced = path.resolve(), replaced_of(path)
    if path.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        path.rename(replaced)
    new.rename(path)
    flush(path.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def put_back(path: Path) -> None:
    """Restore the old folder if a process was killed in `put_in_place`."""
    replaced = replaced_of(path)
    if replaced.exists():
        if not path.exists():
            replaced.rename(path.resolve())
        shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def only_writer(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the exclusive write lock of a folder; a `shared` one keeps out writers alone.

    The lock is the kernel's, on the folder itself: it leaves no file, and a killed process
    cannot leave it behind.

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
