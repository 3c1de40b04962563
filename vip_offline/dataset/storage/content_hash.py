"""Content hashes of frames, columns and embeddings, one per episode."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGEST = 16  # bytes of the hash by which frames and embeddings are known
SHORT_DIGEST = 8  # bytes of it that a record keeps of what was read
HASH_KIND = "blake2b"


def content_of(values: NDArray[Any]) -> NDArray[np.uint8]:
    """(DIGEST,) uint8 hash of the shape and values of an episode's rows."""
    return content_of_blocks(values.shape, [values])


def content_of_blocks(shape: tuple[int, ...], blocks: Iterable[NDArray[Any]]) -> NDArray[np.uint8]:
    """`content_of` for rows that arrive in blocks."""
    digest = hashlib.blake2b(repr(shape).encode(), digest_size=DIGEST)
    for block in blocks:
        digest.update(np.ascontiguousarray(block).view(np.uint8).data)
    return np.frombuffer(digest.digest(), np.uint8)


def hashes_of(values: NDArray[Any], spans: Sequence[tuple[int, int]]) -> NDArray[np.uint8]:
    """(E, SHORT) hashes of the rows of each episode, of (N, ...) values and (start, stop) spans."""
    rows = np.ascontiguousarray(values)
    about = f"{rows.dtype.str} {rows.shape[1:]}".encode()
    flat = rows.view(np.uint8).reshape(len(rows), -1) if rows.size else np.zeros((len(rows), 0))
    flat = np.ascontiguousarray(flat, np.uint8)
    digests = [
        hashlib.blake2b(flat[start:stop].data, digest_size=SHORT_DIGEST, key=about[:64]).digest()
        for start, stop in spans
    ]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(len(spans), SHORT_DIGEST)
