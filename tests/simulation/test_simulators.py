import numpy as np
import pytest
from simulator_checks import check_saving

from vip_offline.errors import VipOfflineError
from vip_offline.simulation.interface import split_task, stored_name
from vip_offline.simulation.simulators import (
    check_task,
    is_task,
    make_simulator,
    scripted_expert,
    tasks,
    view_of_camera,
    views,
)

# of Meta-World: what rewards remember, targets that are computed, bodies that a placement moves
SAVED = ["drawer-close", "push", "bin-picking", "basketball", "peg-insert-side", "door-lock"]


def test_names_are_stored_as_before() -> None:
    assert split_task("push") == split_task("metaworld/push") == ("metaworld", "push")
    assert split_task("kitchen/sdoor-open") == ("kitchen", "sdoor-open")
    for task in ("push", "kitchen/sdoor-open"):
        assert stored_name(*split_task(task)) == task


@pytest.mark.sim
def test_a_prefix_may_be_given() -> None:
    assert check_task("metaworld/drawer-close") == check_task("drawer-close") == "drawer-close"
    assert "drawer-close" in tasks() and len(tasks()) == 50
    assert views("metaworld/push") == ["corner"]
    assert view_of_camera("push", "front") == "corner"
    assert is_task("push") and not is_task("put the cup on/under the shelf")
    with make_simulator("metaworld/push", 32) as simulator:
        assert simulator.task == "push"


@pytest.mark.sim
@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("drawer-clos", r"Unknown task 'drawer-clos'. Did you mean 'drawer-close'\?"),
        ("metaworld/drawer-clos", r"Unknown task 'drawer-clos'. Did you mean 'drawer-close'\?"),
        ("metawrold/push", r"simulator of the task 'metawrold/push'.*Did you mean 'metaworld'\?"),
    ],
)
def test_an_unknown_task_is_refused_with_the_nearest(task: str, message: str) -> None:
    with pytest.raises(VipOfflineError, match=message):
        check_task(task)


@pytest.mark.sim
def test_an_unknown_view_or_start_is_refused() -> None:
    with pytest.raises(VipOfflineError, match=r"view of push: 'cornr'. Did you mean 'corner'\?"):
        make_simulator("push", 32, view="cornr")
    with pytest.raises(VipOfflineError, match=r"start of push: 'easy'.*Known: hard"):
        make_simulator("push", 32, start="easy")
    with pytest.raises(VipOfflineError, match="simulator 'nasaworld'"):
        tasks("nasaworld")


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("task", SAVED)
@pytest.mark.parametrize("count", [0, 20])
def test_a_restored_state_goes_on_to_the_last_bit(task: str, count: int) -> None:
    check_saving(task, count)


@pytest.mark.sim
def test_a_step_draws_nothing() -> None:
    with make_simulator("drawer-close", 32) as simulator:
        simulator.reset(0)
        simulator.step(np.zeros(4, np.float32))
        assert simulator.renderer is None
        simulator.frame()
        assert simulator.renderer is not None


@pytest.mark.sim
def test_experts_are_meta_worlds() -> None:
    assert hasattr(scripted_expert("drawer-close"), "get_action")
    with pytest.raises(VipOfflineError, match=r"kitchen brings no scripted expert.*plan kitchen/"):
        scripted_expert("kitchen/sdoor-open")
