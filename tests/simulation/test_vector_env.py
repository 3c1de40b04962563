import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.metaworld import Simulator
from vip_offline.simulation.vector_env import VectorSimulator

pytestmark = pytest.mark.sim


@pytest.mark.slow
def test_slots_are_environments_of_their_own() -> None:
    action = np.array([0.2, 0.9, -0.1, 1.0], np.float32)
    with VectorSimulator("drawer-close", 48, processes=2, environments=2) as simulators:
        assert simulators.slots == 4
        first = simulators({0: 5, 1: 6, 3: 7})
        second = simulators({1: action, 2: 8, 3: action})
    assert first.frames.shape == (3, 48, 48, 3)
    assert not second.solved.any()
    with Simulator("drawer-close", 48) as simulator:
        for row, placement in enumerate((5, 6, 7)):
            np.testing.assert_array_equal(simulator.reset(placement).frame, first.frames[row])
        np.testing.assert_array_equal(simulator.reset(8).frame, second.frames[1])
        for row, placement in ((0, 6), (2, 7)):
            simulator.reset(placement)
            expected, _, _ = simulator.step(action)
            np.testing.assert_array_equal(expected.frame, second.frames[row])
            np.testing.assert_array_equal(expected.proprio, second.proprio[row])


@pytest.mark.slow
def test_what_breaks_over_there_is_said_here() -> None:
    with VectorSimulator("drawer-close", 32, processes=1, environments=1) as simulators:
        simulators({0: 1})
        with pytest.raises(VipOfflineError, match="simulator of drawer-close"):
            simulators({0: np.zeros((2, 9), np.float32)})


@pytest.mark.slow
def test_a_killed_process_is_said_here() -> None:
    with VectorSimulator("drawer-close", 32, processes=1, environments=1) as simulators:
        simulators({0: 1})
        simulators._workers[0][0].kill()
        with pytest.raises(VipOfflineError, match="exit code -9"):
            for _ in range(100):
                simulators({0: 1})
