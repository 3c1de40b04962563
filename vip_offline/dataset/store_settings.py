"""Resuming: an existing store or embedding must have been made with the same settings."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import zarr

from vip_offline import __version__
from vip_offline.dataset.dependents import delete_command
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.store import Store, open_as
from vip_offline.dataset.store_format import (
    FORMAT,
    LEFTOVER,
    SCHEMA_VERSION,
    Attributes,
    now,
    settings_of,
)
from vip_offline.errors import VipOfflineError

GROUPS = ("import", "key_map", "resampled")  # of imports
DERIVED = ("not_taken", "videos_from_store", "origin_files")  # that follow from the others
LONGEST = 100  # characters of a setting that a message shows


def check_same_making(path: Path, key: str, existing: Attributes, requested: Attributes) -> None:
    """Refuse to resume an embedding that was made by another encoder under this name.

    Raises:
        VipOfflineError: naming what differs, and the way out.
    """
    before, after = settings_of(existing), settings_of(requested)
    differing = sorted(k for k in before.keys() | after if before.get(k) != after.get(k))
    if differing:
        listed = "; ".join(f"{k} {before.get(k)!r}, now {after.get(k)!r}" for k in differing)
        _, encoder, camera = key.split("/")
        command = delete_command(open_as(Store, path, read_only=True), encoder, [camera])
        raise VipOfflineError(
            f"{path}: {key} was written by another encoder ({listed}). "
            f"Use the same one, or delete it first: `{command}`."
        )


def create_store(path: Path, attributes: Attributes) -> None:
    """Make a store where there is none; refuse one that was made with other settings.

    Raises:
        VipOfflineError: naming what differs.
    """
    requested = {"format": FORMAT, **attributes}
    if all(LEFTOVER.fullmatch(entry.name) for entry in path.iterdir()):
        # one file, renamed into place: the store is there with all it says of itself, or not
        durable = DurableStore(path)
        provenance = {"code_version": __version__, "created": now()}
        version = {"schema_version": SCHEMA_VERSION}
        zarr.create_group(durable, attributes=requested | version | provenance)
        durable.sync()
        return
    existing = open_as(Store, path, read_only=True).attributes
    differing = [*_differing(existing, requested)]
    if differing:
        way_out = (
            ", name another store, or import with --overwrite" if "import" in requested else ""
        )
        raise VipOfflineError(
            f"{path}: was made with other settings ({'; '.join(differing)}). Give the same "
            f"settings to go on with it{way_out or ', or name another store'}."
        )


def _differing(existing: Mapping[str, Any], requested: Mapping[str, Any]) -> Iterator[str]:
    """A phrase for each setting that differs."""
    source = existing.get("source")
    # files that were moved are known by their states, or compared, see `importers.run`
    moved = "origin_files" in existing and source is not None and not Path(source).exists()
    for key in requested:
        before, after = existing.get(key), requested[key]
        if key in DERIVED or (moved and key in ("source", "videos")):
            continue
        if isinstance(after, dict) and isinstance(before, dict | None):
            for name in dict.fromkeys([*(before or {}), *after]):
                old, new = (before or {}).get(name), after.get(name)
                # what an earlier release did not know of an import was not done
                same = (old or None) == (new or None) if key in GROUPS else old == new
                if not same:
                    yield f"{name} {_short(old)}, now {_short(new)}"
        elif before != after:
            yield f"{key} {_short(before)}, now {_short(after)}"


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
