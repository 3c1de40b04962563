"""A result belongs to its data: made again when they change, and only then."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import brightness_episode
from imported import imported
from origins import demos, folders, lerobot, replay
from store_files import overwrite
from typer.testing import CliRunner

from vip_offline.cli import app
from vip_offline.dataset.importers.link import linked
from vip_offline.dataset.media.video import write_video
from vip_offline.dataset.read_hashes import StaleError
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.deployment.export import ship
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.analyze import analyze_stage
from vip_offline.experiments.export_data import export
from vip_offline.experiments.provenance import TRUE, made_of_folder, made_of_store
from vip_offline.options import AnalyzeOptions, RelabelOptions, TrainOptions
from vip_offline.policies.checksums import changed_files
from vip_offline.policies.policy import ROLLOUTS, read_manifest, write_manifest
from vip_offline.policies.runtime import load_policy
from vip_offline.rewards.relabel import relabel
from vip_offline.training.job import TrainJob
from vip_offline.training.run import train_all
from vip_offline.utils.files import replaced_of

SMALL = TrainOptions(tau=1.0, steps=20, hidden=(4,), batch_size=4)
PIXELS = RelabelOptions(encoder="pixels")


def train(store: Path, out: Path, options: TrainOptions = SMALL) -> list[str]:
    """Train one policy; what was said."""
    said: list[str] = []
    train_all([TrainJob(store, options, out)], 1, say=said.append)
    return said


def quiet(*_: Any) -> Any:
    return contextlib.nullcontext(lambda *args, **kwargs: None)


def analyze(store: Path, out: Path) -> None:
    analyze_stage(store, AnalyzeOptions(), out, quiet, figures=False)


def still(path: Path) -> list[str]:
    """Of all that was made: whether that is still true."""
    rows = made_of_store(open_store(path)) if path.suffix == ".zarr" else made_of_folder(path)
    return [row.still for row in rows]


@pytest.fixture
def policy(labelled: Path, tmp_path: Path) -> Path:
    assert train(labelled, tmp_path / "policy") == []
    return tmp_path / "policy"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("data/action", 0.5, "actions of episode 1 changed"),
        ("data/proprio", 9.0, "proprio of episode 1 changed"),
        ("meta/placement", 77, "the placement of episode 1 changed"),
    ],
)
def test_what_a_policy_alone_reads(
    labelled: Path, policy: Path, key: str, value: float, said: str
) -> None:
    overwrite(labelled, key, 1 if key.startswith("meta") else 6, value)
    assert still(labelled) == [TRUE, TRUE]
    assert still(policy) == [f"no: {said}; train makes it again"]
    with pytest.raises(VipOfflineError, match=said):
        ship(policy)
    load_policy(policy)  # which acts as it was trained, whatever became of the data since
    assert not relabel(labelled, PIXELS).written
    assert train(labelled, policy) == [f"{policy}: trained again: {said} since it was trained"]
    assert (still(policy), train(labelled, policy)) == ([TRUE], [])


@pytest.mark.parametrize(
    ("key", "row", "value", "why", "embedded"),
    [
        ("data/frames_front", 6, 200, "the embedding pixels/front of episode 1 is outdated", 7),
        ("embeddings/pixels/front", 6, 0.25, "the embedding pixels/front of episode 1 is", 7),
        ("meta/success", 1, True, "the success label of episode 1 changed", 0),
        ("labels/pixels/reward", 6, 3.0, "the reward of label 'pixels' of episode 1 changed", 0),
        ("labels/pixels/distance", 6, 3.0, "the distance of label 'pixels' of episode 1", 0),
    ],
)
def test_what_a_labelling_reads_and_is(
    labelled: Path, policy: Path, key: str, row: int, value: float, why: str, embedded: int
) -> None:
    before = open_store(labelled).label().reward
    overwrite(labelled, key, row, value)
    uses: list[Callable[[], object]] = [lambda: train(labelled, policy), lambda: ship(policy)]
    for use in uses:
        with pytest.raises(StaleError, match=why):
            use()
    assert why in still(labelled)[1]
    done = relabel(labelled, PIXELS)
    assert (done.written, done.embedded_frames) == (True, embedded)
    assert done.again[-1].startswith(f"label 'pixels' is made again: {why}")
    assert still(labelled) == [TRUE, TRUE]
    if key.startswith(("labels", "embeddings")):  # what was computed is computed again
        np.testing.assert_array_equal(open_store(labelled).label().reward, before)
        assert train(labelled, policy) == []
    else:
        (line,) = train(labelled, policy)
        assert line.startswith(f"{policy}: trained again: ")
    assert still(policy) == [TRUE]


def test_a_damaged_policy_is_trained_again(labelled: Path, policy: Path) -> None:
    """Such as a copy that was taken while the folder was replaced."""
    write_manifest(policy, {**read_manifest(policy), "loss": 0.0})
    (line,) = train(labelled, policy)
    assert line.endswith("trained again: manifest.json was changed since it was written")
    assert changed_files(policy) == []
    assert train(labelled, policy) == []


def test_rollouts_go_with_the_policy_that_they_are_of(labelled: Path, policy: Path) -> None:
    (policy / ROLLOUTS).write_text("{}")
    overwrite(labelled, "data/action", 6, 0.5)
    (line,) = train(labelled, policy)
    assert line.endswith("since it was trained; its rollouts will go with it")
    assert not (policy / ROLLOUTS).exists()


def test_episodes_that_were_appended(labelled: Path, policy: Path) -> None:
    with writing(labelled) as store:
        store.append(brightness_episode(6, True, 9))
    with pytest.raises(StaleError, match="it covers 3 of 4 episodes"):
        train(labelled, policy)
    done = relabel(labelled, PIXELS)
    assert (done.embedded_frames, done.written) == (6, True)
    assert done.again == ("label 'pixels' is made again: it covers 3 of 4 episodes",)
    assert train(labelled, policy) == [
        f"{policy}: trained again: 1 episode was added since it was trained"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["rwr", "iql"])
def test_a_training_that_stopped_begins_anew(labelled: Path, tmp_path: Path, algo: str) -> None:
    options = replace(SMALL, algo=algo, steps=2500 if algo == "rwr" else 250)
    out = tmp_path / "policy"

    def stop(steps: int) -> None:
        if steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_all([TrainJob(labelled, options, out)], 1, on_steps=stop)
    overwrite(labelled, "data/action", 6, 0.5)
    assert train(labelled, out, options) == [
        f"{out}: its training begins anew: actions of episode 1 changed since it stopped"
    ]
    assert train(labelled, tmp_path / "alone", options) == []
    kept, alone = (
        load_policy(each).decide(np.zeros((1, 3072), np.float32), np.zeros((1, 4), np.float32))
        for each in (out, tmp_path / "alone")
    )
    np.testing.assert_array_equal(kept, alone)


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["bc", "iql"])
def test_two_processes(labelled: Path, tmp_path: Path, algo: str) -> None:
    jobs = [
        TrainJob(labelled, replace(SMALL, algo=algo, seed=seed), tmp_path / f"{algo}-{seed}")
        for seed in (0, 1)
    ]
    said: list[str] = []
    train_all(jobs, 2, say=said.append)
    overwrite(labelled, "data/proprio", 6, 9.0)
    for _ in range(2):  # once, not twice
        train_all(jobs, 2, say=said.append)
    why = "trained again: proprio of episode 1 changed since it was trained"
    assert said == [f"{job.out}: {why}" for job in jobs]


@pytest.mark.parametrize("how", ["cp -r", "cp -a", "mv"])
def test_a_store_that_was_copied_or_moved_is_the_same(
    labelled: Path, policy: Path, tmp_path: Path, how: str
) -> None:
    elsewhere = tmp_path / "other.zarr"
    subprocess.run([*how.split(), labelled, elsewhere], check=True)
    assert still(elsewhere) == [TRUE, TRUE]
    done = relabel(elsewhere, PIXELS)
    assert (done.written, done.embedded_frames, done.again) == (False, 0, ())
    assert train(elsewhere, policy) == []
    ship(policy, store=elsewhere)


def test_two_stores_do_not_share_a_policy_folder(
    labelled: Path, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.zarr"
    shutil.copytree(labelled, other)
    overwrite(other, "data/action", 6, 0.5)
    with pytest.raises(VipOfflineError, match=rf"store '{labelled}', now '{other}'; actions of"):
        train(other, policy)
    # but one store by another name of its place is the same
    overwrite(labelled, "data/action", 6, 0.5)
    monkeypatch.chdir(tmp_path)
    assert "trained again: actions" in train(Path(labelled.name), policy)[0]


def test_a_killed_swap_is_put_back(labelled: Path, policy: Path) -> None:
    policy.rename(replaced_of(policy))
    assert train(labelled, policy) == []
    assert still(policy) == [TRUE]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "said_of_export", "said_of_analysis"),
    [
        ("data/action", "actions", "actions"),
        ("data/proprio", "proprio", "proprio"),
        ("data/frames_front", "frames of camera front", "frames of camera front"),
        ("data/true_reward", "data/true_reward", "data/true_reward"),
        ("labels/pixels/distance", "the distance of", "the distance of"),
        ("embeddings/pixels/front", "", "the embedding pixels/front"),
    ],
)
def test_exports_and_analyses(
    labelled: Path, tmp_path: Path, key: str, said_of_export: str, said_of_analysis: str
) -> None:
    out, folder = tmp_path / "out.hdf5", tmp_path / "analysis"
    export(labelled, out, "robomimic")
    analyze(labelled, folder)
    assert (still(out), still(folder)) == ([TRUE], [TRUE])
    overwrite(labelled, key, 6, 7)
    for path, said in ((out, said_of_export), (folder, said_of_analysis)):
        (row,) = still(path)
        assert row.startswith(f"no: {said}") if said else row == TRUE


def padded(video: Path, size: int) -> None:
    """Fill a video up with a box that players skip."""
    room = size - video.stat().st_size
    with video.open("ab") as file:
        file.write(room.to_bytes(4, "big") + b"free" + bytes(room - 8))


@pytest.mark.slow
def test_a_linked_video_of_the_same_size(tmp_path: Path) -> None:
    lerobot(tmp_path / "set")
    (video,) = (tmp_path / "set").rglob("*.mp4")
    padded(video, 8192)
    store = imported(tmp_path / "set", tmp_path / "store.zarr").path
    relabel(store, PIXELS)
    assert train(store, tmp_path / "policy") == []
    frames = np.concatenate([demo.frames for demo in demos()])
    frames[7] = 255 - frames[7]
    write_video(video, frames, 10)
    padded(video, 8192)
    with pytest.raises(StaleError, match=r"the embedding .* of episodes? .* is outdated"):
        train(store, tmp_path / "policy")
    done = relabel(store, PIXELS)
    assert "frames of camera" in done.again[0] and done.written
    assert "trained again" in train(store, tmp_path / "policy")[0]


def test_commands_on_a_linked_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    replay(tmp_path / "pusht.zarr")
    relabel(linked(tmp_path / "pusht.zarr"), PIXELS)
    overwrite(tmp_path / "pusht.zarr", "data/action", 6, 0.5)
    for command in ("relabel", "train", "analyze"):
        result = CliRunner().invoke(app, [command, "pusht.zarr"])
        assert isinstance(result.exception, VipOfflineError), command
        said = str(result.exception)
        assert "actions of episode 1" in said and "remove" in said, command
    assert not (tmp_path / "runs").exists()


def _csv(folder: Path) -> None:
    file = folder / "pick é 1" / "log.csv"
    lines = file.read_text().splitlines()
    lines[2] = "1,0.125,a"
    file.write_text("\n".join(lines) + "\n")


def _picture(folder: Path) -> None:
    shutil.copy(folder / "pick é 1/wrist/003.png", folder / "pick é 1/wrist/002.png")


def _video(folder: Path) -> None:
    write_video(folder / "pick é 1/front.mp4", demos()[1].frames[::-1].copy(), 10)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_csv, "grip.* of episode 1"),
        (_picture, "frames of camera .*wrist.* of episode 1"),
        (_video, "frames of camera .*front.* of episode 1"),
        (lambda folder: (folder / "pick é 1" / "log.csv").touch(), ""),
    ],
)
def test_the_origin_of_an_import(tmp_path: Path, change: Callable[[Path], None], said: str) -> None:
    folders(tmp_path / "set")
    options = {"key_map": ("proprio=robot.qpos,log.grip", "action=robot.command")}
    store = imported(tmp_path / "set", tmp_path / "store.zarr", **options)
    change(tmp_path / "set")
    if said:
        with pytest.raises(VipOfflineError, match=rf"changed since it was imported \(.*{said}"):
            imported(tmp_path / "set", store.path, **options)
    else:
        assert len(imported(tmp_path / "set", store.path, **options)) == 3


def test_inspect_prints_one_table(labelled: Path, policy: Path) -> None:
    overwrite(labelled, "data/action", 6, 0.5)
    result = CliRunner().invoke(app, ["inspect", str(policy), "--json"])
    (row,) = json.loads(result.stdout)["made"]
    assert row["still"] == "no: actions of episode 1 changed; train makes it again"
    result = CliRunner().invoke(app, ["inspect", str(labelled), "--json"])
    assert [row["still"] for row in json.loads(result.stdout)["made"]] == [TRUE, TRUE]


def test_inspect_says_what_it_was_given_and_what_it_takes(labelled: Path, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("taken on Monday")
    for path, said in (
        (note, "note.txt: is a file, and no export of a store"),
        (
            labelled / "data",
            f"data: lies in a store. Name all of it: `vip-offline inspect {labelled}`",
        ),
        (labelled / "zarr.json", "zarr.json: lies in a store"),
    ):
        result = CliRunner().invoke(app, ["inspect", str(path)])
        assert isinstance(result.exception, VipOfflineError) and said in str(result.exception)
