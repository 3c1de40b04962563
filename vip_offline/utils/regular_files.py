"""Only files are opened as files: a pipe or a device would be waited for, or read, for ever."""

import stat
from pathlib import Path

from vip_offline.errors import VipOfflineError

KINDS = {
    stat.S_IFIFO: "a FIFO (named pipe)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}


def require_regular(path: Path) -> Path:
    """Return `path` if a file, or nothing, is there; symbolic links are followed.

    What is missing or may not be looked at is left to the reader, whose message says more.

    Raises:
        VipOfflineError: naming the path and what it is.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return path
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        raise VipOfflineError(f"{path}: is {kind}, not a file. Name a regular file.")
    return path
