"""Where an encoder's weights are: a path, the cache, or the publisher's address.

The cache is ``$XDG_CACHE_HOME/vip-offline/weights`` (``~/.cache`` without the variable). Beside
each file lies ``<file>.sha256``: the publisher's hash where he states one, else that of the
first download. A file that no longer has it is refused.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from vip_offline.errors import VipOfflineError
from vip_offline.utils.cache_folder import cache_home, writable_cache
from vip_offline.utils.download import Progress, download_file

WEIGHTS = "weights"  # of the cache


@dataclass(frozen=True)
class Origin:
    """Where a publisher keeps a file."""

    url: str = ""  # direct address; empty: there is none that a program may use
    sha256: str = ""  # or its first digits, if the publisher states them
    note: str = ""  # what to do where there is no address


def cache_folder() -> Path:
    """Where downloads are kept."""
    return cache_home() / WEIGHTS


def cached_weights(name: str, origin: Origin) -> Path | None:
    """Return the file of an earlier download; None if there is none."""
    path = _place(name, origin)
    return path if origin.url and path.is_file() else None


def _place(name: str, origin: Origin) -> Path:
    return cache_folder() / name / PurePosixPath(urlsplit(origin.url).path).name


def fetch_weights(name: str, origin: Origin, progress: Progress = lambda done, total: None) -> Path:
    """Return the weights file from the cache, after a download if need be.

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
        writable_cache(WEIGHTS)
    download_file(
        origin.url,
        path,
        what=f"Weights of {name}",
        otherwise="download the file elsewhere and give it with --weights FILE",
        sha256=origin.sha256,
        progress=progress,
    )
    return path
