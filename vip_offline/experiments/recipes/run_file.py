"""A recipe file run and its outcome printed, whatever kind of recipe it is."""

from pathlib import Path

from vip_offline.config import (
    load_pretrain_recipe,
    load_recipe,
    load_simulator_recipe,
    load_table_recipe,
    naming_keys,
)
from vip_offline.options import OnlineRecipe, PlanRecipe, PretrainRecipe, Recipe, TableRecipe
from vip_offline.utils.console import Console, first_process_prints
from vip_offline.utils.parallel import is_first


def run_file(path: Path, console: Console) -> None:
    """Run the stages of a recipe that are not done, and print what came of it.

    Raises:
        VipOfflineError: if the file is no recipe, or a stage fails.
    """
    if (encoders := load_pretrain_recipe(path)) is not None:
        with naming_keys(path, PretrainRecipe), first_process_prints(console) as shown:
            _pretrain(encoders, shown)
    elif (recipe := load_simulator_recipe(path)) is not None:
        with naming_keys(path, type(recipe)):
            if isinstance(recipe, PlanRecipe):
                _plan(recipe, console)
            else:
                _online(recipe, console)
    elif (table := load_table_recipe(path)) is not None:
        with naming_keys(path, TableRecipe):
            _table(table, console)
    else:
        _compare(path, console)


def _pretrain(recipe: PretrainRecipe, console: Console) -> None:
    from vip_offline.experiments.recipes.run_pretrain_recipe import (
        NUMBERS_FILE,
        run_pretrain_recipe,
    )
    from vip_offline.report.terminal.encoders import print_runs

    numbers = run_pretrain_recipe(recipe, console.bar, console.print)
    if is_first():
        print_runs(numbers, Path(recipe.out) / NUMBERS_FILE, console)


def _plan(recipe: PlanRecipe, console: Console) -> None:
    from vip_offline.experiments.no_demonstrations.plan import plan_stage
    from vip_offline.report.terminal.plans import print_plans

    print_plans(plan_stage(recipe, console.bar, console.say), console)


def _online(recipe: OnlineRecipe, console: Console) -> None:
    from vip_offline.experiments.no_demonstrations.online_recipe import run_online_recipe
    from vip_offline.report.terminal.online import trainings_table

    console.print(trainings_table(run_online_recipe(recipe, console.bar, console.say)))


def _table(recipe: TableRecipe, console: Console) -> None:
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.experiments.recipes.table import TABLE_NUMBERS, run_table
    from vip_offline.report.terminal.table import print_table

    print_table(run_table(recipe, console.bar, console.print), console)
    console.say(f"-> {Path(recipe.out) / TABLE_NUMBERS}")


def _compare(path: Path, console: Console) -> None:
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.experiments.recipes.run_recipe import files_of, run_recipe
    from vip_offline.report.terminal.comparison import print_outcome

    recipe = load_recipe(path)
    with naming_keys(path, Recipe):
        summary = run_recipe(recipe, console.bar, console.print)
    print_outcome(summary, files_of(recipe), console)
