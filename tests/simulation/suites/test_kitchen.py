from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from simulator_checks import check_saving

from vip_offline.errors import VipOfflineError
from vip_offline.options import RecordOptions
from vip_offline.simulation.gym_env import ENVIRONMENTS, SimulatorEnv, register_environments
from vip_offline.simulation.kitchen_goals import (
    EASY_STEP,
    SolvedGoal,
    solved_goal,
    solved_names,
    solved_picture,
    write_solved,
)
from vip_offline.simulation.record import planned_episodes
from vip_offline.simulation.simulators import check_task, make_simulator, tasks, views
from vip_offline.simulation.suites.kitchen import (
    ARM,
    FOLLOWERS,
    JOINTS,
    PROPRIO,
    TASKS,
    VIEWS,
    KitchenSimulator,
    dense_reward,
    is_solved,
    placed,
)

RANGES = np.array([1.0, 2.0])
STILL = np.zeros(9, np.float32)


def test_the_dense_reward_is_the_sum_of_its_terms() -> None:
    far, near = np.array([3.0, 4.0, 0.0]), np.zeros(3)
    # nothing within 0.75 of the range of both: the errors, and half of 5 m
    assert dense_reward(np.array([-0.8, 0.0]), RANGES, far) == pytest.approx(-0.8 - 2.5)
    # within 0.75, not within 0.25
    assert dense_reward(np.array([0.5, -1.4]), RANGES, near) == pytest.approx(-1.9 + 0.5)
    # within both; at the edge is not within
    assert dense_reward(np.array([0.2, 0.49]), RANGES, near) == pytest.approx(-0.69 + 1.0)
    assert dense_reward(np.array([0.25, 0.0]), RANGES, near) == pytest.approx(-0.25 + 0.5)


def test_solved_is_every_joint_within_15_percent_of_its_range() -> None:
    assert is_solved(np.array([0.149, -0.299]), RANGES)
    assert not is_solved(np.array([0.149, -0.301]), RANGES)
    assert not is_solved(np.array([-0.151, 0.0]), RANGES)


def test_a_joint_takes_along_what_follows_it() -> None:
    qpos = placed(np.zeros(30), TASKS["light-on"], -0.7)
    np.testing.assert_allclose(qpos[[17, 18]], [-0.7, -0.05])
    assert np.count_nonzero(qpos) == 2
    assert np.flatnonzero(placed(np.zeros(30), TASKS["micro-open"], -1.25)).tolist() == [22]


@pytest.mark.sim
def test_twelve_tasks_and_three_views() -> None:
    assert len(tasks("kitchen")) == 12
    assert check_task("kitchen/sdoor-open") == "kitchen/sdoor-open"
    assert views("kitchen/knob1-on") == ["default", "left", "right"]
    for task, message in (
        ("kitchen/sdoor-opn", r"Unknown task 'kitchen/sdoor-opn'. Did you mean 'kitchen/sdoor-op"),
        ("sdoor-open", r"Unknown task 'sdoor-open'. Did you mean 'kitchen/sdoor-open'\?"),
        ("kitchn/sdoor-open", r"'kitchn'. Did you mean 'kitchen'\?"),
    ):
        with pytest.raises(VipOfflineError, match=message):
            check_task(task)
    with pytest.raises(VipOfflineError, match=r"'lft'. Did you mean 'left'\?"):
        make_simulator("kitchen/sdoor-open", 32, view="lft")


@pytest.mark.sim
def test_nobody_records_in_the_kitchen() -> None:
    with pytest.raises(VipOfflineError, match="kitchen brings no scripted expert"):
        planned_episodes(RecordOptions(task="kitchen/sdoor-open"))


@pytest.mark.slow
@pytest.mark.sim
def test_places_and_handles_are_those_of_the_model() -> None:
    with KitchenSimulator("sdoor-open", 32) as kitchen:
        model = kitchen._model
        for joint, place in JOINTS.items():
            assert model.joint(joint).qposadr[0] == place
        followed = {}
        for index in range(model.neq):
            first, second = (
                model.joint(int(number[index])) for number in (model.eq_obj1id, model.eq_obj2id)
            )
            followed[first.name] = (int(second.qposadr[0]), float(model.eq_data[index, 1]))
        for joint, follower in FOLLOWERS.items():
            assert followed[joint] == follower
        assert kitchen.proprio().shape == (len(PROPRIO),)
        assert kitchen.state.shape == (59,)
        assert kitchen.control_rate == pytest.approx(1 / kitchen._robot.dt)
        for task in TASKS.values():
            low, high = model.joint(task.joint).range
            assert low <= min(task.start, task.goal) and max(task.start, task.goal) <= high
            # the handle is on what the joint moves
            body = model.site(task.site).bodyid[0]
            moved = model.joint(task.joint).id
            chain: list[int] = []
            while body:
                first = model.body_jntadr[body]
                chain += range(first, first + model.body_jntnum[body])
                body = model.body_parentid[body]
            assert moved in chain, task


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", [*TASKS])
def test_only_the_goal_solves_a_task(name: str) -> None:
    with KitchenSimulator(name, 32) as kitchen:
        kitchen.reset(0)
        worse, solved = kitchen.step(STILL)
        assert not solved
        goal = kitchen.goal_state()
        kitchen._set(goal[: kitchen.joints], goal[kitchen.joints :])
        better, solved = kitchen.step(STILL)
        assert solved
        assert better > worse
        moved = placed(goal[: kitchen.joints], TASKS["sdoor-open"], 0.2)
        if "sdoor" not in name:  # another joint counts, too
            kitchen._set(moved, goal[kitchen.joints :])
            assert not kitchen.step(STILL)[1]


@pytest.mark.slow
@pytest.mark.sim
def test_a_placement_moves_the_arm_a_little_and_repeats() -> None:
    with KitchenSimulator("micro-open", 32) as kitchen:
        kitchen.reset(0)
        start = kitchen.state
        np.testing.assert_array_equal(start[: kitchen.joints], kitchen._robot.init_qpos)
        kitchen.reset(5)
        moved = kitchen.state
        for _ in range(3):
            kitchen.step(STILL + 0.5)
        kitchen.reset(5)
        np.testing.assert_array_equal(kitchen.state, moved)
        kitchen.reset(6)
        assert not np.array_equal(kitchen.state, moved)
    assert 0 < np.abs(moved - start)[:ARM].max() <= 0.03
    np.testing.assert_array_equal(moved[ARM:], start[ARM:])


@pytest.mark.slow
@pytest.mark.sim
def test_views_show_the_goal_each_from_its_side() -> None:
    frames = {}
    for view in VIEWS:
        with KitchenSimulator("rdoor-open", 64, view=view) as kitchen:
            kitchen.reset(0)
            before = kitchen.frame()
            shown, state = kitchen.goal("object")
            np.testing.assert_array_equal(state, kitchen.goal_state())
            np.testing.assert_array_equal(kitchen.frame(), before)  # it stayed where it was
            assert np.abs(shown.astype(int) - before).max() > 50
            frames[view] = before
    assert not np.array_equal(frames["left"], frames["right"])
    assert not np.array_equal(frames["default"], frames["left"])


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("view", [*VIEWS])
def test_the_lamp_is_seen_to_be_on(view: str) -> None:
    """The stock scene needs shadows for that."""
    with KitchenSimulator("light-on", 64, view=view) as kitchen:
        kitchen.reset(0)
        off, (on, _) = kitchen.frame(), kitchen.goal("object")
        brighter = on.astype(int).sum(axis=-1) - off.astype(int).sum(axis=-1)
        assert (brighter > 60).mean() > 0.02
        np.testing.assert_array_equal(kitchen.frame(), off)


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("count", [0, 12])
def test_a_restored_state_goes_on_to_the_last_bit(count: int) -> None:
    check_saving("kitchen/sdoor-open", count)


@pytest.mark.slow
@pytest.mark.sim
def test_gymnasium_makes_it_and_finds_no_fault() -> None:
    register_environments()
    register_environments()  # a second time does nothing
    made = gym.make("vip_offline/Kitchen-v0", task="kitchen/light-on", image_size=32, view="left")
    with made:
        inner = made.unwrapped
        assert isinstance(inner, SimulatorEnv)
        assert inner.horizon == 100
        assert set(inner.observation_space.spaces) == {"frame/left", "proprio"}  # type: ignore[attr-defined]
        check_env(inner, skip_render_check=True)
    assert set(ENVIRONMENTS) <= set(gym.registry)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    folder = tmp_path / "goals"
    picture = generator.integers(0, 255, (16, 16, 3), np.uint8)
    goal, easy, speeds = (generator.normal(size=size) for size in (30, 30, 29))
    actions = generator.normal(size=(4, 9))
    solved = SolvedGoal(goal, easy, speeds, actions, solved_at=3, seed=1, sequences=2)
    write_solved(folder, "micro-open", solved, {"left": picture})
    again = solved_goal("micro-open", folder)
    for key, value in vars(solved).items():
        np.testing.assert_array_equal(vars(again)[key], value)
    np.testing.assert_array_equal(solved_picture("micro-open", "left", folder), picture)
    assert solved_names(folder) == ["micro-open"]
    with pytest.raises(VipOfflineError, match=r"sdoor-open: planning.*Solved: micro-open"):
        solved_goal("sdoor-open", folder)


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("name", solved_names())
def test_a_goal_that_ships_is_where_its_actions_lead(name: str) -> None:
    solved = solved_goal(name)
    with KitchenSimulator(name, 128) as kitchen:
        kitchen.reset(0)
        solved_by_step = []
        for step, action in enumerate(solved.actions):
            if step == EASY_STEP:
                easy = kitchen.state
            solved_by_step.append(kitchen.step(action)[1])
        assert solved_by_step[-1]
        assert abs(solved_by_step.index(True) + 1 - solved.solved_at) <= 3
        # another processor rounds otherwise, and the hand slides on what it holds
        np.testing.assert_allclose(kitchen.state[:30], solved.goal_qpos, atol=0.2)
        np.testing.assert_allclose(easy[:30], solved.easy_qpos, atol=0.02)
        shown = kitchen.show(solved.state)
    picture = solved_picture(name, "default")
    assert (np.abs(shown.astype(int) - picture).max(axis=-1) > 30).mean() < 0.02
    with KitchenSimulator(name, 32, start="easy") as near:
        near.reset(0)
        np.testing.assert_array_equal(near.state[:30], solved.easy_qpos)
        assert near.step_limit == 50
        assert not near.step(STILL)[1]
