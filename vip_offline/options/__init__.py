"""Every knob of every stage: type, default, help, source and range, each written once.

One small frozen dataclass per stage. The names of fields are stored in manifests and recipes.
"""

from vip_offline.options.data import ImportOptions, InspectOptions, RecordOptions
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
    Fit,
    LookOptions,
    Precision,
    RelabelOptions,
    Reward,
    Similarity,
)
from vip_offline.options.serve import GivenHold, Hold, ServeOptions

__all__ = [
    "AnalyzeOptions",
    "BackendName",
    "CompareOptions",
    "Computing",
    "Control",
    "DeleteOptions",
    "Device",
    "Fit",
    "GivenHold",
    "GripperMode",
    "Head",
    "Hold",
    "ImportOptions",
    "InspectOptions",
    "LookOptions",
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
    "Similarity",
    "TrainOptions",
    "TrialOptions",
    "WeightBy",
]
