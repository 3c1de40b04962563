import os
import signal
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.options.fields import OptionError
from vip_offline.options.plan import PlanOptions
from vip_offline.planning.processes import SimulatorProcesses
from vip_offline.planning.shooting import begin, shoot, take
from vip_offline.simulation.interface import Simulator
from vip_offline.simulation.simulators import make_simulator

pytestmark = [pytest.mark.sim, pytest.mark.slow]
make = partial(make_simulator, "drawer-close", 32)


@pytest.fixture
def processes() -> Iterator[SimulatorProcesses]:
    with SimulatorProcesses(make, 2) as started:
        yield started


def process_id(simulator: Simulator) -> int:
    return os.getpid()


def refuse(simulator: Simulator) -> None:
    raise OptionError(PlanOptions, "steps", 7, "must be less.")


def break_down(simulator: Simulator) -> None:
    raise ZeroDivisionError("by zero")


def test_all_processes_score_as_one_simulator(processes: SimulatorProcesses) -> None:
    sequences = np.random.default_rng(0).normal(size=(5, 3, 4))
    start = processes.call(begin, 3)
    ends = processes.shoot(start.saved, sequences, draw=True)
    blind = processes.shoot(start.saved, sequences, draw=False)
    with make() as simulator:
        alone = begin(simulator, 3)
        expected = shoot(simulator, alone.saved, sequences, draw=True)
        action = np.full(4, 0.5, np.float32)
        after = take(simulator, alone.saved, action)
    np.testing.assert_array_equal(start.frame, alone.frame)
    np.testing.assert_array_equal(ends.rewards, expected.rewards)
    assert ends.frames is not None and expected.frames is not None and blind.frames is None
    np.testing.assert_array_equal(ends.frames, expected.frames)
    assert len(np.unique(ends.frames.reshape(5, -1), axis=0)) > 1
    # shooting left nothing behind
    again = processes.call(take, start.saved, action)
    np.testing.assert_array_equal(again.saved, after.saved)
    np.testing.assert_array_equal(again.state, after.state)
    assert again.reward == after.reward and np.isnan(start.reward)
    assert {*processes.map(process_id, [(), ()])} == {*processes.pids}


def test_fewer_sequences_than_processes(processes: SimulatorProcesses) -> None:
    start = processes.call(begin, 0)
    ends = processes.shoot(start.saved, np.zeros((1, 2, 4)), draw=True)
    assert ends.frames is not None and ends.frames.shape == (1, 32, 32, 3)


def test_what_breaks_over_there_is_said_here(processes: SimulatorProcesses) -> None:
    with pytest.raises(VipOfflineError, match="--steps 7: must be less"):
        processes.call(refuse)
    with SimulatorProcesses(make, 1) as other, pytest.raises(VipOfflineError) as caught:
        other.call(break_down)
    assert "ZeroDivisionError: by zero" in str(caught.value)


def test_a_killed_process_is_named(processes: SimulatorProcesses) -> None:
    start = processes.call(begin, 0)
    os.kill(processes.pids[1], signal.SIGKILL)
    with pytest.raises(VipOfflineError, match=r"simulator-1 .* exit code -9"):
        processes.shoot(start.saved, np.zeros((4, 2, 4)), draw=True)


def test_a_simulator_that_cannot_be_made_is_said_here() -> None:
    with (
        SimulatorProcesses(partial(make_simulator, "drawer-clos", 32), 1) as processes,
        pytest.raises(VipOfflineError, match="Did you mean 'drawer-close'"),
    ):
        processes.call(begin, 0)
