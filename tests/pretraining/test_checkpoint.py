import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up_pretraining import small

from vip_offline.encoders.registry import VIP
from vip_offline.errors import VipOfflineError
from vip_offline.options import PretrainOptions
from vip_offline.pretraining import checkpoint
from vip_offline.pretraining.checkpoint import (
    FREE,
    latest,
    numbered_checkpoints,
    published_state,
    save,
    write_file,
)

SETTINGS = dataclasses.asdict(small())
CONTENT = {"settings": SETTINGS, "fingerprint": "abc", "value": torch.arange(3)}


class Cut(Exception):
    pass


def cut_short(content: Any, file: Any) -> None:
    file.write(b"half of it")
    raise Cut


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def settings(**changes: Any) -> dict[str, Any]:
    return dataclasses.asdict(small(**changes))


@pytest.mark.parametrize("existing", [True, False])
def test_a_write_that_ends_half_way_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: bool
) -> None:
    path = tmp_path / "model.pt"
    if existing:
        write_file({"value": 1}, path)
    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(checkpoint.torch, "save", cut_short)  # type: ignore[attr-defined]
        write_file({"value": 2}, path)
    assert names(tmp_path) == (["model.pt"] if existing else [])
    if existing:
        assert torch.load(path, weights_only=True) == {"value": 1}
    write_file({"value": 2}, path)
    assert torch.load(path, weights_only=True) == {"value": 2}


def test_what_is_renamed_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut may leave an empty file under the final name."""
    order: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        order.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_file({}, tmp_path / "model.pt")
    assert order[0].startswith(".model.pt.") and order[1:] == ["rename", tmp_path.name]


def test_the_latest_are_kept_by_number(tmp_path: Path) -> None:
    for step in (8, 9, 10, 11):
        save(tmp_path, step, CONTENT, keep=3)
    assert [step for step, _ in numbered_checkpoints(tmp_path)] == [9, 10, 11]
    assert names(tmp_path / "checkpoints") == ["step-10.pt", "step-11.pt", "step-9.pt"]
    saved = latest(tmp_path, SETTINGS, "abc")
    assert saved is not None
    assert saved["step"] == 11


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    save(tmp_path, 1, CONTENT, keep=1)
    for name in ("step-best.pt", ".step-9.pt.partial", "notes.txt"):
        (tmp_path / "checkpoints" / name).touch()
    save(tmp_path, 2, CONTENT, keep=1)
    assert [step for step, _ in numbered_checkpoints(tmp_path)] == [2]
    assert len(names(tmp_path / "checkpoints")) == 4


def test_an_older_one_stays_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, CONTENT, keep=1)
    monkeypatch.setattr(checkpoint.torch, "save", cut_short)  # type: ignore[attr-defined]
    with pytest.raises(Cut):
        save(tmp_path, 2, CONTENT, keep=1)
    assert names(tmp_path / "checkpoints") == ["step-1.pt"]


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert latest(tmp_path, SETTINGS, "abc") is None
    assert latest(tmp_path / "none", SETTINGS, "abc") is None


def test_no_code_runs_when_one_is_read(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    more = {"optimizer": optimizer.state_dict(), "generator": torch.get_rng_state()}
    path = save(tmp_path, 1, CONTENT | more, keep=1)
    content = torch.load(path, weights_only=True)
    assert content["settings"] == SETTINGS
    assert torch.equal(content["optimizer"]["state"][0]["exp_avg"], torch.full((2, 2), 0.1))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"objective": "tcn"}, "--objective vip, not tcn"),
        ({"backbone": "vip-resnet18"}, "--backbone vip-mini, not vip-resnet18"),
        ({"gamma": 0.9}, "--gamma 0.98, not 0.9"),
        ({"seed": 1}, "--seed 0, not 1"),
        ({"batch_size": 8}, "--batch-size 4, not 8"),
        ({"crop": False}, "--crop True, not False"),
        ({"precision": "bf16"}, "--precision fp32, not bf16"),
        ({"hold_out": 0.2}, "--hold-out 0.1, not 0.2"),
    ],
)
def test_another_training_does_not_go_on(
    tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    save(tmp_path, 1, CONTENT, keep=1)
    with pytest.raises(VipOfflineError, match=f"step-1.pt: was trained with {match}. .*--out"):
        latest(tmp_path, settings(**changes), "abc")


def test_other_clips_do_not_go_on(tmp_path: Path) -> None:
    save(tmp_path, 1, CONTENT, keep=1)
    with pytest.raises(VipOfflineError, match=r"step-1\.pt: was trained on other videos"):
        latest(tmp_path, SETTINGS, "abd")


def test_what_changes_no_step_may_change(tmp_path: Path) -> None:
    save(tmp_path, 1, CONTENT, keep=1)
    changed = settings(
        steps=100,
        validate_every=7,
        save_every=3,
        keep=9,
        pack_folder="elsewhere",
        pack_gib=1.0,
        readers=5,
        device="cuda",
        max_skipped=0.5,
    )
    assert {name for name in changed if changed[name] != SETTINGS[name]} == set(FREE)
    saved = latest(tmp_path, changed, "abc")
    assert saved is not None
    assert torch.equal(saved["value"], CONTENT["value"])  # type: ignore[arg-type]


def test_a_learning_rate_that_falls_to_the_end_does_not_go_on_to_another_end(
    tmp_path: Path,
) -> None:
    falling = settings(schedule="cosine")
    save(tmp_path, 1, {**CONTENT, "settings": falling}, keep=1)
    assert latest(tmp_path, {**falling, "keep": 9}, "abc") is not None
    with pytest.raises(VipOfflineError, match="was trained with --steps 6, not 100"):
        latest(tmp_path, {**falling, "steps": 100}, "abc")


def test_what_may_change_is_an_option() -> None:
    assert set(FREE) < {field.name for field in dataclasses.fields(PretrainOptions)}


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    torch.save({"step": 3}, tmp_path / "checkpoints" / "step-3.pt")
    with pytest.raises(VipOfflineError, match=r"step-3.pt: is no checkpoint of .* Move it away"):
        latest(tmp_path, SETTINGS, "abc")


@pytest.mark.parametrize(
    ("steps", "way_out"), [((9, 10), "goes on from step 9"), ((10,), "begins anew")]
)
@pytest.mark.parametrize("size", [0, 100, -100])
def test_a_truncated_file_is_named(
    tmp_path: Path, steps: tuple[int, ...], way_out: str, size: int
) -> None:
    for step in steps:
        save(tmp_path, step, CONTENT, keep=3)
    path = tmp_path / "checkpoints" / "step-10.pt"
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)
    with pytest.raises(VipOfflineError, match=f"step-10.pt: .* Remove it, .* {way_out}"):
        latest(tmp_path, SETTINGS, "abc")


def test_the_published_names_of_vip() -> None:
    """Of the released ResNet-50: 53 convolutions, 53 norms of five tensors each, and the head."""
    from vip_offline.encoders.registry import entry_of

    with torch.device("meta"):
        state = dict(entry_of("vip").build().state_dict())
    content = published_state("vip", state)
    assert list(content) == ["vip"] == [VIP.outer]
    inner = content["vip"]
    assert len(inner) == 320 == 53 + 53 * 5 + 2
    assert all(name.startswith("module.convnet.") for name in inner)
    assert inner["module.convnet.conv1.weight"].shape == (64, 3, 7, 7)
    assert inner["module.convnet.layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert inner["module.convnet.fc.weight"].shape == (1024, 2048)
    assert inner["module.convnet.fc.bias"].shape == (1024,)
    counts = {name for name in inner if name.endswith("num_batches_tracked")}
    assert len(counts) == 53
    assert {inner[name].dtype for name in counts} == {torch.int64}
    assert {inner[name].dtype for name in inner.keys() - counts} == {torch.float32}
    shapes = [np.prod(value.shape) for name, value in inner.items() if name not in counts]
    assert sum(shapes) == 25_557_032 - 2048 * 1000 - 1000 + 2048 * 1024 + 1024 + 2 * 26_560
