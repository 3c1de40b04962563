"""Write docs/options.md, the table of all options: ``python docs/options.py``."""

from pathlib import Path

from vip_offline.options import (
    AnalyzeOptions,
    ClientOptions,
    CompareOptions,
    DeleteOptions,
    ExportOptions,
    ImportedData,
    InspectOptions,
    LookOptions,
    NpgOptions,
    OnlineOptions,
    OnlineRecipe,
    OnlineRun,
    PlanOptions,
    PlanRecipe,
    PretrainOptions,
    PretrainRecipe,
    Recipe,
    RecordOptions,
    RelabelOptions,
    RolloutOptions,
    SacOptions,
    SearchOptions,
    ServeOptions,
    ShipOptions,
    SuccessApplyOptions,
    SuccessByOptions,
    SuccessFitOptions,
    TableOptions,
    TableRecipe,
    TrainOptions,
    TrialOptions,
)
from vip_offline.options.text import markdown_table

PAGE = Path(__file__).with_suffix(".md")
INTRODUCTION = """\
# Options

Every option with its name in Python and in recipes, its flag, its default and its source in the
paper. A recipe is a TOML file with a table per stage that holds what differs from the defaults; see
`recipes/`. Paths in it are relative to the working directory. This page is made by
`python docs/options.py`.
"""
SECTIONS = {
    "`record`, `[record]`": RecordOptions,
    "`record --from-client`": ClientOptions,
    "`import`, `[import]`": ImportedData,
    "`inspect`": InspectOptions,
    "`delete`": DeleteOptions,
    "`export`": ExportOptions,
    "`look`": LookOptions,
    "`relabel`, `[relabel]`": RelabelOptions,
    "`analyze`": AnalyzeOptions,
    "`success fit`": SuccessFitOptions,
    "`success apply`": SuccessApplyOptions,
    "`pretrain`, `[pretrain]`": PretrainOptions,
    "`train` and `compare`, `[train]`": TrainOptions,
    "`rollout` and `compare`, `[rollout]`": RolloutOptions,
    "`rollout --success-by`": SuccessByOptions,
    "`compare`, `[compare]`": CompareOptions,
    "`online`, `[online]`": OnlineOptions,
    "`online --algo npg`, `[npg]`": NpgOptions,
    "`online --algo sac`, `[sac]`": SacOptions,
    "`online.toml` of a run": OnlineRun,
    "`plan`, `[plan]`": PlanOptions,
    "`plan`, `[search]`": SearchOptions,
    "`serve` and `record --from-client`": ServeOptions,
    "`ship`": ShipOptions,
    "Recipes": Recipe,
    "Recipes with `[pretrain]`": PretrainRecipe,
    "`[trial]`": TrialOptions,
    "Recipes with `[table]`": TableRecipe,
    "`[table]`": TableOptions,
    "Recipes with `[plan]`": PlanRecipe,
    "Recipes with `[online]`": OnlineRecipe,
}


def page() -> str:
    """The page as Markdown."""
    tables = (f"\n## {title}\n\n{markdown_table(kind)}\n" for title, kind in SECTIONS.items())
    return INTRODUCTION + "".join(tables)


if __name__ == "__main__":
    PAGE.write_text(page())
