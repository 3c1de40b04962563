"""How fast demonstrations are recorded, on one core: simulate, draw, compress, fsync.

``python -m benchmarks.record [--quick]`` measures this package and the simulator's stock
renderer in turns, in one process on one core. Last line: one JSON object with ``record_fps``
(frames per second into a store), ``stock_fps`` (the same episode drawn by gymnasium's renderer),
``speedup`` and ``draw_fraction`` (share of the time spent where nothing can be saved but by a
faster renderer: drawing).
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.table import Table

from vip_offline.dataset.store_writer import writing
from vip_offline.options import RecordOptions
from vip_offline.simulation.experts import Controls, expert
from vip_offline.simulation.record import close_simulator, planned_episodes, record_planned
from vip_offline.simulation.suites.metaworld import MetaworldSimulator, scripted_expert
from vip_offline.utils.console import Console

STOCK_FRAMES = 12  # per round; the stock renderer needs a quarter of a second for each


def ours(path: Path, options: RecordOptions) -> tuple[int, float]:
    """Frames and seconds of recording the plan into a new store."""
    planned = planned_episodes(options)
    started = time.perf_counter()
    with writing(path, create={}) as store:
        frames = 0
        for each in planned:
            episode, _ = record_planned(each, options)
            store.append(episode)
            frames += len(episode)
    return frames, time.perf_counter() - started


def stock(task: str, size: int) -> tuple[int, float]:
    """Frames and seconds of the same simulation with gymnasium's renderer, no store."""
    from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer

    simulator = MetaworldSimulator(task, size)  # draws nothing unless asked
    simulator.reset(0)
    environment = simulator._env
    renderer = MujocoRenderer(environment.model, environment.data, None, size, size)
    controls = Controls(simulator.action_size, simulator.control_rate)
    behaviour = expert(scripted_expert(task), np.random.default_rng(0), controls)
    renderer.render("rgb_array")  # the first one builds the context
    started = time.perf_counter()
    for step in range(STOCK_FRAMES):
        simulator.step(behaviour(simulator.state, step))
        renderer.render("rgb_array")
    seconds = time.perf_counter() - started
    renderer.close()  # type: ignore[no-untyped-call]
    return STOCK_FRAMES, seconds


def drawing(options: RecordOptions, frames: int = 100) -> float:
    """Seconds per frame of drawing alone."""
    with MetaworldSimulator(options.task, options.image_size) as simulator:
        simulator.reset(0)
        simulator.frame()  # the first one builds the context
        started = time.perf_counter()
        for _ in range(frames):
            simulator.frame()
        return (time.perf_counter() - started) / frames


def main() -> None:
    """Run the rounds and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds, episodes = (2, 3) if parser.parse_args().quick else (5, 10)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    options = RecordOptions(episodes=episodes, failures=episodes * 2 // 3)
    record_planned(
        planned_episodes(options)[0], options
    )  # warm: the simulator and its context are made once
    rates: dict[str, list[float]] = {"ours": [], "stock": []}
    with tempfile.TemporaryDirectory() as folder:
        for index in range(rounds):
            frames, seconds = ours(Path(folder) / f"{index}.zarr", options)
            rates["ours"].append(frames / seconds)
            frames, seconds = stock(options.task, options.image_size)
            rates["stock"].append(frames / seconds)
    close_simulator(options)
    limit = 1 / drawing(options)
    record_fps, stock_fps = (float(np.median(rates[side])) for side in ("ours", "stock"))
    table = Table(title=f"{options.task}, {options.image_size} px, one core, {rounds} rounds")
    for heading in ("side", "frames/s, median", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    for side, values in rates.items():
        table.add_row(side, *(f"{each:.1f}" for each in (np.median(values), *_ends(values))))
    table.add_row("limit: drawing alone", f"{limit:.1f}", "", "")
    Console(width=80).print(table)
    result = {
        "record_fps": round(record_fps, 1),
        "stock_fps": round(stock_fps, 2),
        "speedup": round(record_fps / stock_fps, 1),
        "draw_fraction": round(record_fps / limit, 3),
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


if __name__ == "__main__":
    main()
