"""A checksum inside each ``zarr.json``; zarr's own checksums protect chunks only."""

import hashlib
import json
from typing import Any

SEAL = "vip_offline_checksum"  # key among the attributes


def sealed(text: bytes) -> bytes:
    """A ``zarr.json`` with a checksum of its content among the attributes."""
    about = json.loads(text)
    attributes = {k: v for k, v in about.get("attributes", {}).items() if k != SEAL}
    about["attributes"] = {**attributes, SEAL: _checksum({**about, "attributes": attributes})}
    return json.dumps(about, indent=2).encode()


def unsealed(text: bytes) -> bytes:
    """The ``zarr.json`` without its checksum; one without a checksum is returned unchanged.

    Raises:
        ValueError: if it is damaged, or was changed by a program that does not know the checksum.
    """
    about = json.loads(text)
    attributes = about.get("attributes", {}) if isinstance(about, dict) else None
    if not isinstance(attributes, dict):
        raise ValueError("it describes no array or group")
    if SEAL not in attributes:
        return text
    stated = attributes.pop(SEAL)
    if not isinstance(stated, str) or stated.partition(":")[0] != CHECKSUM_KIND:
        raise ValueError(
            f"its checksum {stated!r} is of a kind that is not known here ({CHECKSUM_KIND})"
        )
    if stated != _checksum(about):
        raise ValueError("its checksum does not match: it is damaged, or was edited")
    return json.dumps(about).encode()


CHECKSUM_KIND = "blake2b-64"


def _checksum(about: dict[str, Any]) -> str:
    text = json.dumps(about, sort_keys=True, separators=(",", ":"))
    return f"{CHECKSUM_KIND}:{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
