"""What is written is there whole, or not at all."""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from vip_offline.dataset.exporters.atomic_output import atomic_output
from vip_offline.errors import VipOfflineError, about, full_disk
from vip_offline.utils.files import hidden_beside


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.mark.parametrize("folder", [False, True])
def test_it_appears_at_the_end(tmp_path: Path, folder: bool) -> None:
    out = tmp_path / "new" / "out.h5"
    with atomic_output(out) as partial:
        if folder:
            (partial / "inner").mkdir(parents=True)
            (partial / "inner/file").write_text("all")
        else:
            partial.write_text("all")
        assert not out.exists()
        assert partial.parent.parent == out.parent  # the same disk
    assert (out / "inner/file" if folder else out).read_text() == "all"
    assert names(out.parent) == {"out.h5"}


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic_output(tmp_path / "out") as partial:
        partial.mkdir()
        (partial / "half").write_text("half")
        raise ZeroDivisionError
    assert not names(tmp_path)


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_there_is_not_overwritten(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to(tmp_path / "nowhere")
    with (
        pytest.raises(VipOfflineError, match=r"is there already, .* name another"),
        atomic_output(out),
    ):
        raise AssertionError
    assert names(tmp_path) == {"out"}


def test_what_a_killed_process_left_goes_also_where_nothing_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    partial = hidden_beside(out, "partial")
    (partial / "half").mkdir(parents=True)
    out.write_text("mine")
    with pytest.raises(VipOfflineError, match="is there already"), atomic_output(out):
        raise AssertionError
    assert names(tmp_path) == {"out"}


def test_what_came_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(VipOfflineError, match="is there already"), atomic_output(out) as partial:
        partial.write_text("late")
        out.write_text("mine")
    assert out.read_text() == "mine"
    assert names(tmp_path) == {"out"}


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "out") as partial:
        refused = pytest.raises(VipOfflineError, match="another process is writing")
        with refused, atomic_output(tmp_path / "out"):
            raise AssertionError
        partial.write_text("first")
    assert (tmp_path / "out").read_text() == "first"


def test_after_a_kill_the_next_one_begins_anew(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from vip_offline.dataset.exporters.atomic_output import atomic_output\n"
        "with atomic_output(pathlib.Path(sys.argv[1])) as partial:\n"
        "    partial.mkdir()\n"
        "    (partial / 'half').write_text('half')\n"
        "    time.sleep(600)\n"
    )
    out = tmp_path / "out"
    child = subprocess.Popen([sys.executable, "-c", code, str(out)])
    half = tmp_path / ".out.partial/out/half"
    while not half.exists():
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not out.exists()
    with atomic_output(out) as partial:
        assert not partial.exists()
        partial.write_text("all")
    assert out.read_text() == "all"
    assert names(tmp_path) == {"out"}


def test_another_file_system_behind_a_link(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as far:
        (tmp_path / "link").symlink_to(far)
        with atomic_output(tmp_path / "link/out") as partial:
            partial.write_text("whole")
        assert Path(far, "out").read_text() == "whole"
        assert [entry.name for entry in Path(far).iterdir()] == ["out"]


def test_an_error_that_names_no_file_is_about_this_one(tmp_path: Path) -> None:
    with pytest.raises(OSError) as raised, atomic_output(tmp_path / "out"):
        raise OSError("errno = 28, error message = 'No space left on device'")
    assert about(raised.value) == str(tmp_path / "out") and full_disk(raised.value)


def test_what_stands_beside_is_there_before(tmp_path: Path) -> None:
    out, record = tmp_path / "out", tmp_path / "out.json"
    record.write_text("old")
    with atomic_output(out) as partial:
        partial.write_text("all")
        partial.with_name("out.json").write_text("new")
        assert record.read_text() == "old"
    assert out.read_text() == "all" and record.read_text() == "new"
    assert {*tmp_path.iterdir()} == {out, record}
