"""A folder put in the place of an older one, which is whole under its name or beside it."""

import shutil
from pathlib import Path

from vip_offline.data.durable import flush
from vip_offline.data.hidden import hidden_beside


def replaced_of(path: Path) -> Path:
    """Where an older folder waits until the new one is in its place."""
    return hidden_beside(path, "replaced")


def put_in_place(new: Path, path: Path) -> None:
    """Move a whole folder to where an older one may be; it goes when the new one is there.

    Args:
        new: on the file system of `path`.
        path: where to; a symbolic link stays, and what it names is replaced.
    """
    path, replaced = path.resolve(), replaced_of(path)
    if path.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        path.rename(replaced)
    new.rename(path)
    flush(path.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def put_back(path: Path) -> None:
    """Undo what a process left that was killed in `put_in_place`."""
    replaced = replaced_of(path)
    if replaced.exists():
        if not path.exists():
            replaced.rename(path.resolve())
        shutil.rmtree(replaced, ignore_errors=True)
