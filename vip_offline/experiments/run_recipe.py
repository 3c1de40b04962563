"""A recipe, stage after stage; each stage does only what is not done yet."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vip_offline.analysis.closed_loop.comparison import summarise_comparison
from vip_offline.dataset.store import open_store
from vip_offline.encoders.registry import check_encoder
from vip_offline.errors import VipOfflineError, naming
from vip_offline.experiments.compare import (
    arm_spec,
    check_arms,
    check_compare,
    damaged_notes,
    gather,
    jobs,
    roll_out_arms,
    timed,
    train_arms,
)
from vip_offline.experiments.preflight import check_cameras, check_simulated, check_weights
from vip_offline.experiments.stages import cameras_stage, record_stage, relabel_stage
from vip_offline.recipe import Recipe, dump
from vip_offline.report.html.comparison_page import write_comparison_page
from vip_offline.rewards.relabel import check_relabel
from vip_offline.simulation.hidden_targets import hidden_note, is_hidden
from vip_offline.simulation.record import ATTEMPTS, STRIDE, planned_episodes
from vip_offline.simulation.rollout import RESULT, check_rollout
from vip_offline.training.data.dataset import check_options
from vip_offline.utils.console import Bar
from vip_offline.utils.files import (
    only_writer,
    replace_file,
    require_writable,
    sha256_of,
    write_json,
)

REPORT, NUMBERS = "report.html", "comparison.json"


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe whose last stage would fail, before its first begins.

    Raises:
        VipOfflineError: see the checks of the stages.
    """
    planned_episodes(recipe.record)
    check_relabel(recipe.relabel)
    check_encoder(recipe.relabel.encoder, recipe.relabel.weights)
    check_options(recipe.train)
    check_rollout(recipe.rollout)
    check_compare(recipe.compare)
    for arm in recipe.compare.arms:  # one may bring a tau of its own
        check_options(replace(recipe.train, **arm_spec(arm).changes))
    # a placement may be recorded up to ATTEMPTS times, with seeds STRIDE apart
    first = recipe.record.first_placement
    last = first + recipe.record.episodes + ATTEMPTS * STRIDE
    start = recipe.rollout.first_placement
    if start < last and first < start + recipe.rollout.placements:
        raise VipOfflineError(
            f"rollout.first_placement {start}: recording takes placements from {first} to {last}, "
            "and what was trained on is not evaluated on. Choose one beyond."
        )


def compare_stages(recipe: Recipe, bar: Bar, say: Callable[[str], None]) -> dict[str, Any]:
    """Train, roll out and compare the arms.

    Returns:
        The summary; also written to the recipe's `out`, with a page and the resolved recipe.
    """
    _say_damaged(recipe, say)
    return _compare_alone(recipe, bar, say)


def _say_damaged(recipe: Recipe, say: Callable[[str], None]) -> None:
    for note in damaged_notes(recipe):
        say(f"note: {note}")


def _compare_alone(recipe: Recipe, bar: Bar, say: Callable[[str], None]) -> dict[str, Any]:
    out = Path(recipe.out)
    require_writable(out)
    with naming(out), only_writer(out):
        return _compare(recipe, out, bar, say)


def _compare(recipe: Recipe, out: Path, bar: Bar, say: Callable[[str], None]) -> dict[str, Any]:
    store = open_store(Path(recipe.store))
    label, task = store.label(recipe.train.label), str(store.attributes.get("task", ""))
    if is_hidden(task, store.attributes):
        say(f"note: {hidden_note(task, recipe.store)}")
    check_weights(store, label.name, recipe.relabel.weights)
    check_simulated(store.path, recipe.train, recipe.rollout)
    cameras_stage(store.path, recipe.train, recipe.relabel.weights, bar, say)
    check_arms(recipe)
    trained = train_arms(recipe, bar, say)
    # not before: policies of another recipe in this folder were refused just now
    replace_file(out / "recipe.toml", dump(recipe).encode())
    say(f"train: {trained} policies -> {out / 'policies'}" if trained else "train: all are there")
    rolled = roll_out_arms(recipe, bar)
    say(f"rollout: {rolled} policies" if rolled else "rollout: all are there")
    with timed(recipe, "compare"):
        comparison = gather(recipe)
        summary = summarise_comparison(comparison)
        folders = [job.out for arm in jobs(recipe).values() for job in arm]
        read = {str(folder.relative_to(out)): sha256_of(folder / RESULT) for folder in folders}
        write_json({**summary, "made_from": {"rollouts": read}}, out / NUMBERS)
        write_comparison_page(comparison, summary, out / REPORT)
    return json.loads((out / NUMBERS).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def run_recipe(recipe: Recipe, bar: Bar, say: Callable[[str], None]) -> dict[str, Any]:
    """The whole chain; started again, it goes on from what is not done.

    Raises:
        VipOfflineError: see the stages.
    """
    check_recipe(recipe)
    check_cameras(recipe)
    require_writable(Path(recipe.out))
    _say_damaged(recipe, say)
    with timed(recipe, "record"):
        say(record_stage(recipe, bar))
    with timed(recipe, "relabel"):
        say(relabel_stage(recipe, bar, say))
    return _compare_alone(recipe, bar, say)
