"""What a planner asks of a simulator: begin, take a step, try action sequences from a state.

Each function takes the simulator first and leaves nothing in it that the next one reads: all of the
state travels as what `save` gave. So any process may answer, see `processes`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.simulation.interface import Simulator
from vip_offline.simulation.nuisances import Nuisance
from vip_offline.utils.arrays import Floats, Pixels


@dataclass(frozen=True)
class Situation:
    """Where an episode is."""

    saved: Floats  # (S,) of `Simulator.save`
    frame: Pixels  # (H, W, 3)
    proprio: NDArray[np.float32]  # (P,)
    state: Floats  # privileged: for numbers, never for decisions
    reward: float  # the simulator's dense one of the step that led here; nan at the start
    solved: bool


@dataclass(frozen=True)
class Ends:
    """Where N action sequences end."""

    frames: Pixels | None  # (N, H, W, 3); None: nobody asked
    rewards: Floats  # (N,) the simulator's dense reward of the last step
    solved: NDArray[np.bool_]  # (N,) in the last step


def wear(simulator: Simulator, nuisance: Nuisance | None) -> None:
    """Draw frames with a nuisance from now on; None: clean ones."""
    simulator.nuisance = nuisance


def begin(simulator: Simulator, placement: int) -> Situation:
    """Start an episode with things where this seed puts them."""
    simulator.reset(placement)
    return _situation(simulator, float("nan"), solved=False)


def take(simulator: Simulator, saved: Floats, action: NDArray[np.floating[Any]]) -> Situation:
    """Execute one action from a state."""
    simulator.restore(saved)
    reward, solved = simulator.step(action)
    return _situation(simulator, reward, solved=solved)


def _situation(simulator: Simulator, reward: float, *, solved: bool) -> Situation:
    return Situation(
        saved=simulator.save(),
        frame=simulator.frame(),
        proprio=simulator.proprio(),
        state=np.array(simulator.state),
        reward=reward,
        solved=solved,
    )


def shoot(simulator: Simulator, saved: Floats, sequences: Floats, *, draw: bool) -> Ends:
    """Try action sequences, and draw nothing but where they end.

    Args:
        simulator: of the task.
        saved: the state that all start from.
        sequences: (N, H, A), clipped by the simulator.
        draw: whether frames are needed.
    """
    frames: list[Pixels] = []
    rewards, solved = np.empty(len(sequences)), np.zeros(len(sequences), bool)
    for row, actions in enumerate(sequences):
        simulator.restore(saved)
        for action in actions:
            rewards[row], solved[row] = simulator.step(action)
        if draw:
            frames.append(simulator.frame())
    return Ends(np.stack(frames) if draw else None, rewards, solved)


def joined(parts: list[Ends]) -> Ends:
    """The ends of all parts, in order."""
    drawn = [part.frames for part in parts if part.frames is not None]
    return Ends(
        np.concatenate(drawn) if drawn else None,
        np.concatenate([part.rewards for part in parts]),
        np.concatenate([part.solved for part in parts]),
    )
