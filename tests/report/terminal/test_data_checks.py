"""The table for a person, and the whole program with its exit codes."""

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import PROGRAM
from origins import lerobot, robomimic

from vip_offline.dataset.validation.run import check
from vip_offline.report.terminal.data_checks import describe_checks, print_checks
from vip_offline.utils.console import Console


def shown(path: Path) -> tuple[dict[str, Any], str]:
    description = describe_checks(check(path))
    console = Console(file=io.StringIO(), width=80)
    print_checks(description, console)
    return description, console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.hdf5"
    robomimic(path, (4,) * 30)
    with h5py.File(path, "r+") as file:
        for index in range(20):
            file[f"data/demo_{index}/actions"][1, 0] = np.nan
        file["data/demo_25/actions"][1, 0] = 7
    return path


def test_a_table_that_fits_a_terminal(broken: Path) -> None:
    description, text = shown(broken)
    assert json.loads(json.dumps(description)) == description
    lines = text.splitlines()
    assert max(map(len, lines[1:])) <= 80  # the first is the path
    assert len(lines) < 32
    assert "robomimic HDF5: 30 episodes, 120 rows, lengths 4 to 4 (median 4), 20 Hz" in text
    assert "camera agentview: 32x32 px, 120 frames, 0% equal the one before, 0 black" in text
    row = next(line for line in lines if "not-finite" in line)
    assert row.split()[:3] == ["wrong", "not-finite", "20"]
    assert "episode demo_0: action[1, 0] is nan" in text
    assert "also episode demo_1, episode demo_2, ..." in " ".join(text.split())
    assert "-> repair the episode or leave it out" in text
    assert lines.index(row) < next(n for n, line in enumerate(lines) if "action-range" in line)
    assert "episode demo_25: action[1, 0] is 7" in " ".join(text.split())  # the outlier
    assert lines[-1] == "1 wrong, 4 to note"


def test_nothing_to_say(tmp_path: Path) -> None:
    lerobot(tmp_path)
    description, text = shown(tmp_path)
    assert (description["findings"], description["wrong"]) == ([], False)
    assert description["cameras"]["front"]["size"] == [32, 32]
    assert text.splitlines()[-1] == "nothing is wrong"
    assert "10 frames/s" in text


def test_a_finding_without_episodes(tmp_path: Path) -> None:
    robomimic(tmp_path / "x.hdf5")
    with h5py.File(tmp_path / "x.hdf5", "r+") as file:
        for name in file["data"]:
            del file[f"data/{name}/actions"]
    description, text = shown(tmp_path / "x.hdf5")
    assert (description["episodes"], description["lengths"]) == (0, [])
    assert "has no actions" in " ".join(text.split())


@pytest.mark.slow
def test_the_program_says_it_by_its_exit_code(broken: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, "inspect", *arguments], capture_output=True, text=True, check=False
        )

    wrong = run(str(broken), "--check", "--json")
    assert (wrong.returncode, wrong.stderr) == (1, "")
    assert json.loads(wrong.stdout)["findings"][0]["count"] == 20
    lerobot(tmp_path / "set")
    right = run(str(tmp_path / "set"), "--check")
    assert (right.returncode, right.stderr) == (0, "")
    assert "nothing is wrong" in right.stdout
    nowhere = run(str(tmp_path / "nowhere"), "--check")
    assert nowhere.returncode == 2
    assert nowhere.stderr.startswith("error: ")
    # without --check it is about stores, as before
    assert run(str(tmp_path / "set")).returncode == 2
