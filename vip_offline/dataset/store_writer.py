"""Writing to a store: one process at a time; an episode is stored completely or not at all."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from vip_offline.dataset.array_writer import NEW, WRITTEN, ArrayWriter, rows_per_chunk, staging_of
from vip_offline.dataset.embeddings import Embedding
from vip_offline.dataset.episode import Episode
from vip_offline.dataset.frame_hashes import (
    hash_all,
    hashed_keys,
    states_when_hashed,
    unrecorded_keys,
)
from vip_offline.dataset.frame_storage import VideoFrames
from vip_offline.dataset.frame_writer import append_frames
from vip_offline.dataset.labels import LABEL_ARRAYS, Label
from vip_offline.dataset.storage.content_hash import DIGEST, HASH_KIND, content_of, hashes_of
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.storage.shards import array_file, rows_per_file
from vip_offline.dataset.store import Store, open_as
from vip_offline.dataset.store_format import LEFTOVER, REPLACED, Attributes, check_name
from vip_offline.dataset.store_settings import check_same_making, create_store
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import flush, only_writer

UNWRITTEN: Any = {"write_empty_chunks": False}
TODO = "to-delete.json"  # in the staging folder: what a deletion takes out of the store


class StoreWriter(ArrayWriter):
    """A store open for writing; see `writing`."""

    def append(self, *episodes: Episode) -> None:
        """Append episodes: all of them are flushed to the disk, or none is visible.

        Args:
            episodes: with the same cameras, extras and widths. Many short ones are better added
                together: each call writes and flushes every array's last chunk.

        Raises:
            VipOfflineError: if `Episode.check` refuses one or its shapes differ from the store's.
        """
        index, start = len(self), self.rows
        for offset, episode in enumerate(episodes):
            episode.check(f"{self.path}, episode {index + offset}")
        append_frames(self, episodes, start, index)
        nan = np.float32(np.nan)
        rows: dict[str, tuple[list[NDArray[Any]], Any]] = {
            "data/proprio": ([episode.proprio for episode in episodes], nan),
            "data/action": ([episode.action for episode in episodes], nan),
            "data/succeeded": ([episode.succeeded for episode in episodes], False),
            "data/true_reward": ([episode.true_reward for episode in episodes], nan),
        }
        for name in episodes[0].extras:
            columns = [episode.extras[name] for episode in episodes]
            rows[f"extras/{check_name('column', name)}"] = columns, columns[0].dtype.type(0)
        for key, (parts, fill) in rows.items():
            values = np.concatenate(parts)
            if 0 not in values.shape[1:]:
                self.append_rows(key, start, values, fill, {})
        self.append_codes("kind", [episode.kind for episode in episodes], index)
        if any(episode.task for episode in episodes) or self.find("meta/instruction") is not None:
            self.append_codes("instruction", [episode.task for episode in episodes], index)
        ends = start + np.cumsum([len(episode) for episode in episodes])
        about: dict[str, tuple[Any, Any, Any]] = {
            "success": ([episode.success for episode in episodes], np.bool_, False),
            "placement": ([episode.placement for episode in episodes], np.int64, -1),
            "episode_ends": (ends, np.int64, 0),
        }
        if any(episode.origin >= 0 for episode in episodes):
            about["source_episode"] = [episode.origin for episode in episodes], np.int64, -1
        labelled = [episode.success_labelled for episode in episodes]
        if not all(labelled) or self.find("meta/success_labelled") is not None:
            about["success_labelled"] = labelled, np.bool_, True
        for split in self.attributes.get("splits", []):
            belongs = [split in episode.splits for episode in episodes]
            about[f"split_{split}"] = belongs, np.bool_, False
        for name, (column, dtype, empty) in about.items():
            self.append_rows(f"meta/{name}", index, np.array(column, dtype), empty, {})
        if any(episode.name for episode in episodes) or self.find("meta/name") is not None:
            self.append_texts("name", [episode.name for episode in episodes], index)
        done = self.require_array("meta/done", (), np.bool_, False, {})
        self.list_arrays()
        self.sync()
        self.put_first(done, index, np.ones(len(episodes), bool))
        self.sync()
        self._ends = None
        # a process killed here leaves files of unknown state, which are hashed when they are used
        self._append_states(episodes[0], start, index)
        self.sync()

    def _append_states(self, episode: Episode, start: int, index: int) -> None:
        """Record the states of the frame files that were just written or referenced."""
        for camera in (*episode.frames, *episode.clips, *episode.links):
            if self.version > 1:
                storage = self.frame_storage(camera)
                self.know_states(storage.key, storage.first_file(start, index))

    def leave_out(self, reasons: Mapping[int, str]) -> None:
        """Remember which episodes of the origin are left out, and why."""
        known = cast("dict[str, str]", self.attributes.get("left_out", {}))
        self._root.attrs["left_out"] = known | {str(k): why for k, why in reasons.items()}
        self.sync()

    def drop_unfinished(self) -> None:
        """Truncate all arrays to the finished episodes."""
        self._ends = None
        finished, rows = len(self), self.rows
        for group, length in (("data", rows), ("extras", rows), ("meta", finished)):
            for key in self.keys(group):
                array = self.array(f"{group}/{key}")
                if array.shape[0] > length:
                    rows = rows_per_file(array)
                    if length % rows:
                        # resize drops whole files; the rest of the last one it leaves as it is
                        self.read_array(array, f"{group}/{key}", length - 1, length)
                        end = min(array.shape[0], -(-length // rows) * rows)
                        config = UNWRITTEN if array.shards is not None else WRITTEN
                        array.with_config(config)[length:end] = array.fill_value
                    array.resize((length, *array.shape[1:]))
        self.sync()

    def begin_embedding(self, encoder: str, camera: str, dim: int, provenance: Attributes) -> None:
        """Create or resize an embedding; an existing one must have the same provenance.

        Raises:
            VipOfflineError: if another encoder, weights file or preprocessing wrote this name.
        """
        key = f"embeddings/{encoder}/{camera}"
        array = self.find(key)
        fresh = array is None
        if array is None:
            array = self.require_array(key, (dim,), np.float32, np.float32(np.nan), provenance)
        check_same_making(self.path, key, dict(array.attrs), provenance)
        if array.shape[0] != self.rows:
            array.resize((self.rows, dim))
        for name in ("content", "hash"):
            made = self.require_array(f"{key}@{name}", (DIGEST,), np.uint8, 0, {"hash": HASH_KIND})
            if made.shape[0] > len(self) or fresh:
                made.resize((0 if fresh else len(self), DIGEST))  # of one that somebody removed
            if made.shape[0] < len(self):
                rows = len(self) - made.shape[0]
                self.put_first(made, made.shape[0], np.zeros((rows, DIGEST), np.uint8))
        self._drop_damaged(key)
        self.sync()

    def _drop_damaged(self, key: str) -> None:
        """Remove chunks of an embedding that cannot be read: all of their episodes are embedded."""
        array = self.array(key)
        for number in np.flatnonzero(self._unreadable(array, key)):
            array_file(self.path / key, array, int(number)).unlink(missing_ok=True)

    def _unreadable(self, array: zarr.Array[Any], key: str) -> NDArray[np.bool_]:
        """(F,) chunks whose file changed and that cannot be read."""
        rows, states = array.chunks[0], self.file_states(key)
        then = self.known_states(key)
        bad = np.zeros(len(states), bool)
        for number, state in enumerate(states):
            if number < len(then) and np.array_equal(state, then[number]):
                continue
            try:
                np.asarray(array[number * rows : (number + 1) * rows])
            except (ValueError, RuntimeError, OSError):
                bad[number] = True
        return bad

    def remember_states(self) -> None:
        """Record the states of files that this process hashed and found unchanged."""
        for key in hashed_keys(self):
            states = states_when_hashed(self, key)
            if states is None or not self.touched(key).any():
                continue
            changed = key in hash_all(self, keys=[key])
            if not changed and self.file_states(key).tobytes() == states:
                self.know_states(key)
        self.sync()

    def know_missing_states(self) -> None:
        """Record the file states that a process killed after its last episode did not record."""
        keys = unrecorded_keys(self)
        if keys:
            hash_all(self, keys=keys)
        self.remember_states()

    def hash_embeddings(self) -> None:
        """Record hashes of embeddings of schema version 1 stores."""
        for encoder in self.encoders:
            for camera in self.keys(f"embeddings/{encoder}"):
                key = f"embeddings/{encoder}/{camera}"
                if "@" in camera or self.find(f"{key}@hash") is not None:
                    continue
                hashes = np.zeros((len(self), DIGEST), np.uint8)
                for index in np.flatnonzero(Embedding(self, encoder, camera).made()):
                    hashes[index] = content_of(self.rows_of(key, *self.spans()[index]))
                self.append_rows(f"{key}@hash", 0, hashes, 0, {"hash": HASH_KIND})
                self.know_states(key)
        self.sync()

    def accept_frames(self, camera: str) -> tuple[int, ...]:
        """Record the present hashes of frames that changed or that have no hash.

        Returns:
            Episodes whose frames changed since their hashes were recorded.
        """
        recorded, storage = self.recorded_content(camera), self.frame_storage(camera)
        contents = self.content(camera).copy()
        changed = np.flatnonzero((contents != recorded).any(axis=1))
        unknown = np.flatnonzero(~contents.any(axis=1))
        for index in unknown:  # by an earlier release
            contents[index] = storage.hash_episode(int(index))
        key, frames = f"meta/content_{camera}", storage.key
        if len(changed) or len(unknown):
            self.append_rows(key, 0, contents, 0, {"hash": HASH_KIND})
            if isinstance(storage, VideoFrames):
                sizes = storage.file_states()[:, 0]
                self.put(self.array(f"meta/video_bytes_{camera}"), 0, sizes)
            self.list_arrays()
        if self.checked and (len(changed) or len(unknown) or self.touched(frames).any()):
            self.know_states(frames)
        self.sync()
        return tuple(int(index) for index in changed)

    def write_embeddings(
        self, encoder: str, camera: str, episodes: Mapping[int, NDArray[np.float32]]
    ) -> None:
        """Store (T, D) embeddings and the hashes of their frames: of all episodes, or of none."""
        key, spans = f"embeddings/{encoder}/{camera}", self.spans()
        array, mark = self.array(key), self.array(f"{key}@content")
        for index, values in episodes.items():
            start, stop = spans[index]
            if values.shape != (stop - start, array.shape[1]) or not np.isfinite(values).all():
                raise VipOfflineError(
                    f"{self.path}, episode {index}: encoder {encoder} gave {values.shape} "
                    f"with {int((~np.isfinite(values)).sum())} values that are not finite for "
                    f"{stop - start} frames."
                )
        which = [*episodes]
        marks, hashes = self.hashes(f"{key}@content"), self.hashes(f"{key}@hash")
        if marks[which].any():
            marks[which] = 0  # they are no embeddings of anything until they are whole
            self.put(mark, 0, marks)
            self.sync()
        for index, values in episodes.items():
            self.put(array, spans[index][0], values)
            hashes[index] = content_of(values)
        self.put(self.array(f"{key}@hash"), 0, hashes)
        self.sync()
        marks[which] = self.recorded_content(camera)[which]
        self.put(mark, 0, marks)
        self.sync()

    def end_embedding(self, encoder: str, camera: str) -> None:
        """Record the states of the files of a complete embedding."""
        self.know_states(f"embeddings/{encoder}/{camera}")
        self.sync()

    def write_goal(
        self, encoder: str, content: str, values: NDArray[np.float32], provenance: Attributes
    ) -> None:
        """Store the (D,) embedding of a goal image or prompt under its hash."""
        key = f"goals/{encoder}/{content}"
        self.make_parents(key)
        self._root.create_array(
            key,
            shape=values.shape,
            chunks=values.shape,
            compressors=[Crc32cCodec()],
            dtype=np.float32,
            fill_value=np.float32(np.nan),
            attributes=provenance,
            config=WRITTEN,
            overwrite=True,
        )[:] = values
        self.sync()

    def write_label(self, label: Label) -> None:
        """Store a labelling under its name, atomically.

        It is written to the staging folder and renamed into the store. A reader sees the old
        labelling of this name, or the complete new one.
        """
        name = check_name("label", label.name)
        staging, final = self.staging / name, self.path / "labels" / name
        self._root.require_group("labels")
        shutil.rmtree(staging, ignore_errors=True)
        durable = DurableStore(staging)
        optional: dict[str, NDArray[Any] | None] = {
            "reward": label.reward,
            "distance": label.distance,
            "done": np.ones(len(self), bool),
            "goal": label.goal,
            "goal_set": label.goal_set,
        }
        arrays = {key: values for key, values in optional.items() if values is not None}
        read = dict(label.read)
        if read:
            for key in LABEL_ARRAYS:  # so that one that is edited by hand is noticed too
                read[f"labels/{name}/{key}"] = hashes_of(arrays[key], self.spans())
            arrays["read"] = np.stack([*read.values()], axis=1)
        attributes = {**label.provenance, "arrays": [*arrays], "read": [*read]}
        group = zarr.create_group(durable, attributes=attributes)
        for key, values in arrays.items():
            rows = rows_per_chunk(values.shape[1:], values.dtype)
            group.create_array(
                key,
                shape=values.shape,
                chunks=(rows, *values.shape[1:]),
                compressors=[ZstdCodec(), Crc32cCodec()],
                dtype=values.dtype,
                fill_value=values.dtype.type(np.nan if values.dtype.kind == "f" else 0),
                config=WRITTEN,
            )[:] = values
        durable.sync()
        replaced = self.staging / f"{name}{REPLACED}"
        if final.exists():
            final.rename(replaced)
        staging.rename(final)
        shutil.rmtree(self.staging)
        flush(final.parent)
        self.sync()

    def recover(self) -> None:
        """Finish or undo what a killed writer left: deletions, a labelling being replaced."""
        for key in to_delete(self.path):
            shutil.rmtree(self.path / key, ignore_errors=True)
        for replaced in self.staging.glob(f"*{REPLACED}"):
            final = self.path / "labels" / replaced.name.removesuffix(REPLACED)
            if not final.exists():
                replaced.rename(final)
        shutil.rmtree(self.staging, ignore_errors=True)
        shutil.rmtree(self.path / NEW, ignore_errors=True)
        for where, folders, names in os.walk(self.path, topdown=False):
            for name in names:
                if LEFTOVER.fullmatch(name):
                    Path(where, name).unlink()
            for name in folders:  # that were made for something which was never written
                with contextlib.suppress(OSError):
                    Path(where, name).rmdir()


def to_delete(path: Path) -> list[str]:
    """Keys that a killed process was deleting from a store."""
    todo = staging_of(path) / TODO
    keys: list[str] = json.loads(todo.read_text(encoding="utf-8")) if todo.exists() else []
    return keys


@contextlib.contextmanager
def writing(path: Path, create: Mapping[str, Any] | None = None) -> Iterator[StoreWriter]:
    """Open a store for writing, the only one to do so.

    Args:
        path: the store's folder.
        create: attributes of a store to be made where there is none; they must equal those of
            one that is there, but for dates. A store being created or extended has its
            unfinished tail dropped, at the start and when the block ends in an error.

    Raises:
        VipOfflineError: if it is locked, not a store, made differently, or the disk is full.
    """
    if create is not None:
        path.mkdir(parents=True, exist_ok=True)
    elif not path.is_dir():
        open_as(Store, path, read_only=True)
    with only_writer(path):
        if create is not None:
            create_store(path, dict(create))
        store = open_as(StoreWriter, path, read_only=False)
        store.recover()
        if create is not None:
            store.drop_unfinished()
            if store.checked and len(store):
                # what is damaged is named by whoever uses it
                with contextlib.suppress(VipOfflineError):
                    store.know_missing_states()
        try:
            yield store
        except BaseException as error:
            if create is not None:
                # best effort: on a full disk, or of a damaged array, even this may fail, and the
                # next writer does it
                with contextlib.suppress(OSError, VipOfflineError):
                    store.drop_unfinished()
            with contextlib.suppress(OSError):
                store.recover()
            if isinstance(error, OSError) and error.errno in (
                errno.ENOSPC,
                errno.EDQUOT,
                errno.EFBIG,
            ):
                raise VipOfflineError(
                    f"{path}: the disk is full ({error.strerror}). What was finished is safe "
                    f"({len(store)} episodes). Free some space and run the same command again."
                ) from error
            raise
