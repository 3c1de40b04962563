"""compare --offline on a real store, beside what is refused."""

import json
import shutil
from pathlib import Path

import pytest
from in_process import invoke, refusal
from store_files import overwrite

ARMS = ("--arms", "bc,rwr-return,bc-success")
SMALL = (*ARMS, "--steps", "20", "--hidden", "8", "--processes", "1", "--tau", "1")


def compare(store: Path, folder: Path, *more: str) -> tuple[str, ...]:
    return ("compare", str(store), "--offline", "--out", str(folder), *SMALL, *more)


@pytest.mark.slow
def test_every_number_without_a_simulator(labelled: Path, tmp_path: Path) -> None:
    done = invoke(*compare(labelled, tmp_path / "out", "--hold-out", "1", "--seeds", "2"))
    assert done.code in (None, 0), done
    numbers = json.loads((tmp_path / "out/offline.json").read_text())
    assert list(numbers["offline"]["numbers"]) == ["bc", "rwr-return", "bc-success"]
    assert numbers["offline"]["held_out"]["successes"] == 1
    for arm in numbers["offline"]["numbers"].values():
        assert sum(arm["dimensions"]) == pytest.approx(arm["error"])
        assert arm["spread"] > 0
    # the same error as training wrote down, where the scale of actions is the baseline's
    manifest = json.loads((tmp_path / "out/policies/bc/seed-1/manifest.json").read_text())
    (error,) = manifest["held_out_error"].values()
    assert numbers["arms"][0]["per_seed"][1] == pytest.approx(error, rel=1e-5)
    assert "favours bc by construction" in (tmp_path / "out/offline.html").read_text()
    assert not (tmp_path / "out/report.html").exists()


@pytest.mark.slow
def test_a_folder_of_another_store_is_refused(labelled: Path, tmp_path: Path) -> None:
    one_arm = ("--arms", "bc", "--hold-out", "1", "--seeds", "1")
    assert invoke(*compare(labelled, tmp_path / "out", *one_arm)).code in (None, 0)
    other = Path(shutil.copytree(labelled, tmp_path / "other.zarr"))
    overwrite(other, "data/action", 1, 0.5)
    message = refusal(*compare(other, tmp_path / "out", *one_arm))
    assert "other.zarr" in message and "trained otherwise" in " ".join(message.split())
    assert "demos.zarr" in message


def test_nothing_held_out_names_the_option(labelled: Path, tmp_path: Path) -> None:
    message = refusal(*compare(labelled, tmp_path / "out", "--seeds", "1"))
    assert "--hold-out 2 or more" in " ".join(message.split())
    assert not (tmp_path / "out").exists()


def test_more_failures_than_there_are(labelled: Path, tmp_path: Path) -> None:
    more = ("--hold-out", "1", "--hold-out-failures", "99", "--seeds", "1")
    message = " ".join(refusal(*compare(labelled, tmp_path / "out", *more)).split())
    assert "99" in message and "failed episodes" in message
