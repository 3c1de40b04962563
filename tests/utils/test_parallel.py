import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vip_offline.errors import VipOfflineError
from vip_offline.utils.parallel import (
    SidePool,
    forget_ranks,
    is_first,
    leave_interrupts_to_parent,
    ordered_map,
    threaded_map,
    world_size,
)


def slow_square(value: int) -> int:
    time.sleep(0.2 if value == 0 else 0.0)  # the first ends last
    return value**2


def identity(value: int) -> int:
    return value


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(ordered_map(slow_square, range(7), 2)) == [number**2 for number in range(7)]


def test_one_process_starts_none() -> None:
    assert list(ordered_map(lambda number: os.getpid(), [1, 2], 1)) == [os.getpid()] * 2


def process_of(number: int) -> int:
    return os.getpid()


def test_a_pool_keeps_its_processes_from_one_map_to_the_next() -> None:
    with SidePool(1, leave_interrupts_to_parent) as pool:
        first, second = ({*pool.map(process_of, range(3))} for _ in range(2))
    assert first == second
    assert os.getpid() not in first


def test_items_are_drawn_as_results_are_taken() -> None:
    drawn = []

    def items() -> object:
        for number in range(100):
            drawn.append(number)
            yield number

    results = ordered_map(identity, items(), 2)  # type: ignore[arg-type]
    assert next(results) == 0
    assert len(drawn) <= 5
    results.close()  # type: ignore[attr-defined]


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


SCRIPT = """
import os, time
from vip_offline.utils.parallel import ordered_map
def work(path):
    open(path, "w").write(str(os.getpid()))
    time.sleep(60)
if __name__ == "__main__":
    import sys
    list(ordered_map(work, sys.argv[1:], 2))
"""


def test_side_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    notes = [tmp_path / "a", tmp_path / "b"]
    parent = subprocess.Popen([sys.executable, str(script), *map(str, notes)])
    deadline = time.monotonic() + 60
    while not all(note.exists() and note.read_text() for note in notes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pids = [int(note.read_text()) for note in notes]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_threads_keep_the_order_and_take_little_ahead() -> None:
    taken, most = list[int](), 0
    ready = set[int]()

    def items() -> Iterator[int]:
        for number in range(30):
            taken.append(number)
            yield number

    def setup() -> None:
        ready.add(threading.get_ident())

    def work(value: int) -> int:
        assert threading.get_ident() in ready
        return slow_square(value)

    for done, result in enumerate(threaded_map(work, items(), 2, setup)):
        assert result == done**2
        most = max(most, len(taken) - done)
    assert most <= 4


def test_an_error_in_a_thread_is_the_callers() -> None:
    def fail(value: int) -> int:
        raise ValueError(value)

    with pytest.raises(ValueError, match="0"):
        list(threaded_map(fail, range(1000), 2))


BROKEN = """
import multiprocessing
if multiprocessing.parent_process() is not None:
    raise ImportError("libEGL.so.1: cannot open shared object file")
def work(item):
    return item
"""
USER = """
import os, sys
sys.path.insert(0, os.path.dirname(__file__))
os.environ["PYTHONPATH"] = os.path.dirname(__file__) + ":" + os.environ.get("PYTHONPATH", "")
from vip_offline.utils.parallel import process_map
def die(item):
    os.kill(os.getpid(), item)
if __name__ == "__main__":
    import broken
    works = {"import": (broken.work, 1), "kill": (die, 9), "crash": (die, 11)}
    try:
        work, item = works[sys.argv[1]]
        list(process_map(work, [item], 1))
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("how", "parts"),
    [
        ("import", ["could not start: ImportError: libEGL.so.1", "MUJOCO_GL"]),
        ("kill", ["killed, most likely for lack of memory"]),
        ("crash", ["crashed (SIGSEGV)"]),
    ],
)
def test_a_side_process_says_why_it_ended(how: str, parts: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    script = tmp_path / "script.py"
    script.write_text(USER)
    process = subprocess.run(
        [sys.executable, str(script), how], capture_output=True, text=True, check=False
    )
    for part in ["VipOfflineError", *parts]:
        assert part in process.stdout, process


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "1"}, "RANK=1 ignored"),
        ({"LOCAL_RANK": "1"}, "LOCAL_RANK=1 ignored"),
        ({"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost"}, ""),
        ({}, ""),
    ],
)
def test_a_rank_that_was_left_over_means_nothing(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_first()
    assert forget_ranks().startswith(message)
    assert ("LOCAL_RANK" in os.environ) == (not message and bool(variables))


@pytest.mark.parametrize("variables", [{"WORLD_SIZE": "x"}, {"WORLD_SIZE": "2", "RANK": "2"}])
def test_processes_that_cannot_be_counted(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(VipOfflineError, match="torchrun"):
        world_size()
