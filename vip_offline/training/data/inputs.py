"""What a policy sees of a frame: the embeddings of its cameras, or the pixels of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.labels import Label
from vip_offline.dataset.store import Store
from vip_offline.encoders.preprocessing import fit_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions

PIXEL_INPUTS = "pixels-64"  # what scratch-bc sees


@dataclass(frozen=True)
class Inputs:
    """What a policy sees of each row, but for proprioception, and where it comes from."""

    embedding: NDArray[np.float32]  # (rows, D), of several cameras side by side
    cameras: tuple[str, ...]  # in this order
    provenance: dict[str, Any]  # of the embeddings


def inputs_of(store: Store, path: Path, options: TrainOptions) -> Inputs:
    """What the policy of these options sees.

    Raises:
        VipOfflineError: on a camera that is not there or not embedded, embeddings that are not of
            one making, or another fit than the labelling's.
    """
    if options.algo == "scratch-bc":
        return _pixels(store, path, options)
    label = store.label(options.label)
    encoder, cameras = label.provenance["encoder"], policy_cameras(store, label, options)
    missing = [camera for camera in cameras if not store.embedded(encoder, camera).all()]
    if missing and options.cameras:
        raise VipOfflineError(
            f"{path}: camera {missing[0]!r} is not embedded by {encoder} yet. `vip-offline train "
            f"{path} --label {label.name} --cameras {','.join(cameras)}` embeds it."
        )
    embedding, provenance = store.embedding(encoder, ",".join(cameras))
    check_same_embeddings(path, label, provenance, compare_view=not options.cameras)
    for camera in cameras[1:]:
        _check_same_view(path, encoder, cameras[0], provenance, camera, store)
    fit = fit_of(provenance)
    if options.fit not in ("crop", fit):
        raise VipOfflineError(
            f"--fit {options.fit}: label {label.name!r} was made with --fit {fit}, and only "
            "scratch-bc chooses one of its own. Leave it out, or relabel with it."
        )
    return Inputs(embedding, cameras, {k: v for k, v in provenance.items() if k != "created"})


def policy_cameras(store: Store, label: Label, options: TrainOptions) -> tuple[str, ...]:
    """Cameras that the policy sees, in the order given; those of the labelling unless named.

    Raises:
        VipOfflineError: if one is not there, or is named twice.
    """
    if not options.cameras:
        return tuple(str(label.provenance["camera"]).split(","))
    return tuple(store.cameras_of(",".join(options.cameras), "--cameras"))


def _pixels(store: Store, path: Path, options: TrainOptions) -> Inputs:
    """What a policy that is trained end to end sees: the pixels of one camera."""
    from vip_offline.encoders.encoder import load_encoder  # imports torchvision

    (camera, *others) = options.cameras or store.cameras
    if others:
        raise VipOfflineError(
            f"{path}: scratch-bc sees one camera, not {', '.join((camera, *others))}. Name one "
            "with --cameras."
        )
    camera, encoder = store.camera(camera, "--cameras"), load_encoder(PIXEL_INPUTS, fit=options.fit)
    read = store.frame_reader(camera)
    parts = [encoder(read(start, stop)) for start, stop in store.spans()]
    return Inputs(np.concatenate(parts), (camera,), dict(encoder.provenance))


def check_same_embeddings(
    path: Path, label: Label, provenance: Mapping[str, Any], *, compare_view: bool = True
) -> None:
    """Refuse a label that was made from other embeddings than those that are there.

    Args:
        path: of the store.
        label: whose rewards are learnt from.
        provenance: of the embeddings.
        compare_view: whether resizing and cropping must be alike, too: they need not be where
            policy and reward have different cameras.

    Raises:
        VipOfflineError: naming what differs, and the way out.
    """
    name, camera = label.provenance["encoder"], label.provenance["camera"]
    fit = fit_of(provenance)
    option = "" if fit == "crop" else f" --fit {fit}"
    for key in ("weights_sha256", "preprocessing") if compare_view else ("weights_sha256",):
        if label.provenance.get(key) != provenance.get(key):
            raise VipOfflineError(
                f"{path}: label {label.name!r} was made from other embeddings than those under "
                f"{name}/{camera} ({key} differs). Run `vip-offline relabel {path} --encoder "
                f"{name}{option} --name {label.name} --overwrite`."
            )


def _check_same_view(
    path: Path,
    encoder: str,
    first: str,
    provenance: Mapping[str, Any],
    camera: str,
    store: Store,
) -> None:
    """Refuse cameras that one encoder cannot see in one way: a policy has one for all."""
    other = store.embedding_provenance(encoder, camera) or {}
    for key in ("weights_sha256", "preprocessing"):
        if other.get(key) != provenance.get(key):
            raise VipOfflineError(
                f"{path}: embeddings/{encoder}/{first} and {encoder}/{camera} are not of one making"
                f" ({key} differs), and a policy has one encoder for all of its cameras. Delete "
                "one and embed it again: see `vip-offline delete --help`."
            )


def camera_notes(cameras: Sequence[str], label: Mapping[str, Any]) -> list[str]:
    """What the user should know where policy and reward have different cameras."""
    labelled = str(label["camera"]).split(",")
    if list(cameras) == labelled:
        return []
    note = f"cameras: the policy sees {', '.join(cameras)}; the reward saw {', '.join(labelled)}"
    if set(labelled) <= set(cameras):
        return [note]
    return [
        f"{note}. It does not see its goal, so rollouts say nothing of distances to the goal and "
        "of re-attempts"
    ]
