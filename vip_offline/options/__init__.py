"""Every knob of every stage: type, default, help, source and range, each written once.

One small frozen dataclass per stage. The names of fields are stored in manifests and recipes.
"""

from vip_offline.options.curate import CurateOptions
from vip_offline.options.data import (
    TAIL,
    ClientOptions,
    ImportOptions,
    InspectOptions,
    RecordOptions,
)
from vip_offline.options.nuisance import NUISANCES, HasNuisance, check_nuisance, nuisance_text
from vip_offline.options.online import (
    NpgOptions,
    OnlineOptions,
    OnlineRecipe,
    OnlineRun,
    SacOptions,
)
from vip_offline.options.plan import PlanOptions, PlanRecipe, SearchOptions
from vip_offline.options.policy import (
    CompareOptions,
    Control,
    Head,
    NormaliseActions,
    RolloutOptions,
    ShipOptions,
    TrainOptions,
    WeightBy,
)
from vip_offline.options.pretrain import Objective, PretrainOptions, Sampling
from vip_offline.options.recipe import NUISANCE, ImportedData, PretrainRecipe, Recipe, TrialOptions
from vip_offline.options.reward import (
    AnalyzeOptions,
    BackendName,
    Computing,
    DeleteOptions,
    Device,
    ExportOptions,
    Fit,
    LookOptions,
    RelabelOptions,
    Reward,
)
from vip_offline.options.serve import GivenHold, Hold, ServeOptions
from vip_offline.options.success import (
    SuccessApplyOptions,
    SuccessByOptions,
    SuccessFitOptions,
)
from vip_offline.options.table import IN_DOMAIN, TableOptions, TableRecipe

# options of earlier releases, which files of theirs still name, and what they are always now
WITHDRAWN: dict[type, dict[str, object]] = {
    RecordOptions: {"tail": TAIL},
    TrainOptions: {"standardise_scores": False},
}

__all__ = [
    "IN_DOMAIN",
    "NUISANCE",
    "NUISANCES",
    "TAIL",
    "WITHDRAWN",
    "AnalyzeOptions",
    "BackendName",
    "ClientOptions",
    "CompareOptions",
    "Computing",
    "Control",
    "CurateOptions",
    "DeleteOptions",
    "Device",
    "ExportOptions",
    "Fit",
    "GivenHold",
    "HasNuisance",
    "Head",
    "Hold",
    "ImportOptions",
    "ImportedData",
    "InspectOptions",
    "LookOptions",
    "NormaliseActions",
    "NpgOptions",
    "Objective",
    "OnlineOptions",
    "OnlineRecipe",
    "OnlineRun",
    "PlanOptions",
    "PlanRecipe",
    "PretrainOptions",
    "PretrainRecipe",
    "Recipe",
    "RecordOptions",
    "RelabelOptions",
    "Reward",
    "RolloutOptions",
    "SacOptions",
    "Sampling",
    "SearchOptions",
    "ServeOptions",
    "ShipOptions",
    "SuccessApplyOptions",
    "SuccessByOptions",
    "SuccessFitOptions",
    "TableOptions",
    "TableRecipe",
    "TrainOptions",
    "TrialOptions",
    "WeightBy",
    "check_nuisance",
    "nuisance_text",
]
