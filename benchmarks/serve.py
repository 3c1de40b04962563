"""How fast a served policy answers, beside openpi's way to serve with the same network.

``python -m benchmarks.serve [--quick]`` makes two small policies (random demonstrations, 20
gradient steps): one on a ResNet-50 in the layout of the published VIP file with random weights, 224
px, one on the default encoder, lite0, 128 px. Each is served by a real ``vip-offline serve``
process on this computer and, in a process of its own, the way openpi's server does it: the network
in eager torch, called inside of the event loop. Both are asked in turns by the same client over the
socket.

Last line: one JSON object with

- ``resnet50_p99_ms``: 99th percentile of a round trip, one client, one question after the other;
  the limit is the policy's graph alone, and below it its arithmetic as one matrix product;
- ``batch1_gemm_fraction``: arithmetic of the ResNet-50 at batch 1 in the policy's graph, as a share
  of what a 2,048^3 float32 product reaches on the same cores at best, measured in turns;
- ``mini_p99_ms``: as the first, with the default encoder, one client at 25 Hz;
- ``mini_hz_at_4_clients``: of four clients at once that each ask 25 times a second, the answers a
  second that came before the next tick was due, of the slowest client;
- ``rss_growth``: memory of the server's process over the last quarter of the soak (ten minutes of
  four clients at 25 Hz), over that in its second quarter, less 1; absent with ``--quick``;
- ``missed``: questions of all rounds and of the soak that had no answer.
"""

import argparse
import contextlib
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import nn

from benchmarks.serve_sides import CLIENTS, PROPRIO, RATE, WARM, observation
from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store_writer import writing
from vip_offline.deployment.server.client import Client
from vip_offline.encoders.registry import entry_of
from vip_offline.options import RelabelOptions, TrainOptions
from vip_offline.policies.runtime import load_policy
from vip_offline.rewards.relabel import relabel
from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy
from vip_offline.utils.console import Console

SIDE = {"vip": 224, "lite0": 128}  # px of the frames
GEMM = 2048  # of the matrix product


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    asked: int  # questions per round, ResNet-50
    ticks: int  # per round, of one client at RATE
    together: float  # seconds per round, of all clients
    soak: float  # seconds
    products: int  # per round


FULL = Effort(rounds=5, asked=60, ticks=150, together=12.0, soak=600.0, products=20)
QUICK = Effort(rounds=1, asked=16, ticks=40, together=3.0, soak=0.0, products=8)


def policy_folder(folder: Path, encoder: str) -> Path:
    """A policy that was really trained and made ready, on next to nothing."""
    from vip_offline.training.run import train  # d3rlpy, which is loud unless it was told

    folder.mkdir()
    side, weights = SIDE[encoder], ""
    generator = np.random.default_rng(0)
    with writing(folder / "demos.zarr", create={"task": "reach", "control_rate": RATE}) as store:
        for placement in range(2):
            store.append(
                Episode(
                    frames={"front": generator.integers(0, 256, (3, side, side, 3), np.uint8)},
                    proprio=generator.normal(size=(3, PROPRIO)).astype(np.float32),
                    action=generator.uniform(-1, 1, (3, 7)).astype(np.float32),
                    succeeded=np.array([False, False, True]),
                    true_reward=np.full(3, np.nan, np.float32),
                    success=True,
                    placement=placement,
                )
            )
    if entry_of(encoder).carried is None:
        torch.manual_seed(0)
        network = entry_of(encoder).build()
        state = {f"module.convnet.{key}": value for key, value in network.state_dict().items()}
        weights = str(folder / "vip.pt")
        torch.save({"vip": state}, weights)
    relabel(folder / "demos.zarr", RelabelOptions(encoder=encoder, weights=weights))
    train(folder / "demos.zarr", TrainOptions(algo="bc", steps=20), folder / "policy")
    from vip_offline.deployment.export import ship

    ship(folder / "policy", weights=Path(weights) if weights else None)
    return folder / "policy"


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A server that begins to load."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def port_of(process: subprocess.Popen[str]) -> int:
    """Once it is ready."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        found = re.search(r"ws://127\.0\.0\.1:(\d+)", line)
        if found:
            # what it says later must not fill the pipe
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return int(found[1])
    raise RuntimeError(f"a server ended: {said}")


def side(*arguments: object) -> subprocess.Popen[str]:
    """One of the other processes."""
    command = [sys.executable, "-m", "benchmarks.serve_sides", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def ask(client: Client, side: int, count: int, rate: float = math.inf) -> list[float]:
    """Milliseconds of each round trip; at a rate, or one after the other."""
    given = [observation(side, seed) for seed in range(4)]
    for _ in range(WARM):
        client.infer(given[0])
    spent, due = [], time.perf_counter()
    for index in range(count):
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        started = time.perf_counter()
        client.infer(given[index % len(given)])
        spent.append((time.perf_counter() - started) * 1000)
        due = max(due, started) + (0 if math.isinf(rate) else 1 / rate)
    return spent


def flops(network: nn.Module, side: int) -> float:
    """Of one picture: two for each multiplication of a convolution or a dense layer."""
    total = 0.0

    def count(module: nn.Module, given: Any, result: Any) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            taken = module.in_channels // module.groups * math.prod(module.kernel_size)
            total += 2 * result.numel() * taken
        elif isinstance(module, nn.Linear):
            total += 2 * module.in_features * module.out_features

    hooks = [each.register_forward_hook(count) for each in network.modules()]
    with torch.inference_mode():
        network(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return total


def product(count: int) -> float:
    """Floating-point operations a second of a float32 product, by torch or NumPy, the faster."""
    a, b = torch.randn(GEMM, GEMM), torch.randn(GEMM, GEMM)
    out = torch.empty(GEMM, GEMM)
    one, other, result = a.numpy(), b.numpy(), out.numpy()
    best = math.inf
    for index in range(count):
        began = time.perf_counter()
        if index % 2:
            np.matmul(one, other, out=result)
        else:
            torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - began)
    return 2 * GEMM**3 / best


def resident(process: int) -> float:
    """Its memory, MiB."""
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) / 1024


@dataclass
class Measured:
    """What all rounds gave."""

    ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    hz: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # per client
    gemm: list[float] = field(default_factory=list)  # flop/s, per round
    direct: list[float] = field(default_factory=list)  # seconds of the graph alone, each
    alone: list[list[float]] = field(default_factory=list)  # the same, per round
    missed: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)  # (seconds, MiB) of the soak


def robots(port: int, seconds: float) -> list[subprocess.Popen[str]]:
    """All clients at once, each in a process of its own."""
    return [side("robot", port, SIDE["lite0"], seconds, index) for index in range(CLIENTS)]


def settle(processes: list[subprocess.Popen[str]], measured: Measured, name: str) -> None:
    """Write down what they found."""
    for process in processes:
        ticks, in_time, missed, spent = json.loads(process.communicate()[0])
        measured.hz[name].append(in_time / ticks * RATE)
        measured.missed += missed
        measured.ms[f"{name}, {CLIENTS} clients"] += spent


def soak(port: int, process: int, seconds: float, measured: Measured) -> None:
    """Memory while all clients ask."""
    asking = robots(port, seconds)
    began = time.monotonic()
    # for its time and no longer: then they wait for somebody to read what they found
    while (spent := time.monotonic() - began) < seconds:
        measured.memory.append((spent, resident(process)))
        time.sleep(1)
    settle(asking, measured, "soak")


def growth(memory: list[tuple[float, float]]) -> float:
    """Of the last quarter over the second; the first is for caches to fill."""
    ends = memory[-1][0]
    quarters = [[m for t, m in memory if q / 4 <= t / ends <= (q + 1) / 4] for q in range(4)]
    return float(np.mean(quarters[3]) / np.mean(quarters[1]) - 1)


def measure(folder: Path, effort: Effort) -> tuple[Measured, float]:
    """Take turns; also the arithmetic of the ResNet-50."""
    policies = {name: policy_folder(folder / name, name) for name in SIDE}
    measured = Measured()
    with contextlib.ExitStack() as stack:
        servers = {}
        for name, path in policies.items():
            mine = ["vip_offline", "serve", str(path), "--port", "0"]
            servers["ours", name] = stack.enter_context(running(mine))
            theirs = ["benchmarks.serve_sides", "openpi", str(path)]
            servers["openpi", name] = stack.enter_context(running(theirs))
        ports = {key: port_of(process) for key, process in servers.items()}
        clients = {key: Client(port=port, timeout=60) for key, port in ports.items()}
        graph = load_policy(policies["vip"], backend="onnx")
        given = observation(SIDE["vip"])
        for _ in range(effort.rounds):
            for who in ("ours", "openpi"):
                measured.ms[f"vip {who}"] += ask(clients[who, "vip"], SIDE["vip"], effort.asked)
            # the graph alone and the matrix product in turns: one processor, one temperature
            spent = []
            measured.gemm.append(product(effort.products))
            for _ in range(effort.asked):
                started = time.perf_counter()
                graph.act(given)
                spent.append(time.perf_counter() - started)
            measured.alone.append(spent)
            measured.gemm[-1] = max(measured.gemm[-1], product(effort.products))
            for who in ("ours", "openpi"):
                measured.ms[f"lite0 {who}"] += ask(
                    clients[who, "lite0"], SIDE["lite0"], effort.ticks, RATE
                )
            for who in ("ours", "openpi"):
                asking = robots(ports[who, "lite0"], effort.together)
                settle(asking, measured, f"lite0 {who}")
        if effort.soak:
            process = servers["ours", "lite0"].pid
            soak(ports["ours", "lite0"], process, effort.soak, measured)
        for client in clients.values():
            client.close()
    work = flops(entry_of("vip").build().eval(), entry_of("vip").preprocessing.crop)
    return measured, work


def table_of(measured: Measured, work: float, title: str) -> Table:
    """Both sides and the limits."""
    table = Table(title=title)
    for heading in ("ms", "median", "p99", "worst", "n"):
        table.add_column(heading, justify="left" if heading == "ms" else "right")
    alone = [1000 * each for spent in measured.alone for each in spent]
    limit = work / max(measured.gemm) * 1000
    rows = {
        "ResNet-50, 224 px, one client": {
            "vip-offline serve": measured.ms["vip ours"],
            "openpi's way, eager torch": measured.ms["vip openpi"],
            "limit: the graph alone": alone,
        },
        f"lite0, 128 px, one client at {RATE:g} Hz": {
            "vip-offline serve": measured.ms["lite0 ours"],
            "openpi's way, eager torch": measured.ms["lite0 openpi"],
        },
        f"lite0, {CLIENTS} clients at {RATE:g} Hz each": {
            "vip-offline serve": measured.ms[f"lite0 ours, {CLIENTS} clients"],
            "openpi's way, eager torch": measured.ms[f"lite0 openpi, {CLIENTS} clients"],
        },
    }
    for heading, sides in rows.items():
        table.add_row(heading, style="bold")
        for side, values in sides.items():
            numbers = (np.median(values), np.quantile(values, 0.99), np.max(values))
            table.add_row(f"  {side}", *(f"{number:.1f}" for number in numbers), str(len(values)))
        if "ResNet" in heading:
            table.add_row("  limit: its arithmetic as one product", f"{limit:.1f}", "", "", "")
        table.add_section()
    return table


def main() -> None:
    """Measure, print a table, and the numbers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer questions, within 50 seconds")
    effort = QUICK if parser.parse_args().quick else FULL
    quiet_d3rlpy()
    console = Console(width=80, highlight=False)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = str(Path(name) / "cache")  # the encoders' graphs go there
        measured, work = measure(Path(name), effort)
    console.print(table_of(measured, work, f"{cores} cores, {effort.rounds} rounds"))
    peak = max(measured.gemm)  # of all rounds: whatever slows a product down is no limit of ours
    fractions = [work / float(np.median(spent)) / peak for spent in measured.alone]
    console.print(
        f"ResNet-50 at batch 1: {work / 1e9:.2f} GFLOP, {np.median(fractions):.0%} of a matrix "
        f"product's {peak / 1e9:.0f} GFLOP/s (rounds {min(fractions):.0%} to "
        f"{max(fractions):.0%})"
    )
    for who in ("lite0 ours", "lite0 openpi"):
        rates = measured.hz[who]
        console.print(
            f"{who}: {CLIENTS} clients held {min(rates):.2f} Hz, median {np.median(rates):.2f}"
        )
    result: dict[str, float] = {
        "resnet50_p99_ms": round(float(np.quantile(measured.ms["vip ours"], 0.99)), 1),
        "batch1_gemm_fraction": round(float(np.median(fractions)), 3),
        "mini_p99_ms": round(float(np.quantile(measured.ms["lite0 ours"], 0.99)), 1),
        "mini_hz_at_4_clients": round(min(measured.hz["lite0 ours"]), 2),
    }
    if measured.memory:
        result["rss_growth"] = round(growth(measured.memory), 4)
        first, last = measured.memory[0][1], measured.memory[-1][1]
        console.print(
            f"soak: {measured.memory[-1][0]:.0f} s, memory {first:.0f} to {last:.0f} MiB, "
            f"{min(measured.hz['soak']):.2f} Hz held"
        )
    console.print(f"load of the machine before: {load:.2f}")
    sys.stdout.write(json.dumps({**result, "missed": measured.missed}) + "\n")


if __name__ == "__main__":
    main()
