import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.nuisances import Nuisances
from vip_offline.simulation.suites.metaworld import MetaworldSimulator
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
    with MetaworldSimulator("drawer-close", 48) as simulator:
        for row, placement in enumerate((5, 6, 7)):
            simulator.reset(placement)
            np.testing.assert_array_equal(simulator.frame(), first.frames[row])
        simulator.reset(8)
        np.testing.assert_array_equal(simulator.frame(), second.frames[1])
        for row, placement in ((0, 6), (2, 7)):
            simulator.reset(placement)
            simulator.step(action)
            expected = simulator.observe()
            np.testing.assert_array_equal(expected.frame, second.frames[row])
            np.testing.assert_array_equal(expected.proprio, second.proprio[row])


@pytest.mark.slow
def test_only_frames_that_are_looked_at_are_drawn() -> None:
    action = np.array([0.2, 0.9, -0.1, 1.0], np.float32)
    with VectorSimulator("drawer-close", 48, processes=2, environments=2) as simulators:
        everything = simulators({0: 5, 1: 6, 3: 7})
        none = simulators({0: action, 1: action, 3: action}, drawn=())
        one = simulators({0: 5, 1: 6, 3: 7}, drawn={3})
    assert none.frames.shape == (0, 48, 48, 3)
    assert none.proprio.shape == (3, 4)
    np.testing.assert_array_equal(one.frames, everything.frames[2:])
    np.testing.assert_array_equal(one.proprio, everything.proprio)


@pytest.mark.slow
def test_commands_may_be_sent_before_the_last_ones_are_answered() -> None:
    action = np.array([0.2, 0.9, -0.1, 1.0], np.float32)
    with VectorSimulator("drawer-close", 48, processes=2, environments=2) as simulators:
        assert simulators.groups(2) == [[0, 2], [1, 3]]
        assert simulators.groups(5) == [[0, 2], [1, 3]]
        assert simulators.groups(1) == [[0, 2, 1, 3]]
        in_turns = [simulators({0: 5, 2: 7}), simulators({1: 6}), simulators({0: action})]
        simulators.send({0: 5, 2: 7})
        simulators.send({1: 6})
        simulators.send({0: action})
        for expected in in_turns:
            np.testing.assert_array_equal(simulators.receive().frames, expected.frames)
        simulators.send({0: 5, 2: 7})  # nobody receives it


@pytest.mark.slow
def test_each_episode_has_the_nuisance_of_its_placement() -> None:
    nuisances = Nuisances("evaluate", ("light", "camera"), 2)
    action = np.array([0.2, 0.9, -0.1, 1.0], np.float32)
    with VectorSimulator("drawer-close", 48, 1, 2, nuisances=nuisances) as simulators:
        first = simulators({0: 5, 1: 6})
        second = simulators({0: action, 1: 5})
    with MetaworldSimulator("drawer-close", 48) as simulator:
        for placement, frame in ((5, first.frames[0]), (6, first.frames[1])):
            simulator.nuisance = nuisances[placement]
            simulator.reset(placement)
            np.testing.assert_array_equal(simulator.frame(), frame)
    np.testing.assert_array_equal(second.frames[1], first.frames[0])


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
