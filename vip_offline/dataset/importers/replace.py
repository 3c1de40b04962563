"""Re-import (``--overwrite``): the old store is replaced when the new one is complete."""

from collections.abc import Callable
from pathlib import Path

from vip_offline.dataset.importers.base.source import Source
from vip_offline.dataset.importers.run import ImportResult, import_source
from vip_offline.dataset.store import is_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import ImportOptions
from vip_offline.utils.files import hidden_beside, only_writer, put_back, put_in_place


def import_anew(
    source: Source,
    path: Path,
    options: ImportOptions,
    *,
    on_start: Callable[[int, int], None] = lambda existing, planned: None,
    on_episodes: Callable[[int], None] = lambda count: None,
) -> ImportResult:
    """Import beside an older store, then put the new one in its place.

    What was made of the older one (labellings, embeddings) goes with it. An import that is
    interrupted leaves it as it was; the same command goes on.

    Raises:
        VipOfflineError: see `import_source`; and if what is at the path is no store of ours.
    """
    put_back(path)
    if not path.exists():
        return import_source(source, path, options, on_start=on_start, on_episodes=on_episodes)
    if not is_store(path):
        raise VipOfflineError(f"{path}: is no store, so --overwrite leaves it. Name another path.")
    if source.path.resolve().is_relative_to(path.resolve()):
        raise VipOfflineError(
            f"{path}: holds {source.path}, which is to be imported. Name another store."
        )
    path = path.resolve()  # of a link the store is replaced, and the link stays
    if Path.cwd().is_relative_to(path):
        raise VipOfflineError(f"{path}: you are in this folder, which is to be replaced. Leave it.")
    new = hidden_beside(path, "new")
    with only_writer(path):
        done = import_source(source, new, options, on_start=on_start, on_episodes=on_episodes)
        put_in_place(new, path)
    return done
