"""What a decision of MPPI costs beside what it cannot do without.

``python -m benchmarks.plan [--quick]`` plans on ``kitchen/sdoor-open`` with 32 sequences of 12
steps (with ``--quick`` 16), one view of 128 px, rewards from lite0. In turns, in one process and
after a warm-up, it

- plans and executes one step with a single simulator, in this process;
- does what that cannot do without: bare physics (`mj_step` by the controls that those sequences led
  to, from the same state), a picture of each end, an embedding of all of them in one go;
- draws and embeds the ends alone, then every state, of some of the sequences; physics is not timed;
- plans and executes one step with all of it on one core (a process that simulates, the encoder
  here), then with two processes on two cores.

Last line: one JSON object with

- ``step_vs_bound``: time of a step over that of the bound;
- ``two_core_speedup``: time of a step on one core over that on two; none on a machine with one;
- ``vs_all_states``: time of drawing and embedding every state over that of the ends alone.

All are medians of the turns. Whatever else runs on the machine spoils them.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from vip_offline.encoders.encoder import load_encoder
from vip_offline.options import SearchOptions
from vip_offline.planning.optimizers import optimizer_of
from vip_offline.planning.processes import SimulatorProcesses
from vip_offline.planning.rewards import VisualReward, to_goal
from vip_offline.planning.shooting import begin, shoot, take
from vip_offline.simulation.interface import Simulator
from vip_offline.simulation.simulators import make_simulator
from vip_offline.simulation.suites.physics import save_physics
from vip_offline.utils.arrays import Floats, Pixels
from vip_offline.utils.console import Console

TASK, SIZE, ENCODER = "kitchen/sdoor-open", 128, "lite0"
DRAWN = 8  # sequences of which every state is drawn
STEP, BOUND = "a step, one process", "limit: physics, 32 pictures, 32 embeddings"
ENDS, EVERY = "drawing and embedding ends", "drawing and embedding every state"
ONE, TWO = "a step, one core", "a step, two processes on two cores"


@dataclass(frozen=True)
class Physics:
    """A simulator's model and data, and what moves them: no environment between."""

    model: Any
    data: Any

    @classmethod
    def of(cls, simulator: Simulator) -> "Physics":
        """Those of a simulator of this package."""
        inside: Any = simulator
        if hasattr(inside, "_model"):
            return cls(inside._model, inside._data)
        return cls(inside._env.model, inside._env.data)

    def controls(self) -> tuple[Floats, Floats, Floats]:
        """Copies of what is given to physics from outside."""
        data = self.data
        return data.ctrl.copy(), data.mocap_pos.copy(), data.mocap_quat.copy()


@dataclass(frozen=True)
class Tape:
    """What sequences gave to physics, to be played without an environment."""

    saved: Floats  # state of physics before
    controls: list[list[tuple[Floats, Floats, Floats]]]  # of each sequence, of each step
    substeps: int
    ends: list[Floats]  # state of physics after each sequence


def record_tape(simulator: Simulator, saved: Floats, sequences: Floats) -> Tape:
    """Run sequences through the environment, and note what it gives to physics."""
    physics = Physics.of(simulator)
    simulator.restore(saved)
    before, clock = save_physics(physics.model, physics.data), float(physics.data.time)
    controls, ends, substeps = [], [], 0
    for actions in sequences:
        simulator.restore(saved)
        given = []
        for action in actions:
            simulator.step(action)
            given.append(physics.controls())
        controls.append(given)
        ends.append(physics.data.qpos.copy())
        steps = (float(physics.data.time) - clock) / physics.model.opt.timestep
        substeps = round(steps / len(actions))
    return Tape(before, controls, substeps, ends)


def play(tape: Tape, physics: Physics) -> None:
    """Bare physics of all sequences."""
    import mujoco

    model, data = physics.model, physics.data
    for given in tape.controls:
        mujoco.mj_setState(model, data, tape.saved, mujoco.mjtState.mjSTATE_INTEGRATION)
        for control, position, quaternion in given:
            data.ctrl[:] = control
            data.mocap_pos[:], data.mocap_quat[:] = position, quaternion
            mujoco.mj_step(model, data, tape.substeps)


def check_tape(tape: Tape, physics: Physics) -> None:
    """The bound must do the same physics, or it would be no bound."""
    for given, end in zip(tape.controls, tape.ends, strict=True):
        play(Tape(tape.saved, [given], tape.substeps, []), physics)
        np.testing.assert_allclose(physics.data.qpos, end, atol=1e-4)


def bound(tape: Tape, simulator: Simulator, reward: VisualReward) -> None:
    """What a decision cannot do without."""
    play(tape, Physics.of(simulator))
    frames = np.stack([simulator.frame() for _ in tape.controls])
    reward.distances(frames)


def step(
    optimizer: Any, score: Callable[[Floats], Floats], execute: Callable[[Floats], Any], shape: Any
) -> None:
    """Decide and execute."""
    plan = optimizer(score, np.zeros(shape), np.random.default_rng(0))
    execute(np.clip(plan.actions[0], -1, 1).astype(np.float32))


def looking(
    simulator: Simulator, saved: Floats, sequences: Floats, reward: VisualReward, *, every: bool
) -> float:
    """Seconds that drawing and embedding take, of the ends or of every state."""
    seconds, frames = 0.0, list[Pixels]()
    for actions in sequences:
        simulator.restore(saved)
        for place, action in enumerate(actions, 1):
            simulator.step(action)
            if every or place == len(actions):
                started = time.perf_counter()
                frames.append(simulator.frame())
                seconds += time.perf_counter() - started
    started = time.perf_counter()
    reward.distances(np.stack(frames))
    return seconds + time.perf_counter() - started


def pin(processes: list[int], cores: set[int]) -> None:
    """Let all threads of some processes run on these cores alone."""
    for process in processes:
        for thread in Path(f"/proc/{process}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(sequences: int, turns: int) -> dict[str, list[float]]:
    """Seconds of each side, in turns."""
    options = SearchOptions(sequences=sequences)
    optimizer, cores = optimizer_of(options), os.sched_getaffinity(0)
    make = partial(make_simulator, TASK, SIZE)
    took: dict[str, list[float]] = {}
    with (
        make() as simulator,
        SimulatorProcesses(make, 1) as alone,
        SimulatorProcesses(make, 2) as both,
    ):
        saved = begin(simulator, 0).saved  # draws: the encoder's libraries come after
        reward = to_goal(load_encoder(ENCODER), simulator.frame(), SIZE)
        shape = (options.horizon, simulator.action_size)
        tried: list[Floats] = []

        def here(actions: Floats) -> Floats:
            tried[:] = [actions]
            return reward(shoot(simulator, saved, actions, draw=True))

        def in_processes(processes: SimulatorProcesses, cores: set[int]) -> float:
            processes.call(begin, 0)  # it is awake, and its renderer is made
            pin([os.getpid(), *processes.pids], cores)
            return timed(
                lambda: step(
                    optimizer,
                    lambda actions: reward(processes.shoot(saved, actions, draw=True)),
                    lambda action: processes.call(take, saved, action),
                    shape,
                )
            )

        step(optimizer, here, lambda action: take(simulator, saved, action), shape)
        tape = record_tape(simulator, saved, tried[0])
        check_tape(tape, Physics.of(simulator))
        few = tried[0][:DRAWN]
        sides: dict[str, Callable[[], float]] = {
            STEP: lambda: timed(
                lambda: step(optimizer, here, lambda action: take(simulator, saved, action), shape)
            ),
            BOUND: lambda: timed(lambda: bound(tape, simulator, reward)),
            ENDS: lambda: looking(simulator, saved, few, reward, every=False),
            EVERY: lambda: looking(simulator, saved, few, reward, every=True),
        }
        if len(cores) > 1:
            sides[ONE] = lambda: in_processes(alone, {min(cores)})
            sides[TWO] = lambda: in_processes(both, set(sorted(cores)[:2]))
        for turn in range(turns + 1):
            for name, side in sides.items():
                seconds = side()
                pin([os.getpid(), *alone.pids, *both.pids], cores)
                if turn:  # the first warms up
                    took.setdefault(name, []).append(seconds)
    return took


def main() -> None:
    """Take turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    sequences, turns = (16, 2) if quick else (32, 5)
    took = measure(sequences, turns)
    title = f"{TASK}, {sequences} sequences of 12 steps, {SIZE} px, {ENCODER}, {turns} turns"
    table = Table(box=None, title=title)
    for heading in ("side", "seconds, median", "lowest", "highest"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    for name, values in took.items():
        numbers = (np.median(values), min(values), max(values))
        table.add_row(name.replace("32", str(sequences)), *(f"{value:.2f}" for value in numbers))
    Console(width=80).print(table)

    def ratio(slow: str, fast: str) -> float | None:
        if slow not in took:
            return None
        return round(float(np.median(np.divide(took[slow], took[fast]))), 3)

    result = {
        "step_vs_bound": ratio(STEP, BOUND),
        "two_core_speedup": ratio(ONE, TWO),
        "vs_all_states": ratio(EVERY, ENDS),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
