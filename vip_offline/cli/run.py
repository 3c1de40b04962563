"""The command that runs recipes."""

from pathlib import Path
from typing import Annotated

import typer

from vip_offline.cli._app import app
from vip_offline.options import PretrainRecipe, Recipe
from vip_offline.utils.console import Console, first_process_prints
from vip_offline.utils.parallel import is_first


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A TOML file; see recipes/.")],
) -> None:
    """Run the stages of a recipe. Started again, it continues with the first unfinished one."""
    from vip_offline.config import load_pretrain_recipe, load_recipe, naming_keys

    encoders_recipe = load_pretrain_recipe(recipe)
    if encoders_recipe is not None:
        with naming_keys(recipe, PretrainRecipe):
            _run_pretrain(encoders_recipe)
        return
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.experiments.run_recipe import files_of, run_recipe
    from vip_offline.report.terminal.comparison import print_outcome

    loaded, console = load_recipe(recipe), Console()
    with naming_keys(recipe, Recipe):
        summary = run_recipe(loaded, console.bar, console.print)
    print_outcome(summary, files_of(loaded), console)


def _run_pretrain(recipe: PretrainRecipe) -> None:
    from vip_offline.experiments.run_pretrain_recipe import NUMBERS_FILE, run_pretrain_recipe
    from vip_offline.report.terminal.encoders import print_runs

    with first_process_prints(Console()) as console:
        numbers = run_pretrain_recipe(recipe, console.bar, console.print)
        if is_first():
            print_runs(numbers, Path(recipe.out) / NUMBERS_FILE, console)
