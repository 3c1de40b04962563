"""A finished comparison as a case of how well offline numbers pick the better policy."""

from pathlib import Path
from typing import Any

from vip_offline.analysis.offline.numbers import arm_numbers
from vip_offline.dataset.store import open_store
from vip_offline.errors import VipOfflineError
from vip_offline.experiments.comparison.compare import jobs
from vip_offline.experiments.comparison.compare_offline import check_offline
from vip_offline.experiments.comparison.held_out_actions import held_out_actions
from vip_offline.options import Recipe
from vip_offline.simulation.rollout import existing_rollouts
from vip_offline.training.job import why_again
from vip_offline.utils.console import Bar


def task_case(recipe: Recipe, bar: Bar) -> dict[str, Any]:
    """Offline numbers of each variant beside its true success, ready for JSON.

    Args:
        recipe: resolved, of a comparison whose policies are trained and rolled out.
        bar: of progress.

    Returns:
        ``task``, ``encoder``, ``seeds``, ``placements``, ``steps``, ``held_out`` and ``arms``.

    Raises:
        VipOfflineError: if no episode is held out, a policy is missing, is of another store or of
            other data, or was not rolled out.
    """
    check_offline(recipe)
    success = dict[str, float]()
    for arm, trainings in jobs(recipe).items():
        outcomes = list[bool]()
        for job in trainings:
            stale = why_again(job.out, job.store, job.options)
            if stale:
                raise VipOfflineError(
                    f"{job.out}: {stale}. Its numbers are those of other data: compare again."
                )
            rollouts = existing_rollouts(job.out, recipe.rollout)
            if rollouts is None:
                raise VipOfflineError(
                    f"{job.out}: has no rollouts on these placements, so its true success is not "
                    "known. `vip-offline compare` without --offline makes them."
                )
            outcomes += rollouts.success
        success[arm] = sum(outcomes) / len(outcomes)
    actions = held_out_actions(recipe, bar)
    store = open_store(Path(recipe.store))
    return {
        "task": str(store.attributes.get("task", "")),
        "encoder": store.label(recipe.train.label).provenance["encoder"],
        "seeds": recipe.compare.seeds,
        "placements": recipe.rollout.placements,
        "steps": recipe.train.steps,
        "held_out": {
            "successes": actions.steps.successes,
            "failures": actions.steps.failures,
        },
        "arms": [
            {
                "name": arm,
                "success": round(success[arm], 4),
                "numbers": arm_numbers(predicted, actions.steps).plain(),
            }
            for arm, predicted in actions.predicted.items()
        ],
    }
