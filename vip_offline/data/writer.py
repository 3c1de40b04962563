"""Writing to a store: one process at a time, each episode whole and on the disk or not at all."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from vip_offline import __version__
from vip_offline.data.dependents import delete_command
from vip_offline.data.durable import DurableStore, only_writer
from vip_offline.data.episode import Clip, Episode, Link
from vip_offline.data.hidden import hidden_beside
from vip_offline.data.store import (
    DIGEST,
    FORMAT,
    LEFTOVER,
    REPLACED,
    SCHEMA_VERSION,
    Attributes,
    Label,
    Store,
    check_name,
    content_of,
    now,
    open_as,
    settings_of,
)
from vip_offline.errors import VipOfflineError

TEXT = 512  # bytes of a name or a path
ROWS_PER_CHUNK = 1024  # of the small arrays; a frame is a chunk of its own
EMBEDDINGS_PER_CHUNK = 256  # about a megabyte: the chunk that an episode ends in is written again


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
        found = self._find(key)
        if found is None:
            frames, embeddings = key.startswith("data/frames_"), key.startswith("embeddings/")
            chunk = 1 if frames else EMBEDDINGS_PER_CHUNK if embeddings else ROWS_PER_CHUNK
            return self._root.create_array(
                key,
                shape=(rows, *tail),
                chunks=(chunk, *tail),
                # embeddings are noise to a compressor
                compressors=None if embeddings else "auto",
                dtype=dtype,
                fill_value=fill,
                attributes=attributes,
                # a black frame is a frame: were it left out, a lost one would look the same
                config={"write_empty_chunks": frames},
                # flat names: one file per frame, not four folders per frame
                chunk_key_encoding={"name": "default", "separator": "."},
            )
        if found.shape[1:] != tail or found.dtype != np.dtype(dtype):
            raise VipOfflineError(
                f"{self.path}: {key} holds {found.dtype} {found.shape}; rows of "
                f"{np.dtype(dtype)} {tail} do not fit. Write them to another store."
            )
        return found

    @staticmethod
    def _put(array: zarr.Array[Any], start: int, values: NDArray[Any]) -> None:
        if array.shape[0] < start + len(values):
            array.resize((start + len(values), *array.shape[1:]))
        if array.path.startswith("data/frames_"):
            array = array.with_config({"write_empty_chunks": True})
        array[start : start + len(values)] = values

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
            frames = [each.frames[camera] for each in episodes]
            key, at = f"data/frames_{camera}", start
            for part in frames:
                self._put(self._require(key, part.shape[1:], np.uint8, 0, {}), at, part)
                at += len(part)
            self._append_contents(camera, [content_of(part) for part in frames], index)
        for camera in episodes[0].clips:
            check_name("camera", camera)
            self._append_clips(camera, [each.clips[camera] for each in episodes], start, index)
        for camera in episodes[0].links:
            check_name("camera", camera)
            self._append_links(camera, [each.links[camera] for each in episodes], start, index)
        nan = np.float32(np.nan)
        rows: dict[str, tuple[list[NDArray[Any]], Any]] = {
            "data/proprio": ([each.proprio for each in episodes], nan),
            "data/action": ([each.action for each in episodes], nan),
            "data/succeeded": ([each.succeeded for each in episodes], False),
            "data/true_reward": ([each.true_reward for each in episodes], nan),
        }
        for name in episodes[0].extras:
            columns = [each.extras[name] for each in episodes]
            rows[f"extras/{check_name('column', name)}"] = columns, columns[0].dtype.type(0)
        for key, (parts, fill) in rows.items():
            values = np.concatenate(parts)
            if 0 not in values.shape[1:]:
                stop = start + len(values)
                array = self._require(key, values.shape[1:], values.dtype, fill, {}, stop)
                self._put(array, start, values)
        self._append_codes("kind", [each.kind for each in episodes], index)
        if any(each.task for each in episodes) or self._find("meta/instruction") is not None:
            self._append_codes("instruction", [each.task for each in episodes], index)
        about: dict[str, tuple[list[Any], Any, Any]] = {
            "success": ([each.success for each in episodes], np.bool_, False),
            "placement": ([each.placement for each in episodes], np.int64, -1),
            "episode_ends": (
                list(start + np.cumsum([len(each) for each in episodes])),
                np.int64,
                0,
            ),
        }
        if any(each.origin >= 0 for each in episodes):
            about["source_episode"] = [each.origin for each in episodes], np.int64, -1
        unlabelled = not all(each.success_labelled for each in episodes)
        if unlabelled or self._find("meta/success_labelled") is not None:
            labelled = [each.success_labelled for each in episodes]
            about["success_labelled"] = labelled, np.bool_, True
        for split in self.attributes.get("splits", []):
            about[f"split_{split}"] = [split in each.splits for each in episodes], np.bool_, False
        for name, (values_, dtype, empty) in about.items():
            array = self._require(f"meta/{name}", (), dtype, empty, {}, index + len(episodes))
            self._put(array, index, np.array(values_, dtype))
        if any(each.name for each in episodes) or self._find("meta/name") is not None:
            self._append_texts("name", [each.name for each in episodes], index)
        self._durable.sync()
        done = self._require("meta/done", (), np.bool_, False, {})
        self._put(done, index, np.ones(len(episodes), bool))
        self._durable.sync()
        self._ends = None

    def _append_clips(self, camera: str, clips: Sequence[Clip], start: int, index: int) -> None:
        shape = list(clips[0].shape)
        said = {"frame_shape": shape, "upright": True}
        stop = start + sum(len(clip) for clip in clips)
        pts = self._require(f"data/pts_{camera}", (), np.int64, -1, said, stop)
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
        said = {
            "file": str(first.file.absolute()),
            "array": first.array,
            "frame_shape": list(first.shape),
        }
        rows = self._require(f"data/rows_{camera}", (), np.int64, -1, said)
        parts = [np.arange(each.start, each.start + each.rows) for each in links]
        self._put(rows, start, np.concatenate(parts))
        self._append_contents(camera, [each.content for each in links], index)

    def _append_contents(
        self, camera: str, contents: Sequence[NDArray[np.uint8]], index: int
    ) -> None:
        stop = index + len(contents)
        array = self._require(f"meta/content_{camera}", (DIGEST,), np.uint8, 0, {}, stop)
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
                    if array.chunks[0] > 1:
                        # resize drops whole chunks; the rest of the last one it leaves as it is
                        array[length:] = array.fill_value
                    array.resize((length, *array.shape[1:]))
        self._durable.sync()

    def begin_embedding(self, encoder: str, camera: str, dim: int, provenance: Attributes) -> None:
        """Make room for an embedding, or check that the one there is of the same making.

        Raises:
            VipOfflineError: if another encoder, weights file or preprocessing wrote this name.
        """
        self._know_contents(camera)
        key = f"embeddings/{encoder}/{camera}"
        fresh = self._find(key) is None
        array = self._require(key, (dim,), np.float32, np.float32(np.nan), provenance)
        check_same_making(self.path, key, dict(array.attrs), provenance)
        if array.shape[0] != self.rows:
            array.resize((self.rows, dim))
        made = self._require(f"{key}@content", (DIGEST,), np.uint8, 0, {})
        if made.shape[0] != len(self):
            made.resize((len(self), DIGEST))
        if fresh:
            made[:] = 0  # markers of an embedding that somebody removed
        self._durable.sync()

    def _know_contents(self, camera: str) -> None:
        """Take the hashes of frames that were stored without, by an earlier release."""
        there = self.content(camera)
        unknown = np.flatnonzero(~there.any(axis=1))
        if not len(unknown):
            return
        contents, spans = there.copy(), self.spans()
        for index in unknown:
            contents[index] = content_of(self.frames(camera, *spans[index]))
        key = f"meta/content_{camera}"
        if self._find(key) is None:
            # at its full length at once: what is shorter counts as unfinished
            self._root.create_array(key, data=contents, chunks=(ROWS_PER_CHUNK, DIGEST))
        else:
            self._array(key)[:] = contents
        self._durable.sync()

    def write_embedding(
        self, encoder: str, camera: str, index: int, values: NDArray[np.float32]
    ) -> None:
        """Store the (T, D) embedding of episode `index`, and whose frames it is of."""
        key = f"embeddings/{encoder}/{camera}"
        start, stop = self.spans()[index]
        if (
            values.shape != (stop - start, self._array(key).shape[1])
            or not np.isfinite(values).all()
        ):
            raise VipOfflineError(
                f"{self.path}, episode {index}: encoder {encoder} gave {values.shape} "
                f"with {int((~np.isfinite(values)).sum())} values that are not finite for "
                f"{stop - start} frames."
            )
        self._put(self._array(key), start, values)
        self._durable.sync()
        self._put(self._array(f"{key}@content"), index, self.content(camera)[index : index + 1])
        self._durable.sync()

    def write_goal(
        self, encoder: str, content: str, values: NDArray[np.float32], provenance: Attributes
    ) -> None:
        """Keep the (D,) embedding of a goal picture or prompt under its hash."""
        key = f"goals/{encoder}/{content}"
        self._root.create_array(
            key,
            shape=values.shape,
            chunks=values.shape,
            dtype=np.float32,
            fill_value=np.float32(np.nan),
            attributes=provenance,
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
        group = zarr.create_group(durable, attributes=label.provenance)
        arrays: dict[str, NDArray[Any]] = {
            "reward": label.reward,
            "distance": label.distance,
            "done": np.ones(len(self), bool),
        }
        if label.goal is not None:
            arrays["goal"] = label.goal
        if label.goal_set is not None:
            arrays["goal_set"] = label.goal_set
        for key, values in arrays.items():
            group.create_array(
                key,
                shape=values.shape,
                chunks=(ROWS_PER_CHUNK, *values.shape[1:]),
                dtype=values.dtype,
                fill_value=values.dtype.type(0 if values.dtype == bool else np.nan),
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
        return hidden_beside(self.path, "staging")

    def recover(self) -> None:
        """Undo what a killed writer left: half-written files, a labelling taken out of place."""
        for replaced in self.staging.glob(f"*{REPLACED}"):
            final = self.path / "labels" / replaced.name.removesuffix(REPLACED)
            if not final.exists():
                replaced.rename(final)
        shutil.rmtree(self.staging, ignore_errors=True)
        for leftover in self.path.rglob("*.partial"):
            if LEFTOVER.fullmatch(leftover.name):
                leftover.unlink()


def check_same_making(path: Path, key: str, there: Attributes, wanted: Attributes) -> None:
    """Refuse to go on with an embedding that another encoder wrote under this name.

    Raises:
        VipOfflineError: naming what differs, and the way out.
    """
    before, after = settings_of(there), settings_of(wanted)
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
        try:
            yield store
        except BaseException as error:
            if create is not None:
                # best effort: on a full disk even this may fail, and the next writer does it
                with contextlib.suppress(OSError):
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
TOLD = ("not_taken",)  # that follow from the others
LONGEST = 100  # characters of a setting that a message shows


def _create(path: Path, attributes: Attributes) -> None:
    wanted = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **attributes}
    if all(LEFTOVER.fullmatch(each.name) for each in path.iterdir()):
        # one file, renamed into place: the store is there with all it says of itself, or not
        durable = DurableStore(path)
        provenance = {"code_version": __version__, "created": now()}
        zarr.create_group(durable, attributes=wanted | provenance)
        durable.sync()
        return
    there = open_as(Store, path, read_only=True).attributes
    differing = [*_differing(there, wanted)]
    if differing:
        way_out = ", name another store, or import with --overwrite" if "import" in wanted else ""
        raise VipOfflineError(
            f"{path}: was made with other settings ({'; '.join(differing)}). Give the same "
            f"settings to go on with it{way_out or ', or name another store'}."
        )


def _differing(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """What differs, one by one."""
    for key in wanted:
        before, after = there.get(key), wanted[key]
        if key in TOLD:
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
