import os
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import PROGRAM

from vip_offline.errors import VipOfflineError
from vip_offline.options import TrainOptions
from vip_offline.policies.policy import Policy, find_policies
from vip_offline.training.checkpoint import read_checkpoint
from vip_offline.training.job import TrainJob, spike_note
from vip_offline.training.run import seeded, train, train_all
from vip_offline.utils.files import only_writer

SMALL = TrainOptions(steps=40, hidden=(8,), tau=1.0, weight_by="step")


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["rwr", "iql"])
def test_ctrl_c_is_obeyed_at_once_and_nothing_is_lost(
    labelled: Path, tmp_path: Path, algo: str
) -> None:
    command = [*PROGRAM, "train", labelled.name, "--algo", algo, "--out", "out"]
    command += ["--seeds", "2", "--steps", "400000", "--label", "pixels"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(list(tmp_path.glob("out/.seed-*.partial/checkpoint.npz"))) != 2:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the side processes get it too
    _, errors = process.communicate(timeout=60)  # to the last step it would be many minutes
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "goes on from here" in errors
    kept = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("out/.*/*"))
    assert kept == ["out/.seed-0.partial/checkpoint.npz", "out/.seed-1.partial/checkpoint.npz"]


@pytest.mark.slow
def test_a_diverged_training_stands_in_nobodys_way(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vip_offline.training.job.CHUNK_STEPS", 1)
    # so wide that some units stay alive, whatever the processor's rounding
    wild = replace(SMALL, learning_rate=1e30, standardise=False, hidden=(256, 256))
    out = tmp_path / "runs" / "policy"
    with pytest.raises(VipOfflineError, match="training diverged"):
        train(labelled, wild, out)
    assert not out.exists()
    (kept,) = out.parent.glob("policy-until-step-*")
    assert Policy.load(kept).manifest["steps"] == int(kept.name.rpartition("-")[2]) < 40
    train(labelled, replace(wild, learning_rate=1e-3), out)
    assert find_policies([out.parent], named=True) == [out]
    assert find_policies([kept], named=True) == [kept]


@pytest.mark.parametrize(
    ("end", "spiked"), [([0.015, 0.02], True), ([0.004, 0.004], False), ([0.0, 0.002], False)]
)
def test_a_loss_that_ends_in_a_spike_is_said(end: list[float], spiked: bool) -> None:
    losses = [1.0 / (1 + step) ** 1.3 for step in range(198)]  # 0.001 at its end
    note = spike_note(Path("runs/push/bc/seed-3"), [*losses, *end])
    assert note.startswith("warning: runs/push/bc/seed-3: the loss ends in a spike") is spiked
    assert bool(note) is spiked


def test_what_another_process_trains_is_left_alone(labelled: Path, tmp_path: Path) -> None:
    mine, shared = (
        TrainJob(labelled, each, tmp_path / f"{each.seed}") for each in seeded(SMALL, 2)
    )
    partial = tmp_path / ".1.partial"
    partial.mkdir()
    with only_writer(partial):
        for processes in (1, 2):
            with pytest.raises(VipOfflineError, match="another process"):
                train_all([mine, shared], processes)
            assert partial.exists()
    train_all([mine, shared], 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", labelled.name]


def test_jobs_that_cannot_be_done(labelled: Path, tmp_path: Path) -> None:
    job = TrainJob(labelled, SMALL, tmp_path / "policy")
    with pytest.raises(VipOfflineError, match="two policies are to be trained into this folder"):
        train_all([job, replace(job, options=replace(SMALL, seed=1))], 1)
    with pytest.raises(VipOfflineError, match="processes 0"):
        train_all([job], 0)


def test_a_damaged_checkpoint_is_named(labelled: Path, tmp_path: Path) -> None:
    partial = tmp_path / ".policy.partial"
    partial.mkdir()
    (partial / "checkpoint.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(VipOfflineError, match=r"checkpoint\.npz: cannot be read"):
        train(labelled, SMALL, tmp_path / "policy")
    assert (partial / "checkpoint.npz").exists()


@pytest.mark.slow
def test_a_killed_side_process_is_reported(labelled: Path, tmp_path: Path) -> None:
    options = replace(SMALL, algo="awr", steps=200_000)
    jobs = [TrainJob(labelled, seed, tmp_path / f"seed-{seed.seed}") for seed in seeded(options, 2)]

    def kill() -> None:
        while len(list(tmp_path.glob(".seed-*.partial"))) < 2:
            time.sleep(0.05)
        listed = subprocess.run(
            ["pgrep", "-P", str(os.getpid()), "-f", "spawn_main"],
            capture_output=True,
            text=True,
            check=True,
        )
        for process in listed.stdout.split():
            os.kill(int(process), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(VipOfflineError, match="lack of memory"):
        train_all(jobs, 2)
    killer.join()


@pytest.mark.slow
def test_ctrl_c_between_chunks_keeps_every_policy_of_an_ensemble(
    labelled: Path, tmp_path: Path, two_threads: int
) -> None:
    jobs = [
        TrainJob(labelled, options, tmp_path / f"seed-{options.seed}")
        for options in seeded(replace(SMALL, steps=1000), 3)
    ]

    def interrupt(steps: int) -> None:
        if steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_all(jobs, 1, interrupt)
    kept = [read_checkpoint(tmp_path / f".seed-{seed}.partial") for seed in range(3)]
    assert [int(checkpoint.arrays["step"]) for checkpoint in kept if checkpoint] == [100] * 3
    progress: list[int] = []
    train_all(jobs[:2], 2, progress.append)  # an ensemble of other members goes on from there
    assert progress[:2] == [100, 100]
    assert sum(progress) == 2000
    assert torch.get_num_threads() == two_threads
