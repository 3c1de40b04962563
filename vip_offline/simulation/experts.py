"""How recorded robots behave: the scripted expert, and four ways to fail with it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.simulation.suites.metaworld import expert_action

Action = NDArray[np.float64]
Behaviour = Callable[[NDArray[np.float64], int], Action]  # (state, step) -> (A,), not clipped

FREEZE_AFTER = (35 / 80, 61 / 80)  # s: the hand has approached, the task is not solved
PULL = 0.6  # share of the expert's action that is left
NOISE = 1.2  # standard deviation, in units of the action range [-1, 1]
WALK_MEMORY = 0.95  # of the smooth random walk, per step


@dataclass(frozen=True)
class Controls:
    """How a simulator is acted on."""

    size: int  # A
    rate: float  # Hz


def expert(scripted: Any, generator: np.random.Generator, controls: Controls) -> Behaviour:
    """The scripted expert as it is."""
    del generator, controls
    return lambda state, step: expert_action(scripted, state)


def frozen(scripted: Any, generator: np.random.Generator, controls: Controls) -> Behaviour:
    """Does well, then stops early and stays."""
    first, last = (round(seconds * controls.rate) for seconds in FREEZE_AFTER)
    after = int(generator.integers(first, last))
    return lambda state, step: (
        expert_action(scripted, state) if step < after else np.zeros(controls.size)
    )


def pulled(scripted: Any, generator: np.random.Generator, controls: Controls) -> Behaviour:
    """Pulled to a wrong place by a constant bias."""
    direction = generator.normal(size=controls.size)
    bias = direction / np.linalg.norm(direction)
    return lambda state, step: PULL * np.clip(expert_action(scripted, state), -1, 1) + bias


def noisy(scripted: Any, generator: np.random.Generator, controls: Controls) -> Behaviour:
    """The expert drowned in noise."""

    def act(state: NDArray[np.float64], step: int) -> Action:
        noise = NOISE * generator.normal(size=controls.size)
        return np.asarray(np.clip(expert_action(scripted, state), -1, 1) + noise)

    return act


def wandering(scripted: Any, generator: np.random.Generator, controls: Controls) -> Behaviour:
    """A smooth random walk that knows nothing of the task."""
    del scripted
    velocity = np.zeros(controls.size)

    def act(state: NDArray[np.float64], step: int) -> Action:
        nonlocal velocity
        kick = generator.normal(size=controls.size) * np.sqrt(1 - WALK_MEMORY**2)
        velocity = WALK_MEMORY * velocity + kick
        return np.asarray(velocity)

    return act


# failures take these in turn, so their shares are equal and fixed beforehand
FAILURES: dict[str, Callable[[Any, np.random.Generator, Controls], Behaviour]] = {
    "frozen": frozen,
    "pulled": pulled,
    "noisy": noisy,
    "wandering": wandering,
}
BEHAVIOURS = {"expert": expert, **FAILURES}
