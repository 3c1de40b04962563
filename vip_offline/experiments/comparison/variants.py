"""Variants of training that a comparison knows, by name: what each changes, and why it is there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vip_offline.encoders.backends import check_device
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.options import CompareOptions
from vip_offline.options.fields import check_ranges

BASELINE = "bc"
# share of the episodes; on pilot placements 0.2 and 0.33 had 100, 100 % success on drawer-close,
# 100, 100 on window-close, 40, 54 on push (recipes/pilot-outcome-*.toml)
BEST = 0.33


@dataclass(frozen=True)
class ArmSpec:
    """What an arm changes in the recipe's training, and why it is there."""

    description: str
    changes: Mapping[str, Any]


ARMS: dict[str, ArmSpec] = {
    "bc": ArmSpec("Behaviour cloning of everything, failures too.", {"algo": "bc"}),
    "rwr-step": ArmSpec(
        "Each transition weighted by its own visual reward (Eq. 7).",
        {"algo": "rwr", "weight_by": "step"},
    ),
    "rwr-return": ArmSpec(
        "Weighted by the visual rewards that follow until the episode ends.",
        {"algo": "rwr", "weight_by": "return"},
    ),
    "rwr-return-permuted": ArmSpec(
        "Control: the weights of rwr-return, shuffled over the transitions.",
        {"algo": "rwr", "weight_by": "return", "control": "permuted"},
    ),
    "rwr-return-clock": ArmSpec(
        "Control: weights as uneven as those of rwr-return, from the time step alone.",
        {"algo": "rwr", "weight_by": "return", "control": "clock"},
    ),
    "rwr-outcome": ArmSpec(
        "Each episode weighted by how near to the goal it ended.",
        {"algo": "rwr", "weight_by": "outcome"},
    ),
    "rwr-outcome-permuted": ArmSpec(
        "Control: the weights of rwr-outcome, shuffled over the episodes.",
        {"algo": "rwr", "weight_by": "outcome", "control": "permuted"},
    ),
    "rwr-outcome-length": ArmSpec(
        "Control: weights by length, the shortest heaviest, as uneven as those of rwr-outcome "
        "where lengths differ.",
        {"algo": "rwr", "weight_by": "outcome", "control": "length"},
    ),
    "bc-best": ArmSpec(
        "Cloning of the third of the episodes that ended nearest to the goal.",
        {"algo": "bc", "keep_best": BEST},
    ),
    "bc-best-permuted": ArmSpec(
        "Control: cloning of as many episodes, drawn at random.",
        {"algo": "bc", "keep_best": BEST, "control": "permuted"},
    ),
    "bc-best-length": ArmSpec(
        "Control: cloning of as many episodes, the shortest.",
        {"algo": "bc", "keep_best": BEST, "control": "length"},
    ),
    "bc-success": ArmSpec(
        "Control: cloning of the successful episodes, by their label.",
        {"algo": "bc", "only_successes": True},
    ),
    "rwr-advantage": ArmSpec(
        "Weighted by the advantage: the return less what the observation alone predicts.",
        {"algo": "rwr", "weight_by": "advantage"},
    ),
    "awr": ArmSpec("Advantage-weighted regression, with a learnt value function.", {"algo": "awr"}),
    "iql": ArmSpec("Implicit Q-learning on the visual reward.", {"algo": "iql"}),
    "scratch-bc": ArmSpec(
        "Cloning from pixels: encoder and policy trained together, without pre-training.",
        {"algo": "scratch-bc"},
    ),
}
# what may stand behind the @ of an arm -> algorithm that has it, field of TrainOptions
SET_BY_ARMS = {
    "tau": ("rwr", "tau"),
    "ess": ("rwr", "target_ess"),
    "beta": ("awr", "beta"),
    "expectile": ("iql", "expectile"),
    "inverse-temperature": ("iql", "inverse_temperature"),
    "share": ("bc", "keep_best"),
}
N_STEP = re.compile(r"rwr-([1-9][0-9]{0,8})-step")


def arm_spec(name: str) -> ArmSpec:
    """What an arm changes: one of `ARMS` or ``rwr-<n>-step``, with ``@...`` for its temperature.

    ``rwr-10-step``, ``rwr-step@0.1``, ``rwr-return@auto`` (tau by the recipe's target_ess),
    ``rwr-return@ess=0.2`` (tau by this one), ``bc-best@share=0.2`` (the best fifth),
    ``awr@beta=0.3`` and ``bc@list=keep`` (of the episodes in a list of this name) are arms.

    Raises:
        VipOfflineError: on a name that is none of these.
    """
    base, _, at = name.partition("@")
    n_step = N_STEP.fullmatch(base)
    if n_step:
        changes = {"algo": "rwr", "weight_by": "n-step", "n_steps": int(n_step[1])}
        spec = ArmSpec(f"Weighted by the visual rewards of the next {n_step[1]} steps.", changes)
    elif base in ARMS:
        spec = ARMS[base]
    else:
        raise VipOfflineError(f"Unknown variant {name!r}.{did_you_mean(base, ARMS)}")
    if not at:
        return spec
    key, _, value = at.rpartition("=")
    key = key or "tau"
    if key == "list":
        return ArmSpec(
            f"{spec.description} Of the episodes in list {value} alone.",
            {**spec.changes, "episodes": value},
        )
    if key not in SET_BY_ARMS:
        raise VipOfflineError(f"Unknown variant {name!r}.{did_you_mean(key, SET_BY_ARMS)}")
    algo, field = SET_BY_ARMS[key]
    if spec.changes["algo"] != algo or (key == "share" and field not in spec.changes):
        owners = "bc-best and its controls" if key == "share" else f"variants of {algo}"
        raise VipOfflineError(f"Unknown variant {name!r}: only {owners} have {key}.")
    changes = dict(spec.changes)
    try:
        changes[field] = value if (key, value) == ("tau", "auto") else float(value)
    except ValueError:
        raise VipOfflineError(f"Unknown variant {name!r}: {value!r} is no {key}.") from None
    if key == "ess":
        changes["tau"] = "auto"
    return ArmSpec(f"{spec.description} {key} {value}.", changes)


def check_compare(options: CompareOptions) -> None:
    """Refuse a comparison that cannot be made.

    Raises:
        VipOfflineError: on an unknown or repeated arm, no baseline, or no seed.
    """
    for name in options.arms:
        changes_of(name, options)
    if len(set(options.arms)) < len(options.arms) or BASELINE not in options.arms:
        raise VipOfflineError(
            f"variants {list(options.arms)}: each may stand there once, and {BASELINE!r} must, "
            "since the others are measured against it."
        )
    check_ranges(options)
    check_device(options.device)


def changes_of(arm: str, options: CompareOptions) -> Mapping[str, Any]:
    """What an arm changes in `TrainOptions`, its list of episodes by the file that holds it.

    Raises:
        VipOfflineError: on a variant or a list that is not there.
    """
    changes = arm_spec(arm).changes
    if "episodes" not in changes:
        return changes
    files = dict(_list_and_file(text) for text in options.lists)
    name = changes["episodes"]
    if name not in files:
        raise VipOfflineError(
            f"variant {arm}: no list {name!r}.{did_you_mean(name, files)} Say --list {name}=FILE."
        )
    return {**changes, "episodes": files[name]}


def _list_and_file(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not (equals and name and file):
        raise VipOfflineError(f"--list {text}: expected NAME=FILE.")
    return name, file
