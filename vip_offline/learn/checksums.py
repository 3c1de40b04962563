"""What is in a policy folder that was made ready for another computer, by sha256.

The file is that of ``sha256sum``: ``sha256sum -c SHA256SUMS`` checks a copy without any of this.
"""

import hashlib
from pathlib import Path

from vip_offline.errors import VipOfflineError

SUMS = "SHA256SUMS"


def sha256(path: Path) -> str:
    """Of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path, names: list[str]) -> None:
    """Write down what these files are now."""
    lines = "".join(f"{sha256(folder / name)}  {name}\n" for name in sorted(names))
    partial = folder / f"{SUMS}.partial"
    partial.write_text(lines, encoding="utf-8")
    partial.replace(folder / SUMS)


def read_sums(folder: Path) -> dict[str, str]:
    """File name -> sha256, as it was written down; empty if the folder was not made ready.

    Raises:
        VipOfflineError: if the file is damaged.
    """
    path = folder / SUMS
    if not path.exists():
        return {}
    try:
        pairs = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
        sums = {name: digest for digest, name in pairs}
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise VipOfflineError(f"{path}: cannot be read ({error}). Copy the folder again.") from None
    strange = [name for name in sums if Path(name).name != name]
    if strange:
        raise VipOfflineError(
            f"{path}: names {strange[0]!r}, which is not in the folder. Copy the folder again."
        )
    return sums


def changed(folder: Path, among: tuple[str, ...] | None = None) -> list[str]:
    """What is not as it was written down, in words; nothing if all is well.

    Args:
        folder: of the policy.
        among: look at these files alone.
    """
    said = []
    for name, digest in read_sums(folder).items():
        if among is not None and name not in among:
            continue
        path = folder / name
        if not path.is_file():
            said.append(f"{name} is missing")
        elif sha256(path) != digest:
            said.append(f"{name} was changed since it was written")
    return said
