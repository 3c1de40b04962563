"""What of a camera's frames an encoder sees, and the one way for all pictures of a labelling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vip_offline.dataset.dependents import delete_command
from vip_offline.dataset.store import Store
from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.encoders.registry import entry_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import Fit
from vip_offline.options.text import Size


@dataclass(frozen=True)
class FieldOfView:
    """The preprocessing of all frames and goal images of one labelling."""

    preprocessing: Preprocessing
    notes: tuple[str, ...]  # what a user should know


def field_of_view(store: Store, encoder: str, cameras: Sequence[str], fit: Fit) -> FieldOfView:
    """Choose one preprocessing for all frames and goal images of these cameras.

    Raises:
        VipOfflineError: if the embeddings there were made by another fit, or the encoder takes
            the frames of some of the cameras as they are and crops those of others.
    """
    sizes: dict[str, Size] = {}
    for camera in cameras:
        height, width, _ = store.frame_shape(camera)
        sizes[camera] = (int(height), int(width))
    existing = _embedded_by(store, encoder, cameras)
    for camera, stored in existing.items():
        if stored.fit != fit:
            command = delete_command(store, encoder, [camera])
            raise VipOfflineError(
                f"{store.path}: embeddings/{encoder}/{camera} was made with --fit "
                f"{stored.fit}, not {fit}; a store holds one kind per encoder and camera. "
                f"Give --fit {stored.fit}, or delete it first, with what was made from it: "
                f"`{command}`."
            )
    table = entry_of(encoder).preprocessing
    ways = {camera: table.fitted(fit).for_frames(*size) for camera, size in sizes.items()}
    earlier = replace(table, native=False)  # frames of the native size were cropped like others
    old = [camera for camera, stored in existing.items() if stored == earlier != ways[camera]]
    if old:
        side = table.crop
        note = (
            f"embeddings/{encoder}/{old[0]} was made by an earlier release, which resized frames "
            f"of {side} x {side} px to {table.resize} px and cropped them; {encoder}'s own code "
            "takes them as they are. This labelling goes on in the earlier way, so that nothing is "
            "mixed. For the publisher's way, relabel after "
            f"`{delete_command(store, encoder, sorted(existing))}`."
        )
        return FieldOfView(earlier, (note, *_cut_off(encoder, earlier, sizes)))
    if len(set(ways.values())) > 1:
        listed = ", ".join(f"{camera} {high} x {wide}" for camera, (high, wide) in sizes.items())
        raise VipOfflineError(
            f"{store.path}: encoder {encoder} takes frames of {table.crop} x {table.crop} px as "
            f"they are and crops others, and the cameras have both ({listed}). Give --fit pad or "
            "squash, which are one way for all, or label one --camera."
        )
    preprocessing = ways[cameras[0]]
    return FieldOfView(preprocessing, tuple(_cut_off(encoder, preprocessing, sizes)))


def _embedded_by(store: Store, encoder: str, cameras: Sequence[str]) -> dict[str, Preprocessing]:
    """Return the preprocessing of the existing embeddings, per camera."""
    existing = {}
    for camera in cameras:
        provenance = store.embedding_provenance(encoder, camera)
        if provenance is not None:
            where = f"{store.path}: embeddings/{encoder}/{camera}"
            existing[camera] = Preprocessing.read(provenance["preprocessing"], where)
    return existing


def _cut_off(encoder: str, preprocessing: Preprocessing, sizes: Mapping[str, Size]) -> list[str]:
    """Describe what the crop removes from frames that are not square."""
    notes = []
    for camera, (height, width) in sizes.items():
        shares = preprocessing.cut_off(height, width)
        if preprocessing.fit != "crop" or height == width:
            continue
        lost = " and ".join(
            f"{share:.0%} of the {side}"
            for share, side in zip(shares, ("height", "width"), strict=True)
            if share >= 0.005
        )
        if lost:
            notes.append(
                f"camera {camera} has {width} x {height} px, and {encoder} takes the central "
                f"square: {lost} is not seen. --fit pad shows it the whole frame between bars, "
                "--fit squash the whole frame, its aspect ignored."
            )
    return notes
