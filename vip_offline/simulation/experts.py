"""How recorded robots behave: the scripted expert, and four ways to fail with it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.simulation.metaworld import expert_action

Action = NDArray[np.float64]
Behaviour = Callable[[NDArray[np.float64], int], Action]  # (state, step) -> (A,), not clipped

FREEZE_AFTER = (35, 61)  # steps: the hand has approached, the task is not solved
PULL = 0.6  # share of the expert's action that is left
NOISE = 1.2  # standard deviation, in units of the action range [-1, 1]
WALK_MEMORY = 0.95  # of the smooth random walk, per step


def expert(scripted: Any, generator: np.random.Generator) -> Behaviour:
    """The scripted expert as it is."""
    del generator
    return lambda state, step: expert_action(scripted, state)


def frozen(scripted: Any, generator: np.random.Generator) -> Behaviour:
    """Does well, then stops early and stays."""
    after = int(generator.integers(*FREEZE_AFTER))
    return lambda state, step: (
        expert_action(scripted, state) if step < after else np.zeros(4, np.float64)
    )


def pulled(scripted: Any, generator: np.random.Generator) -> Behaviour:
    """Pulled to a wrong place by a constant bias."""
    direction = generator.normal(size=4)
    bias = direction / np.linalg.norm(direction)
    return lambda state, step: PULL * np.clip(expert_action(scripted, state), -1, 1) + bias


def noisy(scripted: Any, generator: np.random.Generator) -> Behaviour:
    """The expert drowned in noise."""

    def act(state: NDArray[np.float64], step: int) -> Action:
        noise = NOISE * generator.normal(size=4)
        return np.asarray(np.clip(expert_action(scripted, state), -1, 1) + noise)

    return act


def wandering(scripted: Any, generator: np.random.Generator) -> Behaviour:
    """A smooth random walk that knows nothing of the task."""
    del scripted
    velocity = np.zeros(4)

    def act(state: NDArray[np.float64], step: int) -> Action:
        nonlocal velocity
        kick = generator.normal(size=4) * np.sqrt(1 - WALK_MEMORY**2)
        velocity = WALK_MEMORY * velocity + kick
        return np.asarray(velocity)

    return act


# failures take these in turn, so their shares are equal and fixed beforehand
FAILURES: dict[str, Callable[[Any, np.random.Generator], Behaviour]] = {
    "frozen": frozen,
    "pulled": pulled,
    "noisy": noisy,
    "wandering": wandering,
}
BEHAVIOURS = {"expert": expert, **FAILURES}
