"""The cache folder for downloads and other files that can be recreated."""

import contextlib
import os
from pathlib import Path

from vip_offline.errors import VipOfflineError


def cache_home() -> Path:
    """The cache folder of all of vip-offline: ``$XDG_CACHE_HOME/vip-offline``.

    Raises:
        VipOfflineError: if there is no home folder to put it in.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):  # the XDG specification: a relative path is to be ignored
        return Path(base) / "vip-offline"
    try:
        return Path.home() / ".cache" / "vip-offline"
    except RuntimeError as error:
        raise VipOfflineError(
            f"No home folder for the cache ({error}). Name a folder that can be written: "
            "XDG_CACHE_HOME=/path/to/folder."
        ) from None


def writable_cache(name: str) -> Path:
    """A folder of the cache, created if missing.

    Raises:
        VipOfflineError: if it cannot be made or written, with the way out.
    """
    folder = cache_home() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "Permission denied"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise VipOfflineError(
            f"{folder}: the cache cannot be written ({reason}). Name a folder that can be: "
            "XDG_CACHE_HOME=/path/to/folder."
        )
    return folder


def set_matplotlib_cache() -> None:
    """Point matplotlib to our cache if its own folder is not writable.

    It would warn otherwise, and name a variable of its own; where ours cannot be written either,
    it still does.
    """
    if "MPLCONFIGDIR" in os.environ:
        return
    with contextlib.suppress(VipOfflineError, RuntimeError):  # no home at all
        config = os.environ.get("XDG_CONFIG_HOME", "")
        if _can_be_written(Path(config) if config else Path.home() / ".config"):
            return
        os.environ["MPLCONFIGDIR"] = str(writable_cache("matplotlib"))


def _can_be_written(path: Path) -> bool:
    """Whether a folder, or its nearest existing parent, is writable."""
    existing = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
    # nothing is ever made in /proc, whoever asks
    writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    return writable and not existing.is_relative_to("/proc")
