"""Paths as they stand on a command line."""

from pathlib import Path

from vip_offline.errors import VipOfflineError


def named(path: Path | None) -> Path | None:
    """``.`` and ``..`` by the names that they stand for, which messages and new files need."""
    return path.resolve() if path is not None and path.name in ("", "..") else path


def storable(path: Path | None) -> Path | None:
    """Refuse what would be written into JSON and cannot be.

    Raises:
        VipOfflineError: if the path is not UTF-8.
    """
    try:
        str(path and path.absolute()).encode()
    except UnicodeEncodeError:
        raise VipOfflineError(
            f"{path}: its name, or that of a folder above it, is not UTF-8, so what is made of it "
            "could not say where it lies. Rename it."
        ) from None
    return named(path)


def all_named(paths: list[Path] | None) -> list[Path] | None:
    """`named` of each."""
    return paths and [path for path in map(named, paths) if path]


def all_storable(paths: list[Path] | None) -> list[Path] | None:
    """`storable` of each."""
    return paths and [path for path in map(storable, paths) if path]
