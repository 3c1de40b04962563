"""Where an encoder's weights are: a path, the cache, or the publisher's address.

The cache is ``$XDG_CACHE_HOME/vip-offline/weights`` (``~/.cache`` without the variable). Beside
each file lies ``<file>.sha256``: the publisher's hash where he states one, else that of the
first download. A file that no longer has it is refused.
"""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from vip_offline.errors import VipOfflineError

BLOCK = 1 << 20  # bytes read at once
TIMEOUT = 30  # seconds without an answer
Progress = Callable[[int, int], None]  # bytes there, bytes in all (0: unknown)


@dataclass(frozen=True)
class Origin:
    """Where a publisher keeps a file."""

    url: str = ""  # direct address; empty: there is none that a program may use
    sha256: str = ""  # or its first digits, if the publisher states them
    note: str = ""  # what to do where there is no address


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where downloads are kept."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # the XDG specification: a relative path is to be ignored
    home = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return home / "vip-offline" / "weights"


def cached(name: str, origin: Origin) -> Path | None:
    """The file of an earlier download, if there is one."""
    path = _place(name, origin)
    return path if origin.url and path.is_file() else None


def _place(name: str, origin: Origin) -> Path:
    return cache_folder() / name / PurePosixPath(urlsplit(origin.url).path).name


def fetch(name: str, origin: Origin, progress: Progress = lambda done, total: None) -> Path:
    """The file, from the cache or from the publisher.

    Args:
        name: of the encoder.
        origin: its address.
        progress: called after every block.

    Raises:
        VipOfflineError: if there is no address, no network, or the file has another hash.
    """
    if not origin.url:
        raise VipOfflineError(
            f"Encoder {name} needs --weights FILE: {origin.note}. Random weights are never used in "
            "place of missing ones."
        )
    path = _place(name, origin)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(name, origin, path, progress)
    recorded = path.with_name(f"{path.name}.sha256").read_text(encoding="utf-8").strip()
    found = sha256_of(path)
    if found != recorded:
        raise VipOfflineError(
            f"{path}: has sha256 {found}, not {recorded} as when it was downloaded. Remove it and "
            "run this again."
        )
    return path


def _download(name: str, origin: Origin, path: Path, progress: Progress) -> None:
    """Go on where an earlier attempt stopped, if the publisher still has the same file."""
    partial, tag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.etag")
    request = urllib.request.Request(origin.url, headers={"User-Agent": "vip-offline"})
    there = partial.stat().st_size if partial.is_file() and tag.is_file() else 0
    if there:
        request.add_header("Range", f"bytes={there}-")
        request.add_header("If-Range", tag.read_text(encoding="utf-8"))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            resumed = answer.status == 206
            there = there if resumed else 0
            length = int(answer.headers.get("Content-Length") or 0)
            total = there + length if length else 0
            tag.write_text(answer.headers.get("ETag") or "", encoding="utf-8")
            if not answer.headers.get("ETag"):
                tag.unlink()  # nothing to tell by whether it is the same file: no resuming
            with partial.open("ab" if resumed else "wb") as file:
                while block := answer.read(BLOCK):
                    file.write(block)
                    there += len(block)
                    progress(there, total)
                file.flush()
                os.fsync(file.fileno())
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise VipOfflineError(
            f"Weights of {name}: {origin.url} cannot be reached ({reason}). Run this again to go "
            "on, or download the file elsewhere and give it with --weights FILE."
        ) from None
    if total and there != total:
        raise VipOfflineError(
            f"Weights of {name}: {there} of {total} bytes came. Run this again to go on."
        )
    found = sha256_of(partial)
    if not found.startswith(origin.sha256):
        partial.unlink()
        raise VipOfflineError(
            f"Weights of {name}: {origin.url} has sha256 {found}; its publisher states "
            f"{origin.sha256}. It was thrown away; try again, or ask the publisher."
        )
    path.with_name(f"{path.name}.sha256").write_text(found + "\n", encoding="utf-8")
    partial.replace(path)
    tag.unlink(missing_ok=True)
