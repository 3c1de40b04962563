import pytest

from vip_offline.dataset.importers.folders.column_roles import (
    action_of,
    proprio_of,
    reward_of,
    success_of,
)


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["robot.action", "robot.qpos"], ("robot.action",)),
        (["log.action_10", "log.action_2", "log.x"], ("log.action_2", "log.action_10")),
        (["log.action[0]", "log.action[1]"], ("log.action[0]", "log.action[1]")),
        (["log.action.0", "log.action.1"], ("log.action.0", "log.action.1")),
        (["obs/actions"], ("obs/actions",)),
        (
            ["log.action_x", "log.action_gripper", "log.action_time"],
            ("log.action_x", "log.action_gripper"),
        ),
        (["left.action_0", "right.action_0"], ("left.action_0",)),
        (["robot.ax", "robot.ay", "robot.actuator", "robot.action_mask"], ()),
    ],
)
def test_actions_by_name(names: list[str], columns: tuple[str, ...]) -> None:
    assert action_of(names) == columns


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["robot.qpos", "robot.qvel"], ("robot.qpos",)),
        (["robot.State"], ("robot.State",)),
        (["log.joint_2", "log.joint_1", "log.joint_1_vel"], ("log.joint_1", "log.joint_2")),
        (["log.joint1_pos", "log.joint1_vel", "log.joint1_cmd"], ("log.joint1_pos",)),
        (["log.qpos_0", "log.qpos_1"], ("log.qpos_0", "log.qpos_1")),
        (["log.x", "log.stated"], ()),
    ],
)
def test_the_robots_state_by_name(names: list[str], columns: tuple[str, ...]) -> None:
    assert proprio_of(names) == columns


def test_success_and_reward_by_name() -> None:
    assert success_of(["log.x", "log.Success"]) == "log.Success"
    assert reward_of(["log.reward", "log.x"]) == "log.reward"
    assert success_of(["log.solved"]) == "log.solved"
    assert success_of(["log.successes_before"]) == ""
