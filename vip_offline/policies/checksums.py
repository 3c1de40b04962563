"""What is in a policy folder, by sha256.

Training lists what it writes, `ship` what makes the folder whole for another computer. Every file
that is read to act must be on the list; others may lie beside them (``rollouts.json``, ``videos``).
The file is that of ``sha256sum``: ``sha256sum -c SHA256SUMS`` checks a copy without any of this.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import replace_file, sha256_of
from vip_offline.utils.regular_files import require_regular

SUMS = "SHA256SUMS"
NEXT = ".next"  # of hidden files that are whole, and not yet in their place


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Write the sha256 of these files."""
    replace_listed(folder, names, {})


def replace_listed(folder: Path, names: Iterable[str], texts: Mapping[str, str]) -> None:
    """Replace listed files; `finish_replacement` completes a replacement that was killed.

    Args:
        folder: of the policy.
        names: of the files on the list, those among them.
        texts: file name -> what it is to hold.
    """
    for name, text in texts.items():
        _write(_next(folder, name), text)
    digests = {
        name: sha256_of(_next(folder, name) if name in texts else folder / name)
        for name in sorted(names)
    }
    # renamed when it is whole: from then on the others are only to be renamed
    text = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    replace_file(_next(folder, SUMS), text.encode())
    finish_replacement(folder)


def _next(folder: Path, name: str) -> Path:
    return folder / f".{name}{NEXT}"


def finish_replacement(folder: Path) -> None:
    """Complete or undo an interrupted `replace_listed`; does nothing if none was interrupted."""
    ready = _next(folder, SUMS)
    begun = [path for path in folder.glob(f".*{NEXT}") if path != ready]
    for path in begun:
        if ready.exists():
            path.replace(folder / path.name.removeprefix(".").removesuffix(NEXT))
        else:
            path.unlink()
    if ready.exists():
        ready.replace(folder / SUMS)


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_sums(folder: Path, path: Path | None = None) -> dict[str, str]:
    """Return file name -> sha256 as written; empty if there is no list.

    Args:
        folder: of the policy.
        path: of the list; None: ``SHA256SUMS``.

    Raises:
        VipOfflineError: if the file is damaged.
    """
    path = require_regular(path or folder / SUMS)
    if not path.exists():
        return {}
    try:
        pairs = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
        sums = {name: digest for digest, name in pairs}
        if not sums:
            raise ValueError("it is empty")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise VipOfflineError(f"{path}: cannot be read ({error}). Copy the folder again.") from None
    strange = [name for name in sums if Path(name).name != name]
    if strange:
        raise VipOfflineError(
            f"{path}: names {strange[0]!r}, which is not in the folder. Copy the folder again."
        )
    return sums


def changed_files(folder: Path, among: tuple[str, ...] | None = None) -> list[str]:
    """Describe files that are missing or differ from their checksum; empty if all are intact.

    Args:
        folder: of the policy.
        among: look at these files alone.
    """
    problems = []
    coming = read_sums(folder, _next(folder, SUMS))  # of a replacement that was killed
    for name, digest in read_sums(folder).items():
        if among is not None and name not in among:
            continue
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif sha256_of(path) not in (digest, coming.get(name)):
            problems.append(f"{name} was changed since it was written")
    return problems


def unlisted_files(folder: Path, needed: Iterable[str], read: Iterable[str]) -> list[str]:
    """Describe files that the list lacks; empty if there are none, or no list.

    Args:
        folder: of the policy.
        needed: files that must be on it.
        read: files that must be on it where they are there.
    """
    sums = read_sums(folder)
    lacking = [name for name in needed if sums and name not in sums]
    beside = [name for name in read if sums and name not in sums and (folder / name).exists()]
    return [f"{name} is not listed in {SUMS}" for name in dict.fromkeys(lacking + beside)]
