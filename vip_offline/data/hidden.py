"""Hidden places beside a file or folder, from which it is moved by renaming."""

from pathlib import Path


def hidden_beside(path: Path, ending: str) -> Path:
    """``runs/x`` -> ``runs/.x.ending``, on the file system on which `path` really lies.

    A symbolic link is followed first, since nothing is renamed from one file system to another;
    ``.`` and ``..`` get the name that they stand for.
    """
    real = path.resolve()
    return real.with_name(f".{real.name}.{ending}")
