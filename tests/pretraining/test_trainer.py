import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up_pretraining import MadeUpClips, losses, small, tensors
from torch import Tensor

from vip_offline.analysis.metrics import order_correlation
from vip_offline.encoders.checkpoints import read_state_dict
from vip_offline.encoders.encoder import load_encoder
from vip_offline.encoders.registry import entry_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import Computing, PretrainOptions
from vip_offline.pretraining import check_options, checkpoint
from vip_offline.pretraining import losses as objectives
from vip_offline.pretraining.check_options import check_pretrain
from vip_offline.pretraining.initialization import initial_networks
from vip_offline.pretraining.trainer import (
    EmbedFrames,
    Report,
    Trained,
    keep_lines,
    learning_rate,
    loss_of,
    pretrain,
)

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
CLIPS = MadeUpClips()


class Stop(Exception):
    pass


def stop_at(step: int) -> Callable[[Report], None]:
    def on_step(report: Report) -> None:
        if report.step == step:
            raise Stop

    return on_step


def same(first: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return first.keys() == other.keys() and all(
        torch.equal(first[name], other[name]) for name in first
    )


def board_of(out: Path) -> Any:
    from tensorboard.backend.event_processing import event_accumulator  # type: ignore[import-untyped]

    board = event_accumulator.EventAccumulator(str(out / "tensorboard"))
    board.Reload()
    return board


def as_one_that_was_not_stopped(out: Path, whole: Path) -> None:
    assert (out / "losses.jsonl").read_bytes() == (whole / "losses.jsonl").read_bytes()
    assert same(tensors(out / "model.pt"), tensors(whole / "model.pt"))
    resumed, other = (
        read_state_dict(folder / "checkpoints" / "step-6.pt") for folder in (out, whole)
    )
    for number, state in resumed["optimizer"]["state"].items():  # type: ignore[index]
        assert same(state, other["optimizer"]["state"][number])  # type: ignore[index]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of six steps that nothing stops, saved after every second."""
    out = tmp_path_factory.mktemp("whole")
    trained = pretrain(CLIPS, small(), out)
    assert trained == Trained(
        model=out / "model.pt",
        steps=6,
        began=0,
        processes=1,
        frames_per_s=pytest.approx(trained.frames_per_s),  # type: ignore[arg-type]
        waited=pytest.approx(trained.waited),  # type: ignore[arg-type]
        metrics={},
    )
    assert trained.frames_per_s > 0
    assert 0 <= trained.waited <= 1
    return out


# what it leaves behind


def test_the_model_is_laid_out_as_the_published_file(whole: Path) -> None:
    content = torch.load(whole / "model.pt", weights_only=True)
    assert list(content) == ["vip"]
    network = entry_of("vip-mini").build().state_dict()
    assert list(content["vip"]) == [f"module.convnet.{name}" for name in network]
    for name, value in network.items():
        stored = content["vip"][f"module.convnet.{name}"]
        assert (stored.shape, stored.dtype) == (value.shape, value.dtype)


def test_a_checkpoint_loads_like_the_model(whole: Path) -> None:
    last = whole / "checkpoints" / "step-6.pt"
    assert same(tensors(last), tensors(whole / "model.pt"))
    encoder = load_encoder("vip-mini", last, computing=Computing("torch"))
    assert encoder.dim == 128


def test_the_encoder_embeds_as_validation_did(tmp_path: Path) -> None:
    """More frames than validation embeds at once, of another size than the network's."""
    frames = np.random.default_rng(0).integers(0, 256, (70, 48, 80, 3), np.uint8)
    seen: dict[int, Any] = {}

    def validate(embed: EmbedFrames, step: int) -> dict[str, float]:
        seen[step] = embed(frames)
        return {"step": step}

    reports: list[Report] = []
    options = small(steps=5, validate_every=2)
    trained = pretrain(CLIPS, options, tmp_path, validate=validate, on_step=reports.append)
    assert list(seen) == [2, 4, 5]
    metrics = [dict(report.metrics) for report in reports]
    assert metrics == [{}, {"step": 2}, {}, {"step": 4}, {"step": 5}]
    assert trained.metrics == {"step": 5}
    encoder = load_encoder("vip-mini", trained.model, computing=Computing("torch"))
    np.testing.assert_allclose(encoder(frames), seen[5], rtol=1e-4, atol=1e-5)
    assert not np.allclose(seen[4], seen[5], rtol=1e-4, atol=1e-5)


def test_validation_leaves_the_training_as_it_is(tmp_path: Path, whole: Path) -> None:
    def validate(embed: EmbedFrames, step: int) -> dict[str, float]:
        torch.rand(3)  # as a validation might
        embed(CLIPS.read(0, np.arange(3)))
        return {}

    pretrain(CLIPS, small(validate_every=1), tmp_path, validate=validate)
    as_one_that_was_not_stopped(tmp_path, whole)


def test_the_callers_generator_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    pretrain(CLIPS, small(steps=1), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_tensorboard_has_the_loss_of_every_step(tmp_path: Path) -> None:
    options = small(steps=4)
    with pytest.raises(Stop):  # a step beyond the checkpoint
        pretrain(CLIPS, options, tmp_path, on_step=stop_at(3))
    pretrain(CLIPS, options, tmp_path, validate=lambda embed, step: {"order": 0.5})
    board = board_of(tmp_path)
    events = board.Scalars("loss/train")
    assert [event.step for event in events] == [1, 2, 3, 4]
    assert [event.value for event in events] == pytest.approx(losses(tmp_path))
    assert [(event.step, event.value) for event in board.Scalars("validation/order")] == [(4, 0.5)]
    assert len(board.Scalars("speed/frames_per_s")) == len(board.Scalars("speed/data_wait_share"))


# going on


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_a_stopped_training_goes_on_to_the_bit(tmp_path: Path, whole: Path, stop: int) -> None:
    """Before there is a checkpoint, right after one, and a step beyond it, which is made again."""
    with pytest.raises(Stop):
        pretrain(CLIPS, small(), tmp_path, on_step=stop_at(stop))
    assert len(losses(tmp_path)) == stop
    for step, path in checkpoint.numbered_checkpoints(tmp_path):
        assert step <= stop
        if step == 4:  # what is trained so far can be used
            assert same(tensors(tmp_path / "model.pt"), tensors(path))
    steps: list[int] = []
    trained = pretrain(
        CLIPS,
        small(readers=3, validate_every=1),
        tmp_path,
        on_step=lambda report: steps.append(report.step),
    )
    began = stop // 2 * 2
    assert (trained.began, steps) == (began, list(range(began + 1, 7)))
    as_one_that_was_not_stopped(tmp_path, whole)


KILLED = """
import sys, time
from pathlib import Path
import torch
from made_up_pretraining import MadeUpClips, small
from vip_offline.pretraining.trainer import pretrain
torch.set_num_threads(1)
def on_step(report):
    if report.step == 5:
        print("there", flush=True)
        time.sleep(600)
if __name__ == "__main__":
    pretrain(MadeUpClips(), small(), Path(sys.argv[1]), on_step=on_step)
"""


def environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    return inherited | {"PYTHONPATH": paths}


def test_a_killed_training_goes_on_to_the_bit(tmp_path: Path, whole: Path) -> None:
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(KILLED)
    with subprocess.Popen(
        [sys.executable, str(script), str(out)], stdout=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert [step for step, _ in checkpoint.numbered_checkpoints(out)] == [2, 4]
    # on the disk before the checkpoint was
    assert len(losses(out)) >= 4
    assert [event.step for event in board_of(out).Scalars("loss/train")][:4] == [1, 2, 3, 4]
    assert pretrain(CLIPS, small(), out).began == 4
    as_one_that_was_not_stopped(out, whole)


@pytest.mark.parametrize("began", [4, 6])
def test_a_training_killed_around_its_last_checkpoint(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, began: int
) -> None:
    """Whatever else is written beside it, no older model is left as the result."""
    save = checkpoint.save

    def stopped(out: Path, step: int, *content: Any) -> Path:
        if step > began:
            raise Stop
        path = save(out, step, *content)
        if step == 6:
            raise Stop
        return path

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(checkpoint, "save", stopped)
        pretrain(CLIPS, small(), tmp_path)
    assert pretrain(CLIPS, small(), tmp_path).began == began
    as_one_that_was_not_stopped(tmp_path, whole)


def test_more_steps_go_on_from_the_last(tmp_path: Path, whole: Path) -> None:
    pretrain(CLIPS, small(steps=3), tmp_path)
    assert pretrain(CLIPS, small(), tmp_path).began == 3
    as_one_that_was_not_stopped(tmp_path, whole)


def test_a_training_that_is_done_is_validated_again(tmp_path: Path) -> None:
    """What was measured is not kept, and whoever starts it again wants to know."""
    first = pretrain(CLIPS, small(steps=2), tmp_path)
    content = first.model.read_bytes()
    first.model.unlink()
    again = pretrain(
        CLIPS, small(steps=2), tmp_path, validate=lambda embed, step: {"step": float(step)}
    )
    assert (again.began, again.steps, again.metrics) == (2, 2, {"step": 2})
    assert np.isnan([again.frames_per_s, again.waited]).all()
    assert again.model.read_bytes() == content
    assert len(losses(tmp_path)) == 2


def test_another_training_is_not_gone_on_with(tmp_path: Path) -> None:
    pretrain(CLIPS, small(steps=1), tmp_path)
    content = (tmp_path / "model.pt").read_bytes()
    with pytest.raises(VipOfflineError, match="--objective vip, not tcn"):
        pretrain(CLIPS, small(steps=2, objective="tcn"), tmp_path)
    with pytest.raises(VipOfflineError, match="other videos"):
        pretrain(MadeUpClips(seed=1), small(steps=2), tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == content


def test_lines_beyond_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "losses.jsonl"
    keep_lines(path, 3)
    assert not path.exists()
    lines = [json.dumps({"step": step, "loss": step / 3}) + "\n" for step in range(1, 6)]
    path.write_text("".join(lines) + '{"step": 6, "lo')
    keep_lines(path, 3)
    assert path.read_text() == "".join(lines[:3])
    assert list(tmp_path.iterdir()) == [path]
    keep_lines(path, 9)
    assert path.read_text() == "".join(lines[:3])


# several processes

SHARED: dict[str, dict[str, Any]] = {
    "vip": {"objective": "vip"},
    "tcn": {"objective": "tcn"},
    "anchor": {"objective": "vip", "anchor": 0.5},
}
TOGETHER = """
import json, os, sys
from pathlib import Path
from made_up_pretraining import MadeUpClips, small
from vip_offline.pretraining.trainer import pretrain
from vip_offline.errors import VipOfflineError
out, runs = Path(sys.argv[1]), json.loads(sys.argv[2])
for name, changes in runs.items():
    for steps in (1, 5):  # goes on, too
        trained = pretrain(MadeUpClips(), small(**changes | {"steps": steps}), out / name)
        assert trained.processes == 2, trained
for name, changes in {"norm": {"norm": "batch"}, "odd": {"batch_size": 5}}.items():
    try:
        pretrain(MadeUpClips(), small(**changes), out / name)
    except VipOfflineError as error:
        (out / f"{name}-{os.environ['RANK']}.txt").write_text(str(error))
"""


def initial(folder: Path) -> str:
    """A file that training can begin with."""
    path = folder / "initial.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        state = dict(entry_of("vip-mini").build().state_dict())
    torch.save(checkpoint.published_state("vip-mini", state), path)
    return str(path)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """What two processes make, and the options that they had."""
    out = tmp_path_factory.mktemp("together")
    common = {"norm": "frozen", "save_every": 9, "init": initial(out)}
    runs = {name: common | changes for name, changes in SHARED.items()}
    (out / "script.py").write_text(TOGETHER)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    result = subprocess.run(
        [sys.executable, *launch, str(out / "script.py"), str(out), json.dumps(runs)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return out, runs


def momenta(out: Path) -> Tensor:
    """The gradient of the first step, a tenth of it: Adam's updates do not tell its size."""
    content: Any = read_state_dict(out / "checkpoints" / "step-1.pt")
    states = content["optimizer"]["state"]
    return torch.cat([states[number]["exp_avg"].flatten() for number in sorted(states)])


@pytest.mark.parametrize("name", SHARED)
def test_two_processes_train_as_one(
    tmp_path: Path, together: tuple[Path, dict[str, dict[str, Any]]], name: str
) -> None:
    out, runs = together
    for steps in (1, 5):
        pretrain(CLIPS, small(**runs[name] | {"steps": steps}), tmp_path)
    two_losses, one_losses = losses(out / name), losses(tmp_path)
    np.testing.assert_allclose(two_losses[:3], one_losses[:3], rtol=1e-5)
    # Adam makes whole steps of gradients that are nothing but rounding
    np.testing.assert_allclose(two_losses, one_losses, rtol=2e-4)
    two, single = momenta(out / name), momenta(tmp_path)
    assert (two - single).norm() < 1e-5 * single.norm()


def test_processes_that_normalise_apart_are_refused(
    together: tuple[Path, dict[str, dict[str, Any]]],
) -> None:
    for rank in range(2):
        text = (together[0] / f"norm-{rank}.txt").read_text()
        assert "--norm batch: vip-mini normalises by the batch" in text
        assert "--norm frozen" in text
        assert "Take a multiple of 2" in (together[0] / f"odd-{rank}.txt").read_text()


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({}, "WORLD_SIZE is 2, but RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set"),
        (
            {"RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"},
            "WORLD_SIZE is 2, but MASTER_PORT is not set.* torchrun",
        ),
    ],
)
def test_a_process_whose_others_are_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, str], match: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(VipOfflineError, match=match):
        pretrain(CLIPS, small(), tmp_path)


def test_processes_that_accelerate_does_not_see_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would train a model of its own, all in one folder."""
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")

    class Alone:
        num_processes = 1

    monkeypatch.setattr("accelerate.Accelerator", lambda **options: Alone())
    with pytest.raises(VipOfflineError, match="WORLD_SIZE is 2, but Accelerate runs 1 process"):
        pretrain(CLIPS, small(), tmp_path)


# a training that fails


def test_a_loss_that_is_no_number_stops_it(tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}

    def on_step(report: Report) -> None:
        for name in ("model.pt", "checkpoints/step-1.pt"):
            kept[name] = (tmp_path / name).read_bytes()

    options = small(learning_rate=1e30, save_every=1, batch_size=6)
    with pytest.raises(VipOfflineError) as error:
        pretrain(CLIPS, options, tmp_path, on_step=on_step)
    text = str(error.value)
    assert text.startswith(("step 2: the loss is nan", "step 2: the loss is inf"))
    assert all(f"clip-{clip}" in text for clip in range(6))
    assert "step-1.pt is from before" in text
    assert "--learning-rate than 1e+30" in text
    assert [step for step, _ in checkpoint.numbered_checkpoints(tmp_path)] == [1]
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept
    assert len(losses(tmp_path)) == 1


def test_many_clips_of_a_bad_batch_are_named_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objectives, "vip", lambda *given, **options: torch.tensor(float("nan")))
    with pytest.raises(VipOfflineError, match=r"step 1: the loss is nan.*, and 2 more\. Look at"):
        pretrain(MadeUpClips(10), small(batch_size=10, steps=1), tmp_path)
    assert not (tmp_path / "model.pt").exists()


def test_a_network_that_is_no_longer_finite_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss tells a step later."""

    def overshoot(self: torch.optim.Adam, closure: None = None) -> None:
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(float("inf"))

    monkeypatch.setattr(torch.optim.Adam, "step", overshoot)
    with pytest.raises(VipOfflineError, match=r"step 1: .* conv1\.weight is no longer"):
        pretrain(CLIPS, small(steps=1), tmp_path)
    assert not (tmp_path / "model.pt").exists()
    assert checkpoint.numbered_checkpoints(tmp_path) == []


# what it learns


def test_it_learns_what_rises(tmp_path: Path) -> None:
    """Of videos that it has not seen, in which more flickers than rises."""
    unseen = MadeUpClips(8, seed=1, length=20)

    def order(embed: EmbedFrames) -> float:
        correlations = []
        for clip in range(8):
            values = embed(unseen.read(clip, np.arange(20)))
            correlations.append(order_correlation(np.linalg.norm(values - values[-1], axis=1)))
        return float(np.mean(correlations))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = initial_networks(small())[0].eval()
    seen = entry_of("vip-mini").preprocessing
    with torch.no_grad():
        before = order(lambda frames: network(seen(frames)).numpy())
    options = small(
        steps=30, batch_size=8, learning_rate=1e-3, norm="frozen", save_every=30, l1=0.0, l2=0.0
    )
    trained = pretrain(
        MadeUpClips(12), options, tmp_path, validate=lambda embed, step: {"order": order(embed)}
    )
    values = losses(tmp_path)
    assert np.mean(values[-8:]) < np.mean(values[:8]) - 0.2
    assert trained.metrics["order"] > before + 0.2


@pytest.mark.parametrize("norm", ["batch", "frozen"])
def test_running_statistics_stay_where_norms_are_frozen(tmp_path: Path, norm: str) -> None:
    pretrain(CLIPS, small(steps=3, norm=norm), tmp_path)
    state = tensors(tmp_path / "model.pt")
    counts = {int(value) for name, value in state.items() if name.endswith("tracked")}
    fresh = all(
        (value == (1 if name.endswith("var") else 0)).all()
        for name, value in state.items()
        if "running" in name
    )
    assert (counts, fresh) == (({0}, True) if norm == "frozen" else ({3}, False))


def test_frozen_norms_still_learn(tmp_path: Path) -> None:
    pretrain(CLIPS, small(steps=1, norm="frozen"), tmp_path)
    state = tensors(tmp_path / "model.pt")
    assert (state["bn1.weight"] != 1).any()


def test_an_anchor_holds_the_embedding(tmp_path: Path) -> None:
    init = initial(tmp_path)
    frames = np.concatenate([CLIPS.read(clip, np.arange(9)) for clip in range(6)])
    with torch.no_grad():
        network = initial_networks(small(init=init))[0].eval()
        before = network(entry_of("vip-mini").preprocessing(frames)).numpy()

    def moved(name: str, anchor: float) -> float:
        embeddings: list[Any] = []

        def validate(embed: EmbedFrames, step: int) -> dict[str, float]:
            embeddings.append(embed(frames))
            return {}

        options = small(init=init, anchor=anchor, norm="frozen", learning_rate=1e-3, steps=12)
        pretrain(CLIPS, options, tmp_path / name, validate=validate)
        spread = np.square(before - before.mean(axis=0)).sum()
        return float(np.square(embeddings[-1] - before).sum() / spread)

    free, held = moved("free", 0.0), moved("held", 1000.0)
    assert free > 0.5
    assert held < free / 5


def test_mixed_precision_runs_beside_full(tmp_path: Path) -> None:
    """In one process after the other, either way."""
    full = small(steps=2)
    pretrain(CLIPS, full, tmp_path / "full")
    pretrain(CLIPS, small(steps=2, precision="bf16"), tmp_path / "mixed")
    pretrain(CLIPS, full, tmp_path / "again")
    assert losses(tmp_path / "again") == losses(tmp_path / "full")
    assert losses(tmp_path / "mixed") != losses(tmp_path / "full")
    np.testing.assert_allclose(losses(tmp_path / "mixed"), losses(tmp_path / "full"), rtol=0.1)
    assert {value.dtype for value in tensors(tmp_path / "mixed" / "model.pt").values()} == {
        torch.float32,
        torch.int64,
    }


@pytest.mark.parametrize("objective", ["vip", "tcn", "lstd"])
def test_the_objective_is_that_of_the_options(objective: str) -> None:
    from vip_offline.pretraining import losses as objectives

    options = small(objective=objective, l1=0.5, l2=0.25, gamma=0.9, negative_term="separate")
    values = torch.rand(3 if objective == "tcn" else 4, 4, 2)
    negatives = torch.tensor([[1, 2, 3, 0]])
    if objective == "tcn":
        bare = objectives.tcn(values[0], values[1], values[2], negatives)
    elif objective == "lstd":
        bare = objectives.lstd(values[1], values[2], values[3], gamma=0.9)
    else:
        start, now, then, goal = values
        bare = objectives.vip(start, now, then, goal, negatives, gamma=0.9, separate=True)
    expected = bare + 0.5 * values.abs().sum(-1).mean() + 0.25 * values.norm(dim=-1).mean()
    torch.testing.assert_close(loss_of(values, negatives, options), expected)


# what is refused before anything is read


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"backbone": "clip-rn50"},
            "--backbone clip-rn50: cannot be trained here. Take .*vip-mini",
        ),
        ({"backbone": "vip-mimi"}, "Unknown encoder 'vip-mimi'"),
        ({"backbone": "vip-lite0-d2"}, "no head"),
        *(
            ({name: 0}, f"--{name.replace('_', '-')} 0: must be at least 1")
            for name in ("batch_size", "save_every", "validate_every", "keep", "readers", "steps")
        ),
        *(
            ({name: -1}, f"--{name.replace('_', '-')} -1: must be at least 0")
            for name in ("negatives", "l1", "l2", "anchor", "pack_gib", "seed")
        ),
        ({"l1": float("nan")}, "--l1 nan: must be at least 0"),
        ({"learning_rate": 0.0}, "--learning-rate 0: must be above 0"),
        ({"learning_rate": float("nan")}, "--learning-rate nan"),
        ({"gamma": 1.0}, "--gamma 1: must be above 0 and below 1"),
        ({"gamma": 0.0}, "--gamma 0: must"),
        ({"hold_out": 1.0}, "--hold-out 1: must be at least 0 and below 1"),
        ({"max_skipped": -0.1}, "--max-skipped -0.1"),
        ({"batch_size": 1}, "--batch-size 1: negatives are others .* --negatives 0"),
        ({"anchor": 1.0}, "--anchor 1.0: pulls towards .* --init"),
        ({"goal_augment": 0.5}, "--goal-augment 0.5: is of the nuisances of --augment"),
        ({"other_goals": 1.5}, "--other-goals 1.5: must be at least 0 and at most 1"),
        ({"precision": "fp16"}, "--precision fp16: is for --device cuda"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(
    tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    with pytest.raises(VipOfflineError, match=match):
        pretrain(CLIPS, small(**changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_learning_rate_rises_and_falls_to_0() -> None:
    options = small(steps=100, schedule="cosine", learning_rate=2.0)
    rates = [learning_rate(options, step) for step in range(1, 101)]
    assert rates[:10] == pytest.approx(np.linspace(0.2, 2, 10))
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[54] == pytest.approx(1.0)  # half way down
    assert rates[-1] == pytest.approx(0)
    assert {learning_rate(small(learning_rate=2.0), step) for step in (1, 50)} == {2.0}


def test_the_optimizer_steps_by_the_rate_of_the_schedule(tmp_path: Path) -> None:
    """The last step of a cosine is of size 0."""
    options = small(steps=3, save_every=1, keep=3, schedule="cosine")
    pretrain(CLIPS, options, tmp_path)
    before, last = (tensors(tmp_path / "checkpoints" / f"step-{step}.pt") for step in (2, 3))
    weights = [name for name in last if name.endswith("conv1.weight")]
    assert weights
    for name in weights:
        assert torch.equal(before[name], last[name])


def test_a_training_with_nuisances_and_goals_of_others_goes_on_to_the_bit(tmp_path: Path) -> None:
    options = small(steps=4, augment=1.0, goal_augment=0.7, other_goals=0.5, schedule="cosine")
    pretrain(CLIPS, options, tmp_path / "whole")
    with pytest.raises(Stop):
        pretrain(CLIPS, options, tmp_path / "out", on_step=stop_at(3))
    pretrain(CLIPS, options, tmp_path / "out")
    assert losses(tmp_path / "out") == losses(tmp_path / "whole")
    assert same(tensors(tmp_path / "out" / "model.pt"), tensors(tmp_path / "whole" / "model.pt"))


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(VipOfflineError, match="--device cuda: torch finds no CUDA device"):
        check_pretrain(small(device="cuda"))


def test_the_defaults_and_heads_of_other_sizes_are_taken() -> None:
    check_pretrain(PretrainOptions())
    check_pretrain(small(backbone="vip-lite0", anchor=1.0, init="lite0"))
    check_pretrain(small(backbone="vip-resnet18-d2"))
    check_pretrain(small(batch_size=1, negatives=0))


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_options, "find_spec", lambda name: None)
    with pytest.raises(VipOfflineError, match=r"accelerate and tensorboard.*\[pretrain\]"):
        check_pretrain(small())


def test_nothing_of_the_extra_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, vip_offline.pretraining.trainer;"
        "sys.exit(bool({'accelerate', 'tensorboard'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_lstd_needs_no_others_in_its_batch() -> None:
    check_pretrain(small(objective="lstd", batch_size=1, negatives=3))


def test_weights_to_begin_with_are_looked_for_at_once(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match=r"gone\.pt: is no file"):
        check_pretrain(small(init=str(tmp_path / "gone.pt")))
