import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_up_serving import COLOUR, INTERFACE, Obedient, Said, observation, service

from vip_offline.deployment.server.codec import Limits, decode, encode
from vip_offline.deployment.server.session import Service, Session, prepare
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions
from vip_offline.policies.gripper import Gripper


class Clock:
    """Says what it is told."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def ask(session: Session, seen: Mapping[str, Any], arrived: float = 50.0) -> dict[str, Any]:
    reply = decode(session.answer(encode(dict(seen)), arrived, None), Limits(1 << 20))
    assert isinstance(reply, dict)
    return reply


def served(**options: Any) -> tuple[Service, Session]:
    ready = service(**options)
    ready.clock = Clock()
    return ready, Session(ready, "one")


def test_a_reply() -> None:
    ready, session = served()
    reply = ask(session, observation(0.5, 0.25, novelty=0.5))
    assert reply["actions"].dtype == np.float32
    assert reply["actions"].tolist() == [[0.5, 0.25]]
    assert reply["server_timing"] == {"infer_ms": 0.0}
    assert reply["guard"]["novelty"] == 0.5
    assert reply["warnings"] == []
    raw = session.answer(encode(observation()), 50.0, 0.25)
    timing = decode(raw, Limits(1 << 20))["server_timing"]
    assert timing == {"infer_ms": 0.0, "prev_total_ms": 250.0}
    assert ready.totals == {"actions": 2, "held": 0, "range": 0, "step": 1}


def test_each_connection_has_its_own_gripper() -> None:
    """The second action is 0 or 0.5; the largest step of a tick lets it go there in one."""
    gripper = Gripper(1, 0.0, 0.5, 0.2, 0.3)
    interface = replace(INTERFACE, largest_step=(0.25, 0.5), grippers=(gripper,))
    ready = prepare(Obedient(interface), {}, ServeOptions(), print)
    session, other = Session(ready, "one"), Session(ready, "other")

    def told(session: Session, raw: float) -> float:
        return float(ask(session, observation(0, raw), ready.clock())["actions"][0, 1])

    assert [told(session, raw) for raw in (0.1, 0.28, 0.35, 0.22, 0.1)] == [0, 0, 0.5, 0.5, 0]
    assert [told(member, 0.4) for member in (session, other)] == [0.5, 0.5]
    assert [told(other, 0.1), told(session, 0.25), told(other, 0.25)] == [0, 0.5, 0]


def test_nothing_in_a_reply_but_the_actions_is_cut_along_the_chunk() -> None:
    """openpi's ActionChunkBroker indexes every array of a reply by the step within the chunk."""
    _, session = served()

    def arrays(value: Any, path: str = "") -> list[str]:
        if isinstance(value, dict):
            return [array for key in value for array in arrays(value[key], f"{path}/{key}")]
        return [path] if isinstance(value, np.ndarray | np.generic) else []

    assert arrays(ask(session, observation(novelty=3))) == ["/actions"]


def test_metadata_are_plain_and_say_no_paths() -> None:
    ready, _ = served(hold=(0.0, 0.1), stop_above=2.0)
    metadata = ready.metadata()
    assert json.loads(json.dumps(metadata)) == metadata
    assert "secret" not in json.dumps(metadata)
    assert (metadata["policy"], metadata["task"], metadata["control_rate"]) == (
        "obedient",
        "push",
        10.0,
    )
    assert metadata["interface"]["action"] == ["x [m/s]", "y [m/s]"]
    assert metadata["guard"]["hold"] == [0.0, 0.1]
    assert metadata["guard"]["stop_above"] == 2.0


def test_the_size_limit_is_that_of_an_observation() -> None:
    assert service().limits.size == 8 * (4 * 6 * 3 + 4) + 65536
    assert service(max_message_mb=0.5).limits.size == 500_000


def test_an_option_that_the_policy_cannot_keep() -> None:
    with pytest.raises(VipOfflineError, match="cannot tell how novel"):
        service(knows=False, stop_above=1.0)
    with pytest.raises(VipOfflineError, match="2 finite numbers"):
        service(hold=(1.0,))


def test_what_is_said_at_the_start() -> None:
    messages: list[str] = []
    assert service(messages).metadata()["guard"]["hold"] == "zero"
    assert messages == []
    positions = replace(INTERFACE, action_kind="position")
    ready = prepare(Obedient(positions), {}, ServeOptions(), messages.append)
    assert ready.metadata()["guard"]["hold"] == "last"
    assert messages[0] == "hold: last, since an action is a position."
    assert "a held reply has none" in messages[1]


@pytest.mark.parametrize(("timeout", "short"), [(0.05, True), (0.1, True), (0.11, False)])
def test_a_timeout_below_the_control_period(timeout: float, short: bool) -> None:
    messages: list[str] = []
    service(messages, timeout=timeout)
    assert bool(messages) is short
    if short:
        period = "is no longer than the policy's control period, 0.1 s at 10 Hz"
        assert messages[0].startswith(f"--timeout {timeout:g} s {period}")


def test_an_older_policy_cannot_tell_an_upside_down_picture_and_says_so() -> None:
    messages: list[str] = []
    policy = Obedient()
    policy.manifest["colour"] = {"front": {key: COLOUR["front"][key] for key in ("mean", "std")}}
    ready = prepare(policy, {}, ServeOptions(), messages.append)
    assert "does not say how frame/front looked in the training set" in messages[0]
    assert ask(Session(ready, "one"), observation(), ready.clock())["warnings"] == []


def test_a_held_reply_before_the_first_action_has_none() -> None:
    ready, session = served(hold="last")
    reply = ask(session, observation(np.nan))
    assert (reply["actions"].shape, reply["actions"].dtype) == ((0, 2), np.float32)
    assert reply["guard"]["held"] and "the robot is to be told nothing" in reply["guard"]["error"]
    assert ask(session, observation(0.5, 0.25))["actions"].tolist() == [[0.5, 0.25]]
    assert ask(session, observation(np.nan))["actions"].tolist() == [[0.5, 0.25]]
    assert ready.totals["actions"] == 2


def test_upside_down_and_frozen_cameras_are_said_once() -> None:
    messages: list[str] = []
    ready = service(messages)
    ready.clock = Clock()
    session = Session(ready, "one")
    seen = observation()
    seen["frame/front"] = np.repeat(np.array([160, 50], np.uint8), 2)[:, None, None].repeat(6, 1)
    seen["frame/front"] = np.ascontiguousarray(seen["frame/front"].repeat(3, 2))
    warnings = []
    for row in range(30):
        seen["proprio"] = np.array([row / 100, 0, 0, 0], np.float32)
        warnings += ask(session, seen)["warnings"]
    turned, frozen = warnings
    assert turned.startswith("frame/front: looks upside down")
    assert frozen.startswith("frame/front: looks frozen. The last 20 observations")
    assert messages == [f"one: {warning}" for warning in warnings]


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        ({"proprio": np.zeros(4, np.float32)}, "has no 'frame/front'"),
        (observation() | {"frame/front": np.zeros((4, 6, 3))}, "is float64; expected uint8"),
        (observation() | {"frame/front": np.zeros((6, 4, 3), np.uint8)}, r"shape \(6, 4, 3\)"),
        (observation() | {"proprio": np.zeros(5)}, r"shape \(5,\)"),
        (observation() | {"proprio": np.zeros(4, np.int64)}, "int64"),
        ({key: np.stack([v, v]) for key, v in observation().items()}, "one observation at a time"),
        ({key: v[None] for key, v in observation().items()}, "one observation at a time"),
    ],
)
def test_what_is_no_observation(seen: dict[str, Any], says: str) -> None:
    _, session = served()
    with pytest.raises(VipOfflineError, match=says):
        ask(session, seen)


def test_a_message_that_is_no_map() -> None:
    _, session = served()
    with pytest.raises(VipOfflineError, match="is a list; expected a map"):
        session.answer(encode([1]), 50.0, None)


def test_what_is_not_finite_is_held_and_not_asked_of_the_policy() -> None:
    ready, session = served()
    reply = ask(session, observation(np.nan))
    assert reply["actions"].tolist() == [[0, 0]]
    assert reply["guard"]["reason"] == "not-finite"
    assert ready.totals["held"] == ready.totals["not-finite"] == 1


def test_silence_resets_the_policy() -> None:
    ready, session = served(timeout=1.0)
    policy = ready.policy
    assert isinstance(policy, Obedient)
    ask(session, observation(0.5), 10.0)
    before = policy.resets
    ready.clock.now = 11.5  # type: ignore[attr-defined]
    reply = ask(session, observation(0.5), 11.5)
    assert (reply["guard"]["reason"], policy.resets) == ("timeout", before + 1)
    assert reply["actions"].tolist() == [[0, 0]]
    assert not ask(session, observation(0.1), 11.5)["guard"]["held"]


def test_each_connection_begins_with_a_policy_that_remembers_nothing() -> None:
    ready = service()
    policy = ready.policy
    assert isinstance(policy, Obedient)
    before = policy.resets
    Session(ready, "one")
    assert policy.resets == before + 1


def test_a_policy_that_says_it_is_damaged_is_held() -> None:
    _, session = served()
    reply = ask(session, observation(seconds=-2))
    assert reply["guard"]["reason"] == "policy"
    assert reply["guard"]["error"] == "the action is not finite."


def test_a_policy_that_takes_too_long_is_held() -> None:
    class Slow(Obedient):
        def infer(self, observation: Mapping[str, Any]) -> Said:
            clock.now += 1.5
            return super().infer(observation)

    clock = Clock()
    ready = prepare(Slow(), {}, ServeOptions(), print)
    ready.clock = clock
    reply = ask(Session(ready, "one"), observation(0.5), arrived=clock.now)
    assert reply["guard"]["error"] == "The answer took 1.500 s; the limit is 1 s."
    assert reply["server_timing"]["infer_ms"] == 1500.0


def test_a_novelty_that_is_no_number_is_unknown() -> None:
    _, session = served()
    assert ask(session, observation(0.5) | {"proprio": np.zeros(4)})["guard"]["novelty"] == 0
    policy = Obedient(knows=False)
    ready = prepare(policy, {}, ServeOptions(), print)
    assert ask(Session(ready, "one"), observation(), ready.clock())["guard"]["novelty"] is None


def test_swapped_colours_are_said_once() -> None:
    messages: list[str] = []
    ready = service(messages)
    ready.clock = Clock()
    session = Session(ready, "one")
    assert COLOUR["front"]["mean"] == [180, 100, 40]
    swapped = observation()
    swapped["frame/front"] = np.ascontiguousarray(swapped["frame/front"][..., ::-1])
    warnings = [ask(session, swapped)["warnings"] for _ in range(15)]
    assert [len(warning) for warning in warnings] == [0] * 9 + [1] + [0] * 5
    assert "frame/front: looks like BGR" in warnings[9][0]
    assert len(messages) == 1 and messages[0].startswith("one: frame/front")


def test_the_robots_own_names() -> None:
    mapped: dict[str, str | list[str]] = {"frame/front": "rgb", "proprio": ["q", "g"]}
    ready = prepare(Obedient(), mapped, ServeOptions(), print)
    theirs = {
        "rgb": observation()["frame/front"],
        "q": np.array([0.5, 0.25, 0.0]),
        "g": 0.0,
        "prompt": "push",
    }
    reply = ask(Session(ready, "one"), theirs, ready.clock())
    assert reply["actions"].tolist() == [[0.5, 0.25]]
    assert ready.metadata()["interface"]["key_map"] == mapped


def test_the_log_has_a_line_per_reply() -> None:
    log: list[str] = []
    ready = prepare(Obedient(), {}, ServeOptions(), print, log.append)
    session = Session(ready, "one")
    ask(session, observation(0.5, 0.9, novelty=2), ready.clock())
    ask(session, observation(np.nan), ready.clock())
    opened, first, second = map(json.loads, log)
    assert (opened["connection"], opened["opened"]) == ("one", True)
    assert (first["action"], first["range"], first["novelty"]) == ([0.5, 0.5], ["y [m/s]"], 2.0)
    assert (second["held"], second["reason"], second["novelty"]) == (True, "not-finite", None)


def test_a_clock_that_was_set_is_said_and_in_the_log() -> None:
    messages: list[str] = []
    log: list[str] = []
    ready, clock = prepare(Obedient(), {}, ServeOptions(), messages.append, log.append), Clock()
    ready.clock = clock
    session = Session(ready, "one")
    for at in range(20):
        clock.now += 0.1
        stamp = {"observation/time": 0.1 * at + (3 if at > 9 else 0)}
        assert not ask(session, observation(**stamp), clock.now)["guard"]["held"]
    line = "the client's clock was set forward by 3.000 s; it is followed from here."
    assert messages == [f"one: {line}"]
    assert [note for entry in log if (note := json.loads(entry).get("note"))] == [line]
