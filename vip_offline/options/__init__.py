"""Every knob of every stage: type, default, help, source and range, each written once.

One small frozen dataclass per stage. The names of fields are stored in manifests and recipes.
"""

from vip_offline.options.data import ClientOptions, ImportOptions, InspectOptions, RecordOptions
from vip_offline.options.policy import (
    CompareOptions,
    Control,
    GripperMode,
    Head,
    NormaliseActions,
    RolloutOptions,
    TrainOptions,
    WeightBy,
)
from vip_offline.options.pretrain import (
    Mixed,
    Negatives,
    Norm,
    Objective,
    Pack,
    PretrainOptions,
    Sampling,
)
from vip_offline.options.recipe import PretrainRecipe, Recipe, TrialOptions
from vip_offline.options.reward import (
    AnalyzeOptions,
    BackendName,
    Computing,
    DeleteOptions,
    Device,
    ExportOptions,
    Fit,
    Precision,
    RelabelOptions,
    Reward,
    Similarity,
)
from vip_offline.options.serve import GivenHold, Hold, ServeOptions, ShipOptions

__all__ = [
    "AnalyzeOptions",
    "BackendName",
    "ClientOptions",
    "CompareOptions",
    "Computing",
    "Control",
    "DeleteOptions",
    "Device",
    "ExportOptions",
    "Fit",
    "GivenHold",
    "GripperMode",
    "Head",
    "Hold",
    "ImportOptions",
    "InspectOptions",
    "Mixed",
    "Negatives",
    "Norm",
    "NormaliseActions",
    "Objective",
    "Pack",
    "Precision",
    "PretrainOptions",
    "PretrainRecipe",
    "Recipe",
    "RecordOptions",
    "RelabelOptions",
    "Reward",
    "RolloutOptions",
    "Sampling",
    "ServeOptions",
    "ShipOptions",
    "Similarity",
    "TrainOptions",
    "TrialOptions",
    "WeightBy",
]
