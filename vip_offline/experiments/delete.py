"""Delete from a store, and say what that frees and which policies are left without it."""

from collections.abc import Sequence
from pathlib import Path

from vip_offline.dataset.edits.delete import DeleteResult, delete
from vip_offline.errors import VipOfflineError
from vip_offline.policies.policy import MANIFEST, read_manifest

KB, MB = 1e3, 1e6
NAMED_POLICIES = 3  # policies that a line names


def delete_stage(
    path: Path, labels: Sequence[str], embeddings: Sequence[str], runs: Path = Path("runs")
) -> list[str]:
    """Delete labellings and embeddings.

    Args:
        path: of the store.
        labels: names of labellings.
        embeddings: as ``ENCODER/CAMERA``, or ``ENCODER`` for all of its cameras.
        runs: where policies are looked for that were trained on them.

    Returns:
        Lines for the user.

    Raises:
        VipOfflineError: see `delete`.
    """
    deleted = delete(path, labels, embeddings)
    what = [f"label {name!r}" for name in deleted.labels]
    what += [f"embedding {name}" for name in deleted.embeddings]
    size = deleted.size
    freed = f"{size / MB:.1f} MB" if size >= MB / 10 else f"{size / KB:.1f} kB"
    lines = [f"delete: {', '.join(what)}; {freed} are free"]
    trained = trained_on(runs, path, deleted)
    if trained:
        more = f" and {len(trained) - NAMED_POLICIES} more" if len(trained) > NAMED_POLICIES else ""
        shown = ", ".join(str(folder) for folder in trained[:NAMED_POLICIES])
        lines.append(
            f"note: trained on what is deleted: {shown}{more}. Policies act, roll out and serve as "
            "before; to `ship` them, or to go on with their training, what they name must be made "
            "again"
        )
    return lines


def trained_on(runs: Path, store: Path, deleted: DeleteResult) -> list[Path]:
    """Policy folders under `runs` that name this store and what was deleted of it; sorted."""
    folders = []
    for file in sorted(runs.rglob(MANIFEST)):
        try:
            manifest = read_manifest(file.parent)
        except VipOfflineError:  # somebody else's manifest.json
            continue
        same = Path(manifest["store"]).absolute() == store.absolute()
        encoder, cameras = manifest["encoder"]["encoder"], str(manifest.get("camera")).split(",")
        saw = {f"{encoder}/{camera}" for camera in cameras}
        named = manifest["label"].get("name") in deleted.labels or saw & set(deleted.embeddings)
        if same and named:
            folders.append(file.parent)
    return folders
