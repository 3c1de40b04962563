"""Labellings that depend on an embedding, and the command that deletes both."""

from collections.abc import Sequence

from vip_offline.dataset.store import Store


def labels_made_from(store: Store, encoder: str, cameras: Sequence[str]) -> list[str]:
    """Names of the labellings that were computed from any of these embeddings, sorted."""
    names = []
    for name in store.label_names:
        provenance = store.label_provenance(name)
        used = set(str(provenance.get("camera", "")).split(","))
        if provenance.get("encoder") == encoder and used & set(cameras):
            names.append(name)
    return names


def delete_command(store: Store, encoder: str, cameras: Sequence[str]) -> str:
    """The shell command that deletes embeddings and the labellings that depend on them."""
    parts = [f"--embedding {encoder}/{camera}" for camera in cameras]
    parts += [
        f"--label '{name}'" if " " in name else f"--label {name}"
        for name in labels_made_from(store, encoder, cameras)
    ]
    return f"vip-offline delete {store.path} {' '.join(parts)}"
