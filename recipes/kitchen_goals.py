"""Make goals and easy starts of Kitchen's tasks: ``python recipes/kitchen_goals.py``.

As the paper's demonstrations: MPPI on the dense reward of the true state, sequences scored by
their last reward, from the hard start. Kappa is divided by the spread of the scores, since they
hardly differ while the hand is far from its handle; the paper took 256 sequences instead. Where it
solves a task, the goal is the last state of the trajectory, with its picture from each view, and
the easy start is its state after 20 steps. A task that no try solves is named at the end, and left
out.

One task takes 5 minutes per try and core with 32 sequences. Tasks that have their files are not
made again.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vip_offline.planning.mppi import mppi
from vip_offline.planning.sequences import next_start
from vip_offline.planning.shooting import shoot
from vip_offline.simulation.kitchen_goals import (
    EASY_STEP,
    FOLDER,
    SolvedGoal,
    solved_goal,
    solved_names,
    write_solved,
)
from vip_offline.simulation.suites.kitchen import TASKS, VIEWS, KitchenSimulator
from vip_offline.utils.arrays import Floats

HORIZON, FILTER, KAPPA = 12, (0.25, 0.8, 0.0), 5.0  # mppi_config of the authors' code
STAY = 10  # steps that a trajectory goes on after the task is solved, to come to rest
SIZE = 128  # px


@dataclass(frozen=True)
class Trajectory:
    """What a try did, state after state."""

    states: NDArray[np.float64]  # (T + 1, 59)
    actions: NDArray[np.float64]  # (T, 9)
    solved: NDArray[np.bool_]  # (T,)


def plan(simulator: KitchenSimulator, sequences: int, seed: int) -> Trajectory:
    """One try, until some steps after it solved the task, or to the horizon of the hard start."""
    generator = np.random.default_rng(seed)
    simulator.reset(0)
    nominal = np.zeros((HORIZON, simulator.action_size))
    states, actions, solved = [simulator.state], list[NDArray[np.float64]](), list[bool]()
    while simulator.steps < simulator.step_limit:
        saved = simulator.save()

        def score(tried: Floats, saved: Floats = saved) -> Floats:
            return shoot(simulator, saved, tried, draw=False).rewards

        nominal = mppi(
            score,
            nominal,
            generator,
            sequences=sequences,
            coefficients=FILTER,
            kappa=KAPPA,
            kappa_by_spread=True,
        ).actions
        simulator.restore(saved)
        action = nominal[0].clip(-1, 1)
        reward, is_solved = simulator.step(action)
        solved.append(is_solved)
        if simulator.steps % 10 == 0:
            sys.stderr.write(f"  step {simulator.steps}: reward {reward:.3f}\n")
        actions.append(action)
        states.append(simulator.state)
        nominal = next_start(nominal, "mean")
        if sum(solved) > STAY and solved[-1] and len(solved) > EASY_STEP:
            break
    return Trajectory(np.array(states), np.array(actions), np.array(solved))


def goal_of(trajectory: Trajectory, simulator: KitchenSimulator, **provenance: int) -> SolvedGoal:
    """Goal and easy start of a trajectory that ends solved."""
    joints = simulator.joints
    easy = trajectory.states[EASY_STEP]
    return SolvedGoal(
        goal_qpos=trajectory.states[-1][:joints],
        easy_qpos=easy[:joints],
        easy_qvel=easy[joints:],
        actions=trajectory.actions,
        solved_at=int(trajectory.solved.argmax()) + 1,
        **provenance,
    )


def pictures(name: str, solved: SolvedGoal) -> dict[str, NDArray[np.uint8]]:
    """The goal from each view."""
    drawn = {}
    for view in VIEWS:
        with KitchenSimulator(name, SIZE, view=view) as simulator:
            simulator.reset(0)
            drawn[view] = simulator.show(solved.state)
    return drawn


def make(name: str, folder: Path, sequences: int, seeds: range) -> bool:
    """Try until a trajectory ends solved; write its files. Whether one did."""
    with KitchenSimulator(name, SIZE) as simulator:
        for seed in seeds:
            started = time.perf_counter()
            trajectory = plan(simulator, sequences, seed)
            ends_solved = bool(trajectory.solved[-1])
            sys.stdout.write(
                f"{name} seed {seed}: {'solved' if ends_solved else 'not solved'} after "
                f"{len(trajectory.actions)} steps, {time.perf_counter() - started:.0f} s\n"
            )
            sys.stdout.flush()
            if ends_solved:
                solved = goal_of(trajectory, simulator, seed=seed, sequences=sequences)
                write_solved(folder, name, solved, pictures(name, solved))
                return True
    return False


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", default=[*TASKS], choices=[*TASKS])
    parser.add_argument("--sequences", type=int, default=32)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--seed", type=int, default=123)
    parser.add_argument("--redraw", action="store_true", help="draw what is solved again, first")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    for name in solved_names(given.out) if given.redraw else ():
        solved = solved_goal(name, given.out)
        write_solved(given.out, name, solved, pictures(name, solved))
    missing = [name for name in given.tasks if name not in solved_names(given.out)]
    seeds = range(given.seed, given.seed + given.tries)
    failed = [name for name in missing if not make(name, given.out, given.sequences, seeds)]
    sys.stdout.write(f"not solved: {', '.join(failed) or 'none'}\n")


if __name__ == "__main__":
    main()
