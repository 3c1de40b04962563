"""Which labellings were made from an embedding, and the command that deletes it."""

from collections.abc import Sequence

from vip_offline.dataset.store import Store


def labels_made_from(store: Store, encoder: str, cameras: Sequence[str]) -> list[str]:
    """Names of the labellings whose goal and distances are of any of these embeddings, sorted."""
    names = []
    for name in store.label_names:
        provenance = store.label_provenance(name)
        used = set(str(provenance.get("camera", "")).split(","))
        if provenance.get("encoder") == encoder and used & set(cameras):
            names.append(name)
    return names


def delete_command(store: Store, encoder: str, cameras: Sequence[str]) -> str:
    """What a user types to delete embeddings, with the labellings that were made from them."""
    parts = [f"--embedding {encoder}/{camera}" for camera in cameras]
    parts += [
        f"--label '{name}'" if " " in name else f"--label {name}"
        for name in labels_made_from(store, encoder, cameras)
    ]
    return f"vip-offline delete {store.path} {' '.join(parts)}"
