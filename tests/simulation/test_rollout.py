import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import numpy as np
import pytest
from in_process import invoke
from made_up_success import five_and_five
from numpy.typing import NDArray

from vip_offline.analysis.closed_loop.conditions import processor
from vip_offline.errors import VipOfflineError
from vip_offline.options import RolloutOptions, SuccessFitOptions
from vip_offline.policies.checksums import read_sums, write_sums
from vip_offline.policies.runtime import load_policy
from vip_offline.rewards.success.judge import Judge
from vip_offline.rewards.success.stores import fit_store
from vip_offline.simulation.interface import Observation
from vip_offline.simulation.rollout import RESULT, existing_rollouts, rollout, video_of
from vip_offline.simulation.vector_env import StepResult

pytestmark = [pytest.mark.sim, pytest.mark.slow]
OPTIONS = RolloutOptions(placements=3, horizon=6, videos=1, processes=1, environments=2)


@pytest.fixture
def policies(smoke: Path, tmp_path: Path) -> list[Path]:
    folders = []
    for seed in ("seed-0", "seed-1"):
        folder = tmp_path / seed
        shutil.copytree(smoke / "runs/smoke/policies/bc" / seed, folder)
        shutil.rmtree(folder / "videos", ignore_errors=True)
        (folder / RESULT).unlink()
        folders.append(folder)
    return folders


def vars_of(observation: Observation) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return observation.frame, observation.proprio


def edit(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    write_sums(folder, read_sums(folder))  # as if it had been trained so


def test_results_films_and_no_second_time(policies: list[Path]) -> None:
    finished: list[Path] = []
    results = rollout(policies, OPTIONS, on_rollout=lambda folder, success: finished.append(folder))
    assert sorted(finished) == sorted(policies * 3)
    for folder in policies:
        result = results[folder]
        assert result.placements == (100_000, 100_001, 100_002)
        assert result.steps == (6, 6, 6)  # an untrained policy needs longer than six steps
        assert not any(result.success)
        assert result.backend.startswith(("torch", "ONNX Runtime"))
        assert result.processor == processor()
        assert [path.name for path in (folder / "videos").iterdir()] == ["placement-100000.mp4"]
    finished.clear()
    assert rollout(policies, OPTIONS, on_rollout=lambda *_: finished.append(Path())) == results
    assert finished == []


def test_the_number_of_simulators_changes_nothing(policies: list[Path]) -> None:
    """The closed loop is each policy's own: same actions, whoever else is rolled out."""
    from vip_offline.simulation.closed_loop import act
    from vip_offline.simulation.suites.metaworld import MetaworldSimulator

    together = rollout(policies, OPTIONS)
    for folder in policies:
        (folder / RESULT).unlink()
        alone = rollout([folder], replace(OPTIONS, environments=1))[folder]
        assert alone == together[folder]
    first = load_policy(policies[0])
    loaded = [first, load_policy(policies[1], encoder=first.encoder)]
    seen = []
    with MetaworldSimulator("drawer-close", 64) as simulator:
        for placement in range(4):
            simulator.reset(placement)
            seen.append(simulator.observe())
    owners = [loaded[0], loaded[1], loaded[0], loaded[1]]
    frames, proprio = (np.stack(column) for column in zip(*map(vars_of, seen), strict=True))
    actions, distances = act(owners, frames, proprio)
    for row, (action, distance) in enumerate(zip(actions, distances, strict=True)):
        single = owners[row].infer({"frame/corner": frames[row], "proprio": proprio[row]})
        np.testing.assert_allclose(action, single.action[0], atol=1e-6)
        goal = owners[row].goal
        assert goal is not None
        assert distance == pytest.approx(np.linalg.norm(single.embedding[0] - goal[-1]), rel=1e-4)


class Played:
    """Simulators whose answers come from here: what counts is what is made of them."""

    slots = 2

    def __init__(self, *_: object, **__: object) -> None:
        self.placement: dict[int, int] = {}
        self.actions: dict[int, list[NDArray[np.float32]]] = {}
        self.sent: list[list[int]] = []
        self.drawn: list[NDArray[np.bool_]] = []

    def __enter__(self) -> "Played":
        return self

    def __exit__(self, *_: object) -> None: ...

    def groups(self, count: int) -> list[list[int]]:
        return [[0], [1]][:count]

    def send(self, commands: dict[int, Any], *, drawn: set[int], unless_solved: set[int]) -> None:
        for slot, command in commands.items():
            if isinstance(command, int):
                self.placement[slot], self.actions[slot] = command, []
            else:
                self.actions[slot].append(command)
        self.sent.append(list(commands))
        self.drawn.append(
            np.array([s in drawn and not (s in unless_solved and self.solved(s)) for s in commands])
        )

    def solved(self, slot: int) -> bool:
        return False

    def receive(self) -> StepResult:
        slots, drawn = self.sent.pop(0), self.drawn.pop(0)
        states = [(self.placement[slot], len(self.actions[slot]), 0, 0) for slot in slots]
        return StepResult(
            np.zeros((int(drawn.sum()), 64, 64, 3), np.uint8),
            np.array(states, np.float32),
            np.array([self.solved(slot) for slot in slots]),
            drawn,
            np.zeros(len(slots)),
            np.zeros((len(slots), 39)),
        )


def test_success_ends_a_rollout(policies: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from vip_offline.simulation import rollout as module

    class Solved(Played):
        def solved(self, slot: int) -> bool:
            return len(self.actions[slot]) == 4

    monkeypatch.setattr(module, "VectorSimulator", Solved)
    result = rollout(policies[:1], OPTIONS)[policies[0]]
    assert result.success == (True, True, True)
    assert result.steps == (4, 4, 4)


def test_frames_that_nobody_looks_at_are_not_drawn(
    policies: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vip_offline.simulation import rollout as module

    counted: dict[tuple[int, int], bool] = {}  # (placement, step) -> drawn

    class Counted(Played):
        def solved(self, slot: int) -> bool:
            return self.placement[slot] == 100_001 and len(self.actions[slot]) == 2

        def send(self, commands: dict[int, Any], **looked_at: Any) -> None:
            super().send(commands, **looked_at)
            for slot, drawn in zip(commands, self.drawn[-1], strict=True):
                counted[self.placement[slot], len(self.actions[slot])] = bool(drawn)

    monkeypatch.setattr(module, "VectorSimulator", Counted)
    rollout(policies[:1], replace(OPTIONS, horizon=3))  # the first placement is filmed
    not_drawn = {key for key, drawn in counted.items() if not drawn}
    assert len(counted) == 4 + 3 + 4
    assert not_drawn == {(100_001, 2), (100_002, 3)}


def test_each_rollout_has_its_own_gripper(
    policies: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two slots, three placements: the network's output comes from here."""
    from vip_offline.simulation import closed_loop
    from vip_offline.simulation import rollout as module

    raw = {100_000: (0.9, 0, 0), 100_001: (-0.9, 0, 0), 100_002: (-0.1, 0, 0.9)}
    sent: dict[int, list[float]] = {placement: [] for placement in raw}

    class Noted(Played):
        def send(self, commands: dict[int, Any], **looked_at: Any) -> None:
            super().send(commands, **looked_at)
            for slot, command in commands.items():
                if not isinstance(command, int):
                    sent[self.placement[slot]].append(float(command[3]))

    def act(
        owners: object, frames: object, proprio: NDArray[np.float32]
    ) -> tuple[list[NDArray[np.float32]], list[float]]:
        values = [raw[int(placement)][int(step)] for placement, step, *_ in proprio]
        actions = [np.array([0, 0, 0, value], np.float32) for value in values]
        return actions, [float("nan")] * len(actions)

    interface = json.loads((policies[0] / "manifest.json").read_text())["interface"]
    gripper = {"dimension": 3, "low": -1.0, "high": 1.0, "low_below": -0.2, "high_above": 0.2}
    edit(policies[0], interface=interface | {"grippers": [gripper]})
    monkeypatch.setattr(module, "VectorSimulator", Noted)
    monkeypatch.setattr(closed_loop, "act", act)
    rollout(policies[:1], replace(OPTIONS, horizon=3, videos=0))
    assert list(sent.values()) == [[1, 1, 1], [-1, -1, -1], [-1, -1, 1]]


@pytest.mark.slow
def test_a_nuisance_makes_other_rollouts(policies: list[Path]) -> None:
    """They are noted with it, and with another one nothing of them counts."""
    options = replace(OPTIONS, placements=1, horizon=2, videos=0)
    (clean,) = rollout(policies[:1], options).values()
    assert (clean.nuisance, clean.nuisance_level) == ((), 0)
    lit = replace(options, nuisance=("tint", "light"), nuisance_level=2)
    for changed, kinds, level in (
        (lit, ("light", "tint"), 2),
        (replace(lit, nuisance_level=1), ("light", "tint"), 1),
        (replace(lit, nuisance_level=0), (), 0),
    ):
        assert existing_rollouts(policies[0], changed) is None
        (result,) = rollout(policies[:1], changed).values()
        assert (result.nuisance, result.nuisance_level) == (kinds, level)
        assert existing_rollouts(policies[0], changed) == result
    path = policies[0] / RESULT
    old = json.loads(path.read_text())
    del old["nuisance"], old["nuisance_level"]
    path.write_text(json.dumps(old))  # as earlier releases wrote it
    assert existing_rollouts(policies[0], options) == result


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Takes grey frames of about 200 for the goal, seen from the policies' camera."""
    folder = tmp_path_factory.mktemp("judge")
    model = fit_store(five_and_five(folder / "a.zarr"), SuccessFitOptions(encoder="pixels"))
    replace(model, camera="corner", task="drawer-close").save(folder / "success.json")
    return Judge.load(folder / "success.json")


class Shown(Played):
    """Solved from step 4 on; at step 3 alone; never. The picture is bright while it is solved."""

    solved_at = MappingProxyType({100_000: range(4, 99), 100_001: range(3, 4), 100_002: range(0)})

    def solved(self, slot: int) -> bool:
        return len(self.actions[slot]) in self.solved_at[self.placement[slot]]

    def send(self, commands: dict[int, Any], **looked_at: Any) -> None:
        super().send(commands, **looked_at)
        self.bright.append([self.solved(slot) for slot in commands])

    def receive(self) -> StepResult:
        drawn = self.drawn[0]
        levels = np.where(np.array(self.bright.pop(0))[drawn], 200, 100).astype(np.uint8)
        frames = np.repeat(levels, 64 * 64 * 3).reshape(-1, 64, 64, 3)
        return replace(super().receive(), frames=frames)

    def __init__(self, *arguments: object, **settings: object) -> None:
        super().__init__(*arguments, **settings)
        self.bright: list[list[bool]] = []


def test_a_picture_judges_beside_the_simulator_and_changes_no_truth(
    policies: list[Path], judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vip_offline.simulation import rollout as module

    monkeypatch.setattr(module, "VectorSimulator", Shown)
    folder, hold = policies[0], judge.model.hold
    options = replace(OPTIONS, horizon=8)
    plain = rollout([folder], options)[folder]
    result = rollout([folder], options, judge=judge)[folder]
    assert plain.success == (True, True, False) and plain.steps == (4, 3, 8)
    assert replace(result, judged=None) == plain  # re-attempts, too
    judged = result.judged
    assert judged is not None and (judged.by, judged.hold) == (judge.by, hold)
    assert judged.verdicts == ("success", "failure", "failure")
    assert judged.undone == (False, True, False)
    assert {"n": 2, "wrong": 1, "rate": 0.5}.items() <= judged.successes.items()
    assert {"n": 1, "wrong": 0, "upper": 0.95}.items() <= judged.failures.items()
    frames = sum(1 for _ in av.open(video_of(folder, 100_000)).decode(video=0))
    assert frames == 1 + 4 + hold
    # they count without a judge, too, but not with another
    assert existing_rollouts(folder, options) == result
    assert existing_rollouts(folder, options, judge.by) == result
    assert existing_rollouts(folder, options, "success model 0") is None


def test_a_judge_of_other_frames_is_refused(policies: list[Path], judge: Judge) -> None:
    folder = policies[0]
    plain = rollout([folder], OPTIONS)
    making = {**judge.model.making, "weights_sha256": "0" * 64}
    others: dict[str, dict[str, Any]] = {
        "no camera 'wrist'": {"camera": "wrist"},
        "weights of sha256": {"making": making},
    }
    for part, changes in others.items():
        with pytest.raises(VipOfflineError, match=f"{folder}: .*{part}"):
            rollout([folder], OPTIONS, judge=replace(judge, model=replace(judge.model, **changes)))
    with pytest.raises(VipOfflineError, match=r"--horizon 498: must be at most 495 .* 5 steps"):
        rollout([folder], replace(OPTIONS, horizon=498), judge=judge)
    assert rollout([folder], OPTIONS) == plain  # what was there was not deleted


def test_rollout_shows_verdicts(policies: list[Path], judge: Judge, tmp_path: Path) -> None:
    judge.model.save(tmp_path / "success.json")
    command = ("rollout", "seed-0", "--success-by", "success.json", "--placements", "2",
               "--horizon", "6", "--videos", "0", "--processes", "1")  # fmt: skip
    ended = invoke(*command, cwd=tmp_path)
    assert ended.code == 0, ended
    words = " ".join(ended.stdout.split())
    assert "as success model" in words and "false success" in words and "per placement" in words
    assert f"goes on for {judge.model.hold} steps after its first success" in ended.stderr
    (result,) = json.loads(invoke(*command, "--json", cwd=tmp_path).stdout).values()
    assert len(result["judged"]["verdicts"]) == 2
    assert result["judged"]["successes"]["rate"] is None  # there was none
    assert result["judged"]["failures"]["n"] == 2


def test_placements_of_the_training_set_are_refused(policies: list[Path]) -> None:
    with pytest.raises(VipOfflineError, match=r"was trained on placements \[1, 2\]"):
        rollout(policies, replace(OPTIONS, first_placement=1))
    assert not (policies[0] / RESULT).exists()


def test_another_encoder_is_refused(policies: list[Path]) -> None:
    with pytest.raises(VipOfflineError, match=r"trained on another encoder.*'random-resnet18'"):
        rollout(policies, OPTIONS, encoder="pixels")
    manifest = json.loads((policies[0] / "manifest.json").read_text())
    edit(policies[0], encoder=manifest["encoder"] | {"weights_sha256": "0" * 64})
    with pytest.raises(VipOfflineError, match="weights_sha256"):
        rollout(policies, OPTIONS)


def test_policies_of_two_tasks_do_not_mix(policies: list[Path]) -> None:
    edit(policies[1], task="push")
    with pytest.raises(VipOfflineError, match="its task is 'push'"):
        rollout(policies, OPTIONS)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"placements": 0}, "--placements 0"),
        ({"horizon": 501}, "--horizon 501"),
        ({"nuisance": ("lamp",)}, "--nuisance lamp: is unknown"),
    ],
)
def test_settings_that_cannot_be_rolled_out(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(VipOfflineError, match=part):
        rollout([], replace(OPTIONS, videos=0, **changes))


def test_a_policy_of_several_cameras_is_refused(policies: list[Path]) -> None:
    edit(policies[0], camera="corner,wrist")
    with pytest.raises(VipOfflineError, match=r"on 2 cameras \(corner, wrist\); the simulator"):
        rollout(policies[:1], OPTIONS)
