"""The program as a user meets it: its exit code, and what it prints.

A real process where one that begins or ends may matter; what is started as one elsewhere runs in
the process that is there.
"""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PROGRAM
from in_process import invoke, refusal
from origins import lerobot, replay

from vip_offline import __version__

pytestmark = pytest.mark.slow


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    return subprocess.run(
        [*PROGRAM, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_the_commands_in_the_order_of_the_data() -> None:
    result = invoke("--help")
    assert result.code == 0
    order = ["record", "import", "inspect", "datasets"]
    order += ["look", "encoders", "relabel", "delete", "analyze", "pretrain", "export"]
    order += ["train", "rollout", "compare", "ship", "verify", "serve"]
    places = [result.stdout.index(f"\n  {name} ") for name in order]
    assert places == sorted(places)
    assert "--install-completion" in result.stdout
    for heading, name in (("Data", "record"), ("Reward", "look"), ("Policy", "train")):
        assert re.search(rf"^{heading}:\n  {name} ", result.stdout, re.MULTILINE)
    assert "the reward (Eq. 7)." in result.stdout


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, vip_offline.cli\n"
        "heavy = {'torch', 'd3rlpy', 'zarr', 'numpy', 'matplotlib', 'mujoco', 'sklearn', 'av'}\n"
        "print(heavy & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_version(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"vip-offline {__version__}\n"


def test_the_store_may_be_left_out(smoke: Path) -> None:
    assert "is there" in invoke("relabel", "--encoder", "random-resnet18", cwd=smoke).stdout
    inspected = invoke("inspect", "--json", cwd=smoke)
    assert json.loads(inspected.stdout)["episodes"] == 3


@pytest.mark.sim
def test_train_and_roll_out_as_they_stand(smoke: Path, tmp_path: Path) -> None:
    (tmp_path / "datasets").symlink_to(smoke / "datasets")
    result = run("train", "--algo", "rwr", "--tau", "0.1", "--steps", "20", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "effective sample size" in result.stdout
    assert "nearly uniform" in result.stdout  # as with the paper's tau nearly always
    assert result.stderr == ""
    assert (tmp_path / "runs/smoke/rwr-step-tau-0.1/seed-0/manifest.json").exists()
    options = ["--placements", "2", "--horizon", "5", "--videos", "1", "--environments", "1"]
    result = run("rollout", *options, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (rollouts,) = json.loads(result.stdout).values()
    assert rollouts["steps"] == [5, 5]
    assert "0" in invoke("rollout", *options, cwd=tmp_path).stdout
    message = refusal("rollout", "--encoder", "pixels", "--first-placement", "5000", cwd=tmp_path)
    assert "trained on another encoder" in message
    # and it can be taken to a robot as it stands, with what was found
    folder = "runs/smoke/rwr-step-tau-0.1/seed-0"
    result = run("verify", folder, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "9 files are as they were written" in result.stdout
    assert result.stdout.count("the same") == 2
    assert "0 of 2 rollouts" in (tmp_path / folder / "README.md").read_text()


@pytest.mark.sim
def test_from_a_comparison_to_another_computer(smoke: Path, tmp_path: Path) -> None:
    """Policies of a comparison are small; one that is chosen is made ready, and described."""
    (tmp_path / "datasets").symlink_to(smoke / "datasets")
    folder = tmp_path / "runs/chosen"
    shutil.copytree(smoke / "runs/smoke/policies/rwr-return/seed-0", folder)
    assert "vip-offline ship" in refusal("verify", "runs/chosen", cwd=tmp_path)
    (tmp_path / "arm.toml").write_text('gripper = "none"\n[key_map]\nproprio = ["q", "g"]\n')
    result = run("ship", "runs/chosen", "--describe", "arm.toml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "ready -> runs/chosen" in result.stdout
    found = invoke("verify", "runs/chosen", "--json", cwd=tmp_path)
    said = json.loads(found.stdout)
    assert said["manifest"]["interface"]["key_map"] == {"proprio": ["q", "g"]}
    assert [each["action_error"] < 1e-3 for each in said["backends"]] == [True, True]
    (folder / "policy.onnx").write_bytes(b"cut short")
    assert "policy.onnx was changed" in refusal("verify", "runs/chosen", cwd=tmp_path)
    (tmp_path / "arm.toml").write_text("gripper = ")
    assert "arm.toml: cannot be read as TOML" in refusal(
        "ship", "runs/chosen", "--describe", "arm.toml", cwd=tmp_path
    )


def test_import_from_a_dry_run_to_labels(tmp_path: Path) -> None:
    lerobot(tmp_path / "pick")
    result = run("import", "pick", "--dry-run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "LeRobotDataset v3.0: 3 of 3 episodes" in result.stdout
    assert not (tmp_path / "datasets").exists()
    described = json.loads(invoke("import", "pick", "--dry-run", "--json", cwd=tmp_path).stdout)
    assert described["columns"]["action"]["becomes"] == ["action"]
    result = run("import", "pick", cwd=tmp_path)
    assert result.stdout.endswith("import: 3 episodes, 16 rows -> datasets/pick.zarr\n")
    assert "all 3 episodes are there" in invoke("import", "pick", cwd=tmp_path).stdout
    ended = invoke("relabel", "--encoder", "pixels", cwd=tmp_path)
    assert "label 'pixels' written" in ended.stdout, ended
    ended = invoke("train", "--steps", "20", cwd=tmp_path)
    assert ended.code == 0, ended


def test_a_replay_buffer_is_labelled_as_it_is(tmp_path: Path) -> None:
    replay(tmp_path / "pusht.zarr")
    assert "is a replay buffer without labels" in refusal("train", "pusht.zarr", cwd=tmp_path)
    ended = invoke("relabel", "pusht.zarr", "--encoder", "pixels", cwd=tmp_path)
    assert "link: pusht.zarr stays as it is" in ended.stdout, ended
    described = json.loads(invoke("inspect", "pusht.zarr", "--json", cwd=tmp_path).stdout)
    assert (described["path"], described["episodes"]) == ("pusht.vip.zarr", 3)


def test_an_encoder_of_ones_own_from_videos_to_labels(smoke: Path, tmp_path: Path) -> None:
    (tmp_path / "datasets").symlink_to(smoke / "datasets")
    command = ["pretrain", "datasets/smoke.zarr", "--backbone", "vip-mini", "--batch-size", "4"]
    command += ["--negatives", "0", "--steps", "3", "--out", "runs/own"]
    result = run(*command, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "2 videos" in result.stdout and "1 process on cpu" in result.stdout
    assert "raw pixels" in result.stdout and result.stderr == ""
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "is done: 3 steps" in invoke(*command, cwd=tmp_path).stdout
    message = refusal(*command, "--objective", "tcn", cwd=tmp_path)
    assert "was trained with --objective vip, not tcn" in message
    (tmp_path / "own").mkdir()
    shutil.copytree(smoke / "datasets/smoke.zarr", tmp_path / "own/smoke.zarr")
    weights = ["--encoder", "vip-mini", "--weights", "runs/own/model.pt"]
    ended = invoke("relabel", "own/smoke.zarr", *weights, cwd=tmp_path)
    assert "label 'vip-mini' written" in ended.stdout, ended
    # and its policies are compared by the checkpoint that made the label
    few = ["--steps", "2", "--seeds", "2", "--placements", "2", "--arms", "bc,rwr-step"]
    chosen = ["--label", "vip-mini", "--weights", "runs/own/model.pt"]
    ended = invoke("compare", "own/smoke.zarr", *chosen, *few, cwd=tmp_path)
    assert ended.code == 0, ended


def test_two_processes_by_torchrun_say_so_once(smoke: Path, tmp_path: Path) -> None:
    store = str(smoke / "datasets/smoke.zarr")
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*start, "-m", "vip_offline", "pretrain", store, "--backbone", "vip-mini"]
    command += ["--norm", "frozen", "--batch-size", "4", "--negatives", "0", "--steps", "2"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("2 processes on cpu") == 1
    assert (tmp_path / "runs/vip-mini-vip/model.pt").is_file()


def test_videos_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "manifest.csv").write_text("path,len\ngone/,12\n")
    for video, part in (("empty", "empty"), ("gone", "gone"), ("manifest.csv", "gone")):
        assert part in refusal("pretrain", video, "--backbone", "vip-mini", cwd=tmp_path)
    assert "Take vip," in refusal("pretrain", "empty", "--backbone", "lite0", cwd=tmp_path)


def test_encoders_are_listed() -> None:
    output = invoke("encoders").stdout
    for part in ("lite0", "1280", "Apache-2.0", "vip", "CC-BY-NC-4.0", "control"):
        assert part in output
    assert max(map(len, output.splitlines())) <= 80
    assert "…" not in output


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["inspect", "nowhere.zarr"], ["nowhere.zarr: there is no such store"]),
        (["relabel"], ["none under datasets/", "vip-offline record"]),
        (["train"], ["none under datasets/"]),
        (["rollout"], ["No policy given", "vip-offline train"]),
        (["rollout", "."], ["is not a policy folder"]),
        (["record", "--episodes", "0"], ["--episodes 0: must be at least 1 and at most 1000."]),
        (["record", "--task", "drawer-clse"], ["Did you mean 'drawer-close'"]),
        (["run", "mine.toml"], ["mine.toml: no such recipe"]),
        (
            ["record", "x.zarr", "--from-client", "--task", "a", "--describe", "arm.toml"],
            ["arm.toml: no such file (--describe)."],
        ),
        (["compare", "--arms", "bc,x"], ["none under datasets/"]),
        (["import", "nowhere"], ["nowhere: there is nothing"]),
        (["import", "nowhere", "--resize", "224"], ["--resize 224: expected HEIGHTxWIDTH"]),
        (["import", "nowhere", "--resize", "0x8"], ["--resize 0,8: must be at least 1."]),
        (["import", "/usr", "--format", "rlds"], ["--format rlds: is none of lerobot"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_end_in_one_message(
    arguments: list[str], parts: list[str], tmp_path: Path
) -> None:
    message = refusal(*arguments, cwd=tmp_path)
    for part in parts:
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_mistakes_on_a_store_leave_it_alone(smoke: Path) -> None:
    from store_files import contents

    store = smoke / "datasets/smoke.zarr"
    before = contents(store)
    for arguments, part in (
        (["relabel", "--encoder", "lite"], "Did you mean 'lite0'"),
        (["relabel", "--encoder", "r3m-50"], "needs --weights"),
        (["relabel", "--camera", "top"], "no camera 'top'"),
        (["train", "--algo", "sac"], "Unknown algorithm 'sac'"),
        (["train", "--tau", "warm"], "--tau warm: expected auto or a number."),
        (["train", "--tau", "-1"], "--tau -1: must be at least 0."),
        (["train", "--hidden", "8,x"], "--hidden 8,x: expected whole numbers"),
        (["compare", "--rollout-processes", "0"], "--rollout-processes 0: must be at least 1"),
        (["train", "--seeds", "0"], "--seeds 0: must be at least 1."),
        (["train", "--label", "vip"], "no label 'vip'"),
        (
            ["train", "--tau", "auto", "--target-ess", "2"],
            "--target-ess 2: must be above 0 and below 1.",
        ),
        (["compare", "--arms", "bc,x"], "Unknown variant 'x'"),
        (["record", "datasets/smoke.zarr", "--max-steps", "50"], "made with other settings"),
    ):
        assert part in refusal(*arguments, cwd=smoke)
    assert contents(store) == before


NASTY = "a[red]b:-1:smile:[/]"  # rich's markup and an emoji's name, or a file's


def test_names_are_shown_as_they_are(smoke: Path, tmp_path: Path) -> None:
    store = f"{NASTY.replace('/', '')}.zarr"
    shutil.copytree(smoke / "datasets/smoke.zarr", tmp_path / store)
    (tmp_path / f"{NASTY.replace('/', '')}.toml").write_text('[train]\ntau = "[red]:smile:"')
    said = {
        ("inspect", store): 0,
        ("inspect", store, "--check"): 0,
        ("train", store, "--algo", "bc", "--steps", "2"): 0,
        ("analyze", store): 0,
        ("inspect", f"gone-{store}"): 2,
        ("relabel", store, "--encoder", NASTY): 2,
        ("relabel", store, "--encoder", "random-resnet18", "--goal", NASTY): 2,
        ("relabel", store, "--name", NASTY): 2,
        ("train", store, "--label", NASTY): 2,
        ("import", NASTY): 2,
        ("datasets", NASTY): 2,
        ("export", store, "out", "--to", NASTY): 2,
        ("rollout", NASTY): 2,
        ("serve", NASTY): 2,
        ("run", f"{store.removesuffix('.zarr')}.toml"): 2,
        (NASTY,): 2,
        ("train", f"--{NASTY}"): 2,
    }
    for arguments, code in said.items():
        ended = invoke(*arguments, cwd=tmp_path)
        assert ended.code == code, (arguments, ended)
        shown = "".join((ended.stdout + ended.stderr).split("\n"))
        assert "a[red]b:-1:smile:" in shown, (arguments, shown)


def test_names_stay_inside_the_store(smoke: Path) -> None:
    for name in ("../x", "a/b", "."):
        assert "is no name" in refusal(
            "relabel", "--encoder", "random-resnet18", "--name", name, cwd=smoke
        )
        assert "is no name" in refusal("record", "new.zarr", "--camera", name, cwd=smoke)
    assert not (smoke / "new.zarr").exists()


def test_files_in_the_way_and_folders_that_are_closed(tmp_path: Path, smoke: Path) -> None:
    (tmp_path / "file").touch()
    message = refusal("record", "file", "--episodes", "1", cwd=tmp_path)
    assert "file" in message
    assert "choose another place" in message.lower()
    store = str(smoke / "datasets/smoke.zarr")
    message = refusal("train", store, "--steps", "5", "--out", "file/policy", cwd=tmp_path)
    assert "file" in message


def test_a_terminal_without_minus_signs(smoke: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    result = subprocess.run(
        [*PROGRAM, "run", "recipes/smoke.toml"],
        cwd=smoke,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "rwr-return" in result.stdout


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "record", "x.zarr"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / "x.zarr/meta/done/c.0").exists():  # the first episode is there
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the side processes get it too
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "goes on from here" in errors
    inspected = invoke("inspect", "x.zarr", "--json", cwd=tmp_path)
    assert 0 < json.loads(inspected.stdout)["episodes"] < 30


@pytest.mark.parametrize("form", ["robomimic", "minari", "d3rlpy"])
def test_a_full_disk_in_an_export_leaves_nothing(form: str, labelled: Path, tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))

    result = subprocess.run(
        [*PROGRAM, "export", str(labelled), "out", "--to", form],
        cwd=tmp_path,
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    last = result.stderr.splitlines()[-1]
    assert last == (
        "error: out: no space is left (File too large). Free some space and run the same command "
        "again."
    )
    assert [path.name for path in tmp_path.iterdir()] == [labelled.name]


def test_a_full_disk_and_an_old_rank_in_pretraining(labelled: Path, tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    few = ["--backbone", "vip-mini", "--steps", "1", "--batch-size", "2", "--negatives", "0"]
    result = subprocess.run(
        [*PROGRAM, "pretrain", str(labelled), *few, "--out", "own"],
        cwd=tmp_path,
        env=os.environ | {"RANK": "1"},
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert "RANK=1 ignored" in result.stdout
    assert result.stderr.startswith("error: own: no space is left (File too large).")
    assert not list((tmp_path / "own").rglob("*.pt*"))


def test_the_folder_one_is_in_may_be_the_store(labelled: Path) -> None:
    ended = invoke("relabel", ".", "--encoder", "pixels", "--name", "again", cwd=labelled)
    assert ended.code == 0, ended
    assert f"{labelled}: no label" in refusal("analyze", ".", "--label", "x", cwd=labelled)


def test_a_name_that_is_not_utf_8(labelled: Path) -> None:
    odd = labelled.rename(os.fsdecode(os.fsencode(labelled.parent) + b"/b\xff.zarr"))
    assert run("inspect", odd.name, cwd=odd.parent).returncode == 0
    assert "b\\xff.zarr: its name" in refusal("train", odd.name, cwd=odd.parent)
    assert "gone\\n\\x1b: there is no" in refusal("inspect", "gone\n\x1b", cwd=odd.parent)
