import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_serving import INTERFACE, observation

from vip_offline.deployment.guard.guard import Guard, Rules, Trouble
from vip_offline.errors import VipOfflineError
from vip_offline.options import Hold

X, Y = INTERFACE.action
KEYS = INTERFACE.observation_keys


def guard(hold: Hold = "zero", timeout_s: float = 1.0, stop_above: float | None = None) -> Guard:
    return Guard(Rules.of(INTERFACE, hold, timeout_s, stop_above))


def release(of: Guard, x: float, y: float, novelty: float | None = None) -> dict[str, Any]:
    verdict = of.release(np.array([x, y], np.float32), novelty, 0.0)
    assert verdict.action.dtype == np.float32
    return {"action": verdict.action.tolist(), **verdict.report}


def told(*values: float) -> list[float]:
    return [float(value) for value in np.array(values, np.float32)]


def test_within_the_limits_nothing_is_touched() -> None:
    reply = release(guard(), 0.7, 0.3)
    assert reply["action"] == told(0.7, 0.3)
    assert (reply["held"], reply["range"], reply["step"], reply["error"]) == (False, [], [], "")
    assert reply["counts"] == {"actions": 1, "held": 0, "range": 0, "step": 0}


def test_the_range_is_that_of_the_training_set() -> None:
    g = guard()
    reply = release(g, 1.5, -0.2)  # x from -1 to 1, y from 0 to 0.5
    assert reply["action"] == told(1, 0)
    assert (reply["range"], reply["step"]) == ([X, Y], [])
    reply = release(g, 1.0, 0.0)
    assert (reply["range"], reply["counts"]["range"]) == ([], 1)


def test_a_step_is_measured_from_the_action_before() -> None:
    g = guard()
    release(g, 0, 0)
    reply = release(g, 0.9, 0.05)  # x may move by 0.25, y by 0.1
    assert reply["action"] == told(0.25, 0.05)
    assert (reply["range"], reply["step"]) == ([], [X])
    assert release(g, 0.9, 0.05)["action"] == told(0.5, 0.05)
    reply = release(g, -0.9, 0.05)
    assert reply["action"] == told(0.25, 0.05)
    assert reply["counts"] == {"actions": 4, "held": 0, "range": 0, "step": 3}


def test_range_comes_before_step_and_both_are_said() -> None:
    g = guard()
    release(g, 0.9, 0)
    reply = release(g, 3, 0.9)
    assert reply["action"] == told(1, 0.1)  # 3 -> 1 is 0.1 away; 0.9 -> 0.5 -> 0.1
    assert (reply["range"], reply["step"]) == ([X, Y], [Y])


def test_rounding_is_no_limiting() -> None:
    g = guard()
    release(g, 0, 0.1)
    reply = release(g, 0.25, float(np.float32(0.1) + np.float32(0.1)))
    assert (reply["range"], reply["step"]) == ([], [])


@pytest.mark.parametrize(
    ("hold", "expected"), [("zero", (0, 0)), ("last", (0.5, 0.25)), ((0.1, 0.2), (0.1, 0.2))]
)
def test_the_hold_action(hold: Hold, expected: tuple[float, float]) -> None:
    g = guard(hold)
    release(g, 0.5, 0.25)
    verdict = g.hold(Trouble("because", "Because."))
    assert verdict.action.tolist() == told(*expected)
    assert (verdict.report["held"], verdict.report["error"]) == (True, "Because.")
    assert verdict.report["counts"] == {
        "actions": 2,
        "held": 1,
        "range": 0,
        "step": 0,
        "because": 1,
    }


def test_after_a_hold_the_robot_starts_from_there() -> None:
    g = guard("zero")
    release(g, 1, 0.5)
    g.hold(Trouble("because", "Because."))
    assert release(g, 1, 0.5)["action"] == told(0.25, 0.1)


def test_from_a_hold_action_outside_of_the_range_the_way_back_starts_at_its_border() -> None:
    g = guard((0.0, 9.0))
    assert g.hold(Trouble("because", "Because.")).action.tolist() == told(0, 9)
    assert release(g, 0, 0)["action"] == told(0, 0.4)


def test_there_may_be_no_last_action() -> None:
    g = guard("last")
    verdict = g.hold(Trouble("because", "Because."))
    assert verdict.action.shape == (0,)  # nothing that a robot could be told
    assert verdict.report["held"] and verdict.report["reason"] == "because"
    assert verdict.report["error"].startswith("Because. There is no last action to hold yet")
    assert verdict.report["counts"] == {
        "actions": 0, "held": 1, "range": 0, "step": 0, "because": 1
    }  # fmt: skip
    assert release(g, 0.7, 0.3)["action"] == told(0.7, 0.3)  # the first is nobody's step
    assert g.hold(Trouble("because", "Because.")).action.tolist() == told(0.7, 0.3)


@pytest.mark.parametrize("hold", [(0.0,), (0.0, float("nan")), (0.0, 1.0, 2.0)])
def test_a_hold_action_fits_the_policy(hold: Hold) -> None:
    with pytest.raises(VipOfflineError, match=r"expected auto, zero, last or 2 finite numbers \(x"):
        guard(hold)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_an_action_that_is_no_number_is_held(bad: float) -> None:
    reply = release(guard(), 0.5, bad)
    assert (reply["action"], reply["reason"]) == ([0, 0], "action")
    assert reply["error"] == "The policy's action is not finite, or of another length."


def test_an_action_of_another_length_is_held() -> None:
    assert guard().release(np.zeros(3, np.float32), None, 0.0).report["reason"] == "action"


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_an_observation_that_is_not_finite(bad: float) -> None:
    g, seen = guard(), observation()
    seen["proprio"] = np.array([0, bad, 0, 0], np.float64)
    trouble = g.receive(seen, KEYS, 0)
    assert trouble == Trouble("not-finite", "observation: proprio is not finite.")
    assert g.receive(observation(), KEYS, 0.1) is None
    assert g.receive(observation(else_=np.array(np.nan)), KEYS, 0.2) is None


def test_silence_longer_than_the_limit() -> None:
    g = guard(timeout_s=1.0)
    assert g.receive(observation(), KEYS, 100.0) is None  # the first may come when it likes
    assert g.receive(observation(), KEYS, 101.0) is None  # exactly the limit
    trouble = g.receive(observation(), KEYS, 102.5)
    assert trouble == Trouble("timeout", "No observation for 1.500 s; the limit is 1 s.")
    assert g.receive(observation(), KEYS, 102.6) is None


@pytest.mark.parametrize("key", ["observation/time", "observation/sequence"])
def test_a_stamp_must_grow(key: str) -> None:
    g = guard()
    stamps: list[Any] = [5, 6.0, np.float64(6), np.array([5], np.int64), 5.5, np.array(7.0)]
    troubles = [
        g.receive(observation(**{key: stamp}), KEYS, 0.1 * i) for i, stamp in enumerate(stamps)
    ]
    assert [trouble and trouble.reason for trouble in troubles] == [
        None,
        None,
        "stale",
        "stale",
        "stale",
        None,
    ]
    assert troubles[2] == Trouble("stale", f"{key} is 6 after 6; it must grow.")


def test_an_observation_that_was_long_on_its_way() -> None:
    g = guard(timeout_s=1.0)

    def late(time: float, arrived: float) -> str:
        trouble = g.receive(observation(**{"observation/time": time}), KEYS, arrived)
        return trouble.message if trouble else ""

    # the clocks differ by 1000 s; the quickest took nothing, the third 0.9 s, the fifth 1.1 s
    assert late(0.0, 1000.0) == ""
    assert late(0.1, 1000.1) == ""
    assert late(0.2, 1001.1) == ""
    assert late(0.9, 1001.2) == ""
    assert late(1.0, 1002.1).startswith(
        "The observation was 1.099 s longer on its way than others."
    )
    assert late(2.0, 1002.2) == ""


def test_a_clock_that_is_set_is_said_with_its_size_and_holds_a_few() -> None:
    messages: list[str] = []
    g = Guard(Rules.of(INTERFACE, "zero", 1.0, None), messages.append)
    held = []
    for at in range(1000):
        stamp = 0.02 * at + 50 - (2 if at >= 300 else 0) + (7 if at >= 600 else 0)
        held.append(g.receive(observation(**{"observation/time": stamp}), KEYS, 0.02 * at))
    assert [at for at, is_held in enumerate(held) if is_held] == [300, 301, 302, 303]
    assert messages == [
        "the client's clock was set back by 2.000 s; it is followed from here. 4 observations "
        "were held until then.",
        "the client's clock was set forward by 7.000 s; it is followed from here.",
    ]


@pytest.mark.parametrize(
    ("stamps", "stale"),
    [
        ([65534, 65535, 0, 1], []),
        ([np.uint16(65535), np.uint16(0)], []),
        ([2**32 - 1, 3], []),
        ([2**31 - 1, -(2**31), -(2**31) + 1], []),
        ([2**15 - 1, -(2**15)], []),
        ([65535, 65534], [1]),
        ([65535, 40_000], [1]),
        ([300, 0], [1]),
        ([2**53, 2**53 + 1, 2**53 + 2], []),
        ([2.0**32 - 1, 2.0**32 - 1], [1]),
    ],
)
def test_a_counter_that_begins_again_at_its_end(stamps: list[Any], stale: list[int]) -> None:
    g = guard()
    troubles = [
        g.receive(observation(**{"observation/sequence": stamp}), KEYS, 0.1 * at)
        for at, stamp in enumerate(stamps)
    ]
    assert [at for at, trouble in enumerate(troubles) if trouble] == stale


def test_a_time_that_its_dtype_cannot_tell_apart() -> None:
    g = guard()
    for at, time in enumerate([1.7e9, 1.7e9 + 1]):
        stamp: dict[str, Any] = {"observation/time": np.float32(time)}
        trouble = g.receive(observation(**stamp), KEYS, float(at))
    assert trouble is not None
    assert "is float32, which cannot tell 128 apart here; send float64" in trouble.message


@pytest.mark.parametrize("bad", ["now", np.zeros(2), True, float("nan"), None, [1.0]])
def test_a_stamp_is_a_number(bad: Any) -> None:
    with pytest.raises(VipOfflineError, match="observation/time is"):
        guard().receive(observation(**{"observation/time": bad}), KEYS, 0)


def test_an_answer_that_took_too_long_is_not_sent() -> None:
    g = guard(timeout_s=1.0)
    g.receive(observation(), KEYS, 10.0)
    action = np.array([0.5, 0.1], np.float32)
    assert not g.release(action, None, 11.0).report["held"]
    verdict = g.release(action, None, 11.5)
    assert verdict.action.tolist() == [0, 0]
    assert verdict.report["error"] == "The answer took 1.500 s; the limit is 1 s."


def test_novelty_is_said_and_stops_nothing_unasked() -> None:
    reply = release(guard(), 0.5, 0.1, novelty=40.0)
    assert (reply["novelty"], reply["held"]) == (40.0, False)


def test_too_novel_a_picture_stops_the_connection_for_good() -> None:
    g = guard(stop_above=2.0)
    assert not release(g, 0.5, 0.1, novelty=2.0)["held"]
    reply = release(g, 0.5, 0.1, novelty=2.01)
    assert (reply["action"], reply["reason"], reply["novelty"]) == ([0, 0], "novelty", 2.01)
    assert "Novelty 2.01 is above --stop-above 2" in reply["error"]
    trouble = g.receive(observation(), KEYS, 0.1)
    assert trouble is not None and trouble.reason == "novelty"


@pytest.mark.parametrize("unknown", [None, float("nan")])
def test_a_novelty_that_is_unknown_is_not_small(unknown: float | None) -> None:
    assert release(guard(stop_above=2.0), 0.5, 0.1, novelty=unknown)["reason"] == "novelty"


ANY = st.floats(width=32)


@given(st.lists(st.tuples(ANY, ANY, st.booleans()), max_size=20))
def test_whatever_the_policy_says_the_robot_stays_within(
    actions: list[tuple[float, float, bool]],
) -> None:
    g = guard("zero")  # which lies within
    sent = []
    for x, y, held in actions:
        if held:
            action = g.hold(Trouble("because", "Because.")).action
        else:
            action = g.release(np.array([x, y], np.float32), None, 0.0).action
        sent.append((action, g.counts["held"]))
    for action, _ in sent:
        assert np.isfinite(action).all()
        assert (np.array(INTERFACE.low) <= action).all()
        assert (action <= np.array(INTERFACE.high)).all()
    for (before, first), (after, second) in itertools.pairwise(sent):
        if first == second:  # a stop is at once
            assert (np.abs(after - before) <= np.array(INTERFACE.largest_step) + 1e-6).all()
