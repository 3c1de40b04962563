"""Copies a store without the rows at the start or end of its episodes; the original stays."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.episode import Episode, VideoReference, ZarrReference
from vip_offline.dataset.frame_storage import VideoFrames, ZarrFrames
from vip_offline.dataset.media.orientation import AS_STORED
from vip_offline.dataset.media.timeline import timeline
from vip_offline.dataset.storage.content_hash import content_of
from vip_offline.dataset.store import Store
from vip_offline.dataset.store_format import Attributes
from vip_offline.dataset.store_writer import StoreWriter, writing
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import hidden_beside, path_from, put_in_place

OF_WRITER = ("format", "schema_version", "code_version", "created", "arrays", "sealed")


def write_trimmed(
    store: Store,
    out: Path,
    parts: Sequence[tuple[int, int]],
    about: Attributes,
    on_episode: Callable[[int], None] = lambda count: None,
) -> list[str]:
    """Write a new store of some rows of each episode, with the embeddings of these rows.

    Frames that lie elsewhere stay there. Labellings are not copied, since goals are of last frames.

    Args:
        store: finished; it is read alone.
        out: path of the new store, which appears when it is whole.
        parts: per episode the rows of the store, start to stop without the last.
        about: what the new store says of itself besides, under ``trimmed``.
        on_episode: called with 1 after each.

    Returns:
        Sentences on what was not copied.

    Raises:
        VipOfflineError: if there is something at `out` already, or a frame cannot be read.
    """
    if out.exists():
        raise VipOfflineError(f"{out}: is there already. Name another store, or remove it.")
    attributes = {k: v for k, v in store.attributes.items() if k not in OF_WRITER}
    if attributes.get("videos_from_store"):
        folder = Path(str(attributes["videos"]))
        if not folder.is_dir():  # it was moved together with the store
            beside = store.path.absolute() / str(attributes["videos_from_store"])
            folder = Path(os.path.normpath(beside))
        attributes["videos"] = str(folder.absolute())
        attributes["videos_from_store"] = path_from(out, folder)
    attributes["trimmed"] = {"from": str(store.path.absolute()), **about}
    new = hidden_beside(out, "trimmed")
    shutil.rmtree(new, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with writing(new, create=attributes) as writer:
            for episode in _episodes(store, parts):
                writer.append(episode)
                on_episode(1)
            notes = _copy_embeddings(store, writer, parts)
        put_in_place(new, out)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return notes


def _episodes(store: Store, parts: Sequence[tuple[int, int]]) -> Iterator[Episode]:
    views = {camera: _Frames(store, camera) for camera in store.cameras}
    names, kinds, tasks = store.texts("name"), store.kinds(), store.texts("instruction")
    per_episode = {
        key: store.meta(key) if key in store.keys("meta") else np.full(len(store), -1)
        for key in ("placement", "source_episode")
    }
    success, labelled = store.meta("success"), store.success_labelled
    splits = {split: store.meta(f"split_{split}") for split in store.attributes.get("splits", ())}
    for index, (start, stop) in enumerate(parts):
        frames = {camera: view.part(index, start, stop) for camera, view in views.items()}
        yield Episode(
            frames={k: v for k, v in frames.items() if isinstance(v, np.ndarray)},
            clips={k: v for k, v in frames.items() if isinstance(v, VideoReference)},
            links={k: v for k, v in frames.items() if isinstance(v, ZarrReference)},
            proprio=store.data("proprio", start, stop),
            action=store.data("action", start, stop),
            succeeded=store.data("succeeded", start, stop),
            true_reward=store.data("true_reward", start, stop),
            success=bool(success[index]),
            success_labelled=bool(labelled[index]),
            kind=kinds[index],
            placement=int(per_episode["placement"][index]),
            extras={name: store.extra(name, start, stop) for name in store.keys("extras")},
            origin=int(per_episode["source_episode"][index]),
            name=names[index],
            task=tasks[index],
            splits=tuple(split for split, belongs in splits.items() if belongs[index]),
        )


class _Frames:
    """Parts of a camera's frames: themselves, or where they are."""

    def __init__(self, store: Store, camera: str) -> None:
        self._store, self._storage = store, store.frame_storage(camera)
        self._read = store.frame_reader(camera)
        if isinstance(self._storage, VideoFrames):
            self._names = store.texts(f"video_{camera}")
            self._files = self._storage.files()
            self._sizes = store.meta(f"video_bytes_{camera}")

    def part(
        self, index: int, start: int, stop: int
    ) -> NDArray[np.uint8] | VideoReference | ZarrReference:
        storage, shape = self._storage, self._storage.shape
        if isinstance(storage, ZarrFrames):
            return ZarrReference(
                file=storage.file,
                array=str(storage.array.attrs["array"]),
                start=int(self._store.rows_of(storage.key, start, start + 1)[0]),
                rows=stop - start,
                shape=shape,
                content=content_of(self._read(start, stop)),
            )
        if not isinstance(storage, VideoFrames):
            return self._read(start, stop)
        self._read(start, start + 1)  # says so if the file is gone or changed
        line = timeline(self._files[index])
        turned = line.turn != AS_STORED
        if turned and not storage.upright:
            raise VipOfflineError(
                f"{self._store.path}, episode {index}: an earlier release left its frames turned. "
                "Import it again."
            )
        pts: NDArray[Any] = self._store.rows_of(storage.key, start, stop)
        return VideoReference(
            file=Path(self._names[index]),
            size=int(self._sizes[index]),
            pts=pts,
            shape=shape,
            content=line.content(pts, shape[:2]),
            turned=turned,
        )


def _copy_embeddings(
    store: Store, writer: StoreWriter, parts: Sequence[tuple[int, int]]
) -> list[str]:
    """Copy the embeddings that cover all episodes and are of their present frames."""
    notes = []
    for encoder in store.encoders:
        for camera in store.keys(f"embeddings/{encoder}"):
            if "@" in camera:
                continue
            if not store.embedded(encoder, camera).all():
                notes.append(
                    f"the embedding {encoder}/{camera} is not of all present frames, and was not "
                    "copied"
                )
                continue
            provenance = store.embedding_provenance(encoder, camera) or {}
            key = f"embeddings/{encoder}/{camera}"
            writer.begin_embedding(encoder, camera, store.array(key).shape[1], provenance)
            for index, (start, stop) in enumerate(parts):
                rows = store.rows_of(key, start, stop)
                writer.write_embeddings(encoder, camera, {index: rows})
            writer.end_embedding(encoder, camera)
    return notes
