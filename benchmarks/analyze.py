"""How long `vip-offline analyze` takes, as a user runs it, and how much memory and page it makes.

``python -m benchmarks.analyze [--quick]`` writes a store of 100 episodes of 100 frames (128 px)
with four labellings of embeddings of 1,024 dimensions, then in turns runs the command in a process
of its own, and reads the same frames and embeddings once, which no analysis can do without.

Last line: one JSON object with ``seconds`` (median of the whole command, interpreter and imports
included), ``gib`` (most memory that it held), ``page_mib`` and ``limit_fraction`` (time of reading
alone, over that).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from rich.table import Table

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.labels import Label
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.rewards.label_episodes import label_episodes
from vip_offline.utils.console import Console

FRAMES, SIZE, DIM = 100, 128, 1024
LABELLINGS = ("first", "second", "third", "fourth")


def demonstration(index: int) -> Episode:
    """A disc that moves over a picture of its own, or does not get there."""
    generator = np.random.default_rng(index)
    success = index % 3 == 0
    y, x = np.mgrid[:SIZE, :SIZE]
    scene = (100 + 60 * np.sin(x / (9 + index % 5)) * np.cos(y / 11)).astype(np.uint8)
    frames = np.repeat(scene[None, ..., None], FRAMES, 0).repeat(3, -1)
    way = np.linspace(0, 1 if success else generator.uniform(0, 0.8), FRAMES)
    for row, share in enumerate(way):
        frames[row, (x - 20 - 80 * share) ** 2 + (y - 60) ** 2 < 150] = (220, 40, 30)
    frames = frames + generator.integers(0, 6, frames.shape, dtype=np.uint8)
    return Episode(
        frames={"front": frames},
        proprio=np.stack([way, way**2], 1).astype(np.float32),
        action=generator.uniform(-1, 1, (FRAMES, 4)).astype(np.float32),
        succeeded=np.arange(FRAMES) >= (FRAMES - 1 if success else FRAMES),
        true_reward=np.append(np.diff(way), np.nan).astype(np.float32),
        success=success,
        kind="expert" if success else "short",
        placement=index,
    )


def make_store(path: Path, episodes: int) -> None:
    """Write demonstrations, embeddings that follow them, and their rewards."""
    with writing(path, create={"task": "disc"}) as store:
        for index in range(episodes):
            store.append(demonstration(index))
        spans = store.spans()
        way = store.data("proprio")[:, :1].astype(np.float32)
        for place, name in enumerate(LABELLINGS):
            generator = np.random.default_rng(place)
            axis = generator.normal(size=(1, DIM)).astype(np.float32)
            rows = 5 * way @ axis + generator.normal(size=(len(way), DIM)).astype(np.float32)
            store.begin_embedding(name, "front", DIM, {"encoder": name})
            for index, (start, stop) in enumerate(spans):
                store.write_embeddings(name, "front", {index: rows[start:stop]})
            goals = [stop - 1 for index, (_, stop) in enumerate(spans) if index % 3 == 0]
            goal = rows[goals].mean(0, keepdims=True, dtype=np.float64)
            lengths = [stop - start for start, stop in spans]
            reward, distance, _ = label_episodes(rows, lengths, goal)
            said = {
                "encoder": name, "camera": "front", "similarity": "l2", "reward": "difference",
                "goal": "successes", "goal_rows": goals,
                "stages": [{"rows": goals, "pictures": {}, "prompts": []}],
            }  # fmt: skip
            store.write_label(Label(name, reward, distance, goal.astype(np.float32), said))


def command(path: Path, out: Path) -> float:
    """Seconds of the whole command."""
    labels = [word for name in LABELLINGS for word in ("--label", name)]
    arguments = [sys.executable, "-m", "vip_offline", "analyze", str(path), "--out", str(out)]
    started = time.perf_counter()
    subprocess.run([*arguments, *labels], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def reading(path: Path) -> float:
    """Seconds of reading all frames and embeddings, as many threads as there are cores."""
    from vip_offline.utils.parallel import threaded_map

    started = time.perf_counter()
    store = open_store(path)
    read = store.frame_reader("front")
    for _ in threaded_map(
        lambda span: read(*span).shape, store.spans(), len(os.sched_getaffinity(0))
    ):
        pass
    for name in LABELLINGS:
        store.embedding(name, "front")
    return time.perf_counter() - started


def main() -> None:
    """Run the turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    turns, episodes = (1, 30) if quick else (5, 100)
    took: dict[str, list[float]] = {"analyze": [], "limit: reading alone": []}
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "disc.zarr", Path(folder) / "out"
        make_store(path, episodes)
        for _ in range(turns):
            took["analyze"].append(command(path, out))
            took["limit: reading alone"].append(reading(path))
        page = (out / "report.html").stat().st_size / 2**20
    seconds = median(took["analyze"])
    table = Table(
        box=None, title=f"{episodes} episodes, {len(LABELLINGS)} labellings, {turns} turns"
    )
    for heading in ("side", "seconds, median", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    for name, each in took.items():
        table.add_row(name, *(f"{value:.2f}" for value in (median(each), min(each), max(each))))
    Console().print(table)
    result = {
        "seconds": round(seconds, 2),
        "gib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 3),
        "page_mib": round(page, 2),
        "limit_fraction": round(median(took["limit: reading alone"]) / seconds, 3),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
