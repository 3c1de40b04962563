"""A served policy with a success model: each reply says whether the goal is reached."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_up_serving import INTERFACE, Obedient
from made_up_success import five_and_five, levels

from vip_offline.deployment.server.codec import Limits, decode, encode
from vip_offline.deployment.server.session import Service, Session, prepare
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions, SuccessFitOptions
from vip_offline.rewards.success.judge import Judge
from vip_offline.rewards.success.stores import fit_store


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    folder = tmp_path_factory.mktemp("judge")
    model = fit_store(five_and_five(folder / "a.zarr"), SuccessFitOptions(encoder="pixels"))
    model.save(folder / "success.json")
    return Judge.load(folder / "success.json")


def served(judge: Judge, camera: str = "front") -> Service:
    interface = replace(INTERFACE, frames={f"frame/{camera}": (32, 32, 3)})
    options = ServeOptions(timeout=100)
    return prepare(Obedient(interface), {}, options, lambda line: None, judge=judge)


def replies(session: Session, grey: list[int]) -> list[dict[str, Any]]:
    answers = []
    for level in grey:
        frame = np.full((32, 32, 3), level, np.uint8)
        message = {"frame/front": frame, "proprio": np.zeros(4, np.float32)}
        answers.append(decode(session.answer(encode(message), 50.0, None), Limits(1 << 20)))
    return [reply["success"] for reply in answers]


def test_reached_once_the_goal_was_there_for_so_many_frames(judge: Judge) -> None:
    ready, hold = served(judge), judge.model.hold
    frames = replies(Session(ready, "one"), levels(200, 7))
    first = next(index for index, frame in enumerate(frames) if frame["score"] < frame["below"])
    assert [frame["reached"] for frame in frames].index(True) == first + hold - 1
    # another connection begins anew
    assert not replies(Session(ready, "two"), [200])[0]["reached"]


def test_a_policy_without_the_camera_is_refused(judge: Judge) -> None:
    with pytest.raises(VipOfflineError, match="no camera 'front'"):
        served(judge, "wrist")
