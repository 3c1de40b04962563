"""How real processes end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PROGRAM

from vip_offline.errors import VipOfflineError, naming
from vip_offline.utils.program_end import message_of

SCRIPT = (
    "from vip_offline.utils import program_end\ndef program():\n    {}\nprogram_end.run(program)\n"
)


def end(
    body: str, cache: Path, *, options: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", SCRIPT.format(body)],
        env=os.environ | {"XDG_CACHE_HOME": str(cache)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("open('/etc/x/y')", ["/etc/x/y: No such file"]),
        ("open('/' + 'a' * 300)", ["File name too long. Choose a shorter name"]),
        ("import os; os.link('/etc/passwd', '/dev/shm')", ["/etc/passwd -> /dev/shm: "]),
        ("raise MemoryError", ["not enough memory"]),
        ("raise RuntimeError('CUDA out of memory')", ["not enough memory (CUDA out of memory)"]),
        ("'/a/\\udcff.zarr'.encode()", ["/a/\\xff.zarr: ", "not UTF-8"]),
        ("import no_such_module", ["No module named 'no_such_module'"]),
        ("import pyarrow; pyarrow.array([{}, 1])", ["cannot be read or written (Arrow"]),
        ("import json; json.loads('{{')", ["JSONDecodeError"]),
    ],
)
def test_what_a_machine_or_a_library_says_is_one_line(
    body: str, parts: list[str], tmp_path: Path
) -> None:
    result = end(body, tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


def test_a_bug_says_where_its_traceback_lies(tmp_path: Path) -> None:
    result = end("{}['x']", tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("error: KeyError: 'x' (a bug in vip-offline)")
    (written,) = (tmp_path / "vip-offline/tracebacks").iterdir()
    assert str(written) in result.stderr and "KeyError" in written.read_text()
    assert "Traceback" in end("{}['x']", tmp_path, VIP_OFFLINE_TRACEBACK="1").stderr
    (tmp_path / "file").touch()
    assert "--traceback" in end("{}['x']", tmp_path / "file").stderr


def test_an_error_without_a_file_is_about_the_one_that_was_named() -> None:
    with pytest.raises(ValueError) as told, naming(Path("a/x.zarr")):
        int("x")
    assert message_of(told.value) is None  # a bug, whatever it is about
    full = OSError("Can't write data (errno = 28, error message = 'No space left on device')")
    full.add_note("about: x.hdf5")
    said = message_of(full)
    assert said is not None and said.startswith("x.hdf5: no space is left")
    assert message_of(VipOfflineError("as it is")) == "as it is"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    "body",
    [
        "import time; print('on', flush=True); time.sleep(60)",
        # errors are lost while an object is collected
        "import time; wait = lambda self: (print('on', flush=True), time.sleep(2));"
        " type('Slow', (), {'__del__': wait})(); time.sleep(60)",
        # what is half made when the signal comes complains when it is collected
        "import time; fail = lambda self: self.absent\n"
        "    half = type('Half', (), {'__del__': fail})()\n"
        "    async def wait(): pass\n"
        "    task = wait(); print('on', flush=True); time.sleep(60)",
    ],
    ids=["at work", "collecting", "half made"],
)
def test_stopped(body: str, number: int, code: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors == "Stopped. The same command goes on from here.\n"


@pytest.mark.slow
def test_outputs_that_nobody_takes(tmp_path: Path) -> None:
    command = " ".join([*PROGRAM, "encoders"])
    for how, code, said in (
        ("| head -1 >/dev/null; exit ${PIPESTATUS[0]}", (0, 1), ""),
        (">/dev/full", (2,), "error: standard output: no space is left"),
        (">&-", (0,), ""),
        (">&- 2>&- <&-", (0,), ""),
    ):
        result = subprocess.run(
            ["bash", "-c", f"{command} {how}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert result.returncode in code, (how, result)
        assert result.stderr.startswith(said) and result.stderr.count("\n") == bool(said), how
