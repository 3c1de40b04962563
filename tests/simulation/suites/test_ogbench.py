import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray
from simulator_checks import check_saving

from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.options import TAIL, RecordOptions
from vip_offline.simulation.gym_env import SimulatorEnv, register_environments
from vip_offline.simulation.record import planned_episodes, record
from vip_offline.simulation.simulators import check_task, make_simulator, tasks, views
from vip_offline.simulation.suites.ogbench import (
    ACTIONS,
    PROPRIO,
    STEP_LIMIT,
    VIEWS,
    OgbenchSimulator,
    ScriptedExpert,
)
from vip_offline.simulation.suites.ogbench_tasks import (
    APART,
    PLACES,
    STATE_SIZE,
    TASKS,
    approach,
    as_info,
    as_state,
    dense_reward,
    object_error,
)

STILL = np.zeros(ACTIONS, np.float32)
# every scene, and of the largest one all that is kept beside physics
SAVED = ["button-press-drawer", "window-open", "cube-in-drawer", "cube-move", "cube-stack"]
SMALL = RecordOptions(
    task="ogbench/drawer-open", episodes=6, failures=4, image_size=32, max_steps=60
)


Open = Callable[..., OgbenchSimulator]


@pytest.fixture(scope="module")
def opened() -> Iterator[Open]:
    """A task's simulator, made once: a reset leaves nothing behind, as a test below makes sure."""
    with contextlib.ExitStack() as stack:

        @cache
        def simulator(
            name: str, view: str = "corner", hidden_goal: bool = False
        ) -> OgbenchSimulator:
            return stack.enter_context(
                OgbenchSimulator(name, 48, view=view, hidden_goal=hidden_goal)
            )

        yield simulator


def state_of(**fields: object) -> NDArray[np.float64]:
    """Zero but for these; `block_0_pos` stands for ``privileged/block_0_pos``."""
    return as_state(
        {
            ("proprio/" if name.startswith("eff") else "privileged/") + name: value
            for name, value in fields.items()
        }
    )


def test_a_state_is_read_as_it_was_written() -> None:
    state = np.arange(STATE_SIZE, dtype=np.float64)
    info = as_info(state)
    np.testing.assert_array_equal(as_state(info), state)
    assert isinstance(info["privileged/target_block"], int)
    assert isinstance(info["privileged/button_1_state"], int)
    assert isinstance(info["privileged/target_button_state"], int)
    assert info["privileged/drawer_pos"].shape == (1,)


def test_the_error_is_what_is_left_to_move() -> None:
    drawer = state_of(drawer_pos=[-0.1], target_drawer_pos=[-0.16])
    assert object_error(TASKS["drawer-open"], drawer) == pytest.approx(0.06)
    window = state_of(window_pos=[0.05], target_window_pos=[0.0])
    assert object_error(TASKS["window-close"], window) == pytest.approx(0.05)
    cube = state_of(block_0_pos=[0.3, 0, 0.02], target_block_pos=[0.6, 0.4, 0.02])
    assert object_error(TASKS["cube-move"], cube) == pytest.approx(0.5)
    half = {"button_1_pos": [-0.005], "target_button": 1, "target_button_state": 1}
    assert object_error(TASKS["button-press-window"], state_of(**half)) == pytest.approx(0.015)
    deep = {**half, "button_1_pos": [-0.024]}
    assert object_error(TASKS["button-press-window"], state_of(**deep)) == 0
    done = {**half, "button_1_state": 1}
    assert object_error(TASKS["button-press-window"], state_of(**done)) == 0


@pytest.mark.parametrize(
    ("task", "held"),
    [
        ("drawer-open", "drawer_handle_pos"),
        ("window-open", "window_handle_pos"),
        ("button-press-drawer", "target_button_top_pos"),
        ("cube-stack", "block_0_pos"),
    ],
)
def test_the_hand_approaches_what_is_to_move(task: str, held: str) -> None:
    state = state_of(**{held: [0.4, 0.1, 0.2], "effector_pos": [0.1, 0.1, 0.6]})
    assert approach(TASKS[task], state) == pytest.approx(0.5)


def test_the_dense_reward_is_the_sum_of_its_terms() -> None:
    assert dense_reward(0.16, 0.5) == pytest.approx(-0.21)
    assert dense_reward(0.0, 0.0) == 0


@pytest.mark.sim
def test_nine_tasks_and_two_views() -> None:
    assert len(tasks("ogbench")) == len(TASKS) == 9
    assert check_task("ogbench/drawer-open") == "ogbench/drawer-open"
    assert views("ogbench/drawer-open") == ["corner", "front"]
    for task, message in (
        ("ogbench/drawer-opn", r"Unknown task 'ogbench/drawer-opn'. Did you mean 'ogbench/drawer-"),
        ("cube-stack", r"Unknown task 'cube-stack'. Did you mean 'ogbench/cube-stack'\?"),
        ("ogbnch/drawer-open", r"'ogbnch'. Did you mean 'ogbench'\?"),
    ):
        with pytest.raises(VipOfflineError, match=message):
            check_task(task)
    with pytest.raises(VipOfflineError, match=r"'fron'. Did you mean 'front'\?"):
        make_simulator("ogbench/drawer-open", 32, view="fron")
    with pytest.raises(VipOfflineError, match=r"'top'.*Known: corner, front"):
        planned_episodes(replace(SMALL, camera="top"))


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", SAVED)
def test_a_placement_repeats_whatever_came_before(name: str, opened: Open) -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (5, ACTIONS))
    simulator = opened(name)
    simulator.reset(11)
    first, frame = simulator.save(), simulator.frame()
    for action in actions:
        simulator.step(action)
    assert not np.array_equal(simulator.frame(), frame)
    last = simulator.save()
    simulator.reset(12)
    assert not np.array_equal(simulator.save(), first)
    # everything that an episode can leave behind
    simulator._env.data.mocap_pos[:] = 1
    if TASKS[name].scene == "scene":
        simulator._env._cur_button_states[:] = 1 - simulator._env._cur_button_states
        simulator._env._apply_button_states()
    simulator.step(STILL)
    simulator.reset(11)
    np.testing.assert_array_equal(simulator.save(), first)
    np.testing.assert_array_equal(simulator.frame(), frame)
    with OgbenchSimulator(name, 48) as fresh:
        fresh.reset(11)
        np.testing.assert_array_equal(fresh.save(), first)
        np.testing.assert_array_equal(fresh.frame(), frame)
        for action in actions:
            fresh.step(action)
        np.testing.assert_array_equal(fresh.save(), last)


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize(("name", "count"), [(SAVED[0], 0), *((name, 20) for name in SAVED)])
def test_a_restored_state_goes_on_to_the_last_bit(name: str, count: int) -> None:
    check_saving(f"ogbench/{name}", count)


@pytest.mark.slow
@pytest.mark.sim
def test_a_button_that_was_pressed_is_restored_with_what_follows_from_it() -> None:
    """Colours and damping are in the model, which physics does not count to its state."""
    expert = ScriptedExpert("button-press-drawer")
    with (
        OgbenchSimulator("button-press-drawer", 64) as simulator,
        OgbenchSimulator("button-press-drawer", 64) as other,
    ):
        simulator.reset(0)
        locked = simulator.frame()
        for _ in range(60):
            if simulator.step(expert.get_action(simulator.state))[1]:
                break
        saved, frame = simulator.save(), simulator.frame()
        assert np.abs(frame.astype(int) - locked).max() > 50
        after = [(simulator.step(STILL), simulator.save()) for _ in range(20)]
        for restored in (simulator, other):
            restored.reset(5)
            restored.restore(saved)
            np.testing.assert_array_equal(restored.frame(), frame)
            damping = restored._env.model.joint("drawer_slide").damping[0]
            assert damping == simulator._env.model.joint("drawer_slide").damping[0] < 10
            for outcome, state in after:
                assert restored.step(STILL) == outcome
                np.testing.assert_array_equal(restored.save(), state)


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", SAVED)
def test_no_target_is_in_the_picture(name: str, opened: Open) -> None:
    for view in VIEWS:
        simulator = opened(name, view)
        simulator.reset(3)
        before = simulator.frame()
        env = simulator._env
        env.data.mocap_pos[:] = [0.4, 0.05, 0.1]
        if TASKS[name].scene == "scene":
            env.model.site("drawer_handle_center_target").pos[:] = [0, -0.1, 0.1]
            env.model.site("window_handle_center_target").pos[:] = [0.1, -0.1, 0.1]
            env._target_button_states[:] = 1 - env._target_button_states
        env.post_step()  # recolours, and moves what it likes to where the targets are now
        np.testing.assert_array_equal(simulator.frame(), before)
        # the check can fail: drawn, the marker of the cube's target is seen
        target = env.model.geom("target_object_0").id
        env.model.geom_rgba[target, 3] = 1
        assert not np.array_equal(simulator.frame(), before)


@pytest.mark.slow
@pytest.mark.sim
def test_a_cube_on_its_target_has_the_colour_of_any_other(opened: Open) -> None:
    simulator, frames = opened("cube-move"), []
    for target in ([0.4, 0.1, 0.02], [0.5, -0.2, 0.02]):
        simulator.reset(0)
        simulator._env.data.joint("object_joint_0").qpos[:] = [0.4, 0.1, 0.02, 1, 0, 0, 0]
        simulator._env.data.mocap_pos[:] = target
        _, solved = simulator.step(STILL)
        assert solved == (target[0] == 0.4)
        frames.append(simulator.frame())
    np.testing.assert_array_equal(frames[0], frames[1])


def placed(simulator: OgbenchSimulator, name: str) -> tuple[NDArray[np.float64], ...]:
    """(P, 3) targets, (P, G, 3) drawn geometries and (P, S) states, over placements."""
    targets, places, states = [], [], []
    task, model = TASKS[name], simulator._env.model
    for placement in range(8):
        simulator.reset(placement)
        info = as_info(simulator.state)
        if task.moved == "button":
            targets.append(np.full(3, info["privileged/target_button_state"], np.float64))
        else:
            key = "target_block_pos" if task.moved == "cube" else f"target_{task.moved}_handle_pos"
            targets.append(info[f"privileged/{key}"])
        places.append(simulator._env.data.geom_xpos.copy())
        states.append(simulator.state)
    ghosts = [model.geom(f"target_object_{cube}").id for cube in range(model.nmocap)]
    drawn = (model.geom_rgba[:, 3] > 0) & (model.geom_group < 3)
    drawn[ghosts] = False
    return np.array(targets), np.array(places)[:, drawn], np.array(states)


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", TASKS)
def test_a_target_is_constant_or_moves_with_what_is_drawn(name: str, opened: Open) -> None:
    targets, places, states = placed(opened(name), name)
    constant = np.ptp(targets, axis=0) < 1e-6
    carried = np.ptp(targets[:, None] - places, axis=0) < 1e-6
    assert (carried | constant).all(axis=-1).any()
    assert constant.all() == (name != "cube-stack")
    # placements are not all the same, and none begins near its end
    assert np.ptp(states[:, PLACES["proprio/effector_pos"]], axis=0).min() > 0.05
    assert np.ptp(states[:, PLACES["privileged/block_0_pos"]], axis=0)[:2].min() > 0.05
    task = TASKS[name]
    least = {"cube": APART - 1e-3, "button": 0.015}.get(task.moved, 0.1)
    assert min(object_error(task, state) for state in states) >= least


@pytest.mark.slow
@pytest.mark.sim
def test_a_hidden_target_is_ogbenchs_own(opened: Open) -> None:
    targets, places, _ = placed(opened("cube-move", "corner", True), "cube-move")
    assert np.ptp(targets, axis=0)[:2].min() > 0.1
    carried = np.ptp(targets[:, None] - places, axis=0) < 1e-3
    assert not carried.all(axis=-1).any()


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", TASKS)
def test_the_expert_solves_a_task_and_the_reward_says_so(name: str, opened: Open) -> None:
    expert, simulator = ScriptedExpert(name), opened(name)
    simulator.reset(1)
    rewards, solved = [], False
    while not solved and simulator.steps < STEP_LIMIT:
        reward, solved = simulator.step(np.clip(expert.get_action(simulator.state), -1, 1))
        rewards.append(reward)
    assert solved
    assert rewards[-1] > rewards[0] and rewards[-1] > -0.06
    assert simulator.proprio().shape == (len(PROPRIO),)


@pytest.mark.slow
@pytest.mark.sim
def test_nothing_but_the_drawer_solves_it(opened: Open) -> None:
    simulator = opened("drawer-open")
    simulator.reset(0)
    for _ in range(5):
        assert not simulator.step(STILL)[1]
    simulator._env.data.joint("window_slide").qpos[0] = 0.2
    assert not simulator.step(STILL)[1]
    simulator._env.data.joint("drawer_slide").qpos[0] = -0.13
    assert simulator.step(STILL)[1]


@pytest.mark.slow
@pytest.mark.sim
def test_proprioception_is_of_the_robot_alone(opened: Open) -> None:
    simulator = opened("cube-move")
    simulator.reset(0)
    before = simulator.proprio()
    assert before.dtype == np.float32
    np.testing.assert_allclose(np.hypot(before[3], before[4]), 1, atol=1e-6)
    simulator._env.data.joint("object_joint_0").qpos[:3] = [0.5, 0.25, 0.02]
    simulator.step(STILL)
    np.testing.assert_allclose(simulator.proprio(), before, atol=0.02)
    assert before[5] < 0.1
    for _ in range(20):
        simulator.step(np.array([0, 0, 0, 0, 1.0]))
    assert simulator.proprio()[5] > 0.5  # it closes


@pytest.mark.slow
@pytest.mark.sim
def test_views_differ_and_actions_that_are_not_finite_are_refused(opened: Open) -> None:
    frames = []
    for view in VIEWS:
        simulator = opened("window-open", view)
        simulator.reset(0)
        frames.append(simulator.frame())
        assert frames[-1].shape == (48, 48, 3) and np.ptp(frames[-1]) > 100
        with pytest.raises(VipOfflineError, match="not finite"):
            simulator.step(np.array([0, np.nan, 0, 0, 0]))
    assert not np.array_equal(frames[0], frames[1])


@pytest.mark.slow
@pytest.mark.sim
def test_a_recording_has_successes_and_failures(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    record(path, SMALL, processes=1)
    store = open_store(path)
    store.require_finished()
    assert store.kinds() == ["expert", "expert", "frozen", "pulled", "noisy", "wandering"]
    assert store.meta("success").tolist() == [True, True, False, False, False, False]
    for start, stop in store.spans()[:2]:
        succeeded = store.data("succeeded")[start:stop]
        assert succeeded.sum() == TAIL and succeeded[-TAIL:].all()
    assert store.data("proprio").shape == (store.rows, len(PROPRIO))
    assert store.data("action").shape == (store.rows, ACTIONS)
    attributes = store.attributes
    assert attributes["source"] == "ogbench" and attributes["task"] == "ogbench/drawer-open"
    assert attributes["control_rate"] == 20 and attributes["proprio"] == list(PROPRIO)
    # what is stored leads to what is stored
    with OgbenchSimulator("drawer-open", 32) as simulator:
        start, stop = store.spans()[0]
        simulator.reset(int(store.meta("placement")[0]))
        frames = store.frames("corner", start, stop)
        for row in range(stop - start):
            np.testing.assert_array_equal(simulator.frame(), frames[row])
            np.testing.assert_array_equal(simulator.proprio(), store.data("proprio")[start + row])
            simulator.step(store.data("action")[start + row])


@pytest.mark.slow
@pytest.mark.sim
def test_gymnasium_makes_it_and_finds_no_fault() -> None:
    register_environments()
    made = gym.make("vip_offline/Ogbench-v0", task="ogbench/cube-move", image_size=32, view="front")
    with made:
        inner = made.unwrapped
        assert isinstance(inner, SimulatorEnv)
        assert inner.horizon == STEP_LIMIT
        check_env(inner, skip_render_check=True)


@pytest.mark.slow
@pytest.mark.sim
def test_a_process_that_has_drawn_ends_in_silence() -> None:
    """OGBench brings a second library that opens a display; both close it."""
    code = (
        "from vip_offline.simulation.simulators import make_simulator\n"
        "simulator = make_simulator('ogbench/drawer-open', 32)\n"
        "simulator.frame()\n"
        "import torchvision.transforms.v2\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
