"""A recipe for encoders: record what is missing, train each, try all of them on other tasks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.config import dump
from vip_offline.dataset.store import open_store
from vip_offline.encoders.encoder import load_encoder
from vip_offline.encoders.registry import check_encoder, entry_of
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.stages import record_stage
from vip_offline.options import NUISANCE, Computing, PretrainRecipe, Recipe, RecordOptions
from vip_offline.pretraining.benchmark import BenchmarkResult, benchmark_encoder
from vip_offline.pretraining.check_options import check_pretrain
from vip_offline.pretraining.checkpoint import MODEL, numbered_checkpoints
from vip_offline.pretraining.clips.open_clips import open_clips
from vip_offline.pretraining.run import pretrain_stage, summary_of
from vip_offline.pretraining.validation import validation_mask
from vip_offline.report.figures.embedding_paths import Path2D, save_paths
from vip_offline.simulation.record import planned_episodes
from vip_offline.utils.console import Bar
from vip_offline.utils.files import replace_file, write_json
from vip_offline.utils.parallel import is_first, world_size

NUMBERS_FILE = "encoders.json"


def check_pretrain_recipe(recipe: PretrainRecipe) -> None:
    """Refuse a recipe whose last stage would fail, before its first begins."""
    for options in recipe.runs().values():
        check_pretrain(options)
    missing = [path for path, _ in _recordings(recipe, "") if not path.exists()]
    if missing and world_size() > 1:
        raise VipOfflineError(
            f"{missing[0]}: is not recorded yet, and processes that train together cannot record. "
            "Run the recipe without torchrun first; stop it when it trains."
        )
    options = recipe.pretrain
    if recipe.paths_at and entry_of(options.backbone).dim != 2:
        raise VipOfflineError(
            f"paths_at: Fig. 2 is of two dimensions, and backbone {options.backbone} has "
            f"{entry_of(options.backbone).dim}. Take {options.backbone}-d2."
        )
    wrong = [step for step in recipe.paths_at if step > options.steps or step % options.save_every]
    if wrong or (recipe.paths_at and options.keep * options.save_every < options.steps):
        raise VipOfflineError(
            f"paths_at {list(recipe.paths_at)}: must be multiples of pretrain.save_every "
            f"({options.save_every}) up to pretrain.steps ({options.steps}), all of them kept "
            f"(pretrain.keep is {options.keep})."
        )
    for _, recording in _recordings(recipe, ""):
        planned_episodes(recording.record)
    for name in recipe.trial.encoders:
        check_encoder(name)
    twice = sorted(set(recipe.held_out_tasks) & set(recipe.tasks))
    if twice:
        raise VipOfflineError(
            f"held_out_tasks: {', '.join(twice)} are in `tasks`, too, and would be trained on."
        )
    if recipe.clean_episodes and not recipe.record.nuisance:
        raise VipOfflineError(
            f"clean_episodes {recipe.clean_episodes}: [record] has no nuisance, so all are clean."
        )
    if NUISANCE in recipe.leave_out and not recipe.clean_episodes:
        raise VipOfflineError("leave_out: without clean_episodes nothing is left without nuisance.")
    if any(recipe.trial.nuisance_levels) and not recipe.trial.nuisance:
        raise VipOfflineError(
            f"trial.nuisance_levels {list(recipe.trial.nuisance_levels)}: name the kinds in "
            "trial.nuisance."
        )


def _recordings(recipe: PretrainRecipe, part: str) -> list[tuple[Path, Recipe]]:
    """(store, recipe that records it) of one part of the tasks, "" for all."""
    folder, trial, train = Path(recipe.folder), recipe.trial, recipe.record
    held = replace(
        train,
        episodes=trial.episodes,
        failures=trial.failures,
        first_placement=trial.first_placement,
        hidden_goal=False,  # encoders are judged by goals that mean something
    )
    stores: list[tuple[Path, RecordOptions]] = []
    if part in ("", "train"):
        clean = replace(
            train,
            episodes=recipe.clean_episodes,
            # of other placements
            first_placement=train.first_placement + train.episodes,
            nuisance=(),
            nuisance_level=1,
        )
        for task in (*recipe.tasks, *recipe.held_out_tasks):
            for group, options in zip(recipe.groups_of(task), (train, clean), strict=False):
                path = folder / "train" / f"{group}.zarr"
                stores.append((path, replace(options, task=task)))
    if part in ("", "trial"):
        for task, level in itertools.product(trial.tasks, trial.nuisance_levels):
            name = task.replace("/", "-") + (f"-{level}" if level else "")
            options = replace(
                held,
                task=task,
                nuisance=trial.nuisance if level else (),
                nuisance_level=level or 1,
            )
            stores.append((folder / "trial" / f"{name}.zarr", options))
    return [(path, Recipe(store=str(path), record=options)) for path, options in stores]


def run_pretrain_recipe(
    recipe: PretrainRecipe, bar: Bar, say: Callable[[str], None]
) -> dict[str, Any]:
    """The whole chain; started again, it goes on from what is not done.

    Returns:
        What was found; also written to the recipe's `out`, with the resolved recipe. Nothing, of
        several processes, to all but the first.
    """
    check_pretrain_recipe(recipe)
    for path, recording in _recordings(recipe, "") if is_first() else ():
        message = record_stage(recording, bar)
        if "are there" not in message:
            say(f"{path.stem}: {message}")
    out = Path(recipe.out)
    out.mkdir(parents=True, exist_ok=True)
    videos = [Path(video) for video in recipe.videos]
    videos += [path for path, _ in _recordings(recipe, "train")]
    trained: dict[str, Any] = {}
    for name, options in recipe.runs().items():
        folder = out / name if name else out
        if name:
            say(f"{name}:")
        shared = options.pack_folder or str(out / "packed")
        shown = videos if recipe.sees_nuisances(name) else videos_without_nuisance(recipe)
        result = pretrain_stage(shown, replace(options, pack_folder=shared), folder, bar, say)
        trained[name or options.objective] = summary_of(result, options)
    if not is_first():
        return {}
    trials = _recordings(recipe, "trial")
    stores = [path for path, _ in trials]
    levels = {path.stem: _level(recording.record) for path, recording in trials}
    rows = _trial(recipe, stores, bar) if stores else {}
    paths = draw_figure_2(recipe, videos) if recipe.paths_at else []
    numbers = {
        "recipe": recipe.name,
        "trained": trained,
        "paths": [path.described() for path in paths],
        "trial": {
            encoder: {
                store: described(result) | {"level": levels[store]}
                for store, result in results.items()
            }
            for encoder, results in rows.items()
        },
    }
    write_json(numbers, out / NUMBERS_FILE)
    replace_file(out / "recipe.toml", dump(recipe).encode())
    return numbers


def videos_without_nuisance(recipe: PretrainRecipe) -> list[Path]:
    """The clean recordings of the training tasks, and all of the held-out ones."""
    return [
        path
        for path, recording in _recordings(recipe, "train")
        if not recording.record.nuisance or recording.record.task in recipe.held_out_tasks
    ]


def draw_figure_2(recipe: PretrainRecipe, videos: Sequence[Path]) -> list[Path2D]:
    """Fig. 2 of the first video that was held out, as ``figure-2.png`` and ``.svg``.

    Returns:
        Its embeddings, of each training at each of `paths_at`.

    Raises:
        VipOfflineError: if a checkpoint is not there, or the backbone has not two outputs.
    """
    out, paths = Path(recipe.out), []
    clips = open_clips(videos, camera=recipe.pretrain.camera, index=out / "clips.npz")
    options = recipe.pretrain
    clip = int(np.flatnonzero(validation_mask(clips, options))[0])
    frames = clips.read(clip, np.arange(int(clips.lengths[clip])))
    for name, options in recipe.runs().items():
        folder = out / name if name else out
        for step in recipe.paths_at:
            weights = checkpoint_at(folder, step)
            encoder = load_encoder(options.backbone, weights, computing=Computing("torch"))
            paths.append(Path2D(options.objective, step, encoder(frames)))
    save_paths(paths, out)
    return paths


def checkpoint_at(folder: Path, step: int) -> Path:
    """The checkpoint of a step.

    Raises:
        VipOfflineError: if it is not there, with those that are.
    """
    checkpoints = dict(numbered_checkpoints(folder))
    if step not in checkpoints:
        raise VipOfflineError(
            f"{folder}: has no checkpoint of step {step}; there are {sorted(checkpoints)}. "
            "Steps of paths_at must be multiples of save_every, and `keep` must reach back to them."
        )
    return checkpoints[step]


def _trial(
    recipe: PretrainRecipe, stores: Sequence[Path], bar: Bar
) -> Mapping[str, Mapping[str, BenchmarkResult]]:
    """Every encoder of the recipe, and those to compare with, on tasks that none was trained on."""
    wanted: list[tuple[str, str, Path | None]] = []
    for name, options in recipe.runs().items():
        folder = Path(recipe.out) / name if name else Path(recipe.out)
        wanted.append((name or options.objective, options.backbone, folder / MODEL))
    wanted += [(name, name, None) for name in recipe.trial.encoders]
    stride = recipe.trial.stride
    frames = sum(open_store(path).rows for path in stores)
    results = {}
    with bar("try encoders", frames * len(wanted), "frame") as advance:
        for shown, encoder, weights in wanted:
            results[shown] = benchmark_encoder(encoder, weights, stores, advance, stride=stride)
    return results


def _level(options: RecordOptions) -> int:
    return options.nuisance_level if options.nuisance else 0


def described(result: BenchmarkResult) -> dict[str, Any]:
    """As JSON takes it."""
    apart = result.apart
    return {
        "order": result.order,
        "bumps": result.bumps,
        "auc": None
        if apart is None
        else {"value": apart.auc, "low": apart.low, "high": apart.high},
        "weight": result.weight,
        "successes": result.successes,
        "failures": result.failures,
    }
