"""An import in one call."""

from pathlib import Path

from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.run import import_source
from vip_offline.dataset.store import Store, open_store
from vip_offline.options import ImportOptions


def imported(source: Path, store: Path, **options: object) -> Store:
    """Import, and open what came of it."""
    origin = open_source(source)
    try:
        import_source(origin, store, ImportOptions(**options))  # type: ignore[arg-type]
    finally:
        origin.close()
    return open_store(store)
