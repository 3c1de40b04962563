"""What every simulator must do, for the tests of each."""

import numpy as np
from numpy.typing import NDArray

from vip_offline.simulation.interface import Simulator
from vip_offline.simulation.simulators import make_simulator


def steps(simulator: Simulator, actions: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """State, reward and success of each step."""
    rows = []
    for action in actions:
        reward, solved = simulator.step(action)
        rows.append(np.append(simulator.state, [reward, solved]))
    return rows


def check_saving(task: str, count: int, size: int = 32) -> None:
    """A restored state goes on as the saved one did, here and in another simulator."""
    generator = np.random.default_rng(0)
    with make_simulator(task, size) as simulator, make_simulator(task, size) as other:
        actions = generator.uniform(-1.2, 1.2, (count + 20, simulator.action_size))
        before, after = actions[:count].astype(np.float32), actions[count:].astype(np.float32)
        simulator.reset(7)
        other.reset(8)
        steps(other, after[:3])
        steps(simulator, before)
        saved, frame, proprio = simulator.save(), simulator.frame(), simulator.proprio()
        expected = steps(simulator, after)
        last = simulator.frame()
        for restored in (simulator, other):
            restored.restore(saved)
            np.testing.assert_array_equal(restored.save(), saved)
            np.testing.assert_array_equal(restored.frame(), frame)
            np.testing.assert_array_equal(restored.proprio(), proprio)
            assert restored.steps == count
            np.testing.assert_array_equal(steps(restored, after), expected)
            np.testing.assert_array_equal(restored.frame(), last)
