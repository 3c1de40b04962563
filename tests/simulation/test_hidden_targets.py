"""Every task's target: seen, or the same in all placements, or refused."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.options import RecordOptions
from vip_offline.simulation.hidden_targets import (
    DRAWN_TARGETS,
    MARKED,
    ONLY_MARKED,
    check_target,
    is_hidden,
    target_of,
)
from vip_offline.simulation.record import record
from vip_offline.simulation.suites.metaworld import MetaworldSimulator, tasks
from vip_offline.simulation.suites.ogbench_tasks import TASKS as OGBENCH_TASKS

PLACEMENTS = 30
CLOSE = 1e-4  # m


def placed(task: str, *, hidden_goal: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(P, 3) targets and (P, G, 3) where drawn geometries are, over placements."""
    with MetaworldSimulator(task, 16, hidden_goal=hidden_goal) as simulator:
        targets, places = [], []
        for placement in range(PLACEMENTS):
            simulator.reset(placement)
            targets.append(np.array(simulator._env._target_pos))
            places.append(simulator._env.data.geom_xpos.copy())
        model = simulator._env.model
        drawn = (model.geom_rgba[:, 3] > 0) & (model.geom_group < 3)
    return np.array(targets), np.array(places)[:, drawn]


def is_visible(targets: NDArray[np.float64], places: NDArray[np.float64]) -> bool:
    """Whether each coordinate is constant, or keeps its distance to something that is drawn."""
    constant = np.ptp(targets, axis=0) < CLOSE
    carried = np.ptp(targets[:, None] - places, axis=0) < CLOSE  # (G, 3)
    return bool((carried | constant).all(axis=-1).any())


def test_every_task_is_known() -> None:
    assert set(tasks()) == DRAWN_TARGETS | MARKED | ONLY_MARKED
    assert not (DRAWN_TARGETS & MARKED or DRAWN_TARGETS & ONLY_MARKED or MARKED & ONLY_MARKED)


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("task", sorted(DRAWN_TARGETS))
def test_a_drawn_target_is_constant_or_moves_with_what_is_drawn(task: str) -> None:
    assert is_visible(*placed(task, hidden_goal=False))


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("task", sorted(MARKED))
def test_a_marker_is_fixed_and_the_object_is_not(task: str) -> None:
    assert not is_visible(*placed(task, hidden_goal=True))
    targets, places = placed(task, hidden_goal=False)
    assert np.ptp(targets, axis=0).max() < CLOSE
    assert np.ptp(places, axis=0).max() > 0.01


@pytest.mark.sim
@pytest.mark.parametrize("task", sorted(ONLY_MARKED))
def test_a_task_in_which_nothing_but_the_marker_varies_is_refused(task: str) -> None:
    targets, places = placed(task, hidden_goal=True)
    assert not is_visible(targets, places) and np.ptp(places, axis=0).max() < CLOSE
    with pytest.raises(VipOfflineError, match=r"marker that no picture shows.*--hidden-goal"):
        check_target(task, hidden_goal=False)
    assert check_target(task, hidden_goal=True) == "hidden"


@pytest.mark.parametrize("hidden_goal", [False, True])
def test_kitchen_hides_no_target(hidden_goal: bool) -> None:
    assert check_target("kitchen/sdoor-open", hidden_goal) == "drawn"
    assert target_of("kitchen/sdoor-open", {}) == "drawn"
    assert not is_hidden("kitchen/sdoor-open", {})


@pytest.mark.parametrize("task", ["juggle", "ogbench/juggle"])
def test_a_task_that_is_not_known_here_is_refused(task: str) -> None:
    with pytest.raises(VipOfflineError, match="not known here"):
        check_target(task, hidden_goal=False)


def test_only_a_cube_that_goes_anywhere_on_the_table_has_a_marker() -> None:
    fixed = {name for name in OGBENCH_TASKS if check_target(f"ogbench/{name}", False) == "fixed"}
    assert fixed == {"cube-move"}
    assert check_target("ogbench/cube-move", hidden_goal=True) == "hidden"
    assert is_hidden("ogbench/cube-move", {}) and is_hidden(
        "ogbench/cube-move", {"target": "hidden"}
    )
    assert not is_hidden("ogbench/cube-move", {"target": "fixed"})
    assert check_target("ogbench/drawer-open", hidden_goal=True) == "drawn"
    assert not is_hidden("ogbench/drawer-open", {})


@pytest.mark.slow
@pytest.mark.sim
def test_the_first_picture_is_of_its_own_placement() -> None:
    # Meta-World moves the drawer's body and looks where it is at the first step only
    with MetaworldSimulator("drawer-open", 48) as simulator:
        simulator.reset(1)
        simulator.reset(2)
        after_another = simulator.frame()
        state = simulator.state.copy()
    with MetaworldSimulator("drawer-open", 48) as simulator:
        simulator.reset(2)
        alone = simulator.frame()
        simulator.step(np.zeros(4, np.float32))
        # nothing but the hand can have moved in one step
        np.testing.assert_allclose(simulator.state[4:7], state[4:7], atol=5e-3)
    np.testing.assert_array_equal(after_another, alone)


@pytest.mark.sim
def test_a_placement_that_never_fits_ends_in_a_message() -> None:
    with MetaworldSimulator("push", 16) as simulator:
        space = simulator._env._random_reset_space
        space.low[:3] = space.high[:3] = (space.low[3:] + space.high[3:]) / 2
        with pytest.raises(VipOfflineError, match="no placement fits"):
            simulator.reset(0)


@pytest.mark.slow
@pytest.mark.sim
def test_a_store_says_how_its_target_was_placed(tmp_path: Path) -> None:
    options = RecordOptions(task="push", episodes=1, failures=1, image_size=16, max_steps=3)
    record(tmp_path / "new.zarr", options, processes=1)
    assert open_store(tmp_path / "new.zarr").attributes["target"] == "fixed"
    marked = RecordOptions(**{**vars(options), "hidden_goal": True})
    record(tmp_path / "marked.zarr", marked, processes=1)
    attributes = open_store(tmp_path / "marked.zarr").attributes
    assert attributes["target"] == "hidden" and is_hidden("push", attributes)
    with pytest.raises(VipOfflineError, match=r"recorded with its target hidden.*--hidden-goal"):
        record(tmp_path / "marked.zarr", options, processes=1)


@pytest.mark.slow
@pytest.mark.sim
def test_a_store_from_before_is_recognised_and_can_be_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "old.zarr"
    options = RecordOptions(task="push", episodes=1, failures=1, image_size=16, max_steps=3)
    marked = RecordOptions(**{**vars(options), "hidden_goal": True})
    record(path, marked, processes=1)
    with writing(path) as store:
        attributes = {k: v for k, v in store.attributes.items() if k != "target"}
        store._root.attrs.put(attributes)
    assert is_hidden("push", open_store(path).attributes)
    with pytest.raises(VipOfflineError, match="recorded with its target hidden"):
        record(path, options, processes=1)
    assert record(path, marked, processes=1).existing == 1
