"""What a store or a folder holds, what was made of it, and whether that is still true."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vip_offline.dataset.importers.link import is_replay, store_of
from vip_offline.dataset.store import is_store, open_store
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.export_data import record_of
from vip_offline.experiments.provenance import made_of_folder, made_of_store
from vip_offline.experiments.stages import check_stage, seal_stage
from vip_offline.report.terminal.store import describe_store
from vip_offline.utils.console import Bar


def inspect_stage(
    path: Path,
    bar: Bar,
    note: Callable[[str], None],
    say: Callable[[str], None],
    *,
    seal: bool,
    verify: bool,
) -> tuple[dict[str, Any], list[str]]:
    """Describe a store, or a folder that was made of one.

    Args:
        path: of a store, a replay buffer, or a folder with policies, a comparison, an export.
        bar: of progress.
        note: called with what is noticed on the way.
        say: called with what was accepted.
        seal: accept the store as it is first.
        verify: hash all frames and embeddings, not only those whose files were touched.

    Returns:
        The description, and what has changed since it was written, in words.

    Raises:
        VipOfflineError: if there is nothing, or it cannot be read.
    """
    if path.exists() and not is_store(path):
        _require_described(path)
        if not is_replay(path):
            return {"path": str(path), "made": [vars(row) for row in made_of_folder(path)]}, []
    store_path = store_of(path)
    if seal:
        for line in seal_stage(store_path):
            say(line)
    changed = check_stage(store_path, bar, note, every=verify)
    store = open_store(store_path)
    return {**describe_store(store), "made": [vars(row) for row in made_of_store(store)]}, changed


def _require_described(path: Path) -> None:
    """Refuse a part of a store, and a file that no export wrote.

    Raises:
        VipOfflineError: says what it is, and what can be inspected.
    """
    store = next((folder for folder in path.resolve().parents if is_store(folder)), None)
    if store is not None:
        raise VipOfflineError(
            f"{path}: lies in a store. Name all of it: `vip-offline inspect {store}`."
        )
    if path.is_file() and not record_of(path).is_file() and not is_replay(path):
        raise VipOfflineError(
            f"{path}: is a file, and no export of a store. Name a store, or a folder with what was "
            "made of one; --check goes through data that import takes."
        )
