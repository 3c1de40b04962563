from pathlib import Path

import numpy as np
import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.planning.goals import check_goal, expert_goal, given_goal, kitchen_goal
from vip_offline.simulation.simulators import kind_of, make_simulator


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"--goal .*gone.png: is no file"):
        given_goal(str(tmp_path / "gone.png"))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(VipOfflineError, match=r"text\.png"):
        given_goal(str(tmp_path / "text.png"))


@pytest.mark.sim
@pytest.mark.slow
def test_the_expert_s_goal_is_of_its_placement() -> None:
    with make_simulator("drawer-close", 32) as simulator:
        goal, other = expert_goal(simulator, 0), expert_goal(simulator, 1)
        simulator.reset(0)
        start, state = simulator.frame(), simulator.state
    assert goal.state is not None and other.state is not None
    objects = [*kind_of("drawer-close").object_columns]
    assert np.abs(goal.state[objects] - state[objects]).max() > 0.05  # it is closed
    assert np.abs(goal.state - other.state).max() > 0.01
    assert (goal.picture != start).any() and (goal.picture != other.picture).any()
    assert "placement 1" in other.source


@pytest.mark.sim
@pytest.mark.slow
def test_kitchen_s_goal_with_the_arm_at_home() -> None:
    with make_simulator("kitchen/sdoor-open", 32, view="left") as simulator:
        goal = kitchen_goal(simulator, "object")
        assert goal.state is not None
        simulator.reset(0)
        moved = np.flatnonzero(np.abs(simulator.state[:30] - goal.state[:30]) > 0.01)
        assert (goal.picture != simulator.frame()).any()
    np.testing.assert_array_equal(moved, [19])  # the slide


def test_a_goal_of_kitchen_alone() -> None:
    check_goal("kitchen/sdoor-open", "object", needed=True)
    with pytest.raises(VipOfflineError, match="Kitchen alone, not of push"):
        check_goal("push", "object", needed=True)
