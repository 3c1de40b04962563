"""How fast an encoder is trained from clips, beside the VIP repository's way with the same network.

``python -m benchmarks.pretrain [--quick]`` writes clips as folders of PNGs (128 px), which both
sides read from the page cache, then has the sides take turns: `vip-mini`, batches of 32
sub-trajectories (128 frames), Table 2's settings, as many torch threads each as there are cores.

The VIP repository's way is written anew from what its loader and trainer do: for every
sub-trajectory it lists the folders, counts the frames, decodes four PNGs, crops them in float and
resizes again; a `DataLoader` puts them together, with workers or without, whichever is faster here.
Its sizes are scaled from 256 and 224 px to 73 and 64. What would only slow it down on a CPU is left
out: the try at a jpg before each png, DataParallel, pinned memory, the second resize in the network
and its logger. It runs in a process of its own, since `pretrain` sets how a whole process keeps its
memory: neither side is to run under the other's settings.

Last line: one JSON object with

- ``loop_vs_vip_repo``: seconds of its training step over those of `pretrain`'s, loss, Adam, log and
  all; the limit is the network alone, forward and backward and Adam, on frames in memory;
- ``loader_vs_vip_repo``: the same of batches alone, without a network; the limit is to read and
  resize the frames and nothing else, or, further off, to copy their bytes once;
- ``data_wait``: share of a step of `pretrain` in which the network waits for its batch;
- ``mini_frames_per_s``: frames of 128 px that `vip-mini` embeds in a second, with its preprocessing
  and the default backend; the limit is the backend alone on pictures that are prepared.
"""

import argparse
import collections
import glob
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from torchvision import transforms
from torchvision.transforms.v2 import functional as pixels

from vip_offline.encoders.encoder import Encoder, load_encoder
from vip_offline.encoders.registry import entry_of
from vip_offline.options import PretrainOptions
from vip_offline.pretraining.checkpoint import MODEL
from vip_offline.pretraining.clips.clip import Clips
from vip_offline.pretraining.clips.open_clips import open_clips
from vip_offline.pretraining.clips.pack import pack_clips
from vip_offline.pretraining.dataloader import load_batches, packing_side
from vip_offline.pretraining.sampling import crop_box
from vip_offline.pretraining.trainer import Report, loss_of, pretrain
from vip_offline.utils.console import Console
from vip_offline.utils.parallel import context, end_with_parent, threaded_map

BACKBONE = "vip-mini"
OPTIONS = PretrainOptions(backbone=BACKBONE)
SEEN = entry_of(BACKBONE).preprocessing
SIDE = 128  # px of the clips
WORKERS = 10  # of the VIP repository's DataLoader, where there are so many cores
WARM = 6  # steps before the clock starts: what was prepared ahead is used up
AHEAD = 2 * OPTIONS.readers  # batches that wait: the clock stops before no more are prepared


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    clips: int
    length: int  # frames of each
    rounds: int
    steps: int  # per round, of each loop
    loads: int  # batches per round, of each loader
    frames: int  # to embed per round


FULL = Effort(clips=60, length=60, rounds=7, steps=40, loads=40, frames=3000)
QUICK = Effort(clips=24, length=40, rounds=2, steps=8, loads=10, frames=1000)


def clip(length: int, seed: int) -> NDArray[np.uint8]:
    """(length, SIDE, SIDE, 3): rectangles that move over a texture, with a sensor's noise."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 240, (16, 16, 3), np.uint8))
    scene = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    noise = generator.integers(0, 4, (length, SIDE, SIDE, 1), np.uint8)
    frames = np.minimum(scene, 250) + noise
    for _ in range(3):
        begin, end = generator.integers(0, SIDE - 32, (2, 2))
        colour = generator.integers(0, 256, 3, np.uint8)
        for frame, share in zip(frames, np.linspace(0, 1, length), strict=True):
            down, across = (begin + share * (end - begin)).astype(int)
            frame[down : down + 32, across : across + 24] = colour
    return np.asarray(frames, np.uint8)


def write_clips(folder: Path, effort: Effort) -> float:
    """Folders ``0``, ``1`` ... of ``0.png``, ``1.png`` ...; mean KiB of a picture."""
    total = 0
    for index in range(effort.clips):
        (folder / str(index)).mkdir(parents=True)
        for row, frame in enumerate(clip(effort.length, index)):
            path = folder / str(index) / f"{row}.png"
            Image.fromarray(frame).save(path)
            total += path.stat().st_size
    return total / (effort.clips * effort.length) / 1024


class RepositoryClips(IterableDataset[tuple[Tensor, float]]):
    """Sub-trajectories without end, as the VIP repository's loader makes them."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.augment = transforms.RandomResizedCrop(SEEN.crop, scale=(0.2, 1.0))
        self.prepare = nn.Sequential(
            transforms.Resize(round(SEEN.crop * 256 / 224)), transforms.CenterCrop(SEEN.crop)
        )

    def __iter__(self) -> Iterator[tuple[Tensor, float]]:
        worker = get_worker_info()
        generator = np.random.default_rng(worker.seed if worker else 0)
        while True:
            yield self.sample(generator)

    def sample(self, generator: np.random.Generator) -> tuple[Tensor, float]:
        """(4, 3, S, S) float32 from 0 to 255, in the order o_0, g, o_k, o_k+1; and the reward."""
        videos = glob.glob(f"{self.folder}/[0-9]*")  # noqa: PTH207 - pathlib's takes longer
        video = videos[generator.integers(len(videos))]
        length = len(glob.glob(f"{video}/*.png"))  # noqa: PTH207
        start = generator.integers(length - 2)
        goal = generator.integers(start + 1, length)
        now = generator.integers(start, goal)
        rows = (start, goal, now, now + 1)
        frames = torch.stack([torchvision.io.read_image(f"{video}/{row}.png") for row in rows])
        return self.prepare(self.augment(frames / 255.0) * 255.0), -1.0


class RepositoryTraining:
    """Its network, loss and optimiser, with the settings of its Ego4D model."""

    def __init__(self) -> None:
        self.network = entry_of(BACKBONE).build().train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=OPTIONS.learning_rate)
        self.normalise = transforms.Normalize(SEEN.mean, SEEN.std)

    def step(self, frames: Tensor, reward: Tensor) -> float:
        """Of (B, 4, 3, S, S) frames; the loss."""
        size = len(frames)
        images = self.normalise(frames.reshape(-1, *frames.shape[2:]).float() / 255.0)
        embedding = self.network(images)
        start, goal, now, then = embedding.reshape(size, 4, -1).unbind(1)
        loss = OPTIONS.l2 * torch.linalg.norm(embedding, ord=2, dim=-1).mean()
        loss = loss + OPTIONS.l1 * torch.linalg.norm(embedding, ord=1, dim=-1).mean()
        loss = loss - (1 - OPTIONS.gamma) * _value(start, goal).mean()
        loss = loss + _term(reward, _value(now, goal), _value(then, goal))
        values = []
        for _ in range(OPTIONS.negatives):
            others = torch.randperm(size)
            values.append(torch.stack([_value(now[others], goal), _value(then[others], goal)]))
        before, after = torch.cat(values, dim=1)
        loss = loss + _term(-torch.ones(len(before)), before, after)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())


def _value(frame: Tensor, goal: Tensor) -> Tensor:
    return -cast("Tensor", torch.linalg.norm(frame - goal, dim=-1))


def _term(reward: Tensor, now: Tensor, then: Tensor) -> Tensor:
    return torch.log(torch.exp(-(reward + OPTIONS.gamma * then - now)).mean() + 1e-8)


def repository_batches(folder: str, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """As its script sets them up; the workers end with the iterator."""
    loader = DataLoader(
        RepositoryClips(folder),
        batch_size=OPTIONS.batch_size,
        num_workers=workers,
        # as there, on Linux; this process, itself started anew, would start them anew as well
        multiprocessing_context="fork" if workers else None,
    )
    return iter(loader)


def repository_loader(folder: str, workers: int, loads: int) -> float:
    """Seconds of one of its batches."""
    return seconds_each(repository_batches(folder, workers), loads)


def repository_loop(folder: str, workers: int, steps: int) -> float:
    """Seconds of one of its training steps, the wait for the batch included."""
    training = RepositoryTraining()
    data = repository_batches(folder, workers)
    return seconds_each((training.step(*batch) for batch in data), steps)


def seconds_each(items: Iterator[object], count: int) -> float:
    """Mean seconds until the next one is there, after a few."""
    for _ in itertools.islice(items, WARM):
        pass
    started = time.perf_counter()
    for _ in itertools.islice(items, count):
        pass
    return (time.perf_counter() - started) / count


def loader(clips: Clips, loads: int) -> float:
    """Seconds of one of our batches."""
    made = load_batches(clips, OPTIONS, SEEN, range(1, WARM + loads + AHEAD + 1))
    seconds = seconds_each(made, loads)
    collections.deque(made, maxlen=0)  # so that its threads are gone
    return seconds


def loop(clips: Clips, out: Path, steps: int) -> tuple[float, float]:
    """Seconds of one of our training steps, its log included, and the share spent waiting."""
    ends: list[float] = []
    reports: list[Report] = []

    def on_step(report: Report) -> None:
        ends.append(time.perf_counter())
        reports.append(report)

    # the last step, which saves, lies beyond what is measured; saving is every 500 steps
    options = PretrainOptions(backbone=BACKBONE, steps=WARM + steps + AHEAD + 1)
    pretrain(clips, options, out, on_step=on_step)
    there = reports[WARM : WARM + steps]
    share = sum(each.waited for each in there) / sum(each.seconds for each in there)
    return (ends[WARM + steps - 1] - ends[WARM - 1]) / steps, share


def network_alone(steps: int) -> float:
    """Seconds of forward, loss, backward and Adam on frames that are in memory."""
    size = OPTIONS.batch_size
    images = torch.randn(4 * size, 3, SEEN.crop, SEEN.crop)
    negatives = torch.stack([torch.arange(size).roll(1 + n) for n in range(OPTIONS.negatives)])
    network = entry_of(BACKBONE).build().train()
    optimizer = torch.optim.Adam(network.parameters(), lr=OPTIONS.learning_rate)

    def losses() -> Iterator[Tensor]:
        while True:
            loss = loss_of(network(images).unflatten(0, (4, size)), negatives, OPTIONS)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            yield loss

    return seconds_each(losses(), steps)


def reading_alone(clips: Clips, loads: int) -> float:
    """Seconds of reading and resizing a batch's frames, and nothing else, on all readers."""
    size = [SEEN.crop, SEEN.crop]
    height, width = clips.read(0, np.zeros(1, np.int64)).shape[1:3]
    planned = []
    for batch in load_batches(clips, OPTIONS, SEEN, range(1, WARM + loads + AHEAD + 1)):
        boxes = [crop_box(crop_random, height, width) for crop_random in batch.draw.crop_random]
        planned.append(list(zip(batch.draw.clips.tolist(), batch.draw.rows, boxes, strict=True)))

    def read(members: list[tuple[int, NDArray[np.int64], tuple[int, int, int, int]]]) -> None:
        for index, rows, (top, left, high, wide) in members:
            images = torch.from_numpy(clips.read(index, rows)).permute(0, 3, 1, 2)
            seen = images[..., top : top + high, left : left + wide]
            pixels.resize(seen, size, antialias=True)

    before = torch.get_num_threads()
    done = threaded_map(read, planned, OPTIONS.readers, lambda: torch.set_num_threads(1))
    seconds = seconds_each(done, loads)
    collections.deque(done, maxlen=0)
    torch.set_num_threads(before)
    return seconds


def copying(clips: Clips) -> float:
    """Seconds of copying the bytes of a batch once: its packed frames and its pictures."""
    frame = clips.read(0, np.zeros(1, np.int64)).nbytes
    count = 4 * OPTIONS.batch_size * (frame + 3 * SEEN.crop**2)
    source = np.ones(64 * 2**20, np.uint8)  # more than the caches hold
    target = np.zeros_like(source)
    started = time.perf_counter()
    np.copyto(target, source)
    return (time.perf_counter() - started) * count / len(source)


def embedding(encoder: Encoder, frames: NDArray[np.uint8]) -> float:
    """Frames a second, from the camera's to embeddings."""
    started = time.perf_counter()
    encoder(frames)
    return len(frames) / (time.perf_counter() - started)


def backend_alone(encoder: Encoder, frames: NDArray[np.uint8]) -> float:
    """Frames a second that are prepared already."""
    prepared = encoder.preprocessing(frames).contiguous()
    backend = encoder.backend
    before = torch.get_num_threads()
    started = time.perf_counter()
    for _ in threaded_map(
        backend,
        torch.split(prepared, backend.batch),
        backend.workers,
        lambda: torch.set_num_threads(backend.threads),
    ):
        pass
    seconds = time.perf_counter() - started
    torch.set_num_threads(before)
    return len(frames) / seconds


@dataclass
class Measured:
    """What all rounds gave."""

    turns: dict[str, list[float]]  # seconds, shares or rates of each side
    tried: dict[str, dict[int, float]]  # seconds of their loop and loader by the workers
    kept: dict[str, int]  # workers, the faster
    packing: float  # seconds
    side: int  # px of what is packed
    kib: float  # of a PNG
    backend: str


def measure(folder: Path, effort: Effort, elsewhere: ProcessPoolExecutor) -> Measured:
    """Take turns."""
    videos = folder / "videos"
    kib = write_clips(videos, effort)
    started = time.perf_counter()
    side = packing_side(SEEN.resize, SEEN.crop)
    clips = pack_clips(open_clips([videos]), side, folder / "packs", threads=OPTIONS.readers)
    packing = time.perf_counter() - started

    def theirs(what: str, workers: int, count: int) -> float:
        work = repository_loop if what == "loop" else repository_loader
        return elsewhere.submit(work, str(videos), workers, count).result()

    counts = (min(WORKERS, len(os.sched_getaffinity(0))), 0)
    tried = {
        what: {workers: theirs(what, workers, 2 * effort.rounds) for workers in counts}
        for what in ("loop", "loader")
    }
    kept = {what: min(seconds, key=seconds.__getitem__) for what, seconds in tried.items()}
    loop(clips, folder / "first", 1)
    encoder = load_encoder(BACKBONE, folder / "first" / MODEL)
    frames = np.resize(clip(100, 0), (effort.frames, SIDE, SIDE, 3))
    embedding(encoder, frames[:100])
    turns: dict[str, list[float]] = collections.defaultdict(list)
    for index in range(effort.rounds):
        seconds, waited = loop(clips, folder / f"out-{index}", effort.steps)
        turns["loop"].append(seconds)
        turns["wait"].append(waited)
        turns["their loop"].append(theirs("loop", kept["loop"], effort.steps))
        turns["network"].append(network_alone(effort.steps))
        turns["loader"].append(loader(clips, 4 * effort.loads))  # shorter, so more of them
        turns["their loader"].append(theirs("loader", kept["loader"], effort.loads))
        turns["reading"].append(reading_alone(clips, 4 * effort.loads))
        turns["copying"].append(copying(clips))
        turns["embedding"].append(embedding(encoder, frames))
        turns["backend"].append(backend_alone(encoder, frames))
    return Measured(turns, tried, kept, packing, side, kib, encoder.backend.name.split(",")[0])


def table_of(measured: Measured, title: str) -> Table:
    """Both sides and the limits."""
    table = Table(title=title)
    for heading in ("side", "median", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    way = {
        what: f"the VIP repository's way, {workers} workers"
        for what, workers in measured.kept.items()
    }
    steps = {"loop": "pretrain", "their loop": way["loop"], "network": "limit: network alone"}
    loads = {
        "loader": f"packed clips, {OPTIONS.readers} readers",
        "their loader": way["loader"],
        "reading": "limit: read and resize alone",
        "copying": "limit: copy its bytes once",
    }
    frames = {"embedding": f"frames of {SIDE} px", "backend": "limit: backend alone"}
    for heading, scale, rows in (
        ("ms a training step", 1e3, steps),
        ("ms a batch, without a network", 1e3, loads),
        (f"frames/s embedded, {measured.backend}", 1, frames),
    ):
        table.add_row(heading, style="bold")
        for key, shown in rows.items():
            values = np.array(measured.turns[key]) * scale
            ends = (f"{f(values):,.{1 if scale > 1 else 0}f}" for f in (np.median, np.min, np.max))
            table.add_row(f"  {shown}", *ends)
        table.add_section()
    return table


def ratio(theirs: list[float], ours: list[float]) -> tuple[float, str]:
    """Of medians; and that with the range over the rounds, as text."""
    whole = float(np.median(theirs) / np.median(ours))
    each = np.array(theirs) / ours
    return whole, f"{whole:.2f} times as fast (rounds {each.min():.2f} to {each.max():.2f})"


def main() -> None:
    """Measure, print a table, and the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer steps, within 50 seconds")
    effort = QUICK if parser.parse_args().quick else FULL
    console = Console(width=80, highlight=False)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(1, context(), end_with_parent) as elsewhere,
    ):
        os.environ["XDG_CACHE_HOME"] = str(Path(name) / "cache")  # the encoder's graph goes there
        measured = measure(Path(name), effort, elsewhere)
    turns = measured.turns
    size = f"{OPTIONS.batch_size} x 4 frames"
    console.print(table_of(measured, f"{BACKBONE}, {size}, {cores} cores, {effort.rounds} rounds"))
    loops, loops_text = ratio(turns["their loop"], turns["loop"])
    loaders, loaders_text = ratio(turns["their loader"], turns["loader"])
    gained = float(np.median(turns["their loop"]) - np.median(turns["loop"]))
    pays = f"paid back in {measured.packing / gained:.1f} steps" if gained > 0 else "not paid back"
    waits = np.array(turns["wait"])
    console.print(f"loop: {loops_text}\nloader: {loaders_text}")
    console.print(
        f"waits for data {np.median(waits):.1%} of a step ({waits.min():.1%} to {waits.max():.1%})"
    )
    console.print(
        f"packing {effort.clips} x {effort.length} PNGs of {measured.kib:.1f} KiB to "
        f"{measured.side} px: {measured.packing:.1f} s once, {pays}"
    )
    for what, each in measured.tried.items():
        said = ", ".join(f"{1e3 * seconds:.0f} with {workers}" for workers, seconds in each.items())
        console.print(f"workers tried for the repository's {what}, ms: {said}")
    console.print(f"load of the machine before: {load:.2f}")
    result = {
        "loop_vs_vip_repo": round(loops, 2),
        "loader_vs_vip_repo": round(loaders, 2),
        "data_wait": round(float(np.median(waits)), 4),
        "mini_frames_per_s": round(float(np.median(turns["embedding"])), 1),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
