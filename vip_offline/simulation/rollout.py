"""Policies closed loop in the simulator, on placements that no training set holds."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from vip_offline.analysis.closed_loop.conditions import UNKNOWN, processor
from vip_offline.dataset.media.video import write_video
from vip_offline.encoders.encoder import Encoder, load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.options import RolloutOptions, check_nuisance
from vip_offline.options.fields import OptionError, check_ranges
from vip_offline.policies.checksums import read_sums
from vip_offline.policies.policy import ROLLOUTS, TENSORS, read_manifest
from vip_offline.policies.runtime import ENCODER, LoadedPolicy, load_policy
from vip_offline.rewards.success.calibration import ClassResult
from vip_offline.rewards.success.judge import Judge
from vip_offline.simulation.closed_loop import Ended, closed_loop
from vip_offline.simulation.hidden_targets import hidden_note, is_hidden
from vip_offline.simulation.nuisances import Nuisances
from vip_offline.simulation.simulators import HARD, check_task, kind_of, view_of_camera, views
from vip_offline.simulation.vector_env import VectorSimulator
from vip_offline.utils.files import only_writer, read_json, require_writable, sha256_of, write_json

RESULT = ROLLOUTS
VIDEO_RATE = 25  # frames per second of the mp4s: the paper's control rate


@dataclass(frozen=True)
class JudgedRollouts:
    """What a success model said of rollouts, beside the simulator's truth."""

    by: str  # see `name_of`
    hold: int  # steps that a rollout went on after its first success
    verdicts: tuple[str, ...]  # (P,) success, failure or unsure at the end
    # (P,) solved, but no longer at the end: a success for the simulator, and what the picture
    # shows is none
    undone: tuple[bool, ...]
    # verdicts on each side of the truth, with the rate of wrong ones and its 95 % bound
    successes: Mapping[str, Any]
    failures: Mapping[str, Any]

    @classmethod
    def of(cls, judge: Judge, outcome: Sequence[Ended]) -> Self:
        """Compare the verdicts on P rollouts with the truth."""
        successes, failures = (
            [ended.verdict for ended in outcome if ended.success == success]
            for success in (True, False)
        )
        return cls(
            judge.by,
            judge.model.hold,
            tuple(ended.verdict for ended in outcome),
            tuple(ended.undone for ended in outcome),
            ClassResult.of(successes, success=True).plain(),
            ClassResult.of(failures, success=False).plain(),
        )


@dataclass(frozen=True)
class Rollouts:
    """Outcomes of one policy on P placements."""

    placements: tuple[int, ...]
    success: tuple[bool, ...]  # (P,)
    steps: tuple[int, ...]  # (P,) until success, or the horizon
    horizon: int
    # (P,) how often it moved away from the goal and came back, as its encoder sees it (App. F.4);
    # None: it has no goal
    reattempts: tuple[int, ...] | None = None
    backend: str = UNKNOWN  # that computed the policy, for people
    processor: str = UNKNOWN
    policy: str = UNKNOWN  # sha256 of the network's file
    nuisance: tuple[str, ...] = ()  # kinds, of the pictures; none before there were any
    nuisance_level: int = 0
    judged: JudgedRollouts | None = None  # by a success model, if one was given


@dataclass(frozen=True)
class _Scene:
    """What policies that advance together share; see `make_simulator`."""

    task: str
    image_size: int
    view: str
    hidden_goal: bool
    start: str


def check_rollout(options: RolloutOptions) -> None:
    """Refuse settings that cannot be rolled out.

    Raises:
        VipOfflineError: naming the option, its value and the range.
    """
    check_ranges(options)
    check_nuisance(options)
    if options.videos > options.placements:
        raise OptionError(
            RolloutOptions,
            "videos",
            options.videos,
            f"must be at most {options.placements}, the number of placements.",
        )


def _seeds(options: RolloutOptions) -> list[int]:
    return [options.first_placement + index for index in range(options.placements)]


def _check_policy(folder: Path, manifest: Mapping[str, Any], seeds: Sequence[int]) -> None:
    trained = sorted(set(manifest["placements"]) & set(seeds))
    if trained:
        raise VipOfflineError(
            f"{folder}: was trained on placements {trained[:5]}, which are to be evaluated. "
            "Choose others (rollout --first-placement; first_placement in a recipe's [rollout])."
        )
    cameras = str(manifest["camera"]).split(",")
    if len(cameras) > 1:
        raise VipOfflineError(
            f"{folder}: was trained on {len(cameras)} cameras ({', '.join(cameras)}); the "
            "simulator draws one. Label and train on one of them to roll out here."
        )


def existing_rollouts(folder: Path, options: RolloutOptions, by: str = "") -> Rollouts | None:
    """Return the stored rollouts of this policy with these settings; None if there are none.

    Args:
        folder: of the policy.
        options: placements, horizon, nuisances.
        by: success model that must have judged them; "": any, or none.
    """
    rollouts = read_rollouts(folder)
    if rollouts is None:
        return None
    nuisances = Nuisances.of(options, "evaluate")
    as_wanted = (
        rollouts.placements == tuple(_seeds(options))
        and rollouts.horizon == options.horizon
        and (rollouts.nuisance, rollouts.nuisance_level) == (nuisances.kinds, nuisances.level)
    )
    judged_by = rollouts.judged.by if rollouts.judged else ""
    return rollouts if as_wanted and by in ("", judged_by) and is_of(rollouts, folder) else None


def is_of(rollouts: Rollouts, folder: Path) -> bool:
    """Whether rollouts are of the current policy; unknown (True) for those of earlier releases."""
    return rollouts.policy in (UNKNOWN, sha256_of(folder / TENSORS))


def read_rollouts(folder: Path) -> Rollouts | None:
    """Read the stored rollouts of a policy; None if there are none or the file is damaged."""
    result = read_json(folder / RESULT)
    if result is None:
        return None
    try:
        return Rollouts(
            tuple(result["placements"]),
            tuple(result["success"]),
            tuple(result["steps"]),
            result["horizon"],
            None if result.get("reattempts") is None else tuple(result["reattempts"]),
            result.get("backend", UNKNOWN),
            result.get("processor", UNKNOWN),
            result.get("policy", UNKNOWN),
            tuple(result.get("nuisance", ())),
            result.get("nuisance_level", 0),
            _judged(result.get("judged")),
        )
    except (KeyError, TypeError):
        return None


def _judged(stored: Mapping[str, Any] | None) -> JudgedRollouts | None:
    if stored is None:
        return None
    per_rollout = {key: tuple(stored[key]) for key in ("verdicts", "undone")}
    return JudgedRollouts(**{**stored, **per_rollout})


def video_of(folder: Path, placement: int) -> Path:
    """Return the path of the video of a policy's rollout on a placement."""
    return folder / "videos" / f"placement-{placement}.mp4"


def _filmed(folder: Path, options: RolloutOptions) -> bool:
    return all(video_of(folder, seed).exists() for seed in _seeds(options)[: options.videos])


def rollout(
    folders: Sequence[Path],
    options: RolloutOptions,
    *,
    encoder: str = "",
    weights: str = "",
    judge: Judge | None = None,
    on_start: Callable[[int], None] = lambda rollouts: None,
    on_rollout: Callable[[Path, bool], None] = lambda folder, success: None,
    say: Callable[[str], None] = lambda note: None,
) -> dict[Path, Rollouts]:
    """Roll out policies that share task and encoder; existing rollouts are not repeated.

    All of them advance side by side, see `closed_loop`.

    Args:
        folders: policy folders.
        options: placements, horizon.
        encoder: use this one instead of the policies' own; must be of the same weights.
        weights: checkpoint of an encoder that needs one.
        judge: says of each rollout's end whether it succeeded. A rollout then goes on for the
            model's `hold` steps after its first success; success and steps stay what they are.
        on_start: called with the number of rollouts to come.
        on_rollout: called after each.
        say: called with a sentence for the user, of what makes the numbers mean less.

    Returns:
        folder -> results; also written to ``rollouts.json`` in it, with mp4s beside it.

    Raises:
        VipOfflineError: on a folder that is no policy, an encoder other than the one it was
            trained on, placements that it was trained on, frames that the judge was not made for.
    """
    check_rollout(options)
    by = judge.by if judge else ""
    results = {folder: existing_rollouts(folder, options, by) for folder in folders}
    seeds = _seeds(options)
    manifests = {folder: read_manifest(folder) for folder in folders}
    todo = [folder for folder in folders if results[folder] is None or not _filmed(folder, options)]
    for task, name in _hidden(manifests).items():
        say(hidden_note(task, name))
    if todo:
        scene = _common(todo, manifests, options, judge.model.hold if judge else 0)
        for folder in todo:
            _check_policy(folder, manifests[folder], seeds)
            if judge:
                camera, shape = str(manifests[folder]["camera"]), manifests[folder]["image_shape"]
                judge.check_frames({camera: tuple(shape)}, str(folder))
            require_writable(folder)
        with contextlib.ExitStack() as stack:
            for folder in todo:
                stack.enter_context(only_writer(folder))
            policies = _loaded(todo, manifests, encoder, weights)
            on_start(len(todo) * len(seeds))
            for folder in todo:
                shutil.rmtree(folder / "videos", ignore_errors=True)  # of other placements
                (folder / RESULT).unlink(missing_ok=True)
            for folder, result in _advance(todo, policies, scene, options, judge, on_rollout):
                results[folder] = result
    else:
        on_start(0)
    return {folder: result for folder, result in results.items() if result is not None}


def _hidden(manifests: Mapping[Path, Mapping[str, Any]]) -> dict[str, str]:
    """Tasks whose target is hidden -> the policies, in words."""
    hidden: dict[str, list[str]] = {}
    for folder, manifest in manifests.items():
        task = str(manifest["task"])
        if is_hidden(task, manifest):
            hidden.setdefault(task, []).append(str(folder))
    return {
        task: names[0] if len(names) == 1 else f"{len(names)} policies, from {names[0]} on"
        for task, names in hidden.items()
    }


def _common(
    folders: Sequence[Path],
    manifests: Mapping[Path, Mapping[str, Any]],
    options: RolloutOptions,
    hold: int,
) -> _Scene:
    """What is simulated: policies that advance together share it.

    They meet targets, start and view as in their demonstrations.
    """
    first = manifests[folders[0]]
    alike = ["task", "image_shape", "target", "start"]
    if first["task"] and len(views(check_task(first["task"]))) > 1:
        alike.append("camera")
    for folder in folders:
        for key in alike:
            if manifests[folder].get(key) != first.get(key):
                raise VipOfflineError(
                    f"{folder}: its {key} is {manifests[folder].get(key)!r}, that of {folders[0]} "
                    f"is {first.get(key)!r}. Roll them out one by one."
                )
    if not first["task"]:
        raise VipOfflineError(
            f"{folders[0]}: its training set names no simulator task, so it cannot be rolled out."
        )
    task = check_task(first["task"])
    start = first.get("start") or HARD
    most = kind_of(task).starts[start]
    if options.horizon + hold > most:
        judged = f" with --success-by, whose model needs {hold} steps after a success" * bool(hold)
        raise OptionError(
            RolloutOptions,
            "horizon",
            options.horizon,
            f"must be at most {most - hold} for {task}{judged}.",
        )
    return _Scene(
        task,
        int(first["image_shape"][0]),
        view_of_camera(task, str(first["camera"])),
        is_hidden(task, first),
        start,
    )


def _loaded(
    folders: Sequence[Path],
    manifests: Mapping[Path, Mapping[str, Any]],
    encoder: str,
    weights: str,
) -> list[LoadedPolicy]:
    """Load policies as a robot would; those without an own encoder share one."""
    path = Path(weights) if weights else None
    way_out = "Leave --encoder out: a policy that was made ready holds its own."
    requested = load_encoder(encoder, path, way_out=way_out) if encoder else None
    shared: dict[str, Encoder] = {}
    policies = []
    for folder in folders:
        name = manifests[folder]["encoder"]["encoder"]
        chosen = requested or (None if ENCODER in read_sums(folder) else shared.get(name))
        policy = load_policy(folder, encoder=chosen, weights=path)
        if policy.encoder is not None:
            shared[name] = policy.encoder
        policies.append(policy)
    return policies


def _advance(
    folders: Sequence[Path],
    policies: Sequence[LoadedPolicy],
    scene: _Scene,
    options: RolloutOptions,
    judge: Judge | None,
    on_rollout: Callable[[Path, bool], None],
) -> Iterator[tuple[Path, Rollouts]]:
    """Each policy with its results, when the last of its rollouts has ended."""
    seeds = _seeds(options)
    rollouts = [(policy, seed) for policy in range(len(policies)) for seed in seeds]
    environments = min(options.environments, -(-len(rollouts) // options.processes))
    outcome: list[dict[int, Ended]] = [{} for _ in policies]
    hold = judge.model.hold if judge else 0
    with VectorSimulator(
        scene.task,
        scene.image_size,
        options.processes,
        environments,
        view=scene.view,
        hidden_goal=scene.hidden_goal,
        start=scene.start,
        nuisances=Nuisances.of(options, "evaluate"),
    ) as simulators:
        filmed = seeds[: options.videos]
        for ended in closed_loop(
            simulators, policies, rollouts, options.horizon, filmed, hold=hold
        ):
            folder, ended_before = folders[ended.policy], outcome[ended.policy]
            if ended.frames:
                video = video_of(folder, ended.placement)
                write_video(video, np.stack(ended.frames), VIDEO_RATE)
            verdict = judge(np.stack(ended.ends)) if judge else ""
            ended_before[ended.placement] = replace(ended, frames=(), ends=(), verdict=verdict)
            if len(ended_before) == len(seeds):
                backend = policies[ended.policy].backend
                yield folder, _write(folder, ended_before, options, backend, judge)
            on_rollout(folder, ended.success)


def _write(
    folder: Path,
    outcome: Mapping[int, Ended],
    options: RolloutOptions,
    backend: str,
    judge: Judge | None,
) -> Rollouts:
    seeds, nuisances = _seeds(options), Nuisances.of(options, "evaluate")
    counts = [outcome[seed].reattempts for seed in seeds]
    result = Rollouts(
        placements=tuple(seeds),
        success=tuple(outcome[seed].success for seed in seeds),
        steps=tuple(outcome[seed].steps for seed in seeds),
        horizon=options.horizon,
        reattempts=None
        if None in counts
        else tuple(count for count in counts if count is not None),
        backend=backend,
        processor=processor(),
        policy=sha256_of(folder / TENSORS),
        nuisance=nuisances.kinds,
        nuisance_level=nuisances.level,
        judged=JudgedRollouts.of(judge, [outcome[seed] for seed in seeds]) if judge else None,
    )
    write_json(asdict(result), folder / RESULT)
    return result
