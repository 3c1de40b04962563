"""The store: one zarr v3 group per set of demonstrations. zarr's only home in this package.

A superset of the diffusion_policy replay buffer, so its readers find what they know::

    data/<key>                          (N, ...)  all episodes, one after the other
    meta/episode_ends                   (E,)      exclusive end of each episode in data/
    meta/done                           (E,)      written last: without it an episode is not there
    embeddings/<encoder>/<camera>       (N, D)    NaN where not computed
    embeddings/<encoder>/<camera>_done  (E,)
    labels/<name>/{reward,distance}     (N,)      the last row of an episode has no reward: NaN

Row t is the observation before action t; reward t belongs to the step from t to t+1.
"""

import contextlib
import datetime
import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from vip_offline import __version__
from vip_offline.data.durable import DurableStore, only_writer
from vip_offline.data.episode import Episode
from vip_offline.errors import VipOfflineError, did_you_mean

FORMAT = "vip-offline"
SCHEMA_VERSION = 1
REPLACED = ".replaced"
# what zarr leaves of a write that was killed
LEFTOVER = re.compile(r".+\.[0-9a-f]{32}\.partial")
ROWS_PER_CHUNK = 1024  # of the small arrays; a frame is a chunk of its own

Attributes = dict[str, Any]


def now() -> str:
    """Date and time in UTC, as provenance records it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def settings_of(attributes: Mapping[str, Any]) -> Attributes:
    """Provenance as it is compared: what was done, not when or by which release."""
    return {k: v for k, v in attributes.items() if k not in ("created", "code_version")}


def check_name(kind: str, name: str) -> str:
    """Refuse a name that is no plain folder name: names become folders of the store.

    Raises:
        VipOfflineError: with what may stand there.
    """
    if not re.fullmatch(r"\w[\w.+ -]*", name) or name.endswith((REPLACED, ".partial")):
        raise VipOfflineError(
            f"{kind} {name!r}: is no name. It begins with a letter or digit; letters, digits, "
            "blanks and . _ + - may follow."
        )
    return name


@dataclass(frozen=True)
class Label:
    """One labelling of a store: N rows, NaN in each episode's last."""

    name: str
    reward: NDArray[np.float32]  # (N,), of the step from row t to t+1
    distance: NDArray[np.float32]  # (N,), of row t to the goal
    provenance: Attributes


class Store:
    """A store that is open. Reading sees finished episodes only."""

    def __init__(self, path: Path, durable: DurableStore) -> None:
        self.path = path
        self._durable = durable
        self._root = zarr.open_group(durable, mode="r" if durable.read_only else "r+")

    # --- reading ---------------------------------------------------------------------------

    def _find(self, key: str) -> zarr.Array[Any] | None:
        try:
            found = self._root.get(key)
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise VipOfflineError(
                f"{self.path}: the description of {key} (its zarr.json) cannot be read: {error}. "
                "Restore it, or record or import the store again."
            ) from error
        return found if isinstance(found, zarr.Array) else None

    def _array(self, key: str) -> zarr.Array[Any]:
        found = self._find(key)
        if found is None:
            raise VipOfflineError(f"{self.path}: has no array {key}. `vip-offline inspect` it.")
        return found

    def _read(self, key: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        try:
            return np.asarray(self._array(key)[start:stop])
        except (ValueError, RuntimeError, OSError, KeyError) as error:
            raise VipOfflineError(
                f"{self.path}: {key}, rows {start} to {stop}, cannot be read: {error}. "
                "The file is damaged; restore it, or record or import the store again."
            ) from error

    @property
    def attributes(self) -> Attributes:
        """What the store says of itself: task, camera, recipe, code version, date."""
        return dict(self._root.attrs)

    @property
    def ends(self) -> NDArray[np.int64]:
        """(E,) exclusive ends of the finished episodes."""
        if self._find("meta/done") is None:
            return np.zeros(0, np.int64)
        done = self._read("meta/done")
        finished = len(done) if done.all() else int(np.argmin(done))
        return cast("NDArray[np.int64]", self._read("meta/episode_ends", 0, finished))

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def rows(self) -> int:
        """N, the rows of all finished episodes."""
        ends = self.ends
        return int(ends[-1]) if len(ends) else 0

    def spans(self) -> list[tuple[int, int]]:
        """(start, stop) rows of each finished episode."""
        ends = [int(end) for end in self.ends]
        return list(pairwise([0, *ends]))

    def require_finished(self) -> None:
        """Refuse a store whose recording or import stopped in the middle, or never began.

        Raises:
            VipOfflineError: naming the first episode that is not finished.
        """
        finished, planned = len(self), int(self.attributes.get("episodes_planned", 0))
        self._check_index()
        lengths = {self._array(f"data/{name}").shape[0] for name in self.keys("data")}
        about = {self._array(f"meta/{name}").shape[0] for name in self.keys("meta")}
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
            rows = self._array(f"data/{name}").shape[0]
            if rows < self.rows:
                raise VipOfflineError(
                    f"{self.path}: data/{name} has {rows} rows, but its episodes end at "
                    f"{self.rows}. Its arrays differ in length; record or import it again."
                )

    def keys(self, group: str) -> list[str]:
        """Names of the arrays in a group, sorted; none if there is no such group."""
        found = self._root.get(group)
        return sorted(found.array_keys()) if isinstance(found, zarr.Group) else []

    @property
    def cameras(self) -> list[str]:
        """Names under which frames are stored."""
        return [
            key.removeprefix("frames_") for key in self.keys("data") if key.startswith("frames_")
        ]

    def camera(self, name: str) -> str:
        """The camera that is meant: the one named, or the only one.

        Raises:
            VipOfflineError: if it is not there, or none is named and there are several.
        """
        if name in self.cameras:
            return name
        if not name and len(self.cameras) == 1:
            return self.cameras[0]
        hint = did_you_mean(name, self.cameras)
        raise VipOfflineError(
            f"{self.path}: no camera {name!r}.{hint}"
            if name
            else f"{self.path}: has {len(self.cameras)} cameras; name one with --camera.{hint}"
        )

    def frames(self, camera: str, start: int, stop: int) -> NDArray[np.uint8]:
        """(stop - start, H, W, 3) RGB.

        Raises:
            VipOfflineError: if a frame's file is gone, which zarr would read as black.
        """
        folder = self.path / "data" / f"frames_{camera}"
        for row in range(start, stop):
            if not (folder / f"c.{row}.0.0.0").exists():
                raise VipOfflineError(
                    f"{self.path}: frame {row} of camera {camera} is missing. Restore it, or "
                    "record or import the store again."
                )
        return cast("NDArray[np.uint8]", self._read(f"data/frames_{camera}", start, stop))

    def data(self, key: str) -> NDArray[Any]:
        """(N, ...) of one small array: ``proprio``, ``action``, ``succeeded``, ``true_reward``."""
        return self._read(f"data/{key}", 0, self.rows)

    def meta(self, key: str) -> NDArray[Any]:
        """(E,) of one array about episodes: ``success``, ``kind``, ``placement``."""
        return self._read(f"meta/{key}", 0, len(self))

    def kinds(self) -> list[str]:
        """(E,) how each episode came about."""
        names = cast("list[str]", self._array("meta/kind").attrs["names"])
        return [names[index] for index in self.meta("kind")]

    def embedding(self, encoder: str, camera: str) -> tuple[NDArray[np.float32], Attributes]:
        """(N, D) and its provenance.

        Raises:
            VipOfflineError: if it is not there, or not for every finished episode.
        """
        key = f"embeddings/{encoder}/{camera}"
        done = self.embedded(encoder, camera)
        if not done.all():
            missing = int(np.argmin(done))
            raise VipOfflineError(
                f"{self.path}: {key} lacks episode {missing} ({int(done.sum())} of {len(done)} are "
                f"there). Run `vip-offline relabel {self.path} --encoder {encoder}` again."
            )
        values = self._read(key, 0, self.rows)
        for index, (start, stop) in enumerate(self.spans()):
            if not np.isfinite(values[start:stop]).all():
                raise VipOfflineError(
                    f"{self.path}, episode {index}: {key} holds a value that is not finite. Remove "
                    f"the folder {self.path / key} and run `vip-offline relabel` again."
                )
        return values, dict(self._array(key).attrs)

    def embedded(self, encoder: str, camera: str) -> NDArray[np.bool_]:
        """(E,) which finished episodes have an embedding."""
        done = np.zeros(len(self), bool)
        key = f"embeddings/{encoder}/{camera}_done"
        if self._find(key) is not None:
            stored = self._read(key, 0, len(self))
            done[: len(stored)] = stored
        return done

    @property
    def label_names(self) -> list[str]:
        """Names of the labellings."""
        found = self._root.get("labels")
        return sorted(found.group_keys()) if isinstance(found, zarr.Group) else []

    def label(self, name: str = "") -> Label:
        """One labelling: the one named, or the only one.

        Raises:
            VipOfflineError: if it is not there, covers fewer episodes than the store has, or
                holds a NaN anywhere but in last rows.
        """
        names = self.label_names
        if not names:
            raise VipOfflineError(
                f"{self.path}: no labels yet. Run `vip-offline relabel {self.path}`."
            )
        if not name and len(names) > 1:
            raise VipOfflineError(
                f"{self.path}: has {len(names)} labellings ({', '.join(names)}); "
                "name one with --label."
            )
        name = name or names[0]
        if name not in names:
            raise VipOfflineError(f"{self.path}: no label {name!r}.{did_you_mean(name, names)}")
        reward = self._read(f"labels/{name}/reward")
        distance = self._read(f"labels/{name}/distance")
        done = self._read(f"labels/{name}/done")
        complete = len(reward) == len(distance) == self.rows
        if len(done) != len(self) or not done.all() or not complete:
            raise VipOfflineError(
                f"{self.path}: label {name!r} covers {int(done.sum())} of {len(self)} episodes. "
                f"Run `vip-offline relabel {self.path}` again."
            )
        return Label(name, reward, distance, self.label_provenance(name))

    def label_provenance(self, name: str) -> Attributes:
        """How a labelling was made."""
        return dict(cast("zarr.Group", self._root[f"labels/{name}"]).attrs)

    def tree(self) -> list[tuple[str, str, str, Attributes]]:
        """(path, shape, dtype, attributes) of every array and attributed group, sorted."""
        rows: list[tuple[str, str, str, Attributes]] = []
        for key, node in sorted(self._root.members(max_depth=None)):
            if isinstance(node, zarr.Array):
                rows.append((key, str(node.shape), str(node.dtype), dict(node.attrs)))
            elif node.attrs:
                rows.append((f"{key}/", "", "", dict(node.attrs)))
        return rows

    # --- writing ---------------------------------------------------------------------------

    def _require(
        self, key: str, tail: tuple[int, ...], dtype: Any, fill: Any, attributes: Attributes
    ) -> zarr.Array[Any]:
        """The array of this name, made empty if it is not there."""
        found = self._find(key)
        if found is None:
            frames = len(tail) == 3
            return self._root.create_array(
                key,
                shape=(0, *tail),
                chunks=(1 if frames else ROWS_PER_CHUNK, *tail),
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
        array.resize((max(array.shape[0], start + len(values)), *array.shape[1:]))
        if array.ndim == 4:
            array = array.with_config({"write_empty_chunks": True})
        array[start : start + len(values)] = values

    def append(self, episode: Episode) -> None:
        """Add one episode: whole and on the disk, or not at all.

        Raises:
            VipOfflineError: if `Episode.check` refuses it or its shapes differ from the store's.
        """
        index, start = len(self), self.rows
        episode.check(f"{self.path}, episode {index}")
        nan, columns = np.float32(np.nan), dict(episode.frames)
        for camera, frames in columns.items():
            check_name("camera", camera)
            key = f"data/frames_{camera}"
            self._put(self._require(key, frames.shape[1:], np.uint8, 0, {}), start, frames)
        for name, values, fill in (
            ("proprio", episode.proprio, nan),
            ("action", episode.action, nan),
            ("succeeded", episode.succeeded, False),
            ("true_reward", episode.true_reward, nan),
        ):
            array = self._require(f"data/{name}", values.shape[1:], values.dtype, fill, {})
            self._put(array, start, values)
        kind = self._require("meta/kind", (), np.int16, -1, {"names": []})
        names = [*cast("list[str]", kind.attrs["names"])]
        if episode.kind not in names:
            names.append(episode.kind)
            kind.attrs["names"] = names
        self._put(kind, index, np.array([names.index(episode.kind)], np.int16))
        about: dict[str, tuple[Any, Any, Any]] = {
            "success": (episode.success, np.bool_, False),
            "placement": (episode.placement, np.int64, -1),
            "episode_ends": (start + len(episode), np.int64, 0),
        }
        for name, (value, dtype, empty) in about.items():
            array = self._require(f"meta/{name}", (), dtype, empty, {})
            self._put(array, index, np.array([value], dtype))
        self._durable.sync()
        done = self._require("meta/done", (), np.bool_, False, {})
        self._put(done, index, np.array([True]))
        self._durable.sync()

    def drop_unfinished(self) -> None:
        """Cut off whatever lies behind the last finished episode."""
        finished, rows = len(self), self.rows
        for group, length in (("data", rows), ("meta", finished)):
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
        key = f"embeddings/{encoder}/{camera}"
        fresh = self._find(key) is None
        array = self._require(key, (dim,), np.float32, np.float32(np.nan), provenance)
        there, wanted = settings_of(dict(array.attrs)), settings_of(provenance)
        differing = sorted(k for k in there.keys() | wanted if there.get(k) != wanted.get(k))
        if differing:
            listed = "; ".join(f"{k} {there.get(k)!r}, now {wanted.get(k)!r}" for k in differing)
            raise VipOfflineError(
                f"{self.path}: {key} was written by another encoder ({listed}). "
                f"Use the same one, or remove the folder {self.path / key} first."
            )
        if array.shape[0] != self.rows:
            array.resize((self.rows, dim))
        done = self._require(f"{key}_done", (), np.bool_, False, {})
        if done.shape[0] != len(self):
            done.resize((len(self),))
        if fresh:
            done[:] = False  # markers of an embedding that somebody removed
        self._durable.sync()

    def write_embedding(
        self, encoder: str, camera: str, index: int, values: NDArray[np.float32]
    ) -> None:
        """Store the (T, D) embedding of episode `index`, and mark it done."""
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
        self._put(self._array(f"{key}_done"), index, np.array([True]))
        self._durable.sync()

    def write_label(
        self,
        name: str,
        reward: NDArray[np.float32],
        distance: NDArray[np.float32],
        provenance: Attributes,
    ) -> None:
        """Store a labelling under a new name, all of it at once.

        It is written beside the store and renamed into it, so that a reader meets the whole
        labelling or none, and an older one of this name stays until the new one is complete.
        """
        check_name("label", name)
        staging, final = self._staging / name, self.path / "labels" / name
        self._root.require_group("labels")
        shutil.rmtree(staging, ignore_errors=True)
        durable = DurableStore(staging)
        group = zarr.create_group(durable, attributes=provenance)
        for key, values in (("reward", reward), ("distance", distance)):
            array = group.create_array(
                key,
                shape=values.shape,
                chunks=(ROWS_PER_CHUNK,),
                dtype=np.float32,
                fill_value=np.float32(np.nan),
            )
            array[:] = values
        done = group.create_array("done", shape=(len(self),), dtype=bool, fill_value=False)
        done[:] = True
        durable.sync()
        replaced = self._staging / f"{name}{REPLACED}"
        if final.exists():
            final.rename(replaced)
        staging.rename(final)
        shutil.rmtree(self._staging)
        descriptor = os.open(final.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        self._durable.sync()

    @property
    def _staging(self) -> Path:
        return self.path.with_name(f".{self.path.name}.staging")

    def recover(self) -> None:
        """Undo what a killed writer left: half-written files, a labelling taken out of place."""
        for replaced in self._staging.glob(f"*{REPLACED}"):
            final = self.path / "labels" / replaced.name.removesuffix(REPLACED)
            if not final.exists():
                replaced.rename(final)
        shutil.rmtree(self._staging, ignore_errors=True)
        for leftover in self.path.rglob("*.partial"):
            if LEFTOVER.fullmatch(leftover.name):
                leftover.unlink()


def open_store(path: Path) -> Store:
    """Open a store for reading.

    Raises:
        VipOfflineError: if there is none, it is not one, or a newer version wrote it.
    """
    return _open(path, read_only=True)


def _open(path: Path, *, read_only: bool) -> Store:
    if not path.exists():
        raise VipOfflineError(f"{path}: there is no such store. `vip-offline record` makes one.")
    try:
        store = Store(path, DurableStore(path, read_only=read_only))
        written_by = store.attributes.get("format")
    except (ValueError, TypeError, KeyError, OSError):
        written_by = None
    if written_by != FORMAT:
        raise VipOfflineError(
            f"{path}: is not a vip-offline store (no zarr group that says so). "
            "Give the folder that `vip-offline record` wrote."
        )
    version = store.attributes.get("schema_version")
    if version != SCHEMA_VERSION:
        raise VipOfflineError(
            f"{path}: has schema version {version}; this program reads {SCHEMA_VERSION}. "
            "Update vip-offline, or make the store again."
        )
    return store


@contextlib.contextmanager
def writing(path: Path, create: Mapping[str, Any] | None = None) -> Iterator[Store]:
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
        _open(path, read_only=True)
    with only_writer(path):
        if create is not None:
            _create(path, dict(create))
        store = _open(path, read_only=False)
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


def _create(path: Path, attributes: Attributes) -> None:
    wanted = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **attributes}
    if all(LEFTOVER.fullmatch(each.name) for each in path.iterdir()):
        # one file, renamed into place: the store is there with all it says of itself, or not
        durable = DurableStore(path)
        provenance = {"code_version": __version__, "created": now()}
        zarr.create_group(durable, attributes=wanted | provenance)
        durable.sync()
        return
    there = _open(path, read_only=True).attributes
    differing = [key for key in wanted if there.get(key) != wanted[key]]
    if differing:
        listed = "; ".join(f"{key} {there.get(key)!r}, now {wanted[key]!r}" for key in differing)
        raise VipOfflineError(
            f"{path}: was made with other settings ({listed}). Give the same settings to go on "
            "with it, or name another store."
        )


def default_store(folder: Path = Path("datasets")) -> Path:
    """The one store under `folder`, for commands that are given none.

    Raises:
        VipOfflineError: if there is none or there are several; it lists them.
    """
    stores = sorted(each for each in folder.glob("*.zarr") if (each / "zarr.json").exists())
    if len(stores) == 1:
        return stores[0]
    if not stores:
        raise VipOfflineError(
            f"No store given, and none under {folder}/. `vip-offline record` makes one."
        )
    listed = "".join(f"\n  {each}" for each in stores)
    raise VipOfflineError(f"No store given, and {folder}/ holds {len(stores)}. Name one:{listed}")
