"""How near relabelling comes to what the machine can compute, ResNet-50 at 224 px on the CPU.

``python -m benchmarks.relabel [--quick]``; all sides take turns in one process. The weights are
random: they do not change the speed. Only int8 is compared on real ones, those of Lite0. Last line:
one JSON object with

- ``gemm_fraction``: multiplications of the network per second, from a store of frames to
  labels on the disk, over those of a 2,048^3 matrix product in fp32 (median of turns);
- ``vs_vip_repo``: the same in frames per second over the VIP repository's own way, one PIL picture
  at a time in eager torch;
- ``io_overhead``: share of that time that goes by without the network being computed on every core;
- ``int8_speedup``, ``int8_correlation``: of an int8 graph (unsigned activations) over fp32, one
  thread each; of its rewards with those of fp32, on real weights (Lite0) and simulated
  demonstrations. This is why there is no int8 option;
- ``relabel_1m_s``, ``relabel_1m_gib``: a new goal for 1,000,000 embeddings of 1,024 dimensions in
  memory, and the memory that it takes beside them;
- ``memory_growth``: peak memory of relabelling 20,000 frames over that of 2,000, less one (not
  with ``--quick``). By Lite0, which takes minutes where ResNet-50 takes a quarter of an hour: its
  own memory is smaller, so that anything that grows beside it shows more.
"""

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from rich.table import Table
from torchvision import transforms

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.encoders.backends import OnnxRuntime
from vip_offline.encoders.encoder import Encoder, load_encoder
from vip_offline.options import Computing, RecordOptions, RelabelOptions
from vip_offline.rewards.label_episodes import label_episodes
from vip_offline.rewards.relabel import relabel
from vip_offline.simulation.record import (
    close_simulator,
    planned_episodes,
    record_planned,
)
from vip_offline.utils.console import Console
from vip_offline.utils.parallel import context, threaded_map

HEIGHT, WIDTH = 240, 424  # px, of the paper's own robot clips
EPISODE = 50  # frames, as in the paper
GEMM = 2048
# multiplications and additions of ResNet-50's layers and VIP's head, per picture
FLOP = 2 * (4_089_184_256 - 2048 * 1000 + 2048 * 1024)


def pictures(count: int, seed: int) -> NDArray[np.uint8]:
    """(count, HEIGHT, WIDTH, 3): a blob that moves over a textured background, as a camera sees."""
    generator = np.random.default_rng(seed)
    small = Image.fromarray(generator.integers(0, 246, (30, 53, 3), np.uint8))
    scene = np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    noise = generator.integers(0, 10, (count, HEIGHT, WIDTH, 1), np.uint8)  # of the sensor
    frames = np.minimum(scene, 245) + noise
    for step, frame in enumerate(frames):
        at = 20 + step * (HEIGHT - 80) // max(1, count)
        frame[at : at + 40, 100:160] = (200, 60, 40)
    return np.asarray(frames, np.uint8)


def make_store(path: Path, frames: int) -> None:
    """Write a store of episodes, half of them successes."""
    with writing(path, create={"task": "benchmark"}) as store:
        for index in range(frames // EPISODE):
            zeros = np.zeros((EPISODE, 4), np.float32)
            store.append(
                Episode(
                    frames={"front": pictures(EPISODE, index)},
                    proprio=zeros,
                    action=zeros,
                    succeeded=np.zeros(EPISODE, bool),
                    true_reward=np.zeros(EPISODE, np.float32),
                    success=index % 2 == 0,
                )
            )


def gemm_rate(seconds: float) -> float:
    """FLOP/s of a matrix product in fp32 on all cores, over at least so many seconds."""
    left, right = torch.randn(GEMM, GEMM), torch.randn(GEMM, GEMM)
    out, times = torch.empty(GEMM, GEMM), list[float]()
    torch.mm(left, right, out=out)
    while sum(times) < seconds:
        started = time.perf_counter()
        torch.mm(left, right, out=out)
        times.append(time.perf_counter() - started)
    return 2 * GEMM**3 / float(np.median(times))


def build_network(folder: Path) -> torch.nn.Module:
    """The network of `weights_file`, as its owner loads it."""
    network = torchvision.models.resnet50(num_classes=1024)
    state = torch.load(folder / "model.pt", weights_only=True)["vip"]
    network.load_state_dict({k.removeprefix("module.convnet."): v for k, v in state.items()})
    return network.eval().requires_grad_(False)  # type: ignore[no-any-return]


def weights_file(folder: Path) -> Path:
    """VIP's checkpoint as it is published, with random weights."""
    torch.manual_seed(0)
    network = torchvision.models.resnet50(num_classes=1024)
    state = {f"module.convnet.{key}": value for key, value in network.state_dict().items()}
    torch.save({"vip": state}, folder / "model.pt")
    return folder / "model.pt"


def as_in_the_vip_repository(network: torch.nn.Module, frames: NDArray[np.uint8]) -> float:
    """Seconds of its example: picture after picture, each alone, distances at the end."""
    prepare = transforms.Compose(
        [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
    )
    normalise = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    started = time.perf_counter()
    embeddings = []
    with torch.no_grad():
        for frame in frames:
            image = prepare(Image.fromarray(frame)).reshape(-1, 3, 224, 224) * 255.0
            if torch.max(image) > 2.0:  # as its forward pass decides
                image = image.float() / 255.0
            embeddings.append(network(normalise(image)).numpy()[0])
    distance = np.linalg.norm(np.array(embeddings) - embeddings[-1], axis=1)
    np.subtract(distance[:-1], distance[1:])
    return time.perf_counter() - started


def end_to_end(path: Path, weights: Path, encoder: Encoder) -> float:
    """Seconds from a store of frames to labels on the disk."""
    shutil.rmtree(path / "embeddings", ignore_errors=True)
    shutil.rmtree(path / "labels", ignore_errors=True)
    started = time.perf_counter()
    relabel(path, RelabelOptions(encoder="vip", weights=str(weights)), loaded=encoder)
    return time.perf_counter() - started


def compute_alone(encoder: Encoder, frames: NDArray[np.uint8]) -> float:
    """Seconds of embedding frames that are in memory."""
    started = time.perf_counter()
    encoder(frames)
    return time.perf_counter() - started


def peak_memory() -> int:
    """Bytes that this process held at most since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status names no peak")


def forget_peak() -> None:
    """Let the kernel count the peak of memory anew."""
    Path("/proc/self/clear_refs").write_text("5")


def quantised(graph: Path, images: NDArray[np.float32], out: Path) -> None:
    """An int8 graph: unsigned activations, signed weights per channel, calibrated on images."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.rest, None)
            return None if image is None else {"images": image[None]}

    prepared = out.with_suffix(".prepared.onnx")
    logging.disable(logging.WARNING)  # advice to do what is done in the next line
    quant_pre_process(graph, prepared)
    quantize_static(
        prepared,
        out,
        Images(),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    logging.disable(logging.NOTSET)


def one_thread(graph: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A graph on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def int8_speed(folder: Path, encoder: Encoder, rounds: int, calibration: int) -> list[float]:
    """How many times faster than fp32, per turn."""
    assert isinstance(encoder.backend, OnnxRuntime)
    graph = encoder.backend.graph
    images = encoder.preprocessing(pictures(max(8, calibration), 0)).contiguous().numpy()
    quantised(graph, images[:calibration], folder / "vip-int8.onnx")
    sides = [one_thread(graph), one_thread(folder / "vip-int8.onnx")]
    ratios = []
    for _ in range(rounds + 1):
        seconds = []
        for side in sides:
            started = time.perf_counter()
            side(images[:8])
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
    return ratios[1:]  # the first warms up


def int8_correlation(folder: Path, episodes: int, calibration: int) -> float:
    """Pearson's r between the rewards of Lite0 in int8 and in fp32, on simulated demonstrations.

    Calibrated on frames of the very set that is labelled, and judged on all of its transitions.
    """
    options = RecordOptions(episodes=episodes, failures=episodes * 2 // 3)
    recorded = [record_planned(episode, options)[0] for episode in planned_episodes(options)]
    close_simulator(options)
    encoder = load_encoder("lite0", computing=Computing("onnx"))
    assert isinstance(encoder.backend, OnnxRuntime)
    graph = encoder.backend.graph
    frames = np.concatenate([each.frames[options.camera] for each in recorded])
    images = encoder.preprocessing(frames).contiguous().numpy()
    chosen = np.linspace(0, len(images) - 1, calibration).astype(int)
    quantised(graph, images[chosen], folder / "lite0-int8.onnx")
    lengths = [len(each) for each in recorded]
    ends = np.cumsum(lengths) - 1
    good = [end for end, each in zip(ends, recorded, strict=True) if each.success]
    rewards = []
    for side in (one_thread(graph), one_thread(folder / "lite0-int8.onnx")):
        embedding = np.concatenate(
            [side(each) for each in np.array_split(images, len(images) // 8)]
        )
        goal = embedding[good].mean(axis=0, dtype=np.float64)[None]
        rewards.append(label_episodes(embedding, lengths, goal)[0])
    there = ~np.isnan(rewards[0])
    return float(np.corrcoef(rewards[0][there], rewards[1][there])[0, 1])


def new_goal(rows: int) -> tuple[float, int]:
    """Seconds and bytes of a new goal for so many embeddings of 1,024 dimensions in memory."""
    embedding = np.random.default_rng(0).standard_normal((rows, 1024), dtype=np.float32)
    goal = embedding[:3].mean(axis=0, dtype=np.float64)[None]
    blocks = [slice(start, start + 1000) for start in range(0, rows, 1000)]

    def label(block: slice) -> NDArray[np.float32]:
        part = embedding[block]
        return label_episodes(part, [EPISODE] * (len(part) // EPISODE), goal)[0]

    label(blocks[0])
    before = peak_after_forgetting()
    started = time.perf_counter()
    np.concatenate(list(threaded_map(label, blocks, len(os.sched_getaffinity(0)))))
    return time.perf_counter() - started, peak_memory() - before


def peak_after_forgetting() -> int:
    """Bytes that this process holds now."""
    forget_peak()
    return peak_memory()


def peak_of(task: tuple[Path, int]) -> int:
    """Peak memory of relabelling so many frames, in a process that did nothing else."""
    folder, count = task
    path = folder / f"{count}.zarr"
    make_store(path, count)
    encoder = load_encoder("lite0", computing=Computing("onnx"))
    forget_peak()
    relabel(path, RelabelOptions(encoder="lite0"), loaded=encoder)
    shutil.rmtree(path)
    return peak_memory()


def growth(folder: Path, few: int, many: int) -> float:
    """Peak memory of relabelling many frames over that of few, less one."""
    tasks = [(folder, count) for count in (few, many)]
    with ProcessPoolExecutor(1, context(), max_tasks_per_child=1) as pool:
        peaks = list(pool.map(peak_of, tasks))
    return peaks[1] / peaks[0] - 1


def main() -> None:
    """Take turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    # the paper's CloseDrawer: 30 demonstrations of 50 frames
    rounds, frames, alone = (1, 100, 8) if quick else (3, 1500, 40)
    console = Console(width=80)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = weights_file(folder)
        # what is measured is this backend: without it there is nothing to be said
        encoder = load_encoder("vip", weights, computing=Computing("onnx"))
        store = folder / "demos.zarr"
        make_store(store, frames)
        held = open_store(store).frames("front", 0, min(frames, 400))
        network = build_network(folder)
        as_in_the_vip_repository(network, held[:2])
        encoder(held[:32])
        turns: dict[str, list[float]] = {"gemm": [], "ours": [], "alone": [], "vip": []}
        for _ in range(rounds):
            before = gemm_rate(1)
            turns["ours"].append(frames / end_to_end(store, weights, encoder))
            turns["gemm"].append((before + gemm_rate(1)) / 2e9)  # the machine's speed drifts
            turns["alone"].append(len(held) / compute_alone(encoder, held))
            turns["vip"].append(alone / as_in_the_vip_repository(network, held[:alone]))
        speed = int8_speed(folder, encoder, 3 if quick else 15, 4 if quick else 24)
        correlation = int8_correlation(folder, 3 if quick else 30, 24)
        rows = 200_000 if quick else 1_000_000
        seconds, beside = new_goal(rows)
        million = 1_000_000 / rows
        ours, gemm = np.array(turns["ours"]), np.array(turns["gemm"])
        result = {
            "gemm_fraction": round(float(np.median(ours * FLOP / 1e9 / gemm)), 3),
            "vs_vip_repo": round(float(np.median(ours / turns["vip"])), 2),
            "io_overhead": round(1 - float(np.median(ours / turns["alone"])), 3),
            "int8_speedup": round(float(np.median(speed)), 2),
            "int8_correlation": round(correlation, 3),
            "relabel_1m_s": round(seconds * million, 2),
            "relabel_1m_gib": round(beside * million / 2**30, 3),
        }
        table = Table(title=f"VIP's ResNet-50, 224 px, {encoder.backend.name}, {rounds} turns")
        for heading in ("side", "frames/s, median", "lowest", "highest"):
            table.add_column(heading, justify="left" if heading == "side" else "right")
        limit = list(gemm * 1e9 / FLOP)
        for side, values in (
            ("store to labels", turns["ours"]),
            ("frames in memory to embeddings", turns["alone"]),
            ("as in the VIP repository", turns["vip"]),
            ("limit: fp32 matrix product", limit),
        ):
            ends = (np.median(values), min(values), max(values))
            table.add_row(side, *(f"{end:.1f}" for end in ends))
        console.print(table)
        console.print(result)
        if not quick:
            result["memory_growth"] = round(growth(folder, 2_000, 20_000), 3)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
