"""One client, one store: what is answered, counted and kept, without a socket."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_recordings import SHAPE, episode, row

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import StoreWriter, writing
from vip_offline.deployment.recording.episode_stream import DISCARD_KEY, RecordingInfo
from vip_offline.deployment.recording.record_server import Recorder, Recording
from vip_offline.deployment.server.codec import Limits, decode, encode
from vip_offline.errors import VipOfflineError
from vip_offline.options import ServeOptions

LIMITS = Limits(1 << 20)
TOLD = RecordingInfo("push", 10.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "push.zarr"


@pytest.fixture
def messages() -> list[str]:
    return []


@pytest.fixture
def recorder(path: Path, messages: list[str]) -> Iterator[Recorder]:
    with writing(path, create=TOLD.attributes()) as store:
        yield Recorder(store, TOLD, ServeOptions(), messages.append, max_steps=50)


def told(recording: Recording, message: Any) -> dict[str, Any]:
    reply = decode(recording.answer(encode(message), 0.0, None), LIMITS)
    assert isinstance(reply, dict)
    return reply


def test_an_episode_is_in_the_store_when_the_reply_says_so(
    recorder: Recorder, path: Path, messages: list[str]
) -> None:
    recording = recorder.converse("connection 1")
    replies = [told(recording, message) for message in episode(3, success=True)]
    assert [reply["recorded"] for reply in replies] == [1, 2, 3]
    assert [reply["episodes"] for reply in replies] == [0, 0, 1]
    assert [reply["ended"] for reply in replies] == [False, False, True]
    assert replies[2]["in_store"] == 1
    assert messages == ["episode 0: 3 rows, success"]
    assert len(open_store(path)) == 1  # while the recorder still runs
    replies = [told(recording, message) for message in episode(2, success=False, first=7)]
    assert [reply["recorded"] for reply in replies] == [1, 2]
    store = open_store(path)
    assert store.meta("success").tolist() == [True, False]
    assert store.spans() == [(0, 3), (3, 5)]
    np.testing.assert_array_equal(store.frames("front", 4, 5)[0], row(8)["frame/front"])
    np.testing.assert_array_equal(store.data("action")[4], row(8)["action"])
    assert store.attributes["source"] == "client"
    assert (store.attributes["task"], store.attributes["control_rate"]) == ("push", 10.0)
    assert recorder.closing_line() == (
        "recorded 2 episodes, 5 rows (1 successes); 0 episodes discarded, 0 messages refused -> "
        f"{path}"
    )


def test_metadata_says_what_is_expected(recorder: Recorder) -> None:
    before = recorder.metadata()
    assert before["takes"] == "as in the first message"
    assert encode(before)
    assert (before["task"], before["control_rate"], before["max_steps"]) == ("push", 10.0, 50)
    recording = recorder.converse("connection 1")
    for message in episode(2, success=True):
        told(recording, message)
    after = recorder.metadata()
    assert after["takes"] == {
        "frames": {"frame/front": {"shape": list(SHAPE), "dtype": "uint8", "colour": "RGB"}},
        "proprio": 3,
        "action": 2,
    }
    assert after["episodes"] == 1
    assert "/" not in after["records"]


def test_one_client_at_a_time(recorder: Recorder) -> None:
    first = recorder.converse("connection 1")
    with pytest.raises(VipOfflineError, match=r"connection 1 is recording into push\.zarr; one"):
        recorder.converse("connection 2")
    first.close()
    recorder.converse("connection 3")


def test_who_leaves_in_the_middle_leaves_nothing(
    recorder: Recorder, path: Path, messages: list[str]
) -> None:
    recording = recorder.converse("connection 1")
    for message in episode(2, success=True):
        told(recording, message)
    for message in episode(3, success=True)[:2]:
        told(recording, message)
    recording.close()
    assert "connection 1: left in the middle of an episode" in messages[-1]
    assert "(2 rows; 1 discarded in all)" in messages[-1]
    assert len(open_store(path)) == 1
    assert recorder.totals["discarded"] == 1
    recorder.converse("connection 2").close()
    assert len(messages) == 2  # nothing was left there


def test_a_bad_row_costs_its_episode_and_no_other(recorder: Recorder, path: Path) -> None:
    recording = recorder.converse("connection 1")
    for message in episode(3, success=True):
        told(recording, message)
    told(recording, row(0))
    with pytest.raises(VipOfflineError, match=r"proprio\[0\] is nan"):
        told(recording, row(1) | {"proprio": np.full(3, np.nan, np.float32)})
    assert recorder.totals["discarded"] == 1
    with pytest.raises(VipOfflineError, match="is a list; expected a map"):
        told(recording, [1])
    recording.close()
    assert recorder.totals["discarded"] == 1  # counted once
    again = recorder.converse("connection 2")
    with pytest.raises(VipOfflineError, match="frame/front has shape"):  # the store is the measure
        told(again, row(0) | {"frame/front": np.zeros((8, 8, 3), np.uint8)})
    assert told(again, row(0))["discarded"] == 1
    assert len(open_store(path)) == 1


def test_discarded_on_purpose(recorder: Recorder) -> None:
    recording = recorder.converse("connection 1")
    told(recording, row(0))
    reply = told(recording, {DISCARD_KEY: True})
    assert (reply["recorded"], reply["discarded"], reply["episodes"]) == (0, 1, 0)


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), RuntimeError("odd")])
def test_a_write_that_fails_loses_one_episode(
    recorder: Recorder, path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """Half of it is written, and must not be found behind the next."""
    recording = recorder.converse("connection 1")
    whole = StoreWriter.append

    def fails(self: StoreWriter, *episodes: Episode) -> None:
        for camera, frames in episodes[0].frames.items():
            self.put(self.require_array(f"data/frames_{camera}", SHAPE, np.uint8, 0, {}), 0, frames)
        raise failure

    monkeypatch.setattr(StoreWriter, "append", fails)
    with pytest.raises(VipOfflineError if isinstance(failure, OSError) else RuntimeError) as error:
        for message in episode(5, success=True, first=90):
            told(recording, message)
    if isinstance(failure, OSError):
        assert "No space left). The episode (5 rows) is lost; the 0 before" in str(error.value)
    assert recorder.totals["discarded"] == 1
    recording.close()
    monkeypatch.setattr(StoreWriter, "append", whole)
    again = recorder.converse("connection 2")
    for message in episode(3, success=True):
        told(again, message)
    store = open_store(path)
    assert (len(store), store.rows) == (1, 3)
    store.require_finished()
    assert {shape for name, shape, _, _ in store.tree() if name == "data/frames_front"} == {
        "(3, 16, 20, 3)"
    }


def test_large_episodes_are_said_beforehand(recorder: Recorder, messages: list[str]) -> None:
    recording = replace(recorder, max_steps=3_000_000).converse("connection 1")
    assert "3000000 rows would take 2.9 GB" in told(recording, row(0))["warnings"][0]
    assert told(recording, row(1))["warnings"] == []
    assert len(messages) == 1
