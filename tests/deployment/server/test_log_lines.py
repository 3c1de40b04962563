import fcntl
import os
import sys
import threading
import time

import pytest

from vip_offline.deployment.server.log_lines import (
    BURST,
    REPEAT_AFTER,
    WAITING,
    LineWriter,
    Tally,
    stdout_writable,
)


def always(seconds: float) -> bool:
    return True


def test_lines_come_in_order_and_all_of_them_before_the_end() -> None:
    messages: list[str] = []
    with LineWriter(messages.append, always) as lines:
        for index in range(40):
            lines(f"line {index}")
        lines.last("the end")
    assert "".join(messages) == "".join(f"line {index}\n" for index in range(40)) + "the end\n"


def test_more_than_anybody_would_read_is_left_out_with_a_count() -> None:
    messages: list[str] = []
    with LineWriter(messages.append, always) as lines:
        for _ in range(1000):
            lines("again")
        lines.last("the end")
    written = messages.count("again\n")
    assert BURST <= written <= BURST + 2
    assert "the end\n" in messages
    counts = [int(line.split()[1]) for line in messages if "left out" in line]
    assert sum(counts) == 1000 - written


def test_a_writer_that_hangs_keeps_nobody_waiting() -> None:
    messages: list[str] = []
    hanging = threading.Event()

    def write(text: str) -> None:
        hanging.wait()
        messages.append(text)

    with LineWriter(write, always, burst=float("inf")) as lines:
        for _ in range(3 * WAITING):
            lines("again")
        hanging.set()
    assert WAITING <= messages.count("again\n") <= WAITING + 1
    # once or, if the thread began late, twice
    counts = [int(line.split()[1]) for line in messages if "left out" in line]
    assert counts and sum(counts) == 3 * WAITING - messages.count("again\n")


def test_who_never_reads_does_not_keep_it_from_ending() -> None:
    def never(seconds: float) -> bool:
        time.sleep(seconds)
        return False

    messages: list[str] = []
    with LineWriter(messages.append, never) as lines:
        lines("nobody reads this")
    assert not messages
    assert not [thread for thread in threading.enumerate() if thread.name == "lines"]


def test_a_full_pipe_is_not_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert stdout_writable(0)
        os.write(writing, bytes(4096))
        assert not stdout_writable(0)
        os.read(reading, 4096)
        assert stdout_writable(0)
        os.close(reading)


def test_one_kind_of_event_is_said_once_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    messages: list[str] = []
    tally = Tally(messages.append)
    for _ in range(5):
        tally("it rains.")
    assert messages == ["it rains."]
    now += REPEAT_AFTER
    tally("it rains.")
    assert messages[1:] == ["it rains. (5 times since this was last said)"]
    tally.flush()
    tally("it rains.")
    tally.flush()
    tally.flush()
    assert messages[2:] == ["it rains."]
