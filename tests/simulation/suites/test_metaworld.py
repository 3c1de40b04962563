import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.suites.metaworld import MetaworldSimulator, tasks

pytestmark = pytest.mark.sim


def test_a_placement_repeats_whatever_came_before() -> None:
    with MetaworldSimulator("drawer-close", 64) as simulator:
        simulator.reset(11)
        first, state = simulator.observe(), simulator.state.copy()
        for _ in range(7):
            simulator.step(np.array([0.3, -0.8, 0.1, 1]))
        last = simulator.observe()
        simulator.reset(12)
        other = simulator.observe()
        simulator.reset(11)
        again = simulator.observe()
        np.testing.assert_array_equal(again.frame, first.frame)
        np.testing.assert_array_equal(simulator.state, state)
        assert not np.array_equal(other.frame, first.frame)
        assert not np.array_equal(last.frame, first.frame)
        for _ in range(7):
            simulator.step(np.array([0.3, -0.8, 0.1, 1]))
        repeated = simulator.observe()
        np.testing.assert_array_equal(repeated.frame, last.frame)
        np.testing.assert_array_equal(repeated.proprio, last.proprio)
    with MetaworldSimulator("drawer-close", 64) as fresh:
        fresh.reset(11)
        np.testing.assert_array_equal(fresh.frame(), first.frame)


def test_proprioception_is_the_robots_own() -> None:
    """Hand and gripper, and nothing of where the drawer stands."""
    seen, drawers = [], set()
    with MetaworldSimulator("drawer-close", 32) as simulator:
        for placement in range(5):
            simulator.reset(placement)
            seen.append(simulator.proprio())
            drawers.add(simulator.state[4])
    assert len(drawers) == 5
    assert seen[0].shape == (4,)
    assert seen[0].dtype == np.float32
    for proprio in seen[1:]:
        np.testing.assert_allclose(proprio, seen[0], atol=1e-6)


def test_the_goal_marker_is_not_in_the_picture() -> None:
    with MetaworldSimulator("push", 64) as simulator:
        simulator.reset(0)
        before = simulator.frame()
        model = simulator._env.model
        model.site_rgba[:] = [1, 0, 0, 1]
        model.site_size[:] = 0.2
        assert simulator.renderer is not None
        np.testing.assert_array_equal(simulator.renderer(simulator._env.data), before)


def test_actions_are_clipped_to_what_policies_reach() -> None:
    with MetaworldSimulator("drawer-close", 32) as simulator:
        simulator.reset(0)
        simulator.step(np.array([9, -9, 9, 9]))
        wild = simulator.state.copy()
        simulator.reset(0)
        simulator.step(np.array([1, -1, 1, 1]))
        np.testing.assert_array_equal(wild, simulator.state)


def test_tasks() -> None:
    assert len(tasks()) == 50
    with pytest.raises(VipOfflineError, match=r"'drawer-clos'.*Did you mean 'drawer-close'"):
        MetaworldSimulator("drawer-clos", 32)


def test_an_action_that_is_not_finite_is_refused() -> None:
    """Meta-World would take it for a success."""
    with MetaworldSimulator("drawer-close", 32) as simulator:
        simulator.reset(0)
        with pytest.raises(VipOfflineError, match="not finite"):
            simulator.step(np.array([0, np.nan, 0, 0]))
