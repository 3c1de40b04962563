"""Policies closed loop in the simulator, on placements that no training set holds."""

import contextlib
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.closed_loop.conditions import UNKNOWN, processor
from vip_offline.analysis.closed_loop.reattempts import reattempts
from vip_offline.dataset.media.video import write_video
from vip_offline.encoders.encoder import Encoder, load_encoder
from vip_offline.errors import VipOfflineError
from vip_offline.options import RolloutOptions
from vip_offline.options.fields import OptionError, check_ranges
from vip_offline.policies.checksums import read_sums
from vip_offline.policies.gripper import GripperState
from vip_offline.policies.interface import PROPRIO
from vip_offline.policies.policy import ROLLOUTS, TENSORS, read_manifest
from vip_offline.policies.runtime import ENCODER, LoadedPolicy, load_policy
from vip_offline.simulation.hidden_targets import hidden_note, is_hidden
from vip_offline.simulation.metaworld import check_task
from vip_offline.simulation.vector_env import PlacementOrAction, StepResult, VectorSimulator
from vip_offline.utils.files import only_writer, read_json, require_writable, sha256_of, write_json

RESULT = ROLLOUTS
VIDEO_RATE = 25  # frames per second of the mp4s: the paper's control rate


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


@dataclass(frozen=True)
class _Ended:
    """How a rollout ended."""

    success: bool
    steps: int
    reattempts: int | None


@dataclass
class _Running:
    """A rollout under way in a slot."""

    policy: int
    placement: int
    grippers: GripperState
    steps: int = 0
    distances: list[float] = field(default_factory=list)  # to the goal, of each frame
    frames: list[NDArray[np.uint8]] = field(default_factory=list)


def check_rollout(options: RolloutOptions) -> None:
    """Refuse settings that cannot be rolled out.

    Raises:
        VipOfflineError: naming the option, its value and the range.
    """
    check_ranges(options)
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


def existing_rollouts(folder: Path, options: RolloutOptions) -> Rollouts | None:
    """Return the stored rollouts of this policy with these settings; None if there are none."""
    rollouts = read_rollouts(folder)
    if rollouts is None:
        return None
    as_wanted = (
        rollouts.placements == tuple(_seeds(options)) and rollouts.horizon == options.horizon
    )
    return rollouts if as_wanted and is_of(rollouts, folder) else None


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
        )
    except (KeyError, TypeError):
        return None


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
    on_start: Callable[[int], None] = lambda rollouts: None,
    on_rollout: Callable[[Path, bool], None] = lambda folder, success: None,
    say: Callable[[str], None] = lambda note: None,
) -> dict[Path, Rollouts]:
    """Roll out policies that share task and encoder; existing rollouts are not repeated.

    All of them advance in lockstep: two processes simulate and render, all frames of a step
    are embedded in one go, and a slot whose rollout ends takes the next one.

    Args:
        folders: policy folders.
        options: placements, horizon.
        encoder: use this one instead of the policies' own; must be of the same weights.
        weights: checkpoint of an encoder that needs one.
        on_start: called with the number of rollouts to come.
        on_rollout: called after each.
        say: called with a sentence for the user, of what makes the numbers mean less.

    Returns:
        folder -> results; also written to ``rollouts.json`` in it, with mp4s beside it.

    Raises:
        VipOfflineError: on a folder that is no policy, an encoder other than the one it was
            trained on, placements that it was trained on.
    """
    check_rollout(options)
    results = {folder: existing_rollouts(folder, options) for folder in folders}
    seeds = _seeds(options)
    manifests = {folder: read_manifest(folder) for folder in folders}
    todo = [folder for folder in folders if results[folder] is None or not _filmed(folder, options)]
    for task, name in _hidden(manifests).items():
        say(hidden_note(task, name))
    if todo:
        task, image_size, hidden_goal = _common(todo, manifests)
        for folder in todo:
            _check_policy(folder, manifests[folder], seeds)
            require_writable(folder)
        with contextlib.ExitStack() as stack:
            for folder in todo:
                stack.enter_context(only_writer(folder))
            policies = _loaded(todo, manifests, encoder, weights)
            on_start(len(todo) * len(seeds))
            for folder in todo:
                shutil.rmtree(folder / "videos", ignore_errors=True)  # of other placements
                (folder / RESULT).unlink(missing_ok=True)
            for folder, result in _advance(
                todo, policies, task, image_size, hidden_goal, options, on_rollout
            ):
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
    folders: Sequence[Path], manifests: Mapping[Path, Mapping[str, Any]]
) -> tuple[str, int, bool]:
    """Task, image size and whether the target is hidden: policies that advance together share it.

    They meet targets placed as in their demonstrations.
    """
    first = manifests[folders[0]]
    for folder in folders:
        for key in ("task", "image_shape", "target"):
            if manifests[folder].get(key) != first.get(key):
                raise VipOfflineError(
                    f"{folder}: its {key} is {manifests[folder].get(key)!r}, that of {folders[0]} "
                    f"is {first.get(key)!r}. Roll them out one by one."
                )
    if not first["task"]:
        raise VipOfflineError(
            f"{folders[0]}: its training set names no simulator task, so it cannot be rolled out."
        )
    check_task(first["task"])
    hidden_goal = is_hidden(first["task"], first)
    return first["task"], int(first["image_shape"][0]), hidden_goal


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
    task: str,
    image_size: int,
    hidden_goal: bool,
    options: RolloutOptions,
    on_rollout: Callable[[Path, bool], None],
) -> list[tuple[Path, Rollouts]]:
    seeds = _seeds(options)
    waiting = deque((p, s) for p in range(len(policies)) for s in seeds)
    environments = min(options.environments, -(-len(waiting) // options.processes))
    outcome: list[dict[int, _Ended]] = [{} for _ in policies]
    finished: list[tuple[Path, Rollouts]] = []
    running: dict[int, _Running] = {}
    commands: dict[int, PlacementOrAction] = {}

    with VectorSimulator(
        task, image_size, options.processes, environments, hidden_goal=hidden_goal
    ) as simulators:
        # fill the processes evenly: slot 0 of each, then slot 1 of each
        order = sorted(range(simulators.slots), key=lambda slot: (slot % environments, slot))

        def refill() -> None:
            for slot in order:
                if slot not in running and waiting:
                    policy, seed = waiting.popleft()
                    grippers = GripperState(policies[policy].interface.grippers)
                    running[slot] = _Running(policy, seed, grippers)
                    commands[slot] = seed

        refill()
        while running:
            commands = dict(sorted(commands.items()))
            batch = simulators(commands)
            slots = list(commands)
            commands = {}
            going = _settle(slots, batch, running, options, outcome)
            for slot in slots:
                if slot not in going:
                    ended = running.pop(slot)
                    success = outcome[ended.policy][ended.placement].success
                    folder = folders[ended.policy]
                    if ended.frames:
                        video = video_of(folder, ended.placement)
                        write_video(video, np.stack(ended.frames), VIDEO_RATE)
                    if len(outcome[ended.policy]) == len(seeds):
                        backend = policies[ended.policy].backend
                        result = _write(folder, outcome[ended.policy], options, backend)
                        finished.append((folder, result))
                    on_rollout(folder, success)
            if going:
                rows = [slots.index(slot) for slot in going]
                owners = [policies[running[slot].policy] for slot in going]
                actions, distances = _act(owners, batch.frames[rows], batch.proprio[rows])
                for slot, distance in zip(going, distances, strict=True):
                    running[slot].distances.append(distance)
                commands = {
                    slot: running[slot].grippers(action)
                    for slot, action in zip(going, actions, strict=True)
                }
            refill()
    return finished


def _settle(
    slots: Sequence[int],
    batch: StepResult,
    running: dict[int, _Running],
    options: RolloutOptions,
    outcome: list[dict[int, _Ended]],
) -> list[int]:
    """Note what ended; return the slots that go on. A reset has taken no step yet."""
    going = []
    filmed = set(_seeds(options)[: options.videos])
    for row, slot in enumerate(slots):
        rollout_ = running[slot]
        if rollout_.placement in filmed:
            rollout_.frames.append(batch.frames[row])
        if batch.solved[row] or rollout_.steps == options.horizon:
            curve = np.asarray(rollout_.distances)
            outcome[rollout_.policy][rollout_.placement] = _Ended(
                bool(batch.solved[row]),
                rollout_.steps,
                # without a goal there is nothing to be near to
                None if np.isnan(curve).any() else reattempts(curve),
            )
        else:
            rollout_.steps += 1
            going.append(slot)
    return going


def _act(
    policies: Sequence[LoadedPolicy], frames: NDArray[np.uint8], proprio: NDArray[np.float32]
) -> tuple[list[NDArray[np.float32]], list[float]]:
    """Return one action per row from its own policy, and the row's distance to the goal.

    Rows of one policy go through it in one batch; rows of one encoder through that.
    """
    embedded: dict[int, NDArray[np.float32]] = {}  # row -> (D,)
    for encoder in {
        id(policy.encoder): policy.encoder for policy in policies if policy.encoder
    }.values():
        rows = [row for row, policy in enumerate(policies) if policy.encoder is encoder]
        embedded |= dict(zip(rows, encoder(frames[rows]), strict=True))
    actions: list[Any] = [None] * len(policies)
    distances = [float("nan")] * len(policies)
    for policy in {id(policy): policy for policy in policies}.values():
        rows = [row for row, member in enumerate(policies) if member is policy]
        if policy.encoder is None:
            (key,) = policy.interface.frames
            inferred = policy.infer({key: frames[rows], PROPRIO: proprio[rows]})
            action, embedding = inferred.action, inferred.embedding
        else:
            embedding = np.stack([embedded[row] for row in rows])
            action = policy.decide(embedding, proprio[rows])
        away = policy.goal_distance(embedding)
        for place, row in enumerate(rows):
            actions[row] = action[place]
            if away is not None:
                distances[row] = float(away[place])
    return actions, distances


def _write(
    folder: Path, outcome: dict[int, _Ended], options: RolloutOptions, backend: str
) -> Rollouts:
    seeds = _seeds(options)
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
    )
    write_json(asdict(result), folder / RESULT)
    return result
