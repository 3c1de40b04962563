"""Embed the cameras that a policy is to see beside, or in place of, the one of the reward."""

from collections.abc import Callable, Sequence
from pathlib import Path

from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.encoders.embed_store import embed_store
from vip_offline.encoders.preprocessing import fit_of
from vip_offline.encoders.registry import check_encoder, known_provenance
from vip_offline.errors import VipOfflineError
from vip_offline.rewards.field_of_view import field_of_view
from vip_offline.utils.console import Advance


def missing_cameras(store: Store, label: str, cameras: Sequence[str]) -> list[str]:
    """Return the cameras that the encoder of a labelling has not embedded completely.

    Raises:
        VipOfflineError: if there is no such labelling or camera, or one is named twice.
    """
    encoder = store.label(label).provenance["encoder"]
    named = store.cameras_of(",".join(cameras), "--cameras")
    return [camera for camera in named if not store.embedded(encoder, camera).all()]


def embed_cameras(
    path: Path,
    label: str,
    cameras: Sequence[str],
    weights: str = "",
    *,
    advance: Advance = lambda amount=0, total=None: None,
    on_prepare: Callable[[str], None] = lambda sentence: None,
) -> int:
    """Embed further cameras with the encoder, weights and fit of a labelling.

    Where nothing is missing, the encoder is not loaded and the store is not written to.

    Args:
        path: of the store.
        label: name of the labelling; empty: the only one.
        cameras: that a policy is to see.
        weights: checkpoint of the encoder, where it needs one.
        advance: told the frames to embed in total, then those of each batch.
        on_prepare: called with a sentence before work of some seconds that is done once.

    Returns:
        How many frames were embedded now.

    Raises:
        VipOfflineError: see `missing_cameras`; if the weights are not those of the labelling.
    """
    store = open_store(path)
    missing = missing_cameras(store, label, cameras)
    if not missing:
        return 0
    provenance = store.label(label).provenance
    encoder, expected = provenance["encoder"], provenance["weights_sha256"]
    view = field_of_view(store, encoder, cameras, fit_of(provenance))
    check_encoder(encoder, weights)
    known = known_provenance(encoder, weights)
    if known is not None:
        _check_weights(path, label, expected, known["weights_sha256"])
    from vip_offline.encoders.encoder import load_encoder  # torch takes seconds

    loaded = load_encoder(encoder, Path(weights) if weights else None, on_prepare=on_prepare)
    _check_weights(path, label, expected, loaded.sha256)
    with writing(path) as writer:
        writer.require_finished()
        lengths = [stop - start for start, stop in writer.spans()]
        advance(
            total=sum(
                length
                for camera in missing
                for length, done in zip(lengths, writer.embedded(encoder, camera), strict=True)
                if not done
            )
        )
        seeing = loaded.seeing(view.preprocessing)
        return sum(embed_store(writer, seeing, camera, on_frames=advance) for camera in missing)


def _check_weights(path: Path, label: str, expected: str, actual: str) -> None:
    if actual != expected:
        raise VipOfflineError(
            f"{path}: label {label!r} was made with weights of sha256 {expected[:16]}…, and these "
            f"have {actual[:16]}…; embeddings of two networks cannot stand side by side. Give the "
            "same with --weights, or label again with these."
        )
