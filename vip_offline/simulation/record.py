"""Record demonstrations of a scripted expert, and failures, into a store."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.dataset.episode import Episode
from vip_offline.dataset.store import open_store
from vip_offline.dataset.store_format import check_name
from vip_offline.dataset.store_writer import writing
from vip_offline.errors import VipOfflineError
from vip_offline.options import TAIL, RecordOptions, check_nuisance
from vip_offline.options.fields import OptionError, check_ranges
from vip_offline.simulation.experts import BEHAVIOURS, FAILURES, Behaviour, Controls
from vip_offline.simulation.failures.clean import CLEAN_KINDS, CleanFailure, check_kinds
from vip_offline.simulation.hidden_targets import Target, check_target, target_of
from vip_offline.simulation.interface import Observation, Simulator, split_task
from vip_offline.simulation.nuisances import Nuisances
from vip_offline.simulation.simulators import (
    HARD,
    check_task,
    clean_failures,
    kind_of,
    make_simulator,
    scripted_expert,
    view_of_camera,
)
from vip_offline.utils.parallel import process_map

ATTEMPTS = 20  # per episode, until one ends as its kind should
STRIDE = 1_000  # between the placement seeds of an episode's attempts
# of a kind's generator: those of before keep theirs, and so their bits
SEEDS = {kind: index for index, kind in enumerate([*sorted(BEHAVIOURS), *CLEAN_KINDS])}


@dataclass(frozen=True)
class Recorded:
    """Result of `record`."""

    episodes: int  # written now
    existing: int  # before
    frames: int  # written now
    discarded: int  # attempts that ended otherwise than their kind says


def planned_episodes(options: RecordOptions) -> list[tuple[str, int]]:
    """Return (kind, placement) of each episode: experts first, then the kinds of failure in turn.

    Raises:
        VipOfflineError: on numbers that make no data set.
    """
    check_ranges(options)
    check_nuisance(options)
    task = check_task(options.task)
    scripted_expert(task)
    for name, most in (("failures", options.episodes), ("max_steps", _step_limit(task))):
        if getattr(options, name) > most:
            raise OptionError(
                RecordOptions, name, getattr(options, name), f"must be at most {most}."
            )
    if options.image_size % 2:
        raise OptionError(
            RecordOptions, "image_size", options.image_size, "must be even, for the videos."
        )
    check_name("camera", options.camera)
    view_of_camera(task, options.camera)
    check_target(task, options.hidden_goal)
    check_kinds(task, options.failures_as, tuple(clean_failures(task)))
    successes = options.episodes - options.failures
    turns = options.failures_as or tuple(FAILURES)
    failing = [turns[index % len(turns)] for index in range(options.failures)]
    kinds = ["expert"] * successes + failing
    return [(kind, options.first_placement + index) for index, kind in enumerate(kinds)]


def _step_limit(task: str) -> int:
    return kind_of(task).starts[HARD]


def record_episode(
    simulator: Simulator, behaviour: Behaviour | CleanFailure, placement: int, max_steps: int
) -> Episode:
    """One episode: until `TAIL` steps after success, or `max_steps`.

    The last row's action is taken like the others; only what it leads to is not kept. Once
    succeeded, an episode counts as a success whatever comes later. A clean failure goes on until
    `TAIL` steps after it is done, and its flags, and so its success, are those of each moment.
    """
    clean = behaviour if isinstance(behaviour, CleanFailure) else None
    simulator.reset(placement)
    observations: list[Observation] = []
    actions: list[NDArray[np.float32]] = []
    rewards: list[float] = []
    succeeded: list[bool] = []
    solved, ending, last = False, False, max_steps
    while len(actions) < last:
        # float32, as stored and as replayed: the simulator gets what the store will say
        action = np.clip(behaviour(simulator.state, len(actions)), -1, 1).astype(np.float32)
        observations.append(simulator.observe())
        actions.append(action)
        succeeded.append(solved)
        reward, success = simulator.step(action)
        rewards.append(reward)
        if clean:
            clean.saw(success)
            solved = success
            if clean.done and not ending:
                ending, last = True, min(last, len(actions) + TAIL)
        elif success and not solved:
            # the flag may flicker later on: the first time counts
            solved, last = True, min(last, len(actions) + TAIL)
    return Episode(
        frames={"": np.stack([observation.frame for observation in observations])},
        proprio=np.stack([observation.proprio for observation in observations]),
        action=np.stack(actions).astype(np.float32),
        succeeded=np.array(succeeded),
        true_reward=np.array([*rewards[:-1], np.nan], np.float32),
        success=bool(succeeded[-1]),
        placement=placement,
    )


@cache
def _simulator(task: str, image_size: int, camera: str, hidden_goal: bool) -> Simulator:
    """One per process: making it takes longer than an episode."""
    view = view_of_camera(task, camera)
    return make_simulator(task, image_size, view=view, hidden_goal=hidden_goal)


def _simulator_of(options: RecordOptions) -> Simulator:
    return _simulator(options.task, options.image_size, options.camera, options.hidden_goal)


def close_simulator(options: RecordOptions) -> None:
    """Free what `record_planned` keeps between episodes, if it was called in this process."""
    if _simulator.cache_info().currsize:
        _simulator_of(options).close()
        _simulator.cache_clear()


def record_planned(planned: tuple[str, int], options: RecordOptions) -> tuple[Episode, int]:
    """Record one planned episode, trying again with other placements until it ends as planned.

    Everything follows from the plan, so a recording that was interrupted goes on unchanged.

    Returns:
        The episode and the number of attempts that were thrown away.
    """
    kind, placement = planned
    # an expert may need longer than a failure is kept, and so do those who fail as cleanly
    limit = options.max_steps if kind in FAILURES else _step_limit(options.task) - 1
    simulator = _simulator_of(options)
    controls = Controls(simulator.action_size, simulator.control_rate)
    nuisances = Nuisances.of(options, "record")
    for discarded in range(ATTEMPTS):
        seed = placement + discarded * STRIDE
        simulator.nuisance = nuisances[seed]
        generator = np.random.default_rng([seed, SEEDS[kind]])
        behaviour = (
            BEHAVIOURS[kind](scripted_expert(options.task), generator, controls)
            if kind in BEHAVIOURS
            else clean_failures(options.task)[kind](generator)
        )
        episode = record_episode(simulator, behaviour, seed, limit)
        if ended_as_planned(kind, episode, behaviour):
            frames = {options.camera: episode.frames[""]}
            fields = {**vars(episode), "frames": frames, "kind": kind}
            return Episode(**fields), discarded
    raise VipOfflineError(
        f"{options.task}: {ATTEMPTS} attempts of kind {kind!r} from placement {placement} all "
        f"{_otherwise(kind)}. Choose another task, or other numbers of episodes and failures."
    )


def ended_as_planned(kind: str, episode: Episode, behaviour: Behaviour | CleanFailure) -> bool:
    """Whether an episode is what its kind says: an expert's succeeds, what is undone succeeded in
    between and does not at the end, and all others never do.
    """
    if kind == "expert":
        return bool(episode.success)
    if isinstance(behaviour, CleanFailure) and not behaviour.done:
        return False
    succeeded = episode.succeeded is not None and bool(episode.succeeded.any())
    return not episode.success and succeeded == (kind == "undone")


def _otherwise(kind: str) -> str:
    if kind in CLEAN_KINDS:
        return "ended otherwise: in success, or without having done what the kind says"
    return f"ended in {'failure' if kind == 'expert' else 'success'}"


def record(
    path: Path,
    options: RecordOptions,
    *,
    processes: int = 2,
    on_start: Callable[[int, int], None] = lambda recorded, planned: None,
    on_episode: Callable[[Episode], None] = lambda episode: None,
) -> Recorded:
    """Record what is missing of a plan.

    Args:
        path: the store; made if it is not there, continued if it is.
        options: the plan.
        processes: that simulate and render.
        on_start: called with the numbers of episodes there and planned.
        on_episode: called after each episode is on the disk.

    Raises:
        VipOfflineError: on an impossible plan, a store that was made by another one, that is
            locked or not a store, and on a full disk.
    """
    options = replace(options, task=check_task(options.task))
    planned = planned_episodes(options)
    kind = kind_of(options.task)
    target = check_target(options.task, options.hidden_goal)
    attributes = {
        "source": split_task(options.task)[0],
        "record": _settings(options),
        "task": options.task,
        "control_rate": kind.control_rate,
        "proprio": list(kind.proprio),
        "episodes_planned": len(planned),
        **_target_attribute(path, options.task, target),
    }
    with writing(path, create=attributes) as store:
        recorded = len(store)
        on_start(recorded, len(planned))
        frames = discarded = 0
        # never in this process, be it for one episode: Mesa, which draws where there is no graphics
        # card, brings an LLVM that ends the process when torchvision later loads that of triton
        work = partial(record_planned, options=options)
        for episode, thrown in process_map(work, planned[recorded:], processes):
            store.append(episode)
            frames += len(episode)
            discarded += thrown
            on_episode(episode)
        return Recorded(len(planned) - recorded, recorded, frames, discarded)


def _settings(options: RecordOptions) -> dict[str, Any]:
    """What a store says of how it was recorded; without what says itself elsewhere, or is not."""
    beside = ("hidden_goal", "nuisance", "nuisance_level")
    plain = {name: value for name, value in asdict(options).items() if name not in beside}
    # stores of before say nothing of it, and can be gone on with
    failures_as = plain.pop("failures_as")
    if failures_as:
        plain["failures_as"] = list(failures_as)
    return {**plain, "tail": TAIL, **Nuisances.of(options, "record").settings()}


def _target_attribute(path: Path, task: str, target: Target) -> dict[str, Target]:
    """What the store says of its target; nothing where it is drawn, as in all stores of before.

    Raises:
        VipOfflineError: if the store is there and its target was placed otherwise.
    """
    if target == "drawn":
        return {}
    if (path / "zarr.json").exists():
        attributes = open_store(path).attributes
        before = target_of(task, attributes)
        if before != target:
            way_out = (
                "give --hidden-goal (hidden_goal = true in a recipe) to go on"
                if before == "hidden"
                else "go on without --hidden-goal"
            )
            raise VipOfflineError(
                f"{path}: was recorded with its target {before}, now it would be {target}. Name "
                f"another store, or {way_out}."
            )
        if "target" not in attributes:  # from before this was written down
            return {}
    return {"target": target}
