"""How fast others' data sets are imported, beside reading and copying them with their own library.

``python -m benchmarks.import [--quick]`` writes data sets of random pictures, then in turns, in one
process:

- decodes a LeRobotDataset's video with PyAV alone, and imports it: as a pointer (``pointer``), as a
  pointer with every frame decoded once (``--decode``), and with frames copied (``--copy-frames``);
- reads a robomimic file with h5py and writes the same chunks with zarr, and imports it;
- reads a replay buffer with zarr and writes the same chunks with zarr, and imports it;
- imports data sets of few and of many episodes in processes of their own, for their memory.

Last line: one JSON object with ``video_vs_decode`` (import with ``--decode``, over PyAV's rate),
``video_pointer_vs_decode``, ``video_copy_vs_decode``, ``hdf5_vs_copy``, ``zarr_vs_copy`` and
``memory_growth`` (how much more memory eight times as many episodes take, as a share).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import zarr
from numpy.typing import NDArray
from rich.table import Table

from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.run import import_source
from vip_offline.options import ImportOptions
from vip_offline.utils.console import Console

VIDEO = (480, 640)  # px, as most LeRobotDatasets have it
PICTURE = (84, 84)  # px, as robomimic's
LENGTH = 100  # rows per episode
FPS = 30


def pictures(rows: int, size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """(rows, *size, 3) smooth pictures that move, with some noise, as a camera's."""
    generator = np.random.default_rng(seed)
    height, width = size[0] + 2 * rows, size[1] + 3 * rows
    y, x = np.mgrid[:height, :width]
    wave = 100 + 80 * np.sin(x / 40) * np.cos(y / 30)
    scene = (wave[..., None] + generator.integers(0, 12, (height, width, 3))).astype(np.uint8)
    views = [scene[2 * row : 2 * row + size[0], 3 * row : 3 * row + size[1]] for row in range(rows)]
    return np.stack(views)


def lerobot(path: Path, episodes: int) -> None:
    """A LeRobotDataset v3.0 of one video, coded as LeRobot codes it (H.264 here, g = 2)."""
    key, rows = "observation.images.top", episodes * LENGTH
    video = path / f"videos/{key}/chunk-000/file-000.mp4"
    video.parent.mkdir(parents=True)
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.height, stream.width = VIDEO
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "23", "g": "2"}
        for episode in range(episodes):
            for frame in pictures(LENGTH, VIDEO, episode):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    info = {
        "codebase_version": "v3.0",
        "fps": FPS,
        "total_episodes": episodes,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {
            key: {"dtype": "video", "shape": [*VIDEO, 3]},
            "observation.state": {"dtype": "float32", "shape": [14]},
            "action": {"dtype": "float32", "shape": [14]},
        },
    }
    (path / "meta/episodes/chunk-000").mkdir(parents=True)
    (path / "meta/info.json").write_text(json.dumps(info))
    numbers = np.random.default_rng(0).uniform(-1, 1, (rows, 14)).astype(np.float32)
    table = pyarrow.table(
        {
            "observation.state": list(numbers),
            "action": list(numbers),
            "timestamp": np.tile(np.arange(LENGTH) / FPS, episodes).astype(np.float32),
            "frame_index": np.tile(np.arange(LENGTH), episodes),
            "episode_index": np.repeat(np.arange(episodes), LENGTH),
            "index": np.arange(rows),
        }
    )
    (path / "data/chunk-000").mkdir(parents=True)
    pyarrow.parquet.write_table(table, path / "data/chunk-000/file-000.parquet")
    starts = np.arange(episodes) * LENGTH
    about = {
        "episode_index": np.arange(episodes),
        "length": np.full(episodes, LENGTH),
        "data/chunk_index": np.zeros(episodes, int),
        "data/file_index": np.zeros(episodes, int),
        f"videos/{key}/chunk_index": np.zeros(episodes, int),
        f"videos/{key}/file_index": np.zeros(episodes, int),
        f"videos/{key}/from_timestamp": starts / FPS,
    }
    pyarrow.parquet.write_table(
        pyarrow.table(about), path / "meta/episodes/chunk-000/file-000.parquet"
    )


def robomimic(path: Path, episodes: int) -> None:
    """A robomimic file with one camera."""
    with h5py.File(path, "w") as file:
        for episode in range(episodes):
            group = file.create_group(f"data/demo_{episode}")
            for name, width in COLUMNS.items():
                group[name] = np.random.default_rng(episode).uniform(-1, 1, (LENGTH, width))
            group["obs/agentview_image"] = pictures(LENGTH, PICTURE, episode)


COLUMNS = {"actions": 7, "obs/robot0_eef_pos": 3, "obs/robot0_eef_quat": 4, "obs/object": 10}


def replay(path: Path, episodes: int) -> None:
    """A replay buffer as diffusion_policy keeps it."""
    root = zarr.open_group(path, mode="w", zarr_format=2)
    rows = episodes * LENGTH
    frames = root.create_array(
        "data/img", shape=(rows, *PICTURE, 3), chunks=(LENGTH, *PICTURE, 3), dtype=np.uint8
    )
    for episode in range(episodes):
        begin = episode * LENGTH
        frames[begin : begin + LENGTH] = pictures(LENGTH, PICTURE, episode)
    for name, width in (("action", 2), ("state", 5)):
        values = np.random.default_rng(0).uniform(-1, 1, (rows, width)).astype(np.float32)
        root.create_array(f"data/{name}", data=values)
    root.create_array("meta/episode_ends", data=np.arange(1, episodes + 1) * LENGTH)


def decoded(path: Path) -> int:
    """Decode a data set's video with PyAV alone, on all cores."""
    (video,) = path.rglob("*.mp4")
    with av.open(str(video)) as container:
        container.streams.video[0].thread_type = "AUTO"
        return sum(1 for _ in container.decode(video=0))


def imported(path: Path, store: Path, **options: Any) -> int:
    """Import into a store that is not there; the number of rows."""
    source = open_source(path)
    try:
        return import_source(source, store, ImportOptions(**options)).rows
    finally:
        source.close()


def _copy_into(root: zarr.Group, name: str, start: int, values: NDArray[Any]) -> None:
    """Write rows with zarr, in the chunks that a store has."""
    if name not in root:
        chunks = (1 if values.ndim == 4 else 1024, *values.shape[1:])
        root.create_array(
            name,
            shape=(0, *values.shape[1:]),
            chunks=chunks,
            dtype=values.dtype,
            chunk_key_encoding={"name": "default", "separator": "."},
        )
    array = root[name]
    assert isinstance(array, zarr.Array)
    array.resize((start + len(values), *values.shape[1:]))
    array[start : start + len(values)] = values


def copied_hdf5(path: Path, store: Path) -> int:
    """Read each demonstration with h5py, write the same chunks with zarr."""
    root, start = zarr.open_group(store, mode="w"), 0
    with h5py.File(path) as file:
        for episode in range(len(file["data"])):
            demo = file[f"data/demo_{episode}"]
            for name in (*COLUMNS, "obs/agentview_image"):
                _copy_into(root, name.replace("/", "."), start, demo[name][()])
            start += LENGTH
    return start


def copied_zarr(path: Path, store: Path) -> int:
    """Read each episode with zarr, write the same chunks with zarr."""
    root, source = zarr.open_group(store, mode="w"), zarr.open_group(path, mode="r")
    arrays = dict(source["data"].arrays())  # type: ignore[union-attr]
    rows = next(iter(arrays.values())).shape[0]
    for start in range(0, rows, LENGTH):
        for name, array in arrays.items():
            _copy_into(root, name, start, np.asarray(array[start : start + LENGTH]))
    return int(rows)


def peak(path: Path, store: Path) -> float:
    """MiB that an import takes at most, in a process of its own."""
    code = (
        "import sys, importlib; from pathlib import Path; "
        "importlib.import_module('benchmarks.import').imported(*map(Path, sys.argv[1:])); "
        # not getrusage: what it says is, across fork and exec, also the parent's
        "lines = Path('/proc/self/status').read_text().splitlines(); "
        "print(next(int(each.split()[1]) for each in lines if each.startswith('VmHWM')) / 1024)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(path), str(store)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(result.stdout.split()[-1])


def main() -> None:
    """Run the turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    turns, episodes = (2, 4) if quick else (5, 20)
    # a LeRobotDataset fills files of hundreds of MB; of few, 0.1 s of opening and closing shows
    clips = 50 if quick else 120
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        lerobot(place / "lerobot", clips)
        robomimic(place / "set.hdf5", episodes)
        replay(place / "set.zarr", episodes)
        store = place / "store.zarr"
        sides: dict[str, Callable[[], int]] = {
            "video: PyAV decodes": lambda: decoded(place / "lerobot"),
            "video: import --decode": lambda: imported(place / "lerobot", store, decode=True),
            "video: import, a pointer": lambda: imported(place / "lerobot", store),
            "video: import --copy-frames": lambda: imported(
                place / "lerobot", store, copy_frames=True, max_episodes=episodes // 2
            ),
            "HDF5: h5py reads, zarr writes": lambda: copied_hdf5(place / "set.hdf5", store),
            "HDF5: import": lambda: imported(place / "set.hdf5", store),
            "zarr: zarr reads and writes": lambda: copied_zarr(place / "set.zarr", store),
            "zarr: import": lambda: imported(place / "set.zarr", store),
        }
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(turns):
            for name, side in sides.items():
                started = time.perf_counter()
                rows = side()
                rates[name].append(rows / (time.perf_counter() - started))
                # not within the time of the next side, whose first flush would wait for it
                shutil.rmtree(store, ignore_errors=True)
                os.sync()
        found = {name: median(each) for name, each in rates.items()}
        result = {
            "video_vs_decode": _ratio(found, "video: import --decode", "video: PyAV decodes"),
            "video_pointer_vs_decode": _ratio(
                found, "video: import, a pointer", "video: PyAV decodes"
            ),
            "video_copy_vs_decode": _ratio(
                found, "video: import --copy-frames", "video: PyAV decodes"
            ),
            "hdf5_vs_copy": _ratio(found, "HDF5: import", "HDF5: h5py reads, zarr writes"),
            "zarr_vs_copy": _ratio(found, "zarr: import", "zarr: zarr reads and writes"),
        }
        if not quick:
            peaks = []
            for count in (20, 160):
                path = place / f"{count}.hdf5"
                robomimic(path, count)
                peaks.append(peak(path, place / f"{count}.zarr"))
            result["memory_growth"] = round(peaks[1] / peaks[0] - 1, 3)
    table = Table(box=None, title=f"rows per second, {turns} turns")
    for heading in ("side", "median", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    for name, each in rates.items():
        table.add_row(name, *(f"{value:.0f}" for value in (found[name], min(each), max(each))))
    Console().print(table)
    Console().print("The limit of each import is the line above it: what its library alone does.")
    sys.stdout.write(json.dumps(result) + "\n")


def _ratio(found: dict[str, float], ours: str, theirs: str) -> float:
    return round(found[ours] / found[theirs], 3)


if __name__ == "__main__":
    main()
