import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from in_process import invoke, refusal
from made_up_success import five_and_five, levels, made
from PIL import Image

from vip_offline.dataset.edits.success_labels import by_a_program, write_success
from vip_offline.dataset.media.video import write_video
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.rewards.success.model import SuccessModel, load_success_model


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, and a model of it."""
    folder = tmp_path_factory.mktemp("success")
    five_and_five(folder / "a.zarr", [200, 120, 160])
    ended = invoke("success", "fit", "a.zarr", "--encoder", "pixels", "--json", cwd=folder)
    assert ended.code == 0, ended
    (folder / "fit.json").write_text(ended.stdout)
    return folder


@pytest.fixture
def folder(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "work"))


MODEL = "runs/a/success.json"


def test_fit_says_what_the_data_cannot_bound(once: Path) -> None:
    summary = json.loads((once / "fit.json").read_text())
    assert (summary["failures"]["n"], summary["failures"]["wrong"]) == (5, 0)
    assert summary["failures"]["upper"] == pytest.approx(1 - 0.05 ** (1 / 5), abs=1e-4)
    assert summary["failures"]["enough"] == 59
    ended = invoke("success", "fit", "a.zarr", "--encoder", "pixels", cwd=once)
    words = " ".join(ended.stdout.split())
    assert "0 of 5 failures bound the rate only at 45%" in words
    assert "59 failures would" in words


def test_apply_flags_only_what_has_no_flag_and_is_sure(folder: Path) -> None:
    ended = invoke("success", "apply", MODEL, "a.zarr", cwd=folder)
    assert "3 unlabelled episodes: 1 success, 1 failure, 1 unsure; 10 had a flag" in ended.stdout
    assert "unsure episodes stay unlabelled" in ended.stdout
    store = open_store(folder / "a.zarr")
    assert store.success_labelled.tolist() == [True] * 12 + [False]
    assert store.meta("success").tolist() == [True] * 5 + [False] * 5 + [True, False, True]
    assert np.flatnonzero(by_a_program(store)).tolist() == [10, 11]
    store.require_finished()
    # what it labelled is kept, too, and not learned from
    again = json.loads(invoke("success", "apply", MODEL, "a.zarr", "--json", cwd=folder).stdout)
    assert [*again[0]["verdicts"]] == ["12"]
    assert "2 episodes that a success model labelled are not learned from" in " ".join(
        invoke("success", "fit", "a.zarr", "--encoder", "pixels", cwd=folder).stdout.split()
    )


def test_a_dry_run_writes_no_flag(folder: Path) -> None:
    assert (
        "nothing written"
        in invoke("success", "apply", MODEL, "a.zarr", "--dry-run", cwd=folder).stdout
    )
    assert not open_store(folder / "a.zarr").success_labelled[10:].any()


def test_a_person_s_flag_is_never_overwritten(folder: Path) -> None:
    with writing(folder / "a.zarr") as store, pytest.raises(VipOfflineError, match="never over"):
        write_success(store, {10: True, 3: False}, "a test")
    assert not open_store(folder / "a.zarr").success_labelled[10]


def test_passing_by_the_goal_is_a_failure(folder: Path) -> None:
    passing = [*levels(200, 1), 180, 150, 120, 100, 100, 100]
    made(folder / "b.zarr", (passing, None), (levels(200, 7), None))
    ended = invoke("success", "apply", MODEL, "b.zarr", "--json", cwd=folder)
    assert json.loads(ended.stdout)[0]["verdicts"] == {"0": "failure", "1": "success"}


def test_videos(folder: Path) -> None:
    for name, end in (("good", 200), ("bad", 110)):
        grey = np.array(levels(end, 3), np.uint8)[:, None, None, None]
        write_video(
            folder / f"{name}.mp4", np.ascontiguousarray(np.broadcast_to(grey, (12, 32, 32, 3))), 10
        )
    ended = invoke("success", "apply", MODEL, "good.mp4", "bad.mp4", "--json", cwd=folder)
    assert [video["verdict"] for video in json.loads(ended.stdout)] == ["success", "failure"]


def test_successes_alone_take_early_frames_as_failures(folder: Path) -> None:
    made(folder / "s.zarr", *((levels(200, seed), True) for seed in range(6)))
    ended = invoke("success", "fit", "s.zarr", "--encoder", "pixels", cwd=folder)
    words = " ".join(ended.stdout.split())
    assert "early frames stand for failures" in words
    assert "59 failures to bound it at 5%" in words
    assert load_success_model(folder / "runs/s/success.json").rule.name != "relative"


def test_goal_pictures_alone(folder: Path) -> None:
    made(folder / "u.zarr", *((levels(200, seed), None) for seed in range(5)))
    goals = []
    for level in (198, 200, 201, 203):
        Image.new("RGB", (32, 32), (level,) * 3).save(folder / f"{level}.png")
        goals += ["--goal", f"{level}.png"]
    assert "at least 3 successes, or 3 goal pictures" in " ".join(
        refusal("success", "fit", "u.zarr", "--encoder", "pixels", *goals[:4], cwd=folder).split()
    )
    ended = invoke("success", "fit", "u.zarr", "--encoder", "pixels", *goals, cwd=folder)
    assert ended.code == 0, ended
    assert "goal pictures stand for successes" in " ".join(ended.stdout.split())
    ended = invoke("success", "apply", "runs/u/success.json", "u.zarr", "--json", cwd=folder)
    assert "failure" not in json.loads(ended.stdout)[0]["verdicts"].values()


def test_what_does_not_belong_together_is_named(folder: Path) -> None:
    model = load_success_model(folder / MODEL)
    before = open_store(folder / "a.zarr").success_labelled.tolist()
    for name, changed, part in (
        ("weights", {"making": {**model.making, "weights_sha256": "0" * 64}}, "weights of sha256"),
        ("camera", {"camera": "wrist"}, "no camera 'wrist'"),
        (
            "fit",
            {"making": {**model.making, "preprocessing": {**_pre(model), "fit": "pad"}}},
            "--fit",
        ),
    ):
        replace(model, **changed).save(folder / f"{name}.json")
        message = refusal("success", "apply", f"{name}.json", "a.zarr", cwd=folder)
        assert part in " ".join(message.split())
    assert open_store(folder / "a.zarr").success_labelled.tolist() == before


def _pre(model: SuccessModel) -> dict[str, object]:
    return dict(model.making["preprocessing"])


def test_files_that_are_no_model(folder: Path) -> None:
    (folder / "other.json").write_text('{"format": "x"}')
    (folder / "bytes.json").write_bytes(b"\x80\x04pickle")
    plain = json.loads((folder / MODEL).read_text())
    (folder / "damaged.json").write_text(json.dumps(plain | {"hold": 1}))
    (folder / "later.json").write_text(json.dumps(plain | {"version": 2}))
    for name, part in (
        ("other.json", "is no success model"),
        ("bytes.json", "is no success model"),
        ("damaged.json", "is damaged"),
        ("later.json", "version 2"),
        ("gone.json", "is no file"),
    ):
        assert part in refusal("success", "apply", name, "a.zarr", cwd=folder), name
    assert "is no store and no video" in refusal("success", "apply", MODEL, "runs", cwd=folder)


def test_all_failures_need_goal_pictures(folder: Path) -> None:
    made(folder / "f.zarr", *((levels(120, seed), False) for seed in range(5)))
    message = refusal("success", "fit", "f.zarr", "--encoder", "pixels", cwd=folder)
    assert "0 of its 5 episodes are labelled successes, 5 failures" in " ".join(message.split())
    assert not (folder / "runs/f/success.json").exists()


def test_a_model_is_what_was_saved(folder: Path) -> None:
    model = load_success_model(folder / MODEL)
    model.save(folder / "again.json")
    again = load_success_model(folder / "again.json")
    assert again.rule.goals.tobytes() == model.rule.goals.tobytes()
    assert again.plain() == model.plain()
