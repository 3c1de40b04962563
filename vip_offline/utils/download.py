"""HTTP downloads: resumable, atomic, with a recorded SHA-256."""

import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import sha256_of

BLOCK = 1 << 20  # bytes read at once
TIMEOUT = 30  # seconds without an answer
Progress = Callable[[int, int], None]  # bytes there, bytes in all (0: unknown)


def download_file(
    url: str,
    path: Path,
    *,
    what: str,
    otherwise: str,
    sha256: str = "",
    progress: Progress = lambda done, total: None,
) -> None:
    """Download a file unless it exists, and verify its hash.

    Beside it lies ``<file>.sha256``: the hash of the first download, which is the publisher's
    where he states one. A file that no longer has it is refused.

    Args:
        url: its address.
        path: where it goes; its folder is made.
        what: names it in messages, e.g. ``Weights of vip``.
        otherwise: what to do without a network, in the middle of a sentence.
        sha256: the publisher's hash, or its first digits; empty: he states none.
        progress: called after every block.

    Raises:
        VipOfflineError: if there is no network, or the file has another hash.
    """
    recorded = path.with_name(f"{path.name}.sha256")
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(url, path, what, otherwise, sha256, progress)
    if not recorded.is_file():
        raise VipOfflineError(
            f"{path}: was not downloaded by this program ({recorded.name} is missing). Remove it "
            "and run this again."
        )
    expected = recorded.read_text(encoding="utf-8").strip()
    digest = sha256_of(path)
    if digest != expected:
        raise VipOfflineError(
            f"{path}: has sha256 {digest}, not {expected} as when it was downloaded. Remove it and "
            "run this again."
        )


def _download(
    url: str, path: Path, what: str, otherwise: str, sha256: str, progress: Progress
) -> None:
    """Download to ``<file>.part``; resume if the server still has the same file (ETag)."""
    partial, tag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.etag")
    request = urllib.request.Request(url, headers={"User-Agent": "vip-offline"})
    received = partial.stat().st_size if partial.is_file() and tag.is_file() else 0
    if received:
        request.add_header("Range", f"bytes={received}-")
        request.add_header("If-Range", tag.read_text(encoding="utf-8"))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            resumed = answer.status == 206
            received = received if resumed else 0
            length = int(answer.headers.get("Content-Length") or 0)
            total = received + length if length else 0
            tag.write_text(answer.headers.get("ETag") or "", encoding="utf-8")
            if not answer.headers.get("ETag"):
                tag.unlink()  # nothing to tell by whether it is the same file: no resuming
            with partial.open("ab" if resumed else "wb") as file:
                while block := answer.read(BLOCK):
                    file.write(block)
                    received += len(block)
                    progress(received, total)
                file.flush()
                os.fsync(file.fileno())
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise VipOfflineError(
            f"{what}: {url} cannot be reached ({reason}). Run this again to go on, or {otherwise}."
        ) from None
    if total and received != total:
        raise VipOfflineError(f"{what}: {received} of {total} bytes came. Run this again to go on.")
    digest = sha256_of(partial)
    if not digest.startswith(sha256):
        partial.unlink()
        raise VipOfflineError(
            f"{what}: {url} has sha256 {digest}; its publisher states {sha256}. It was thrown "
            "away; try again, or ask the publisher."
        )
    path.with_name(f"{path.name}.sha256").write_text(digest + "\n", encoding="utf-8")
    partial.replace(path)
    tag.unlink(missing_ok=True)
