"""Does the reward help? Variants of training on the same data, seeds and placements."""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vip_offline import __version__
from vip_offline.analysis.closed_loop.comparison import Arm, Comparison, DemonstrationCurve
from vip_offline.analysis.closed_loop.conditions import joined_names
from vip_offline.analysis.frame_features import THUMBNAILS
from vip_offline.config import dump
from vip_offline.dataset.store import Store, open_store
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.comparison.variants import (
    BASELINE,
    arm_spec,
    changes_of,
    check_compare,
)
from vip_offline.experiments.stages import cameras_stage
from vip_offline.options import Recipe, RolloutOptions, nuisance_text
from vip_offline.policies.policy import MANIFEST, read_manifest
from vip_offline.rewards.goal_views import goal_views
from vip_offline.simulation.rollout import (
    RESULT,
    Rollouts,
    check_rollout,
    existing_rollouts,
    read_rollouts,
    rollout,
    video_of,
)
from vip_offline.training.data.dataset import training_set
from vip_offline.training.job import TrainJob, is_trained
from vip_offline.training.run import seeded, train_all
from vip_offline.utils.console import Bar
from vip_offline.utils.files import read_json, replace_file, write_json

SHOWN_EPISODES = 3  # demonstrations of each outcome on the page
VIDEOS = 2  # per arm on the page
MINUTES = "minutes.json"
# packages that numbers depend on; the simulators' are an extra
VERSIONED = (
    *("torch", "d3rlpy", "numpy", "zarr"),
    *("mujoco", "metaworld", "gymnasium-robotics", "ogbench"),
)


def jobs(recipe: Recipe) -> dict[str, list[TrainJob]]:
    """Arm -> one training per seed; the folder says which."""
    out = Path(recipe.out) / "policies"
    return {
        arm: [
            TrainJob(Path(recipe.store), options, out / arm / f"seed-{options.seed}")
            for options in seeded(
                replace(recipe.train, **changes_of(arm, recipe.compare)), recipe.compare.seeds
            )
        ]
        for arm in recipe.compare.arms
    }


def labelled_before(out: Path) -> str:
    """Name of the labelling that the comparison in this folder is of; empty: there is none yet."""
    manifests = sorted((out / "policies").glob(f"*/*/{MANIFEST}"))
    names = (read_manifest(path.parent)["label"].get("name", "") for path in manifests)
    return next((name for name in names if name), "")


def check_arms(recipe: Recipe) -> None:
    """Refuse arms that cannot be trained on this store, before the first one is.

    Raises:
        VipOfflineError: naming the arm; see `training_set` and `is_trained`.
    """
    for arm, (first, *_) in jobs(recipe).items():
        try:
            if not is_trained(first.out, first.store, first.options):
                training_set(first.store, first.options)
        except VipOfflineError as error:
            raise VipOfflineError(f"variant {arm}: {error}") from None


def train_arms(recipe: Recipe, bar: Bar, say: Callable[[str], None] = lambda line: None) -> int:
    """Train what is not trained yet; returns how many policies that were."""
    check_compare(recipe.compare)
    every = [job for arm in jobs(recipe).values() for job in arm]
    missing = [job for job in every if not is_trained(job.out, job.store, job.options)]
    total = len(missing) * recipe.train.steps
    with timed(recipe, "train"), bar("train", total, "step") as advance:
        compare = recipe.compare
        train_all(missing, compare.processes, on_steps=advance, say=say, device=compare.device)
    return len(missing)


def train_recipe(recipe: Recipe, bar: Bar, say: Callable[[str], None]) -> None:
    """Train the variants of a recipe, and write the resolved recipe beside them.

    Raises:
        VipOfflineError: see `cameras_stage`, `check_arms` and `train_all`.
    """
    out = Path(recipe.out)
    cameras_stage(Path(recipe.store), recipe.train, recipe.relabel.weights, bar, say)
    check_arms(recipe)
    trained = train_arms(recipe, bar, say)
    # not before: policies of another recipe in this folder were refused just now
    replace_file(out / "recipe.toml", dump(recipe).encode())
    say(f"train: {trained} policies -> {out / 'policies'}" if trained else "train: all are there")


def roll_out_arms(recipe: Recipe, bar: Bar) -> int:
    """Roll out what is not rolled out yet; returns how many policies that were."""
    check_rollout(recipe.rollout)
    # the first seed of each arm is filmed
    arms = jobs(recipe)
    filmed = [arm[0].out for arm in arms.values()]
    others = [job.out for arm in arms.values() for job in arm[1:]]
    missing = [f for f in [*filmed, *others] if existing_rollouts(f, recipe.rollout) is None]
    total = len(missing) * recipe.rollout.placements
    with timed(recipe, "rollout"), bar("rollout", total, "rollout") as advance:
        for folders, videos in ((filmed, recipe.rollout.videos), (others, 0)):
            rollout(
                folders,
                replace(recipe.rollout, videos=videos),
                weights=recipe.relabel.weights,
                on_rollout=lambda folder, success: advance(1),
            )
    return len(missing)


def existing_outcomes(recipe: Recipe, arm: str) -> NDArray[np.bool_]:
    """(S, P) whether each rollout of an arm succeeded.

    Raises:
        VipOfflineError: if some are missing.
    """
    results = [_rollouts(job.out, recipe.rollout) for job in jobs(recipe)[arm]]
    return np.array([result.success for result in results])


def gather(recipe: Recipe) -> Comparison:
    """Read everything that the report shows back from the store and the policy folders.

    Raises:
        VipOfflineError: if a policy or its rollouts are missing.
    """
    store = open_store(Path(recipe.store))
    label = store.label(recipe.train.label)
    # of several cameras the first is shown
    camera = label.provenance["camera"].split(",")[0]
    arms, videos, rolled = [], [], list[Rollouts]()
    for name, trainings in jobs(recipe).items():
        results = [_rollouts(job.out, recipe.rollout) for job in trainings]
        rolled += results
        data = training_set(Path(recipe.store), trainings[0].options)
        weighed = data.weighed
        summary = weighed.summary
        arms.append(
            Arm(
                name=name,
                description=arm_spec(name).description,
                success=np.array([result.success for result in results]),
                steps=np.array([result.steps for result in results]),
                tau=weighed.tau,
                effective_sample_size=summary.effective_sample_size if summary else float("nan"),
                weights=weighed.weights,
                weight_on_successes=weight_on(
                    weighed.weights,
                    [len(observations) - 1 for observations in data.observations],
                    store.meta("success")[data.manifest["episodes"]],
                ),
            )
        )
        filmed = zip(results[0].placements[:VIDEOS], results[0].success, strict=False)
        for placement, success in filmed:
            path = video_of(trainings[0].out, placement)
            if path.exists():
                outcome = "success" if success else "failure"
                videos.append((f"{name}, placement {placement}: {outcome}", path))
    return Comparison(
        task=str(store.attributes.get("task", "")),
        encoder=label.provenance["encoder"],
        label=label.name,
        seeds=tuple(job.options.seed for job in next(iter(jobs(recipe).values()))),
        placements=results[0].placements,
        horizon=recipe.rollout.horizon,
        arms=tuple(arms),
        baseline=BASELINE,
        demonstrations=tuple(demonstration_curves(store, camera, label.distance)),
        goals=goal_views(store, camera, label.provenance),
        videos=tuple(videos),
        backend=joined_names(results.backend for results in rolled),
        processor=joined_names(results.processor for results in rolled),
        nuisance=nuisance_text(vars(results[0])),
        recipe=dump(recipe),
        minutes=read_minutes(recipe),
        versions=versions(),
    )


def weight_on(
    weights: NDArray[np.float64] | None, transitions: Sequence[int], chosen: NDArray[np.bool_]
) -> float:
    """Share of the weight that some episodes hold.

    Args:
        weights: (N,) of all transitions, episode after episode; None: not known.
        transitions: (E,) of each episode.
        chosen: (E,) whether it is one of them.
    """
    if weights is None:
        return float("nan")
    return float(weights[np.repeat(chosen, transitions)].sum() / weights.sum())


def _rollouts(folder: Path, options: RolloutOptions) -> Rollouts:
    result = existing_rollouts(folder, options)
    if result is None:
        raise VipOfflineError(f"{folder}: was not rolled out on these placements yet.")
    return result


def demonstration_curves(
    store: Store, camera: str, distance: NDArray[np.float32]
) -> Iterator[DemonstrationCurve]:
    """Curves of a few demonstrations of each outcome; failures one of each kind first.

    Args:
        store: that holds their frames.
        camera: whose frames are shown.
        distance: (rows,) of each frame to the goal.
    """
    success, kinds, spans = store.meta("success"), store.kinds(), store.spans()
    for outcome in (True, False):
        indices = [index for index in range(len(store)) if success[index] == outcome]
        first = {kinds[index]: index for index in reversed(indices)}.values()
        rest = [index for index in indices if index not in first]
        shown = [*sorted(first), *rest][: max(SHOWN_EPISODES, len(first))]
        for index in sorted(shown):
            start, stop = spans[index]
            rows = np.linspace(start, stop - 1, THUMBNAILS).round().astype(int)
            yield DemonstrationCurve(
                episode=index,
                kind=kinds[index],
                success=bool(outcome),
                distance=distance[start:stop],
                thumbnails=np.stack([store.frames(camera, r, r + 1)[0] for r in rows]),
            )


def versions() -> dict[str, str]:
    """Of everything that the numbers depend on, as far as it is installed."""
    known = {"vip-offline": __version__, "python": platform.python_version()}
    for name in VERSIONED:
        with suppress(PackageNotFoundError):  # of the simulator's, which are an extra
            known[name] = version(name)
    return known


@contextmanager
def timed(recipe: Recipe, stage: str) -> Iterator[None]:
    """Add the time that the block takes to the stage's, also over several attempts."""
    started = time.perf_counter()
    try:
        yield
    finally:
        spent = read_minutes(recipe)
        spent[stage] = spent.get(stage, 0.0) + (time.perf_counter() - started) / 60
        write_json(spent, Path(recipe.out) / MINUTES)


def read_minutes(recipe: Recipe) -> dict[str, float]:
    """Stage -> minutes so far; counted anew where the file is damaged, see `damaged_notes`."""
    minutes = read_json(Path(recipe.out) / MINUTES)
    times = minutes.values() if minutes else ()
    return (
        dict(minutes) if minutes and all(isinstance(value, int | float) for value in times) else {}
    )


def damaged_notes(recipe: Recipe) -> Iterator[str]:
    """What of the small files in a comparison's folder cannot be read, and what is done about it.

    A power cut or a full disk may leave them empty; nothing in them cannot be had again.
    """
    minutes = Path(recipe.out) / MINUTES
    if minutes.exists() and not read_minutes(recipe):
        yield f"{minutes}: is damaged; minutes are counted anew"
    for arm in jobs(recipe).values():
        for path in (job.out / RESULT for job in arm):
            if path.exists() and read_rollouts(path.parent) is None:
                yield f"{path}: is damaged; the policy is rolled out again"
