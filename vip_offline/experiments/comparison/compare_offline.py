"""Variants compared where no simulator can run them: by their error on held-out successes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.analysis.held_out import HeldOutArm, summarise_held_out
from vip_offline.analysis.offline.numbers import arm_numbers
from vip_offline.analysis.offline.summary import summarise_numbers
from vip_offline.config import dump
from vip_offline.dataset.store import open_store
from vip_offline.experiments.comparison.compare import (
    demonstration_curves,
    jobs,
    read_minutes,
    timed,
    train_recipe,
    versions,
)
from vip_offline.experiments.comparison.held_out_actions import HeldOutActions, held_out_actions
from vip_offline.experiments.comparison.variants import BASELINE, arm_spec
from vip_offline.options import Recipe, TrainOptions
from vip_offline.options.fields import OptionError
from vip_offline.policies.policy import TENSORS
from vip_offline.report.html.held_out_page import HeldOutPage, write_held_out_page
from vip_offline.rewards.goal_views import goal_views
from vip_offline.utils.console import Bar
from vip_offline.utils.files import sha256_of, write_json


def check_offline(recipe: Recipe) -> None:
    """Refuse to compare by held-out episodes where none is held out.

    Raises:
        VipOfflineError: naming the option.
    """
    if not recipe.train.hold_out:
        raise OptionError(
            TrainOptions,
            "hold_out",
            0,
            "--offline compares by the action error on episodes that are held out. Give "
            "--hold-out 2 or more; policies that learnt from all episodes are trained again.",
        )


def compare_offline(
    recipe: Recipe, numbers: Path, page: Path, bar: Bar, say: Callable[[str], None]
) -> dict[str, Any]:
    """Train the variants and compare their errors on the episodes that were held out.

    Args:
        recipe: of a labelled store, with ``train.hold_out`` above 0.
        numbers: JSON file of the summary.
        page: HTML file.
        bar: of progress.
        say: called with sentences.

    Returns:
        The summary, see `summarise_held_out`.

    Raises:
        VipOfflineError: see `train_recipe`.
    """
    train_recipe(recipe, bar, say)
    out = Path(recipe.out)
    with timed(recipe, "compare"):
        summary = _summary(recipe, held_out_actions(recipe, bar))
        policies = [job.out for arm in jobs(recipe).values() for job in arm]
        read = {str(folder.relative_to(out)): sha256_of(folder / TENSORS) for folder in policies}
        summary["minutes"] = read_minutes(recipe)
        write_json({**summary, "made_from": {"policies": read}}, numbers)
        write_held_out_page(_page(recipe), summary, page)
    return json.loads(numbers.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _summary(recipe: Recipe, actions: HeldOutActions) -> dict[str, Any]:
    trained, steps = jobs(recipe), actions.steps
    episodes = np.unique(steps.episode[steps.success])
    arms = list[HeldOutArm]()
    for name, predicted in actions.predicted.items():
        squared = ((predicted - steps.action) ** 2).sum(axis=2)  # (S, N)
        errors = [squared[:, steps.episode == episode].mean(axis=1) for episode in episodes]
        arms.append(HeldOutArm(name, arm_spec(name).description, np.stack(errors, axis=1)))
    seeds = [job.options.seed for job in next(iter(trained.values()))]
    return {
        "name": recipe.name,
        "encoder": open_store(Path(recipe.store)).label(recipe.train.label).provenance["encoder"],
        **summarise_held_out(arms, BASELINE, map(int, episodes), seeds),
        "offline": summarise_numbers(
            {name: arm_numbers(predicted, steps) for name, predicted in actions.predicted.items()},
            steps,
            actions.names,
            [(row.episode, row.success, row.novelty) for row in actions.novelty],
        ),
    }


def _page(recipe: Recipe) -> HeldOutPage:
    """What the page shows beside the numbers."""
    store = open_store(Path(recipe.store))
    label = store.label(recipe.train.label)
    camera = label.provenance["camera"].split(",")[0]
    return HeldOutPage(
        store=recipe.store,
        label=label.name,
        goals=goal_views(store, camera, label.provenance),
        demonstrations=tuple(demonstration_curves(store, camera, label.distance)),
        recipe=dump(recipe),
        versions=versions(),
    )
