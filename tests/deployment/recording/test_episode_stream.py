"""The worst that can happen is half an episode, or a wrong one, in a store."""

from typing import Any

import numpy as np
import pytest
from made_up_recordings import END, SHAPE, SUCCESS, episode, row

from vip_offline.dataset.episode import Episode
from vip_offline.deployment.recording.episode_stream import (
    DISCARD_KEY,
    EpisodeBuilder,
    RecordingInfo,
    RowLayout,
)
from vip_offline.errors import VipOfflineError

TOLD = RecordingInfo("push", 10.0)


def streamed(builder: EpisodeBuilder, rows: list[dict[str, Any]]) -> Episode:
    *before, last = rows
    for message in before:
        assert builder.receive(message) is None
    episode = builder.receive(last)
    assert episode is not None
    return episode


def refused(message: dict[str, Any], info: RecordingInfo = TOLD, before: int = 2) -> str:
    """What is said of a message that comes as the third row; the episode must be gone."""
    builder = EpisodeBuilder(info, 100)
    for index in range(before):
        builder.receive(row(index))
    with pytest.raises(VipOfflineError) as error:
        builder.receive(message)
    assert (builder.rows, builder.discarded) == (0, 1 if before else 0)
    if before:
        assert f"The running episode ({before} rows) is thrown away" in str(error.value)
        # and what comes next begins a new one, of any shape
        assert builder.layout is None
    return str(error.value)


@pytest.mark.parametrize("success", [True, False])
def test_rows_become_an_episode(success: bool) -> None:
    builder = EpisodeBuilder(TOLD, 100)
    built = streamed(builder, episode(4, success))
    assert built.success is success
    assert built.succeeded.tolist() == [False, False, False, success]
    assert built.frames.keys() == {"front"}
    assert built.frames["front"].shape == (4, *SHAPE)
    for index in range(4):
        np.testing.assert_array_equal(built.frames["front"][index], row(index)["frame/front"])
        np.testing.assert_array_equal(built.proprio[index], row(index)["proprio"])
        np.testing.assert_array_equal(built.action[index], row(index)["action"])
    assert built.proprio.dtype == built.action.dtype == np.dtype(np.float32)
    assert np.isnan(built.true_reward).all()
    assert builder.rows == 4  # until it is on the disk
    builder.done()
    assert (builder.rows, builder.discarded) == (0, 0)


def test_the_last_observation_may_come_without_an_action() -> None:
    rows = episode(3, success=True)
    del rows[-1]["action"]
    built = streamed(EpisodeBuilder(TOLD, 100), rows)
    assert np.isnan(built.action[2]).all()
    assert np.isfinite(built.action[:2]).all()


def test_an_episode_after_another_looks_like_it() -> None:
    builder = EpisodeBuilder(TOLD, 100)
    streamed(builder, episode(2, success=True))
    builder.done()
    with pytest.raises(VipOfflineError, match=r"action has shape \(3,\); those before \(2,\)"):
        builder.receive(row(0, action=np.zeros(3, np.float32)))
    assert builder.discarded == 0  # of the second, nothing was there
    assert streamed(builder, episode(3, success=False, first=50)).frames["front"][0, 5, 5, 0] == 50


def test_what_the_store_holds_is_the_measure() -> None:
    builder = EpisodeBuilder(TOLD, 100, RowLayout({"frame/front": (8, 8, 3)}, 3, 2))
    with pytest.raises(VipOfflineError, match=r"frame/front has shape \(16, 20, 3\); those before"):
        builder.receive(row(0))


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({END: True}, "episode/end without episode/success. Say whether it succeeded"),
        ({SUCCESS: True}, "episode/success without episode/end"),
        ({END: True, SUCCESS: True, DISCARD_KEY: True}, "both episode/discard and episode/end"),
        ({END: 1, SUCCESS: True}, "episode/end is 1; expected true or false"),
        ({END: True, SUCCESS: "yes"}, "episode/success is 'yes'; expected true or false"),
        ({END: True, SUCCESS: np.array([True])}, "episode/success is array"),
        ({"frame/front": np.zeros((16, 21, 3), np.uint8)}, "frame/front has shape (16, 21, 3)"),
        (
            {"frame/front": np.ones(SHAPE, np.float32)},
            "send np.round(255 * frame).astype(np.uint8)",
        ),
        ({"frame/front": np.zeros(SHAPE[:2], np.uint8)}, "expected uint8 (H, W, 3), RGB"),
        ({"frame/front": [1, 2, 3]}, "frame/front is a list"),
        ({"frame/wrist": np.zeros(SHAPE, np.uint8)}, "has 'frame/wrist', which the rows before"),
        ({"proprio": np.zeros(4, np.float32)}, "proprio has shape (4,); those before (3,)"),
        ({"proprio": np.zeros((1, 3), np.float32)}, "proprio is float32 (1, 3)"),
        ({"proprio": np.zeros(3, np.int64)}, "proprio is int64 (3,); expected float32"),
        ({"proprio": np.array([1, np.nan, 1], np.float32)}, "proprio[1] is nan"),
        ({"action": np.array([1e300, 0])}, "action[0] is inf"),
        ({"action": np.array([0, np.inf], np.float32)}, "action[1] is inf"),
        ({"action": np.zeros(1, np.float32)}, "action has shape (1,); those before (2,)"),
        ({"action": 0.5}, "action is a float; expected float32 (D,)"),
        ({"observation/time": float("nan")}, "observation/time is nan"),
        ({"observation/time": "now"}, "observation/time is 'now'; expected one number"),
    ],
)
def test_a_row_that_does_not_fit_throws_the_episode_away(
    message: dict[str, Any], says: str
) -> None:
    assert says in refused(row(2) | message)


@pytest.mark.parametrize("key", ["frame/front", "proprio", "action"])
def test_a_row_that_lacks_something(key: str) -> None:
    message = row(2)
    del message[key]
    message[f"{key}_"] = 1
    assert f"has no '{key}'. Did you mean '{key}_'" in refused(message)


def test_the_first_row() -> None:
    assert "has no picture" in refused({"proprio": np.zeros(2, np.float32)}, before=0)
    assert "camera '../up'" in refused({**row(0), "frame/../up": row(0)["frame/front"]}, before=0)
    builder = EpisodeBuilder(TOLD, 100)
    with pytest.raises(VipOfflineError, match="a transition needs two rows"):
        builder.receive(row(0) | {END: True, SUCCESS: True})
    assert (builder.rows, builder.discarded) == (0, 1)


def test_no_more_rows_than_memory_was_meant_for() -> None:
    builder = EpisodeBuilder(TOLD, 3)
    for index in range(3):
        builder.receive(row(index))
    with pytest.raises(VipOfflineError, match=r"--max-steps 3 rows.*\(3 rows\) is thrown away"):
        builder.receive(row(3))
    assert (builder.rows, builder.discarded) == (0, 1)
    assert len(streamed(builder, episode(3, success=True))) == 3


def test_discarding_is_counted_where_there_was_something() -> None:
    builder = EpisodeBuilder(TOLD, 100)
    builder.receive({DISCARD_KEY: True})
    assert builder.discarded == 0
    builder.receive(row(0))
    assert builder.receive({DISCARD_KEY: np.True_}) is None
    assert (builder.rows, builder.discarded) == (0, 1)
    builder.receive(row(0, **{DISCARD_KEY: False, END: False}))
    assert builder.rows == 1


def test_the_robots_own_names() -> None:
    keys: dict[str, str | list[str]] = {"frame/front": "rgb", "proprio": ["q", "gripper"]}
    builder = EpisodeBuilder(RecordingInfo("push", 10.0, key_map=keys), 100)
    rows = episode(3, success=True)
    for message in rows:
        message["rgb"] = message.pop("frame/front")
        proprio = message.pop("proprio")
        message |= {"q": proprio[:2], "gripper": float(proprio[2])}
    built = streamed(builder, rows)
    np.testing.assert_array_equal(built.proprio[2], [2, 0.5, -2])
    assert built.frames.keys() == {"front"}
    builder.done()
    del rows[0]["gripper"]
    with pytest.raises(VipOfflineError, match="has no 'gripper'"):
        builder.receive(rows[0])


def test_names_must_fit_what_comes() -> None:
    info = RecordingInfo("push", 10.0, proprio=("x [m]", "y [m]"))
    assert "proprio has 3 numbers; --describe names 2 (x [m], y [m])" in refused(
        row(0), info, before=0
    )
    info = RecordingInfo("push", 10.0, action=("x [m/s]",))
    assert "action has 2 numbers; --describe names 1" in refused(row(0), info, before=0)


@pytest.mark.parametrize(("step", "warned"), [(0.1, False), (0.11, False), (0.05, True), (1, True)])
def test_the_clients_clock_checks_the_rate(step: float, warned: bool) -> None:
    builder = EpisodeBuilder(TOLD, 100)
    messages = enumerate(episode(5, True))
    rows = [{**message, "observation/time": 5 + step * t} for t, message in messages]
    streamed(builder, rows)
    warnings = builder.warnings()
    assert bool(warnings) is warned
    if warned:
        assert f"{1 / step:.3g} messages per second; --control-rate is 10" in warnings[0]
    builder.done()
    assert builder.warnings() == []


def test_a_time_that_stands_still() -> None:
    builder = EpisodeBuilder(TOLD, 100)
    builder.receive(row(0, **{"observation/time": 5.0}))
    with pytest.raises(VipOfflineError, match="must grow"):
        builder.receive(row(1, **{"observation/time": 5.0}))


def test_what_is_told() -> None:
    described = {
        "proprio": ["x"],
        "action": ["dx"],
        "action_kind": "delta",
        "gripper": "none",
        "control_rate": 20,
        "key_map": {"frame/front": "rgb"},
    }
    info = RecordingInfo.of("push", None, described)
    assert info.attributes() == {
        "source": "client",
        "task": "push",
        "control_rate": 20.0,
        "proprio": ["x"],
        "action": ["dx"],
        "action_kind": "delta",
        "gripper": "none",
    }
    assert info.key_map == {"frame/front": "rgb"}
    assert RecordingInfo.of("push", 5, {}).attributes() == {
        "source": "client",
        "task": "push",
        "control_rate": 5.0,
    }


@pytest.mark.parametrize(
    ("rate", "described", "says"),
    [
        (None, {}, "--control-rate: say how many actions per second"),
        (0, {}, "--control-rate is 0; expected a number of Hz above 0"),
        (float("nan"), {}, "--control-rate is nan"),
        (None, {"control_rate": "fast"}, "--control-rate is 'fast'"),
        (10, {"control_rate": 20}, "--control-rate 10: --describe says 20"),
        (10, {"propio": ["x"]}, "unknown key 'propio'. Did you mean 'proprio'"),
        (10, {"action_kind": "deltas"}, "action_kind is 'deltas'. Did you mean 'delta'"),
        (10, {"action_kind": ["delta"]}, "action_kind is ['delta']"),
        (10, {"action": "dx"}, "action is 'dx'; expected a list of names"),
        (10, {"action": ["x", "y", "x"]}, "--describe: action names 'x' 2 times (places 0, 2)"),
        (10, {"gripper": 1}, "gripper is 1; expected words"),
        (10, {"key_map": []}, "key_map is []; expected a table"),
        (10, {"key_map": {"proprio": []}}, "key_map of 'proprio' is []"),
        (10, {"key_map": {"front": "rgb"}}, "key_map names 'front'; expected frame/<camera>"),
    ],
)
def test_what_is_told_wrongly(rate: float | None, described: dict[str, Any], says: str) -> None:
    with pytest.raises(VipOfflineError) as error:
        RecordingInfo.of("push", rate, described)
    assert says in str(error.value)
