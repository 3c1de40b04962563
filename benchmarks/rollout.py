"""How fast policies are rolled out, beside the renderer alone on the same cores.

``python -m benchmarks.rollout [--quick]`` makes up policies on embeddings of vip-mini and of lite0
and rolls them out in Meta-World's drawer-close, in two simulator processes of ten environments
each, as `vip-offline rollout` does for its twenty placements. In turns, after a warm-up, it times

- the rollouts: reset, step, draw, embed, act; from the first reset to the last step; and the same
  in lockstep, where simulators wait while frames are embedded;
- the renderer alone, in as many processes at the same time;
- physics alone: steps and resets, in as many processes at the same time;
- the encoders alone, in this process, on all cores.

All of them take the same cores, so a rollout cannot be faster than the times of drawing, physics
and encoding of a frame added up: the bound. Where an encoder takes as long as drawing, half of the
renderer's rate is the most there is; it takes a light encoder, or a GPU, to come near to it.

Last line: one JSON object with

- ``vs_drawing``: frames a second of the rollouts with vip-mini over those of the renderer alone,
  median of the turns; ``vs_drawing_lite0``: the same with lite0;
- ``vs_bound``, ``vs_bound_lite0``: over those of the bound; ``vs_lockstep``: of the rollouts with
  lite0 over those in lockstep;
- ``rollout_fps``, ``drawing_fps``: medians, with vip-mini.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import numpy as np
from rich.table import Table

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store_writer import writing
from vip_offline.options import RelabelOptions, RolloutOptions, TrainOptions
from vip_offline.policies.runtime import LoadedPolicy, load_policy
from vip_offline.rewards.relabel import relabel
from vip_offline.simulation.closed_loop import GROUPS, closed_loop
from vip_offline.simulation.interface import Simulator
from vip_offline.simulation.simulators import make_simulator
from vip_offline.simulation.vector_env import VectorSimulator
from vip_offline.training.run import train
from vip_offline.utils.console import Console
from vip_offline.utils.parallel import SidePool

TASK, SIZE = "drawer-close", 128  # px
OPTIONS = RolloutOptions(videos=0)
ENCODERS = "vip-mini", "lite0"
LOOP, LOCKSTEP = "rollout, {}", "rollout, lite0, in lockstep"
DRAWING, ENCODING = "limit: drawing alone", "encoding alone, {}"
PHYSICS, RESETS = "physics alone, steps", "physics alone, resets"
BOUND = "limit: all of it in turn, {}"


def made_up_policies(folder: Path) -> dict[str, LoadedPolicy]:
    """By encoder, policies that have learnt nothing."""
    generator, rows = np.random.default_rng(0), 8
    with writing(folder / "x.zarr", create={"task": TASK}) as store:
        for placement in range(2):
            store.append(
                Episode(
                    frames={"corner": generator.integers(0, 256, (rows, SIZE, SIZE, 3), np.uint8)},
                    proprio=generator.normal(size=(rows, 4)).astype(np.float32),
                    action=generator.uniform(-1, 1, (rows, 4)).astype(np.float32),
                    succeeded=np.arange(rows) == rows - 1,
                    true_reward=np.zeros(rows, np.float32),
                    success=True,
                    placement=placement,
                )
            )
    policies = {}
    for encoder in ENCODERS:
        relabel(folder / "x.zarr", RelabelOptions(encoder=encoder))
        train(folder / "x.zarr", TrainOptions(algo="bc", steps=5, label=encoder), folder / encoder)
        policies[encoder] = load_policy(folder / encoder)
    return policies


@cache
def own_simulator() -> Simulator:
    """One per side process; drawn once, since the first frame takes longer."""
    simulator = make_simulator(TASK, SIZE)
    simulator.reset(0)
    simulator.frame()
    return simulator


def drawing(seconds: float) -> float:
    """Frames a second of the renderer, over states that differ."""
    simulator, frames, spent = own_simulator(), 0, 0.0
    while spent < seconds:
        simulator.step(np.full(4, 0.5))
        started = time.perf_counter()
        for _ in range(10):
            simulator.frame()
        spent += time.perf_counter() - started
        frames += 10
        if simulator.steps > 60:
            simulator.reset(0)
    return frames / spent


def stepping(seconds: float) -> float:
    """Steps a second without a frame."""
    simulator, steps, spent = own_simulator(), 0, 0.0
    while spent < seconds:
        simulator.reset(0)
        started = time.perf_counter()
        for _ in range(OPTIONS.horizon):
            simulator.step(np.full(4, 0.5))
        spent += time.perf_counter() - started
        steps += OPTIONS.horizon
    return steps / spent


def resetting(seconds: float) -> float:
    """Resets a second without a frame."""
    simulator, resets, started = own_simulator(), 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        simulator.reset(resets)
        resets += 1
    return resets / (time.perf_counter() - started)


def side_by_side(pool: SidePool, work: Callable[[float], float], seconds: float) -> float:
    """Rate of all processes together, at work at the same time."""
    futures = [pool.submit(work, seconds) for _ in range(OPTIONS.processes)]
    wait(futures)
    return sum(future.result() for future in futures)


def encoding(policy: LoadedPolicy, seconds: float) -> float:
    """Frames a second of the encoder, on as many at once as a step of all environments has."""
    assert policy.encoder is not None
    count, embedded, started = OPTIONS.placements, 0, time.perf_counter()
    frames = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    while time.perf_counter() - started < seconds:
        policy.encoder(frames)
        embedded += count
    return embedded / (time.perf_counter() - started)


def rolling_out(
    simulators: VectorSimulator, policy: LoadedPolicy, horizon: int, groups: int = GROUPS
) -> float:
    """Frames a second of one rollout on each placement."""
    first = OPTIONS.first_placement
    rollouts = [(0, first + index) for index in range(OPTIONS.placements)]
    started = time.perf_counter()
    ended = closed_loop(simulators, [policy], rollouts, horizon, groups=groups)
    steps = [rollout.steps for rollout in ended]
    # of each but the last step a frame was drawn, and one before the first
    return sum(steps) / (time.perf_counter() - started)


def timed_loop(
    simulators: VectorSimulator, policy: LoadedPolicy, horizon: int, seconds: float
) -> float:
    """`rolling_out` as a side: it takes as long as it takes."""
    del seconds
    return rolling_out(simulators, policy, horizon)


@contextmanager
def simulated() -> Iterator[VectorSimulator]:
    """The environments of a rollout."""
    environments = -(-OPTIONS.placements // OPTIONS.processes)
    with VectorSimulator(TASK, SIZE, OPTIONS.processes, environments) as simulators:
        yield simulators


def main() -> None:
    """Take turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    turns, seconds, horizon = (2, 0.7, 20) if quick else (3, 3.0, OPTIONS.horizon)
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, simulated() as simulators:
        policies = made_up_policies(Path(folder))
        lite0 = policies["lite0"]
        with SidePool(OPTIONS.processes, _nothing) as pool:
            sides: dict[str, Callable[[float], float]] = {
                DRAWING: lambda seconds: side_by_side(pool, drawing, seconds),
                LOCKSTEP: lambda seconds: rolling_out(simulators, lite0, horizon, 1),
            }
            for name, policy in policies.items():
                sides[LOOP.format(name)] = partial(timed_loop, simulators, policy, horizon)
                sides[ENCODING.format(name)] = partial(encoding, policy)
            sides |= {
                PHYSICS: lambda seconds: side_by_side(pool, stepping, seconds / 2),
                RESETS: lambda seconds: side_by_side(pool, resetting, seconds / 2),
            }
            rolling_out(simulators, lite0, 2)
            side_by_side(pool, drawing, 0.1)
            for _ in range(turns):
                for name, side in sides.items():
                    rates.setdefault(name, []).append(side(seconds))
    taken = {name: 1 / np.array(values) for name, values in rates.items()}  # seconds per frame
    for name in ENCODERS:
        encoded = taken[ENCODING.format(name)]
        whole = taken[DRAWING] + encoded + taken[PHYSICS] + taken[RESETS] / horizon
        rates[BOUND.format(name)] = (1 / whole).tolist()
    cores = len(os.sched_getaffinity(0))
    table = Table(box=None, title=f"{TASK}, {SIZE} px, {cores} cores, {turns} turns")
    for heading in ("side", "a second, median", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    for name, values in rates.items():
        numbers = (float(np.median(values)), min(values), max(values))
        table.add_row(name, *(f"{number:.0f}" for number in numbers))
    Console(width=80).print(table)

    def ratio(side: str, other: str) -> float:
        return round(float(np.median(np.divide(rates[side], rates[other]))), 3)

    mini, lite0_loop = (LOOP.format(name) for name in ENCODERS)
    result = {
        "vs_drawing": ratio(mini, DRAWING),
        "vs_drawing_lite0": ratio(lite0_loop, DRAWING),
        "vs_bound": ratio(mini, BOUND.format("vip-mini")),
        "vs_bound_lite0": ratio(lite0_loop, BOUND.format("lite0")),
        "vs_lockstep": ratio(lite0_loop, LOCKSTEP),
        "rollout_fps": round(float(np.median(rates[mini])), 1),
        "drawing_fps": round(float(np.median(rates[DRAWING])), 1),
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _nothing() -> None:
    """Nothing is set up in a side process."""


if __name__ == "__main__":
    main()
