"""Size, modification time, inode and hash of files, to detect changes."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

STATE = 3  # size [bytes], modification time [ns], inode
FIELDS = STATE + 1  # with the hash of the bytes, which is written down but not looked at each time


def states_of(paths: Sequence[Path]) -> NDArray[np.int64]:
    """(F, STATE) states of files or folders; zeros for missing ones."""
    states = np.zeros((len(paths), STATE), np.int64)
    known: dict[Path, NDArray[np.int64]] = {}  # many episodes may lie in one file
    for row, path in zip(states, paths, strict=True):
        if path not in known:
            known[path] = _folder(path) if path.is_dir() else _file(path)
        row[:] = known[path]
    return states


def _file(path: Path) -> NDArray[np.int64]:
    try:
        about = path.stat()
    except OSError:
        return np.zeros(STATE, np.int64)
    return np.array([about.st_size, about.st_mtime_ns, about.st_ino & (2**63 - 1)], np.int64)


def _folder(path: Path) -> NDArray[np.int64]:
    """(STATE,) of all files under a folder: bytes, the youngest time, a hash of every state."""
    digest, size, youngest = hashlib.blake2b(digest_size=7), 0, 0
    for where, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            state = _file(Path(where, name))
            size, youngest = size + int(state[0]), max(youngest, int(state[1]))
            place = os.fsencode(Path(where, name).relative_to(path))
            digest.update(place + b"\0" + state.tobytes())
    return np.array([size, youngest, int.from_bytes(digest.digest(), "little")], np.int64)


def file_hash(path: Path, about: bytes) -> int:
    """int64 hash of a file's bytes and of a record about them; 0 if it cannot be read.

    Comparing it is several times faster than decoding what the file holds.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return 0
    digest = hashlib.blake2b(content, digest_size=8)
    digest.update(about)
    return int.from_bytes(digest.digest(), "little", signed=True)


def touched(
    then: NDArray[np.int64], now: NDArray[np.int64], spans: Sequence[tuple[int, int]], rows: int
) -> NDArray[np.bool_]:
    """(E,) episodes with a file whose state differs from the recorded one.

    Args:
        then: (F, STATE), as recorded; may be shorter than `now`.
        now: (F, STATE), as it is.
        spans: (start, stop) rows of each episode.
        rows: per file.
    """
    same = np.zeros(len(now), bool)
    known = min(len(then), len(now))
    same[:known] = (then[:known] == now[:known]).all(axis=1) & now[:known].any(axis=1)
    changes = np.concatenate([[0], np.cumsum(~same)])
    first = np.array([start // rows for start, _ in spans], int)
    last = np.array([(stop - 1) // rows for _, stop in spans], int)
    changed: NDArray[np.bool_] = changes[last + 1] > changes[first]
    return changed
