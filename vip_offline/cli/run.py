"""The command that runs recipes."""

from pathlib import Path
from typing import Annotated

import typer

from vip_offline.cli._app import app, first_process_prints, progress
from vip_offline.cli.policy import print_comparison
from vip_offline.options import PretrainRecipe, Recipe
from vip_offline.utils.console import Console
from vip_offline.utils.parallel import is_first


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A TOML file; see recipes/.")],
) -> None:
    """Chain the stages of a recipe; started again, go on from the first unfinished one."""
    from vip_offline.config import load_pretrain_recipe, load_recipe, naming_keys

    encoders_recipe = load_pretrain_recipe(recipe)
    if encoders_recipe is not None:
        with naming_keys(recipe, PretrainRecipe):
            _run_pretrain(encoders_recipe)
        return
    from vip_offline.training.algorithms.d3rlpy_logging import quiet_d3rlpy

    quiet_d3rlpy()
    from vip_offline.experiments.run_recipe import run_recipe

    loaded, console = load_recipe(recipe), Console()
    with naming_keys(recipe, Recipe):
        summary = run_recipe(loaded, progress(console), console.print)
    print_comparison(summary, loaded, console)


def _run_pretrain(recipe: PretrainRecipe) -> None:
    from vip_offline.experiments.run_pretrain_recipe import NUMBERS, run_pretrain_recipe
    from vip_offline.report.terminal.encoders import print_trial, print_validation

    with first_process_prints(Console()) as console:
        numbers = run_pretrain_recipe(recipe, progress(console), console.print)
        if not is_first():
            return
        for name, trained in numbers["trained"].items():
            console.print(f"\n{name}", style="bold")
            print_validation(trained, console)
        console.print()
        print_trial(numbers, console)
        console.print(f"-> {Path(recipe.out) / NUMBERS}", soft_wrap=True, highlight=False)
