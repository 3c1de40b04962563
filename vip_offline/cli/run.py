"""The command that runs recipes."""

from pathlib import Path
from typing import Annotated

import typer

from vip_offline.cli._app import app
from vip_offline.utils.console import Console


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A TOML file; see recipes/.")],
) -> None:
    """Run the stages of a recipe. Started again, it continues with the first unfinished one."""
    from vip_offline.experiments.recipes.run_file import run_file

    run_file(recipe, Console())
