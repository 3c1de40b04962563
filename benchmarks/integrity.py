"""What it costs to be sure of the data: checksums, the look for changes, frames in shards.

``python -m benchmarks.integrity [--quick]`` writes stores of made-up episodes, then in turns, in
one process:

- reads all columns, the embedding and the labelling of a store with and without their checksums;
- asks whether a policy of 1,000 episodes is still of its data, nothing having changed;
- hashes all frames of a store (``inspect --verify``), beside the bare hash over the same bytes;
- reads random frames out of shards, beside frames that have a file of their own: by the bare
  ``open``, ``read`` and zstd, which is the limit, and by zarr, as stores of schema version 1 do.

Last line: one JSON object with ``read_overhead`` (share of time that the checks add),
``stale_check_ms``, ``verify_vs_hash``, ``frame_read_vs_file`` (the limit's time over ours) and
``files_per_1000_frames`` (of the whole store).
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import zarr
from numcodecs import Zstd
from numpy.typing import NDArray
from rich.table import Table
from zarr.codecs import Crc32cCodec

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.frame_hashes import hash_all, hashed_keys, rows_to_hash
from vip_offline.dataset.read_hashes import reads
from vip_offline.dataset.store import Store, open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.options import RelabelOptions, TrainOptions
from vip_offline.rewards.relabel import relabel
from vip_offline.training.data.dataset import differences, identity, sources
from vip_offline.utils.console import Console

LENGTH, QUICK_LENGTH = 100, 10  # rows per episode
BATCH = 50  # episodes that are written together
SIDE = 128  # px of the frames that are read and hashed
SMALL = 32  # px of those of the store of many episodes


def frames(rows: int, side: int, seed: int) -> NDArray[np.uint8]:
    """(rows, side, side, 3) smooth pictures with some noise, as a camera's."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    wave = 120 + 80 * np.sin(x / 20 + seed) * np.cos(y / 15)
    noise = generator.integers(0, 8, (rows, side, side, 3))
    views: NDArray[np.uint8] = (wave[None, ..., None] + noise).astype(np.uint8)
    return views


def episode(seed: int, side: int, length: int) -> Episode:
    """One episode with one camera, seven numbers of proprio and seven actions."""
    generator = np.random.default_rng(seed)
    return Episode(
        frames={"front": frames(length, side, seed)},
        proprio=generator.normal(size=(length, 7)).astype(np.float32),
        action=generator.uniform(-1, 1, (length, 7)).astype(np.float32),
        succeeded=np.arange(length) == length - 1,
        true_reward=np.zeros(length, np.float32),
        success=True,
        placement=seed,
    )


def make_store(path: Path, episodes: int, side: int, length: int) -> Store:
    """A store of so many episodes."""
    with writing(path, create={"source": "made up", "task": "none"}) as store:
        for first in range(0, episodes, BATCH):
            last = min(episodes, first + BATCH)
            store.append(*(episode(seed, side, length) for seed in range(first, last)))
    return open_store(path)


def without_checksums(store: Store, path: Path) -> zarr.Group:
    """The same columns, chunked and compressed alike, without crc32c."""
    group = zarr.create_group(path)
    for key in columns(store):
        array = store.array(key)
        codecs = [codec for codec in array.compressors if not isinstance(codec, Crc32cCodec)]
        group.create_array(
            key,
            shape=array.shape,
            chunks=array.chunks,
            dtype=array.dtype,
            compressors=codecs or None,
            chunk_key_encoding={"name": "default", "separator": "."},
        )[:] = np.asarray(array[:])
    return group


def columns(store: Store) -> list[str]:
    """All arrays of a row's length but frames."""
    keys = [key for key, shape, _, _ in store.tree() if shape and "@" not in key]
    rows = [key for key in keys if store.array(key).shape[:1] == (store.rows,)]
    return [key for key in rows if not key.startswith("data/frames_")]


def in_turns(turns: int, *sides: Callable[[], Any]) -> list[float]:
    """Median seconds of each side; they are run in turns."""
    times: list[list[float]] = [[] for _ in sides]
    for turn in range(turns):
        order = range(len(sides)) if turn % 2 else reversed(range(len(sides)))
        for place in order:
            begin = time.perf_counter()
            sides[place]()
            times[place].append(time.perf_counter() - begin)
    return [median(one) for one in times]


def measure_columns(store: Store, folder: Path, turns: int) -> tuple[float, float, float]:
    """Seconds of checked and of unchecked reading, and megabytes."""
    plain = without_checksums(store, folder / "plain.zarr")
    keys = columns(store)
    opened = [plain[key] for key in keys]
    size = sum(store.array(key).nbytes for key in keys) / 1e6

    def checked() -> None:
        for key in keys:
            store.rows_of(key)

    def unchecked() -> None:
        for array in opened:
            np.asarray(array[:])  # type: ignore[index]

    checked()
    return (*in_turns(turns, checked, unchecked), size)  # type: ignore[return-value]


def measure_stale_check(path: Path, turns: int) -> tuple[float, int]:
    """Seconds of what `train` does to find that its policy is still of its data; episodes."""
    options = TrainOptions(algo="bc")
    known = identity(path, options)
    read = known.pop("read")
    trained = {**json.loads(json.dumps(known)), "read": read}  # as a file gives it back

    def check() -> None:
        store = open_store(path)
        assert not rows_to_hash(store, hashed_keys(store))
        found = differences(trained, path, options)
        assert not (found.settings or found.data)

    check()
    (seconds,) = in_turns(turns, check)
    return seconds, len(open_store(path))


def measure_verify(store: Store, turns: int) -> tuple[float, float, float]:
    """Seconds to verify all frames and to hash their bytes alone, and megabytes."""
    pixels = store.frames("front", 0, store.rows)
    key = store.frames_key("front")

    def verify() -> None:
        assert not hash_all(store, every=True, keys=[key])

    def bare() -> None:
        for start, stop in store.spans():
            hashlib.blake2b(pixels[start:stop].data, digest_size=16).digest()

    assert (
        store.frame_storage("front").episode_hash()(0) == store.recorded_content("front")[0]
    ).all()
    return (*in_turns(turns, verify, bare), pixels.nbytes / 1e6)  # type: ignore[return-value]


def measure_frames(store: Store, folder: Path, turns: int) -> list[float]:
    """Seconds of a random frame out of a shard; of a file of its own, bare and by zarr."""
    pixels = store.frames("front", 0, store.rows)
    files = zarr.create_array(
        folder / "files.zarr",
        shape=pixels.shape,
        chunks=(1, *pixels.shape[1:]),
        dtype=np.uint8,
        chunk_key_encoding={"name": "default", "separator": "."},
    )
    files[:] = pixels
    read, decode, rows = store.frame_reader("front"), Zstd().decode, np.random.default_rng(0)
    chosen = [int(row) for row in rows.integers(0, store.rows, 300)]

    def shards() -> None:
        for row in chosen:
            read(row, row + 1)

    def bare() -> None:
        for row in chosen:
            content = (folder / "files.zarr" / f"c.{row}.0.0.0").read_bytes()
            np.frombuffer(decode(content), np.uint8).reshape(1, *pixels.shape[1:])

    def by_zarr() -> None:
        for row in chosen:
            np.asarray(files[row : row + 1])

    shards()
    return [seconds / len(chosen) for seconds in in_turns(turns, shards, bare, by_zarr)]


def files_per_1000_frames(store: Store) -> float:
    """Of the whole store: frames, columns, descriptions, bookkeeping."""
    return sum(path.is_file() for path in store.path.rglob("*")) / store.rows * 1000


def main() -> None:
    """Measure, print a table and a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less data, within 50 seconds")
    quick = parser.parse_args().quick
    turns = 5 if quick else 15
    length = QUICK_LENGTH if quick else LENGTH
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many = make_store(folder / "many.zarr", 1000, SMALL, length)
        relabel(many.path, RelabelOptions(encoder="pixels"))
        many = open_store(many.path)
        large = make_store(folder / "large.zarr", 20 if quick else 100, SIDE, LENGTH)
        checked, unchecked, megabytes = measure_columns(many, folder, turns)
        stale, episodes = measure_stale_check(many.path, turns)
        verify, bare, pixels = measure_verify(large, turns)
        shard, file, by_zarr = measure_frames(large, folder, turns)
        files = files_per_1000_frames(many)
        arrays = len(reads(many, sources(many, TrainOptions(algo="bc"))))
    numbers = {
        "read_overhead": round(checked / unchecked - 1, 3),
        "stale_check_ms": round(1000 * stale, 1),
        "verify_vs_hash": round(bare / verify, 3),
        "frame_read_vs_file": round(file / shard, 3),
        "files_per_1000_frames": round(files, 1),
    }
    table = Table(box=None, pad_edge=False, width=80)
    for heading in ("measured", "value", "beside", "goal"):
        table.add_column(heading, overflow="fold")
    table.add_row(
        f"all columns, {megabytes:.0f} MB, checked",
        f"{1000 * checked:.1f} ms",
        f"unchecked {1000 * unchecked:.1f} ms",
        "overhead <= 0.05",
    )
    table.add_row(
        f"look for changes, {episodes} episodes, {arrays} arrays",
        f"{1000 * stale:.0f} ms",
        "",
        "<= 200 ms",
    )
    table.add_row(
        f"verify {pixels:.0f} MB of frames",
        f"{pixels / verify:.0f} MB/s",
        f"blake2b alone, one thread: {pixels / bare:.0f} MB/s",
        ">= 0.7 of it",
    )
    table.add_row(
        f"a random frame of {SIDE} px out of a shard",
        f"{1e6 * shard:.0f} us",
        f"own file, bare: {1e6 * file:.0f} us; by zarr: {1e6 * by_zarr:.0f} us",
        ">= 0.9 of bare",
    )
    table.add_row("files per 1,000 frames", f"{files:.1f}", "one file each: 1,000", "<= 20")
    Console().print(table)
    sys.stdout.write(json.dumps(numbers) + "\n")


if __name__ == "__main__":
    main()
