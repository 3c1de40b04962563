"""Reading a store; `store_format` documents its layout."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from vip_offline.dataset.embeddings import Embedding, complete_keys
from vip_offline.dataset.frame_hashes import current
from vip_offline.dataset.frame_storage import FrameStorage, ReadFrames, storage_at, storage_of
from vip_offline.dataset.labels import Label, read_label
from vip_offline.dataset.read_hashes import changed_reads, reads
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.storage.file_states import FIELDS, STATE, states_of, touched
from vip_offline.dataset.store_arrays import StoreArrays
from vip_offline.dataset.store_format import FORMAT, SCHEMA_VERSION, Attributes
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.utils.files import replaced_of

BLOCK_ROWS = 1024  # about as many are in memory at once where rows are gone through

OpenedStore = TypeVar("OpenedStore", bound="Store")


class Store(StoreArrays):
    """An open store. Only finished episodes are visible."""

    def require_finished(self) -> None:
        """Refuse a store whose recording or import stopped in the middle, or never began.

        Raises:
            VipOfflineError: naming the first episode that is not finished.
        """
        self.check_sealed()
        finished, planned = len(self), int(self.attributes.get("episodes_planned", 0))
        planned -= len(self.attributes.get("left_out", ()))
        self._check_index()
        lengths = {
            self.array(f"{group}/{name}").shape[0]
            for group in ("data", "extras")
            for name in self.keys(group)
        }
        about = {self.array(f"meta/{name}").shape[0] for name in self.keys("meta")}
        if lengths - {self.rows} or about - {finished}:
            raise VipOfflineError(
                f"{self.path}: episode {finished} is unfinished ({finished} are whole). Run the "
                "command that wrote the store again; it goes on from there."
            )
        if finished < max(planned, 1):
            raise VipOfflineError(
                f"{self.path}: {finished} of {max(planned, 1)} episodes are there. Run the command "
                "that wrote the store again; it goes on from there."
            )

    def check_sealed(self) -> None:
        """Compare a store of an earlier release with the hashes that it was sealed with.

        Raises:
            VipOfflineError: naming what changed, and in which episodes.
        """
        array = self.find("sealed/read") if self.attributes.get("sealed") else None
        if array is None or self.version > 1:
            return
        keys = cast("Sequence[str]", array.attrs["read"])
        then = self.read_array(array, "sealed/read", 0, len(self))
        known = {
            key: then[:, place]
            for place, key in enumerate(keys)
            if not key.startswith("labels/") or key.split("/")[1] in self.label_names
        }
        now = {key: values[: len(then)] for key, values in reads(self, known).items()}
        changes = changed_reads(known, now)
        if changes:
            raise VipOfflineError(
                f"{self.path}: is not what was sealed ({'; '.join(changes)}): it is damaged, or "
                "was changed. Restore it from a copy; if it was changed on purpose, "
                f"`vip-offline inspect {self.path} --seal` accepts it as it is."
            )

    def _check_index(self) -> None:
        """Refuse episode ends that do not ascend, or reach beyond the data."""
        ends = self.ends
        if len(ends) and (np.diff(ends, prepend=0) < 1).any():
            index = int(np.argmax(np.diff(ends, prepend=0) < 1))
            raise VipOfflineError(
                f"{self.path}: meta/episode_ends[{index}] is {ends[index]}, not beyond the end "
                "before it. The store was damaged; restore it, or record or import it again."
            )
        for name in self.keys("data"):
            rows = self.array(f"data/{name}").shape[0]
            if rows < self.rows:
                raise VipOfflineError(
                    f"{self.path}: data/{name} has {rows} rows, but its episodes end at "
                    f"{self.rows}. Its arrays differ in length; record or import it again."
                )

    @property
    def cameras(self) -> list[str]:
        """Names under which frames are stored."""
        storages = (storage_at(self, f"data/{key}") for key in self.keys("data"))
        return sorted(storage.camera for storage in storages if storage is not None)

    def camera(self, name: str, option: str = "--camera") -> str:
        """The named camera, or the only one if no name is given; messages mention the option.

        Raises:
            VipOfflineError: if it is not there, or none is named and there are several.
        """
        if name in self.cameras:
            return name
        if not name and len(self.cameras) == 1:
            return self.cameras[0]
        if not self.cameras:
            raise VipOfflineError(
                f"{self.path}: has no frames (it was imported without), so there is nothing to "
                "embed."
            )
        hint = did_you_mean(name, self.cameras)
        raise VipOfflineError(
            f"{self.path}: no camera {name!r}.{hint}"
            if name
            else f"{self.path}: has {len(self.cameras)} cameras; name one with {option}.{hint}"
        )

    def cameras_of(self, names: str, option: str = "--camera") -> list[str]:
        """Cameras from comma-separated names; see `camera`."""
        cameras = [self.camera(name, option) for name in names.split(",")]
        if len(set(cameras)) < len(cameras):
            raise VipOfflineError(f"{option} {names}: names a camera twice.")
        return cameras

    def frame_storage(self, camera: str) -> FrameStorage:
        """Where the frames of a camera are: in the store, in videos or in another zarr."""
        return storage_of(self, camera)

    def frames(self, camera: str, start: int, stop: int) -> NDArray[np.uint8]:
        """(stop - start, H, W, 3) RGB.

        Raises:
            VipOfflineError: if a frame's file is gone or was changed.
        """
        return self.frame_reader(camera)(start, stop)

    def frame_reader(self, camera: str) -> ReadFrames:
        """`frames` of one camera for many calls, from several threads too."""
        return self.frame_storage(camera).reader()

    def frames_key(self, camera: str) -> str:
        """The array that holds a camera's frames, or says where they are."""
        return self.frame_storage(camera).key

    def frame_shape(self, camera: str) -> tuple[int, int, int]:
        """(H, W, 3) of a camera's frames."""
        return self.frame_storage(camera).shape

    def upright(self, camera: str) -> bool:
        """Whether frames of a camera are turned as their videos say; in older stores not."""
        return self.frame_storage(camera).upright

    @property
    def success_labelled(self) -> NDArray[np.bool_]:
        """(E,) whether the origin labels the episode as success or failure."""
        if self.find("meta/success_labelled") is None:
            return np.ones(len(self), bool)
        return cast("NDArray[np.bool_]", self.meta("success_labelled"))

    def kinds(self) -> list[str]:
        """(E,) kind of each episode, such as ``demonstration`` or ``expert``."""
        return self.texts("kind")

    def episode_blocks(self, rows: int = BLOCK_ROWS) -> Iterator[range]:
        """Ranges of whole episodes with at most `rows` rows together, at least one episode each."""
        spans, first = self.spans(), 0
        while first < len(spans):
            last, begin = first, spans[first][0]
            while last + 1 < len(spans) and spans[last + 1][1] - begin <= rows:
                last += 1
            yield range(first, last + 1)
            first = last + 1

    def content(self, camera: str) -> NDArray[np.uint8]:
        """(E, DIGEST) hashes of the finished episodes' frames; zeros where none was recorded.

        Frames whose files changed are hashed again.
        """
        recorded, storage = self.recorded_content(camera), self.frame_storage(camera)
        if self.find(storage.key) is None:  # the store is kept without its frames
            return recorded
        # a reader is opened for the first episode to be hashed, if there is one
        return current(self, storage.key, recorded, lambda index: storage.hash_episode(index))

    def recorded_content(self, camera: str) -> NDArray[np.uint8]:
        """(E, DIGEST) hashes of the frames as recorded, without looking at the files."""
        return self.hashes(f"meta/content_{camera}")

    def file_states(self, key: str) -> NDArray[np.int64]:
        """(F, STATE) present states of the files of an array, or of the files it refers to."""
        storage = storage_at(self, key)
        return states_of(self.files(key)) if storage is None else storage.file_states()

    def known_states(self, key: str) -> NDArray[np.int64]:
        """(F, STATE) recorded `file_states`; F = 0 if they are missing or damaged."""
        return self.known_files(key)[:, :STATE]

    def known_files(self, key: str) -> NDArray[np.int64]:
        """(F, FIELDS) recorded states and hashes of files; F = 0 if missing or damaged."""
        try:
            array = self.find(f"files/{key}")
            if array is not None and array.shape[1:] == (FIELDS,):
                return cast("NDArray[np.int64]", self.rows_of(f"files/{key}"))
        except VipOfflineError:
            pass  # every file counts as touched and is hashed again
        return np.zeros((0, FIELDS), np.int64)

    def touched(self, key: str) -> NDArray[np.bool_]:
        """(E,) episodes with a file whose state differs from the recorded one."""
        if not len(self):
            return np.zeros(0, bool)
        then, now = self.known_states(key), self.file_states(key)
        if not len(then) and not self.checked:
            return np.zeros(len(self), bool)
        storage = storage_at(self, key)
        if storage is not None:
            return storage.touched(then, now)
        return touched(then, now, self.spans(), self.rows_per_file(key))

    def embedding(self, encoder: str, camera: str) -> tuple[NDArray[np.float32], Attributes]:
        """(N, D) and its provenance; of ``a,b`` the embeddings of both, side by side.

        Raises:
            VipOfflineError: if it is not there, or not for every finished episode.
        """
        parts = [rows for _, rows in self.embedding_blocks(encoder, camera, max(1, self.rows))]
        provenance = self.embedding_provenance(encoder, camera.split(",")[0])
        return np.concatenate(parts), provenance or {}

    def embedding_blocks(
        self, encoder: str, camera: str, rows: int = BLOCK_ROWS
    ) -> Iterator[tuple[range, NDArray[np.float32]]]:
        """Whole episodes and their (n, D) rows, so many at a time; see `embedding`.

        Raises:
            VipOfflineError: see `embedding`; and on a value that is not finite.
        """
        keys, spans = complete_keys(self, encoder, camera), self.spans()
        for episodes in self.episode_blocks(rows):
            begin, end = spans[episodes[0]][0], spans[episodes[-1]][1]
            values = np.concatenate([self.rows_of(key, begin, end) for key in keys], axis=1)
            if not np.isfinite(values).all():
                bad = int(np.argmin(np.isfinite(values).all(axis=1))) + begin
                index = int(np.searchsorted(self.ends, bad, "right"))
                raise VipOfflineError(
                    f"{self.path}, episode {index}: the embedding by {encoder} holds a value that "
                    f"is not finite. Delete it with `vip-offline delete {self.path} --embedding "
                    f"{keys[0].removeprefix('embeddings/')}` and run `vip-offline relabel` again."
                )
            yield episodes, values

    def embedding_rows(self, encoder: str, camera: str, rows: list[int]) -> NDArray[np.float32]:
        """(G, D) embeddings of G rows, each read by itself; see `embedding`."""
        keys = complete_keys(self, encoder, camera)
        parts = [np.concatenate([self.rows_of(key, r, r + 1) for r in rows]) for key in keys]
        return np.concatenate(parts, axis=1)

    def embedded(self, encoder: str, camera: str) -> NDArray[np.bool_]:
        """(E,) finished episodes that have an embedding of their present frames."""
        return Embedding(self, encoder, camera).current()

    def outdated(self, encoder: str, camera: str) -> NDArray[np.bool_]:
        """(E,) episodes whose frames, or whose embedding, changed since it was computed."""
        return Embedding(self, encoder, camera).outdated()

    def embedding_content(self, encoder: str, camera: str) -> NDArray[np.uint8]:
        """(E, DIGEST) hashes of a complete embedding."""
        return Embedding(self, encoder, camera).content()

    def embedding_provenance(self, encoder: str, camera: str) -> Attributes | None:
        """Encoder, weights and preprocessing of an embedding; None if there is no embedding."""
        return Embedding(self, encoder, camera).provenance

    def goal(self, encoder: str, content: str) -> NDArray[np.float32] | None:
        """(D,) stored embedding of a goal image or prompt by its hash; None if there is none."""
        key = f"goals/{encoder}/{content}"
        if self.find(key) is None:
            return None
        try:
            values = self.rows_of(key)
        except VipOfflineError:
            return None  # it is embedded again
        return values if np.isfinite(values).all() else None

    @property
    def encoders(self) -> list[str]:
        """Names of the encoders that have, or had, an embedding."""
        return self._group_names("embeddings")

    @property
    def label_names(self) -> list[str]:
        """Names of the labellings."""
        return self._group_names("labels")

    def label(self, name: str = "") -> Label:
        """The named labelling, or the only one if no name is given.

        Raises:
            VipOfflineError: if it is not there, covers fewer episodes than the store has, or the
                data that it was made from changed since.
        """
        return read_label(self, name)

    def label_provenance(self, name: str) -> Attributes:
        """Reward, encoder, goal and options that made a labelling."""
        attributes = dict(cast("zarr.Group", self.node(f"labels/{name}")).attrs)
        return {key: value for key, value in attributes.items() if key not in ("arrays", "read")}


def open_store(path: Path) -> Store:
    """Open a store for reading.

    Raises:
        VipOfflineError: if there is none, it is not one, or a newer version wrote it.
    """
    return open_as(Store, path, read_only=True)


def open_as(kind: type[OpenedStore], path: Path, *, read_only: bool) -> OpenedStore:
    """Open a store as a reader or a writer; see `open_store` and `writing`."""
    if not path.exists():
        replaced = replaced_of(path)
        way_out = (
            f"A command was killed while it put another in its place; it lies in {replaced}: run "
            "that command again, or rename it."
            if replaced.exists()
            else "`vip-offline record` makes one."
        )
        raise VipOfflineError(f"{path}: there is no such store. {way_out}")
    try:
        store = kind(path, DurableStore(path, read_only=read_only))
        written_by = store.attributes.get("format")
    except (ValueError, TypeError, KeyError, OSError):
        written_by = None
    if written_by != FORMAT:
        raise VipOfflineError(
            f"{path}: is not a vip-offline store (no zarr group that says so). "
            "Give the folder that `vip-offline record` wrote."
        )
    version = store.attributes.get("schema_version")
    if version not in range(1, SCHEMA_VERSION + 1):
        raise VipOfflineError(
            f"{path}: has schema version {version!r}; this program reads 1 to {SCHEMA_VERSION}. "
            "Update vip-offline (pip install -U vip-offline), or make the store again."
        )
    return store


def is_store(path: Path) -> bool:
    """Whether a path is a vip-offline store, finished or not."""
    try:
        described = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
        return bool(described["attributes"]["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def default_store(folder: Path = Path("datasets")) -> Path:
    """The only store under `folder`: the default of commands without a store argument.

    Raises:
        VipOfflineError: if there is none or there are several; it lists them.
    """
    stores = sorted(path for path in folder.glob("*.zarr") if (path / "zarr.json").exists())
    if len(stores) == 1:
        return stores[0]
    if not stores:
        raise VipOfflineError(
            f"No store given, and none under {folder}/. `vip-offline record` makes one."
        )
    listed = "".join(f"\n  {path}" for path in stores)
    raise VipOfflineError(f"No store given, and {folder}/ holds {len(stores)}. Name one:{listed}")
