"""The command, on a real simulator, as small as can be."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import PROGRAM
from in_process import invoke, refusal
from PIL import Image

from vip_offline.policies.policy import read_tensors

pytestmark = pytest.mark.sim
SMALL = (
    *("--encoder", "pixels", "--image-size", "32", "--horizon", "4", "--steps", "24"),
    *("--samples", "8", "--sac-samples", "8", "--hidden", "4", "--sac-hidden", "8"),
    *("--sac-batch-size", "4", "--warm-up", "1", "--evaluate-every", "2", "--placements", "2"),
    *("--videos", "1", "--processes", "1", "--environments", "2", "--expert-goals", "1"),
)


def lines_of(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["npg", "sac"])
def test_a_run_killed_and_started_again_is_that_of_one_piece(tmp_path: Path, algo: str) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = ("online", "drawer-close", "--algo", algo, *SMALL)
    ended = invoke(*command, "--out", whole)
    assert ended.code in (None, 0), ended
    assert "goal: the last frame of a success of the scripted expert" in ended.stdout
    assert "untrained" in ended.stdout and "at the end" in ended.stdout
    process = subprocess.Popen([*PROGRAM, *command, "--out", str(killed)])
    while not (killed / "progress.jsonl").exists() or len(lines_of(killed)) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    at = len(lines_of(killed))
    ended = invoke(*command, "--out", killed)
    assert ended.code in (None, 0), ended
    assert [line["iteration"] for line in lines_of(killed)] == [0, 1, 2, 3] and at >= 2
    assert lines_of(killed) == lines_of(whole)
    weights = [read_tensors(folder / "policy.safetensors") for folder in (whole, killed)]
    for key, values in weights[0].items():
        np.testing.assert_array_equal(values, weights[1][key], err_msg=key)
    for name in ("online.toml", "evaluation.mp4", "goal-0.png", "online.json"):
        assert (whole / name).stat().st_size > 0, name
    summary = json.loads((whole / "online.json").read_text())
    assert len(summary["end"]["outcomes"]) == 2 and summary["end"]["steps"] == 28
    again = invoke(*command, "--out", whole)
    assert "all 3 iterations are done" in again.stdout and "at the end" in again.stdout


@pytest.mark.slow
def test_the_control_draws_nothing_but_its_film(tmp_path: Path) -> None:
    out = tmp_path / "out"
    controls = ("--observe", "state", "--reward", "dense")
    ended = invoke("online", "drawer-close", *SMALL, *controls, "--out", out)
    assert ended.code in (None, 0), ended
    assert not (out / "goal-0.png").exists()
    assert "distance_left" not in lines_of(out)[0]
    assert len(read_tensors(out / "policy.safetensors")["mean"]) == 39


@pytest.mark.slow
def test_another_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    sparse = ("online", "drawer-close", *SMALL, "--reward", "sparse", "--observe", "state")
    assert invoke(*sparse, "--steps", "8", "--out", out).code in (None, 0)
    message = refusal(*sparse, "--gamma", "0.5", "--out", out)
    assert "gamma (0.995, now 0.5)" in message and "--out" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("drawer-clos",), "Did you mean 'drawer-close'"),
        (("drawer-close", "--encoder", "lite1"), "Did you mean 'lite0'"),
        (("drawer-close", "--view", "left"), "view of drawer-close"),
        (("drawer-close", "--goal", "nowhere.png"), "--goal nowhere.png: is no file"),
        (("drawer-close", "--horizon", "501"), "--horizon 501: must be"),
        (("drawer-close", "--image-size", "33"), "--image-size 33: must be even"),
        (("drawer-close", "--first-placement", "7"), "--first-placement 7: must be at least"),
        (("drawer-close", "--init", "runs/x"), "Use --algo sac"),
        (
            ("drawer-close", "--init", "runs/x", "--algo", "sac", "--observe", "state"),
            "Use --observe embedding",
        ),
        (
            ("kitchen/ldoor-close", "--start", "easy", "--horizon", "50"),
            "did not solve it, so it has no easy start",
        ),
        (("plate-slide-back",), "target is a marker that no picture shows"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "out"
    assert message in refusal("online", *arguments, "--out", out)
    assert not out.exists()


@pytest.mark.slow
def test_a_goal_picture_of_another_shape_is_said(tmp_path: Path) -> None:
    picture, out = tmp_path / "goal.png", tmp_path / "out"
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(picture)
    ended = invoke(
        "online", "drawer-close", *SMALL, "--steps", "8", "--goal", picture, "--out", out
    )
    assert ended.code in (None, 0), ended
    assert "60 x 40 px" in ended.stdout and "another field of view" in ended.stdout
    np.testing.assert_array_equal(np.asarray(Image.open(out / "goal-0.png")), 90)
