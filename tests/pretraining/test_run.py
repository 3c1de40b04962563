import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import brightness_episode
from made_up_clips import write_film
from made_up_pretraining import losses, small

from vip_offline.dataset.store_writer import writing
from vip_offline.encoders.encoder import load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.options import Computing, PretrainOptions
from vip_offline.pretraining import run
from vip_offline.pretraining.clips.clip import Clips
from vip_offline.pretraining.run import Pretrained, pretrain_stage, summary_of
from vip_offline.pretraining.trainer import Trained, pretrain
from vip_offline.pretraining.validation import Validation
from vip_offline.utils.console import Advance
from vip_offline.utils.files import only_writer

LENGTHS = (5, 7, 6, 5, 7, 6)
SUCCESSES = (True,) * 6


class Shown:
    """What a terminal would show."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.bars: dict[str, int] = {}

    @contextlib.contextmanager
    def bar(self, description: str, total: int, unit: str) -> Iterator[Advance]:
        self.bars[description] = 0

        def advance(amount: int = 0, total: int | None = None) -> None:
            self.bars[description] += amount

        yield advance

    @property
    def text(self) -> str:
        return "\n".join(self.said)


def options(**changes: Any) -> PretrainOptions:
    return small(**{"steps": 2, "batch_size": 4, "validate_every": 2} | changes)


def stage(videos: list[Path], out: Path, **changes: Any) -> tuple[Pretrained, Shown]:
    shown = Shown()
    return pretrain_stage(videos, options(**changes), out, shown.bar, shown.said.append), shown


@pytest.fixture
def store(make_store: Callable[..., Path]) -> Path:
    return make_store(lengths=LENGTHS, successes=SUCCESSES)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(6):
        write_film(folder / f"{number}.mp4", count=5 + number % 3, offset=30 * number)
    return folder


def report_of(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "pretrain.json").read_text())
    return report


@pytest.mark.parametrize("origin", ["store", "films", "both"])
def test_from_videos_to_an_encoder(tmp_path: Path, store: Path, films: Path, origin: str) -> None:
    videos = {"store": [store], "films": [films], "both": [store, films]}[origin]
    out = tmp_path / "out"
    pretrained, shown = stage(videos, out)
    groups = len(videos)
    assert (pretrained.clips, pretrained.held_out, pretrained.skipped) == (5 * groups, groups, ())
    assert (
        f"pretrain: {5 * groups} videos, {pretrained.frames} frames; {groups} more held out; 1 "
        "process on cpu" in shown.said
    )
    assert any(line.startswith(f"step 2: loss {losses(out)[1]:.4f}, bumps") for line in shown.said)
    assert shown.bars["pretrain"] == 2
    assert shown.bars["controls"] == groups
    assert shown.bars["look at videos"] == 6 * groups

    report = report_of(out)
    assert report == summary_of(pretrained, options())
    assert (report["backbone"], report["steps"], report["processes"]) == ("vip-mini", 2, 1)
    assert (report["clips"], report["held_out"]) == (5 * groups, groups)
    assert list(report["validation"]) == ["vip-mini", "raw pixels", "random network"]
    assert report["frames_per_s"] > 0
    # one of a group is held out, so there is no goal of another
    assert {row["order_others"] for row in report["validation"].values()} == {None}
    recipe = (out / "recipe.toml").read_text()
    assert 'backbone = "vip-mini"' in recipe
    assert pretrained.trained.model == out / "model.pt"
    encoder = load_encoder("vip-mini", out / "model.pt", computing=Computing("torch"))
    assert encoder(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 128)
    assert not list(out.glob("*.partial"))


def test_what_was_validated_is_the_held_out(tmp_path: Path, store: Path) -> None:
    """As many as were asked for, and goals of others where there are some."""
    pretrained, _ = stage([store], tmp_path / "out", hold_out=0.5)
    assert (pretrained.clips, pretrained.held_out) == (3, 3)
    assert pretrained.frames < sum(LENGTHS)
    assert pretrained.progress is not None
    assert pretrained.progress.clips == 3
    # brightness alone changes: pixels tell it all
    assert pretrained.controls["raw pixels"].order == pytest.approx(1)
    assert report_of(tmp_path / "out")["validation"]["raw pixels"]["order_others"] > 0.9


def test_no_video_is_trained_on_and_validated(
    tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Clips] = []
    watched: list[tuple[Clips, list[int]]] = []

    def pretrain_noted(clips: Clips, *given: Any, **named: Any) -> Trained:
        trained.append(clips)
        return pretrain(clips, *given, **named)

    class Noted(Validation):
        def __init__(self, clips: Clips, chosen: list[int], *given: Any) -> None:
            watched.append((clips, chosen))
            super().__init__(clips, chosen, *given)

    monkeypatch.setattr(run, "pretrain", pretrain_noted)
    monkeypatch.setattr(run, "Validation", Noted)
    stage([films], tmp_path / "out", hold_out=0.3)
    (train,), ((clips, chosen),) = trained, watched
    assert len(chosen) == 2
    shown = {train.name(clip) for clip in range(4)} | {clips.name(clip) for clip in chosen}
    assert len(shown) == 6 == len(clips.lengths)
    for clip in range(4):  # under its own number it is the same video still
        number = int(Path(train.name(clip)).stem)
        frame = train.read(clip, np.array([1]))
        assert frame.mean() == pytest.approx(30 * number + 10, abs=3)
        assert train.lengths[clip] == 5 + number % 3
        assert len(set(train.takes.tolist())) == len(train.groups) == 4


def test_whole_groups_are_held_out_by_name(
    tmp_path: Path, store: Path, films: Path, make_store: Callable[..., Path]
) -> None:
    other = make_store("other", lengths=(5, 6), successes=(True, True))
    pretrained, _ = stage([store, films, other], tmp_path / "out", hold_out_groups=("other",))
    assert (pretrained.clips, pretrained.held_out) == (12, 2)
    with pytest.raises(
        VipOfflineError, match=r"--hold-out-groups othr: is no group .*Did you mean 'other'"
    ):
        stage([store, other], tmp_path / "no", hold_out_groups=("othr",))


def test_goals_of_others_are_of_one_camera_and_say_who_has_none(
    tmp_path: Path, store: Path, make_store: Callable[..., Path]
) -> None:
    alone = make_store("alone", lengths=(5,), successes=(True,))
    _, shown = stage([store, alone], tmp_path / "out", other_goals=0.5, hold_out=0.0)
    assert "1 groups have one video, whose goals are its own: alone" in shown.said
    both = tmp_path / "both.zarr"
    with writing(both, create={"task": "drawer-close", "proprio": ["x", "y", "z", "g"]}) as writer:
        for placement in range(3):
            episode = brightness_episode(5, True, placement)
            frames = dict.fromkeys(("front", "side"), episode.frames["front"])
            writer.append(replace(episode, frames=frames))
    with pytest.raises(VipOfflineError, match=r"both.zarr.* by 2 cameras.* Name one with --camera"):
        stage([both], tmp_path / "cameras", other_goals=0.5, hold_out=0.0)
    stage([both], tmp_path / "one", other_goals=0.5, hold_out=0.0, camera="side")


def test_nothing_held_out_is_nothing_validated(tmp_path: Path, store: Path) -> None:
    pretrained, shown = stage([store], tmp_path / "out", hold_out=0.0)
    assert (pretrained.clips, pretrained.held_out, pretrained.progress, pretrained.controls) == (
        6,
        0,
        None,
        {},
    )
    assert report_of(tmp_path / "out")["validation"] == {}
    assert "0 more held out" in shown.text
    assert "controls" not in shown.bars


def test_a_run_goes_on(tmp_path: Path, store: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    stage([store], whole, steps=4)
    stage([store], out, steps=2)
    pretrained, shown = stage([store], out, steps=4)
    assert "goes on from step 2" in shown.said
    assert shown.bars["pretrain"] == 4  # a bar that is full at the end
    assert (pretrained.trained.began, pretrained.trained.steps) == (2, 4)
    assert losses(out) == losses(whole)
    numbers = {"frames_per_s": None, "data_wait": None}
    assert report_of(out) | numbers == report_of(whole) | numbers


def test_a_run_that_is_done_says_so_and_reports_again(tmp_path: Path, store: Path) -> None:
    out = tmp_path / "out"
    stage([store], out)
    before, model = report_of(out), (out / "model.pt").stat()
    pretrained, shown = stage([store], out)
    assert "is done: 2 steps" in shown.said
    assert "goes on" not in shown.text
    assert pretrained.progress is not None
    assert report_of(out) == before | {"frames_per_s": None, "data_wait": None}
    assert (out / "model.pt").stat() == model
    assert len(losses(out)) == 2


def test_other_videos_are_another_training(tmp_path: Path, store: Path, films: Path) -> None:
    stage([store], tmp_path / "out")
    with pytest.raises(VipOfflineError, match="was trained on other videos"):
        stage([store, films], tmp_path / "out")


def test_videos_that_were_left_out_are_named(tmp_path: Path, films: Path) -> None:
    for number in range(7):
        (films / f"broken-{number}.mp4").write_bytes(b"no video")
    out = tmp_path / "out"
    pretrained, shown = stage([films], out, max_skipped=0.6)
    assert len(pretrained.skipped) == 7
    assert "left out 7 videos:" in shown.said
    named = [line for line in shown.said if line.startswith("  ") and "broken-" in line]
    assert len(named) == 5
    assert f"  and 2 more, see {out / 'pretrain.json'}" in shown.said
    assert report_of(out)["skipped"] == list(pretrained.skipped)
    with pytest.raises(VipOfflineError, match=r"7 of 13 clips .*--max-skipped"):
        stage([films], tmp_path / "strict")


def test_too_few_videos_are_refused(tmp_path: Path, films: Path) -> None:
    for number in range(2, 6):
        (films / f"{number}.mp4").unlink()
    with pytest.raises(VipOfflineError, match=r"of 2 videos 1 are held out.*--hold-out 0"):
        stage([films], tmp_path / "out")
    pretrained, _ = stage([films], tmp_path / "other", hold_out=0.0)
    assert pretrained.clips == 2
    (films / "1.mp4").unlink()
    with pytest.raises(VipOfflineError, match="of 1 videos 0 are held out"):
        stage([films], tmp_path / "third", hold_out=0.0)


def test_settings_are_refused_before_videos_are_looked_at(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="--gamma 2: must be above 0 and below 1"):
        stage([tmp_path / "none"], tmp_path / "out", gamma=2)
    assert not (tmp_path / "out").exists()


def test_a_second_process_is_refused(tmp_path: Path, store: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with (
        only_writer(out),
        pytest.raises(VipOfflineError, match="out: another process is writing to it"),
    ):
        stage([store], out)
    assert not list(out.iterdir())


def test_the_others_of_several_processes_take_no_lock_and_write_no_report(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vip_offline.pretraining.run.is_first", lambda: False)
    out = tmp_path / "out"
    out.mkdir()
    with only_writer(out):
        _, shown = stage([store], out)
    assert shown.said == []
    assert not (out / "pretrain.json").exists()
    assert not (out / "recipe.toml").exists()


@pytest.mark.parametrize(
    ("pack", "gib", "is_packed"),
    [
        ("never", 20.0, False),
        ("always", 0.0, True),
        ("auto", 20.0, True),
        ("auto", 1e-6, False),
    ],
)
def test_frames_are_packed_where_wanted(
    tmp_path: Path, films: Path, pack: str, gib: float, is_packed: bool
) -> None:
    out = tmp_path / "out"
    _, shown = stage([films], out, pack=pack, pack_gib=gib)
    assert bool(list((out / "packed").glob("*/frames.bin"))) == is_packed
    assert shown.bars.get("pack frames", 0) == (36 if is_packed else 0)
    refused = pack == "auto" and not is_packed
    assert ("not packed: 0 GiB at 96 px, above --pack-gib 1e-06" in shown.text) == refused


def test_a_pack_serves_several_runs(tmp_path: Path, films: Path) -> None:
    shared = str(tmp_path / "shared")
    _, first = stage([films], tmp_path / "a", pack_folder=shared)
    _, second = stage([films], tmp_path / "b", pack_folder=shared, objective="tcn")
    assert first.bars["pack frames"] == 36
    assert second.bars["pack frames"] == 0
    assert not (tmp_path / "a" / "packed").exists()


def test_packed_frames_train_as_those_that_are_decoded(tmp_path: Path, films: Path) -> None:
    """These are smaller than a pack's, so it keeps them as they are."""
    stage([films], tmp_path / "packed", pack="always")
    stage([films], tmp_path / "decoded", pack="never")
    assert losses(tmp_path / "packed") == losses(tmp_path / "decoded")
