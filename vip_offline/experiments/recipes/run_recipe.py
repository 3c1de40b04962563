"""A recipe, stage after stage; each stage does only what is not done yet."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from vip_offline.analysis.closed_loop.comparison import summarise_comparison
from vip_offline.dataset.importers.registry import open_source
from vip_offline.dataset.importers.run import plan_import
from vip_offline.dataset.store import open_store
from vip_offline.encoders.preprocessing import fit_of
from vip_offline.encoders.registry import check_encoder
from vip_offline.errors import VipOfflineError, naming
from vip_offline.experiments.comparison.compare import (
    damaged_notes,
    gather,
    jobs,
    labelled_before,
    roll_out_arms,
    timed,
    train_recipe,
)
from vip_offline.experiments.comparison.compare_offline import check_offline, compare_offline
from vip_offline.experiments.comparison.variants import changes_of, check_compare
from vip_offline.experiments.recipes.preflight import (
    check_cameras,
    check_import,
    check_simulated,
    check_weights,
)
from vip_offline.experiments.stages import import_stage, record_stage, relabel_stage
from vip_offline.options import (
    CompareOptions,
    ImportedData,
    Recipe,
    RelabelOptions,
    RolloutOptions,
    TrainOptions,
)
from vip_offline.options.fields import OptionError
from vip_offline.report.html.comparison_page import write_comparison_page
from vip_offline.rewards.relabel import check_relabel
from vip_offline.simulation.hidden_targets import hidden_note, is_hidden
from vip_offline.simulation.record import ATTEMPTS, STRIDE, planned_episodes
from vip_offline.simulation.rollout import RESULT, check_rollout
from vip_offline.training.data.dataset import check_options
from vip_offline.utils.console import Bar
from vip_offline.utils.files import only_writer, require_writable, sha256_of, write_json

REPORT, NUMBERS = "report.html", "comparison.json"
# beside those of the rollouts, which the same folder may hold
OFFLINE_REPORT, OFFLINE_NUMBERS = "offline.html", "offline.json"


def check_recipe(recipe: Recipe) -> None:
    """Refuse a recipe whose last stage would fail, before its first begins."""
    planned_episodes(recipe.record)
    check_comparison(recipe)
    # a placement may be recorded up to ATTEMPTS times, with seeds STRIDE apart
    first = recipe.record.first_placement
    last = first + recipe.record.episodes + ATTEMPTS * STRIDE
    start = recipe.rollout.first_placement
    if start < last and first < start + recipe.rollout.placements:
        raise OptionError(
            RolloutOptions,
            "first_placement",
            start,
            f"recording takes placements from {first} to {last}, and what was trained on is not "
            "evaluated on. Choose one beyond.",
        )


def check_comparison(recipe: Recipe) -> None:
    """Refuse arms that cannot be trained or rolled out, whoever recorded the store."""
    check_relabel(recipe.relabel)
    check_encoder(recipe.relabel.encoder, recipe.relabel.weights)
    check_options(recipe.train)
    check_rollout(recipe.rollout)
    check_compare(recipe.compare)
    if recipe.compare.offline:
        check_offline(recipe)
    for arm in recipe.compare.arms:  # one may bring a tau of its own
        try:
            check_options(replace(recipe.train, **changes_of(arm, recipe.compare)))
        except VipOfflineError as error:
            raise VipOfflineError(f"variant {arm}: {error}") from None


def compare_recipe(
    path: Path,
    out: Path,
    compare: CompareOptions,
    train: TrainOptions,
    rollout: RolloutOptions,
    weights: str,
) -> Recipe:
    """The recipe that compares arms on a labelled store.

    Args:
        path: of the store.
        out: folder of the comparison; if one is there, it says which labelling is meant.
        compare: arms and seeds.
        train: of every arm; arms change it.
        rollout: placements.
        weights: checkpoint file of the labelling's encoder; empty: it ships with its weights.

    Raises:
        VipOfflineError: if there is no such store or labelling, or an option is wrong.
    """
    labelling = open_store(path).label(train.label or labelled_before(out))
    fit = fit_of(labelling.provenance)
    # every arm sees the same of a frame
    train_fit = fit if train.fit == TrainOptions.fit else train.fit
    recipe = Recipe(
        name=path.stem,
        store=str(path),
        out=str(out),
        relabel=RelabelOptions(labelling.provenance["encoder"], weights, fit=fit),
        train=replace(train, label=labelling.name, fit=train_fit),
        rollout=replace(rollout, videos=min(rollout.videos, rollout.placements)),
        compare=compare,
    )
    check_comparison(recipe)
    return recipe


def compare_stages(recipe: Recipe, bar: Bar, say: Callable[[str], None]) -> dict[str, Any]:
    """Train, roll out and compare the arms.

    Returns:
        The summary; also written to the recipe's `out`, with a page and the resolved recipe.
    """
    _say_damaged(recipe, say)
    return _compare(recipe, bar, say)


def _say_damaged(recipe: Recipe, say: Callable[[str], None]) -> None:
    for note in damaged_notes(recipe):
        say(f"note: {note}")


def _compare(recipe: Recipe, bar: Bar, say: Callable[[str], None]) -> dict[str, Any]:
    out = Path(recipe.out)
    require_writable(out)
    with naming(out), only_writer(out):
        if recipe.compare.offline:
            return _compare_offline(recipe, bar, say)
        return _compare_alone(recipe, out, bar, say)


def _compare_offline(recipe: Recipe, bar: Bar, say: Callable[[str], None]) -> dict[str, Any]:
    check_weights(open_store(Path(recipe.store)), recipe.train.label, recipe.relabel.weights)
    page, numbers = files_of(recipe)
    return compare_offline(recipe, numbers, page, bar, say)


def _compare_alone(
    recipe: Recipe, out: Path, bar: Bar, say: Callable[[str], None]
) -> dict[str, Any]:
    store = open_store(Path(recipe.store))
    label, task = store.label(recipe.train.label), str(store.attributes.get("task", ""))
    if is_hidden(task, store.attributes):
        say(f"note: {hidden_note(task, recipe.store)}")
    check_weights(store, label.name, recipe.relabel.weights)
    check_simulated(store.path, recipe.train, recipe.rollout)
    train_recipe(recipe, bar, say)
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


def files_of(recipe: Recipe) -> tuple[Path, Path]:
    """The page and the numbers of a comparison."""
    if recipe.compare.offline:
        return Path(recipe.out) / OFFLINE_REPORT, Path(recipe.out) / OFFLINE_NUMBERS
    return Path(recipe.out) / REPORT, Path(recipe.out) / NUMBERS


def run_recipe(recipe: Recipe, bar: Bar, say: Callable[[str], None]) -> dict[str, Any]:
    """The whole chain; started again, it goes on from what is not done."""
    if recipe.import_ is not None:
        return _run_import(recipe, recipe.import_, bar, say)
    check_recipe(recipe)
    check_cameras(recipe)
    require_writable(Path(recipe.out))
    _say_damaged(recipe, say)
    with timed(recipe, "record"):
        say(record_stage(recipe, bar))
    with timed(recipe, "relabel"):
        say(relabel_stage(recipe, bar, say))
    return _compare(recipe, bar, say)


def _run_import(
    recipe: Recipe, data: ImportedData, bar: Bar, say: Callable[[str], None]
) -> dict[str, Any]:
    """The chain on demonstrations of one's own; without a simulator of their task, offline."""
    check_comparison(recipe)
    options, out = data.options, Path(recipe.out)
    opened = open_source(Path(data.source), data.format, options.rates, options.key_map)
    with closing(opened) as source:
        obstacle = check_import(recipe, plan_import(source, options))
        require_writable(out)
        _say_damaged(recipe, say)
        with timed(recipe, "import"):
            say(import_stage(source, Path(recipe.store), options, bar, say))
    with timed(recipe, "relabel"):
        say(relabel_stage(recipe, bar, say))
    if not obstacle or recipe.compare.offline:
        return _compare(recipe, bar, say)
    say(
        f"note: rollout: left out: {data.source}: {obstacle}. The variants are compared by their "
        "action error on the episodes that are held out."
    )
    with naming(out), only_writer(out):
        return _compare_offline(recipe, bar, say)
