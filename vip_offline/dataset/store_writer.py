"""Writing to a store: one process at a time, each episode whole and on the disk or not at all."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from vip_offline import __version__
from vip_offline.dataset.damage import damaged
from vip_offline.dataset.dependents import delete_command
from vip_offline.dataset.episode import Clip, Episode, Link
from vip_offline.dataset.frame_hashes import (
    file_hashes,
    hash_all,
    hashed_keys,
    recorded_hashes,
    states_when_hashed,
)
from vip_offline.dataset.read_hashes import LENGTHS, reads
from vip_offline.dataset.storage.content_hash import DIGEST, KIND, content_of, hashes_of
from vip_offline.dataset.storage.durable_store import DurableStore
from vip_offline.dataset.storage.file_states import FIELDS, STATE, states_of
from vip_offline.dataset.storage.shards import rows_per_shard
from vip_offline.dataset.store import (
    FORMAT,
    LEFTOVER,
    OWN,
    REPLACED,
    SCHEMA_VERSION,
    Attributes,
    Label,
    Store,
    check_name,
    now,
    open_as,
    settings_of,
)
from vip_offline.errors import VipOfflineError
from vip_offline.utils.files import flush, hidden_beside, only_writer

WRITTEN: Any = {"write_empty_chunks": True}
UNWRITTEN: Any = {"write_empty_chunks": False}
TEXT = 512  # bytes of a name or a path
# bytes of a chunk of the small arrays; the one that an episode ends in is written again
CHUNK_BYTES, MOST_ROWS, LEAST_ROWS = 512 * 2**10, 16384, 256


class StoreWriter(Store):
    """A store that is open for writing, which `writing` hands out."""

    def _require(
        self,
        key: str,
        tail: tuple[int, ...],
        dtype: Any,
        fill: Any,
        attributes: Attributes,
        rows: int = 0,
    ) -> zarr.Array[Any]:
        """The array of this name; if it is not there, made with so many rows of `fill`."""
        array = self._find(key)
        if array is None:
            frames = key.startswith("data/frames_")
            embeddings = key.startswith("embeddings/") and "@" not in key
            chunk = 1 if frames else _rows_per_chunk(tail, dtype)
            shard = rows_per_shard(tail)
            self._make_parents(key)
            # one that has rows at once appears with them, see `_put_first`
            made = DurableStore(self.staging) if rows else self._durable
            shutil.rmtree(self.staging, ignore_errors=True)
            array = zarr.create_array(
                made,
                name=None if rows else key,
                shape=(rows, *tail),
                chunks=(chunk, *tail),
                # a shard is written whole, so single rows of other arrays are not worth one
                shards=(shard, *tail) if frames else None,
                # embeddings are noise to a compressor
                compressors=[Crc32cCodec()] if embeddings else [ZstdCodec(), Crc32cCodec()],
                dtype=dtype,
                fill_value=fill,
                attributes=attributes,
                config=WRITTEN,
                # flat names: not four folders for a shard
                chunk_key_encoding={"name": "default", "separator": "."},
            )
            if rows:
                array[:] = fill
                made.sync()
                self.staging.rename(self.path / key)
                flush((self.path / key).parent)
                array = self._array(key)
            return array
        if array.shape[1:] != tail or array.dtype != np.dtype(dtype):
            raise VipOfflineError(
                f"{self.path}: {key} holds {array.dtype} {array.shape}; rows of "
                f"{np.dtype(dtype)} {tail} do not fit. Write them to another store."
            )
        return array

    def _make_parents(self, key: str) -> None:
        """Describe the groups that an array lies in first: zarr does it at the same time.

        A process killed, or a disk full, between the two would leave a group of which nothing says
        that it is one.
        """
        names = key.split("/")[:-1]
        for count in range(1, len(names) + 1):
            self._root.require_group("/".join(names[:count]))

    def _put(self, array: zarr.Array[Any], start: int, values: NDArray[Any]) -> None:
        key, rows = array.path, (array.shards or array.chunks)[0]
        if start % rows:  # what is there of that chunk is written again with it
            self._read_array(array, key, start - 1, start)
        if array.shape[0] < start + len(values):
            array.resize((start + len(values), *array.shape[1:]))
        # what is nothing but zeros is written, too: were it left out, a lost one would look alike
        array = array.with_config(WRITTEN)
        try:
            array[start : start + len(values)] = values
        except (ValueError, RuntimeError, KeyError) as error:
            raise damaged(self, array, key, start, start + len(values), error) from error

    def _put_first(self, array: zarr.Array[Any], start: int, values: NDArray[Any]) -> None:
        """Write rows before the description says that there are so many.

        For arrays that tell a reader beside this process what of the others is there: it would
        else look for rows that are not written yet.
        """
        stop = start + len(values)
        longer = array.metadata.to_dict() | {"shape": (max(stop, array.shape[0]), *array.shape[1:])}
        self._put(zarr.Array.from_dict(array.store_path, longer), start, values)
        if stop > array.shape[0]:
            array.resize((stop, *array.shape[1:]))

    def append(self, *episodes: Episode) -> None:
        """Add episodes: all of them whole and on the disk, or none.

        Args:
            episodes: with the same cameras, extras and widths. Many short ones are better added
                together: each call writes and flushes every array's last chunk.

        Raises:
            VipOfflineError: if `Episode.check` refuses one or its shapes differ from the store's.
        """
        index, start = len(self), self.rows
        for offset, episode in enumerate(episodes):
            episode.check(f"{self.path}, episode {index + offset}")
        for camera in episodes[0].frames:
            check_name("camera", camera)
            frames = [episode.frames[camera] for episode in episodes]
            key, at = f"data/frames_{camera}", start
            for part in frames:
                self._put(self._require(key, part.shape[1:], np.uint8, 0, {}), at, part)
                at += len(part)
            self._append_contents(camera, [content_of(part) for part in frames], index)
        for camera in episodes[0].clips:
            check_name("camera", camera)
            self._append_clips(
                camera, [episode.clips[camera] for episode in episodes], start, index
            )
        for camera in episodes[0].links:
            check_name("camera", camera)
            self._append_links(
                camera, [episode.links[camera] for episode in episodes], start, index
            )
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
                stop = start + len(values)
                array = self._require(key, values.shape[1:], values.dtype, fill, {}, stop)
                self._put(array, start, values)
        self._append_codes("kind", [episode.kind for episode in episodes], index)
        if any(episode.task for episode in episodes) or self._find("meta/instruction") is not None:
            self._append_codes("instruction", [episode.task for episode in episodes], index)
        about: dict[str, tuple[list[Any], Any, Any]] = {
            "success": ([episode.success for episode in episodes], np.bool_, False),
            "placement": ([episode.placement for episode in episodes], np.int64, -1),
            "episode_ends": (
                list(start + np.cumsum([len(episode) for episode in episodes])),
                np.int64,
                0,
            ),
        }
        if any(episode.origin >= 0 for episode in episodes):
            about["source_episode"] = [episode.origin for episode in episodes], np.int64, -1
        unlabelled = not all(episode.success_labelled for episode in episodes)
        if unlabelled or self._find("meta/success_labelled") is not None:
            labelled = [episode.success_labelled for episode in episodes]
            about["success_labelled"] = labelled, np.bool_, True
        for split in self.attributes.get("splits", []):
            about[f"split_{split}"] = (
                [split in episode.splits for episode in episodes],
                np.bool_,
                False,
            )
        for name, (values_, dtype, empty) in about.items():
            array = self._require(f"meta/{name}", (), dtype, empty, {}, index + len(episodes))
            self._put(array, index, np.array(values_, dtype))
        if any(episode.name for episode in episodes) or self._find("meta/name") is not None:
            self._append_texts("name", [episode.name for episode in episodes], index)
        done = self._require("meta/done", (), np.bool_, False, {})
        self._list_arrays()
        self._durable.sync()
        self._put_first(done, index, np.ones(len(episodes), bool))
        self._durable.sync()
        self._ends = None
        # a process killed here leaves files of unknown state, which are hashed when they are used
        self._append_states(episodes[0], start, index)
        self._durable.sync()

    def _list_arrays(self) -> None:
        """Write down which arrays there are, so that one which is deleted is missed."""
        keys = sorted(
            f"{group}/{name}"
            for group in ("data", "extras", "meta")
            for name in self._group_keys(group)
        )
        if keys != list(self._listed) and self.version > 1:
            self._root.attrs["arrays"] = keys

    def _append_states(self, episode: Episode, start: int, index: int) -> None:
        """Write down the states of the files that were just written, or that are pointed at."""
        for camera in (*episode.frames, *episode.clips, *episode.links):
            key = self.frames_key(camera)
            if self.version > 1:
                array = self._array(key)
                rows = (array.shards or array.chunks)[0]
                first = index if key.startswith("data/pts_") else start // rows
                self._know_states(key, 0 if key.startswith("data/rows_") else first)

    def _know_states(self, key: str, first: int = 0) -> None:
        """Write down the states of an array's files, from the `first` one on."""
        states, then = self.file_states(key), self.known_files(key)[:first]
        known = np.zeros((len(states), FIELDS), np.int64)
        known[: len(then)] = then
        known[first:, :STATE] = states[first:]
        new = range(first, len(states))
        known[first:, STATE] = file_hashes(self, key, new, recorded_hashes(self, key))
        if not len(then):  # what is damaged is not gone on with
            shutil.rmtree(self.path / "files" / key, ignore_errors=True)
        array = self._require(f"files/{key}", (FIELDS,), np.int64, 0, {})
        self._put_first(array, 0, known)
        if array.shape[0] > len(known):
            array.resize(known.shape)

    def _append_clips(self, camera: str, clips: Sequence[Clip], start: int, index: int) -> None:
        shape = list(clips[0].shape)
        attributes = {"frame_shape": shape, "upright": True}
        stop = start + sum(len(clip) for clip in clips)
        pts = self._require(f"data/pts_{camera}", (), np.int64, -1, attributes, stop)
        shape = cast("list[int]", pts.attrs["frame_shape"])
        for offset, clip in enumerate(clips):
            if clip.turned and not self.upright(camera):
                raise VipOfflineError(
                    f"{self.path}, episode {index + offset}: the video of camera {camera} is shown "
                    "turned, and the earlier release that began this store left frames as they "
                    "are held. Import all of them into another store."
                )
            if list(clip.shape) != shape:
                raise VipOfflineError(
                    f"{self.path}, episode {index + offset}: frames of camera {camera} are "
                    f"{list(clip.shape)}, those before {shape}. Give them one size with --resize."
                )
        self._put(pts, start, np.concatenate([clip.pts for clip in clips]))
        self._append_texts(f"video_{camera}", [str(clip.file) for clip in clips], index)
        size = self._require(f"meta/video_bytes_{camera}", (), np.int64, -1, {}, index + len(clips))
        self._put(size, index, np.array([clip.size for clip in clips], np.int64))
        self._append_contents(camera, [clip.content for clip in clips], index)

    def _append_links(self, camera: str, links: Sequence[Link], start: int, index: int) -> None:
        first = links[0]
        attributes = {
            "file": str(first.file.absolute()),
            "array": first.array,
            "frame_shape": list(first.shape),
            "file_from_store": Path(
                os.path.relpath(first.file.resolve(), self.path.resolve())
            ).as_posix(),
        }
        rows = self._require(f"data/rows_{camera}", (), np.int64, -1, attributes)
        parts = [np.arange(link.start, link.start + link.rows) for link in links]
        self._put(rows, start, np.concatenate(parts))
        self._append_contents(camera, [link.content for link in links], index)

    def _append_contents(
        self, camera: str, contents: Sequence[NDArray[np.uint8]], index: int
    ) -> None:
        stop = index + len(contents)
        attributes = {"hash": KIND}
        array = self._require(f"meta/content_{camera}", (DIGEST,), np.uint8, 0, attributes, stop)
        self._put(array, index, np.stack(contents))

    def _append_codes(self, key: str, texts: Sequence[str], index: int) -> None:
        """Texts of which there are few: numbers, and what they stand for."""
        array = self._require(f"meta/{key}", (), np.int16, -1, {"names": []}, index + len(texts))
        names = [*cast("list[str]", array.attrs["names"])]
        fresh = [text for text in dict.fromkeys(texts) if text not in names]
        if fresh:
            names += fresh
            array.attrs["names"] = names
        self._put(array, index, np.array([names.index(text) for text in texts], np.int16))

    def _append_texts(self, key: str, texts: Sequence[str], index: int) -> None:
        """Texts that differ from episode to episode, in UTF-8."""
        encoding = {"encoding": "utf-8"}
        stop = index + len(texts)
        array = self._require(f"meta/{key}", (TEXT,), np.uint8, 0, encoding, stop)
        values = np.zeros((len(texts), TEXT), np.uint8)
        for row, text in zip(values, texts, strict=True):
            data = text.encode()
            if len(data) > TEXT:
                raise VipOfflineError(f"{self.path}: {key} {text!r} is longer than {TEXT} bytes.")
            row[: len(data)] = np.frombuffer(data, np.uint8)
        self._put(array, index, values)

    def leave_out(self, reasons: Mapping[int, str]) -> None:
        """Remember which episodes of the origin are left out, and why."""
        known = cast("dict[str, str]", self.attributes.get("left_out", {}))
        self._root.attrs["left_out"] = known | {str(k): why for k, why in reasons.items()}
        self._durable.sync()

    def drop_unfinished(self) -> None:
        """Cut off whatever lies behind the last finished episode."""
        self._ends = None
        finished, rows = len(self), self.rows
        for group, length in (("data", rows), ("extras", rows), ("meta", finished)):
            for key in self.keys(group):
                array = self._array(f"{group}/{key}")
                if array.shape[0] > length:
                    rows = (array.shards or array.chunks)[0]
                    if length % rows:
                        # resize drops whole files; the rest of the last one it leaves as it is
                        self._read_array(array, f"{group}/{key}", length - 1, length)
                        end = min(array.shape[0], -(-length // rows) * rows)
                        config = UNWRITTEN if array.shards is not None else WRITTEN
                        array.with_config(config)[length:end] = array.fill_value
                    array.resize((length, *array.shape[1:]))
        self._durable.sync()

    def begin_embedding(self, encoder: str, camera: str, dim: int, provenance: Attributes) -> None:
        """Make room for an embedding, or check that the one there is of the same making.

        Raises:
            VipOfflineError: if another encoder, weights file or preprocessing wrote this name.
        """
        key = f"embeddings/{encoder}/{camera}"
        array = self._find(key)
        fresh = array is None
        if array is None:
            array = self._require(key, (dim,), np.float32, np.float32(np.nan), provenance)
        check_same_making(self.path, key, dict(array.attrs), provenance)
        if array.shape[0] != self.rows:
            array.resize((self.rows, dim))
        for name in ("content", "hash"):
            made = self._require(f"{key}@{name}", (DIGEST,), np.uint8, 0, {"hash": KIND})
            if made.shape[0] > len(self) or fresh:
                made.resize((0 if fresh else len(self), DIGEST))  # of one that somebody removed
            if made.shape[0] < len(self):
                rows = len(self) - made.shape[0]
                self._put_first(made, made.shape[0], np.zeros((rows, DIGEST), np.uint8))
        self._drop_damaged(key)
        self._durable.sync()

    def _drop_damaged(self, key: str) -> None:
        """Remove chunks of an embedding that cannot be read: all of their episodes are embedded."""
        array = self._array(key)
        for number in np.flatnonzero(self._unreadable(array, key)):
            name = array.metadata.encode_chunk_key((int(number), 0))
            (self.path / key / name).unlink(missing_ok=True)

    def _unreadable(self, array: zarr.Array[Any], key: str) -> NDArray[np.bool_]:
        """(F,) chunks that were touched and cannot be read."""
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

    def seal(self) -> None:
        """Hash all that a store of an earlier release holds, so that damage is noticed later."""
        for camera in self.cameras:
            self.accept_frames(camera)
        self.hash_embeddings()
        keys = [
            LENGTHS,
            *(
                f"{group}/{name}"
                for group in ("extras", "meta")
                for name in self.keys(group)
                if name not in ("episode_ends", "done")
            ),
        ]
        keys += [f"data/{name}" for name in self.keys("data") if not name.startswith("frames_")]
        for name in self.label_names:
            keys += [f"labels/{name}/{array}" for array in ("reward", "distance")]
        read = reads(self, keys)
        stacked = np.stack([*read.values()], axis=1)
        array = self._require("sealed/read", stacked.shape[1:], np.uint8, 0, {})
        array.resize(stacked.shape)
        self._put(array, 0, stacked)
        array.attrs["read"] = keys
        self._root.attrs["sealed"] = True
        for camera in self.cameras:
            self._know_states(self.frames_key(camera))
        self._durable.sync()

    def remember_states(self) -> None:
        """Write down the states of files that this process hashed and that are what they were."""
        for key in hashed_keys(self):
            states = states_when_hashed(self, key)
            if states is None or not self.touched(key).any():
                continue
            changed = key in hash_all(self, keys=[key])
            if not changed and self.file_states(key).tobytes() == states:
                self._know_states(key)
        self._durable.sync()

    def know_missing_states(self) -> None:
        """Write down the states that a process killed after its last episode left out."""
        for camera in self.cameras:
            key = self.frames_key(camera)
            then, now = self.known_states(key), self.file_states(key)
            if len(then) < len(now) or not then.any(axis=1).all():
                hash_all(self, keys=[key])
        self.remember_states()

    def know_origin(self, about: Attributes) -> None:
        """Write down where the origin is and the state of its files, known to be what they were."""
        self._root.attrs.update(about)
        self._durable.sync()

    def put_rows(
        self,
        key: str,
        start: int,
        values: NDArray[Any],
        like: zarr.Array[Any],
        attributes: Attributes,
    ) -> None:
        """Copy rows of another store's array; see `upgrade`."""
        if key.startswith("goals/"):
            _, encoder, content = key.split("/")
            self.write_goal(encoder, content, values, attributes)
            return
        array = self._require(key, like.shape[1:], like.dtype, like.fill_value, attributes)
        if len(values):
            self._put(array, start, values)

    def make_group(self, key: str, attributes: Attributes) -> None:
        """A group with attributes."""
        self._root.require_group(key).attrs.put(attributes)

    def finish_copy(self) -> None:
        """Write down what a store holds into which arrays were copied."""
        for camera in self.cameras:
            key = self.frames_key(camera)
            if key.startswith("data/frames_"):  # others are looked at when they are used
                self.accept_frames(camera)
                self._know_states(key)
        self._list_arrays()
        self._durable.sync()

    def hash_embeddings(self) -> None:
        """Hash embeddings of an earlier release, where they are complete."""
        for encoder in self.encoders:
            for camera in self.keys(f"embeddings/{encoder}"):
                key = f"embeddings/{encoder}/{camera}"
                if "@" in camera or self._find(f"{key}@hash") is not None:
                    continue
                made, hashes = self._made(encoder, camera), np.zeros((len(self), DIGEST), np.uint8)
                for index in np.flatnonzero(made):
                    hashes[index] = content_of(self._read(key, *self.spans()[index]))
                array = self._require(f"{key}@hash", (DIGEST,), np.uint8, 0, {"hash": KIND})
                self._put(array, 0, hashes)
                self._know_states(key)
        self._durable.sync()

    def accept_frames(self, camera: str) -> tuple[int, ...]:
        """Write down the hashes of frames that were changed, or were stored without one.

        Returns:
            Episodes whose frames are others than when their hashes were written down.
        """
        recorded = self.recorded_content(camera)
        contents = self.content(camera).copy()
        changed = np.flatnonzero((contents != recorded).any(axis=1))
        unknown = np.flatnonzero(~contents.any(axis=1))
        for index in unknown:  # by an earlier release
            contents[index] = self._frames_hash(camera)(int(index))
        key, frames = f"meta/content_{camera}", self.frames_key(camera)
        if len(changed) or len(unknown):
            array = self._require(key, (DIGEST,), np.uint8, 0, {"hash": KIND}, len(self))
            self._put(array, 0, contents)
            if frames.startswith("data/pts_"):
                sizes = states_of(self.video_files(camera))[:, 0]
                self._put(self._array(f"meta/video_bytes_{camera}"), 0, sizes)
            self._list_arrays()
        if self.checked and (len(changed) or len(unknown) or self.touched(frames).any()):
            self._know_states(frames)
        self._durable.sync()
        return tuple(int(index) for index in changed)

    def write_embeddings(
        self, encoder: str, camera: str, episodes: Mapping[int, NDArray[np.float32]]
    ) -> None:
        """Store embeddings, and whose frames they are of: all of these episodes, or none.

        Args:
            encoder: that computed them.
            camera: whose frames.
            episodes: index -> (T, D).
        """
        key, spans = f"embeddings/{encoder}/{camera}", self.spans()
        array, mark = self._array(key), self._array(f"{key}@content")
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
            self._put(mark, 0, marks)
            self._durable.sync()
        for index, values in episodes.items():
            self._put(array, spans[index][0], values)
            hashes[index] = content_of(values)
        self._put(self._array(f"{key}@hash"), 0, hashes)
        self._durable.sync()
        marks[which] = self.recorded_content(camera)[which]
        self._put(mark, 0, marks)
        self._durable.sync()

    def end_embedding(self, encoder: str, camera: str) -> None:
        """Write down the states of an embedding's files, when all of it is there."""
        self._know_states(f"embeddings/{encoder}/{camera}")
        self._durable.sync()

    def write_goal(
        self, encoder: str, content: str, values: NDArray[np.float32], provenance: Attributes
    ) -> None:
        """Keep the (D,) embedding of a goal picture or prompt under its hash."""
        key = f"goals/{encoder}/{content}"
        self._make_parents(key)
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
        self._durable.sync()

    def write_label(self, label: Label) -> None:
        """Store a labelling under its name, all of it at once.

        It is written beside the store and renamed into it, so that a reader meets the whole
        labelling or none, and an older one of this name stays until the new one is complete.
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
            for key in OWN:  # so that one that is edited by hand is noticed too
                read[f"labels/{name}/{key}"] = hashes_of(arrays[key], self.spans())
            arrays["read"] = np.stack([*read.values()], axis=1)
        attributes = {**label.provenance, "arrays": [*arrays], "read": [*read]}
        group = zarr.create_group(durable, attributes=attributes)
        for key, values in arrays.items():
            rows = _rows_per_chunk(values.shape[1:], values.dtype)
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
        descriptor = os.open(final.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        self._durable.sync()

    @property
    def staging(self) -> Path:
        """Folder beside the store, for what is not in it yet, or no longer."""
        return staging_of(self.path)

    def recover(self) -> None:
        """End or undo what a killed writer left: deletions, a labelling taken out of place."""
        for key in to_delete(self.path):
            shutil.rmtree(self.path / key, ignore_errors=True)
        for replaced in self.staging.glob(f"*{REPLACED}"):
            final = self.path / "labels" / replaced.name.removesuffix(REPLACED)
            if not final.exists():
                replaced.rename(final)
        shutil.rmtree(self.staging, ignore_errors=True)
        for where, folders, names in os.walk(self.path, topdown=False):
            for name in names:
                if LEFTOVER.fullmatch(name):
                    Path(where, name).unlink()
            for name in folders:  # that were made for something which was never written
                with contextlib.suppress(OSError):
                    Path(where, name).rmdir()


TODO = "to-delete.json"  # in the staging folder: what a deletion takes out of the store


def staging_of(path: Path) -> Path:
    """Folder beside a store, for what is not in it yet, or no longer."""
    return hidden_beside(path, "staging")


def to_delete(path: Path) -> list[str]:
    """What a process that was killed meant to delete from a store: keys below it."""
    todo = staging_of(path) / TODO
    keys: list[str] = json.loads(todo.read_text(encoding="utf-8")) if todo.exists() else []
    return keys


def _rows_per_chunk(tail: tuple[int, ...], dtype: Any) -> int:
    size = max(1, int(np.prod(tail, dtype=int)) * np.dtype(dtype).itemsize)
    return int(max(LEAST_ROWS, min(MOST_ROWS, CHUNK_BYTES // size)))


def check_same_making(path: Path, key: str, existing: Attributes, requested: Attributes) -> None:
    """Refuse to go on with an embedding that another encoder wrote under this name.

    Raises:
        VipOfflineError: naming what differs, and the way out.
    """
    before, after = settings_of(existing), settings_of(requested)
    differing = sorted(k for k in before.keys() | after if before.get(k) != after.get(k))
    if differing:
        listed = "; ".join(f"{k} {before.get(k)!r}, now {after.get(k)!r}" for k in differing)
        _, encoder, camera = key.split("/")
        command = delete_command(open_as(Store, path, read_only=True), encoder, [camera])
        raise VipOfflineError(
            f"{path}: {key} was written by another encoder ({listed}). "
            f"Use the same one, or delete it first: `{command}`."
        )


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
            _create(path, dict(create))
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


GROUPS = ("import", "key_map", "resampled")  # of imports
TOLD = ("not_taken", "videos_from_store", "origin_files")  # that follow from the others
LONGEST = 100  # characters of a setting that a message shows


def _create(path: Path, attributes: Attributes) -> None:
    requested = {"format": FORMAT, **attributes}
    if all(LEFTOVER.fullmatch(entry.name) for entry in path.iterdir()):
        # one file, renamed into place: the store is there with all it says of itself, or not
        durable = DurableStore(path)
        provenance = {"code_version": __version__, "created": now()}
        version = {"schema_version": SCHEMA_VERSION}
        zarr.create_group(durable, attributes=requested | version | provenance)
        durable.sync()
        return
    existing = open_as(Store, path, read_only=True).attributes
    differing = [*_differing(existing, requested)]
    if differing:
        way_out = (
            ", name another store, or import with --overwrite" if "import" in requested else ""
        )
        raise VipOfflineError(
            f"{path}: was made with other settings ({'; '.join(differing)}). Give the same "
            f"settings to go on with it{way_out or ', or name another store'}."
        )


def _differing(existing: Mapping[str, Any], requested: Mapping[str, Any]) -> Iterator[str]:
    """What differs, one by one."""
    source = existing.get("source")
    # files that were moved are known by their states, or looked at, see `importing`
    moved = "origin_files" in existing and source is not None and not Path(source).exists()
    for key in requested:
        before, after = existing.get(key), requested[key]
        if key in TOLD or (moved and key in ("source", "videos")):
            continue
        if isinstance(after, dict) and isinstance(before, dict | None):
            for name in dict.fromkeys([*(before or {}), *after]):
                old, new = (before or {}).get(name), after.get(name)
                # what an earlier release did not know of an import was not done
                same = (old or None) == (new or None) if key in GROUPS else old == new
                if not same:
                    yield f"{name} {_short(old)}, now {_short(new)}"
        elif before != after:
            yield f"{key} {_short(before)}, now {_short(after)}"


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
