"""Errors about missing or damaged chunks: which episodes they hold, how to restore them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ShardingCodec

from vip_offline.dataset.storage.shards import ShardError, array_file, rows_per_file
from vip_offline.errors import VipOfflineError

if TYPE_CHECKING:
    from vip_offline.dataset.store_arrays import StoreArrays


def is_checked(array: zarr.Array[Any]) -> bool:
    """Whether every chunk of an array has a checksum (stores since schema version 2)."""
    return any(
        isinstance(codec, Crc32cCodec | ShardingCodec)
        for codec in getattr(array.metadata, "codecs", ())
    )


def check_present(
    store: StoreArrays, array: zarr.Array[Any], key: str, start: int, stop: int
) -> None:
    """Refuse rows whose chunk file is missing; zarr would silently read zeros.

    Raises:
        VipOfflineError: naming array, chunk, episodes and the way out.
    """
    if stop <= start or not is_checked(array) or 0 in array.shape[1:]:
        return
    rows = rows_per_file(array)
    for number in range(start // rows, (stop - 1) // rows + 1):
        if not array_file(store.path / key, array, number).exists():
            raise _error(store, array, key, number, "is missing")


def damaged(
    store: StoreArrays, array: zarr.Array[Any], key: str, start: int, stop: int, error: Exception
) -> VipOfflineError:
    """The error for rows that cannot be read; it names the first damaged chunk."""
    rows = rows_per_file(array)
    if isinstance(error, ShardError):
        number = error.row // rows
        stored = array_file(store.path / key, array, number).exists()
        state = "is damaged" if stored else "is missing"
        return _error(store, array, key, number, f"{state} ({error})")
    for number in range(start // rows, (max(start + 1, stop) - 1) // rows + 1):
        try:
            np.asarray(array[max(start, number * rows) : min(stop, (number + 1) * rows)])
        except (ValueError, RuntimeError, OSError, KeyError):
            break
    return _error(store, array, key, number, f"is damaged ({error})")


def way_out(store: StoreArrays, key: str, *, described: bool = True) -> str:
    """How a user restores an array or group: the command that computes it again, or a backup.

    `described` says whether its description is there.
    """
    group, _, name = key.partition("/")
    if group in ("embeddings", "labels"):
        again = (
            f"`vip-offline relabel {store.path}` that made it, with the same options, makes it "
            "again."
        )
        if described and "@" not in name:
            return f"The {again}"
        return f"Remove {store.path.joinpath(*key.split('/')[:2])}; the {again}"
    if group == "goals":
        return f"Remove {store.path / 'goals'}; `vip-offline relabel` makes it again."
    if group == "files":
        return f"Remove {store.path / 'files'}; it is made again."
    source = store.attributes.get("source")
    again = f"import it again from {source}" if "import" in store.attributes else "record it again"
    return f"It is in this store alone: restore it from a copy, or {again}."


def _error(
    store: StoreArrays, array: zarr.Array[Any], key: str, number: int, state: str
) -> VipOfflineError:
    rows = rows_per_file(array)
    name = array_file(store.path / key, array, number).relative_to(store.path / key)
    stop = min((number + 1) * rows, array.shape[0])
    return VipOfflineError(
        f"{store.path}: {key}: {name} {state}. It holds "
        f"{_place(store, key, number * rows, stop)}. {way_out(store, key)}"
    )


def _place(store: StoreArrays, key: str, start: int, stop: int) -> str:
    """Rows, and the episodes that they are of, in words."""
    group, _, name = key.partition("/")
    label_array = name.rpartition("/")[2] if group == "labels" else ""
    if group in ("meta", "sealed") or "@" in name or label_array in ("done", "read"):
        return f"what is known of episodes {start} to {stop - 1}"
    if group in ("goals", "files") or label_array.startswith("goal"):
        return "all of it"
    stop = max(start + 1, min(stop, store.rows))
    first, last = (int(np.searchsorted(store.ends, row, "right")) for row in (start, stop - 1))
    where = f"episode {first}" if first == last else f"episodes {first} to {last}"
    return f"rows {start} to {stop - 1}, {where}"
