"""A recorder with a success model: a flag that is proposed, and a person's that stays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_success import five_and_five, levels

from vip_offline.dataset.edits.success_labels import by_a_program
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.deployment.recording.episode_stream import END_KEY, SUCCESS_KEY, RecordingInfo
from vip_offline.deployment.recording.record_server import Recorder
from vip_offline.deployment.server.codec import Limits, decode, encode
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions, SuccessFitOptions
from vip_offline.rewards.success.judge import Judge
from vip_offline.rewards.success.stores import fit_store

RECORDING = RecordingInfo("grey", 10.0)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    folder = tmp_path_factory.mktemp("judge")
    model = fit_store(five_and_five(folder / "a.zarr"), SuccessFitOptions(encoder="pixels"))
    model.save(folder / "success.json")
    return Judge.load(folder / "success.json")


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def recorder(tmp_path: Path, judge: Judge, lines: list[str]) -> Iterator[Recorder]:
    path = tmp_path / "push.zarr"
    with writing(path, create=RECORDING.attributes()) as store:
        yield Recorder(store, RECORDING, ServeOptions(), lines.append, max_steps=50, judge=judge)


def streamed(recorder: Recorder, end: float, flag: bool | None, camera: str = "front") -> Any:
    """The reply to an episode's last message."""
    recorder.recording = None
    recording, grey = recorder.converse("arm"), levels(end, 7)
    for index, level in enumerate(grey):
        message: dict[str, Any] = {
            f"frame/{camera}": np.full((32, 32, 3), level, np.uint8),
            "proprio": np.zeros(2, np.float32),
            "action": np.zeros(2, np.float32),
        }
        if index == len(grey) - 1:
            message |= {END_KEY: True} | ({} if flag is None else {SUCCESS_KEY: flag})
        reply = decode(recording.answer(encode(message), 0.0, None), Limits(1 << 20))
    return reply


def test_the_flag_is_proposed_and_a_person_s_stays(recorder: Recorder, lines: list[str]) -> None:
    replies = [
        streamed(recorder, end, flag)
        for end, flag in ((200, None), (110, None), (160, None), (200, False))
    ]
    assert [reply["verdict"] for reply in replies] == ["success", "failure", "unsure", "success"]
    store = open_store(recorder.store.path)
    assert store.success_labelled.tolist() == [True, True, False, True]
    assert store.meta("success").tolist() == [True, False, True, False]
    assert by_a_program(store).tolist() == [True, True, False, False]
    assert recorder.totals["successes"] == 1
    assert lines[-1] == "episode 3: 12 rows, failure (the success model says success)"


def test_without_a_model_an_episode_needs_its_flag(recorder: Recorder) -> None:
    recorder.judge = None
    with pytest.raises(VipOfflineError, match="without episode/success"):
        streamed(recorder, 200, None)
    assert not len(recorder.store)


def test_another_camera_is_refused_at_the_first_row(recorder: Recorder) -> None:
    with pytest.raises(VipOfflineError, match="no camera 'front'"):
        streamed(recorder, 200, None, camera="wrist")


def test_each_frame_that_is_watched(judge: Judge) -> None:
    watch, grey = judge.watch(), [*levels(200, 7), 120, 120]
    answers = [watch.add(np.full((32, 32, 3), level, np.uint8)) for level in grey]
    hold = judge.model.hold
    first = next(index for index, frame in enumerate(answers) if frame["score"] < frame["below"])
    assert [frame["reached"] for frame in answers].index(True) == first + hold - 1
    assert not answers[-1]["reached"]
