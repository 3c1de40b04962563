"""Options of the stages that make and evaluate policies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from vip_offline.options.data import Describe
from vip_offline.options.fields import Option
from vip_offline.options.nuisance import NuisanceKinds, NuisanceLevel
from vip_offline.options.reward import Device, Fit, NSteps, TargetEss

WeightBy = Literal["auto", "step", "n-step", "return", "advantage", "outcome"]
Head = Literal["deterministic", "gaussian"]
Control = Literal["none", "permuted", "clock", "length"]
NormaliseActions = Literal["quantile", "limits", "std", "none"]
GripperMode = Literal["auto", "regress"]


@dataclass(frozen=True)
class TrainOptions:
    """Weighted regression (Eq. 7) and its relatives, with the settings of appendix F.2."""

    algo: Annotated[
        str,
        Option(
            "Algorithm: rwr, bc (rwr with --tau 0), awr, iql, or scratch-bc, which learns from "
            "pixels end to end. Without any of --algo, --tau, --weight-by, --target-ess: bc if no "
            "episode failed."
        ),
    ] = "rwr"
    head: Annotated[
        Head, Option("Policy head of rwr, bc and awr: the mean action, or a Gaussian around it.")
    ] = "deterministic"
    # the paper's are 0.1 and 1, of Eq. 7 as printed
    tau: Annotated[
        float | Literal["auto"],
        Option(
            "Inverse temperature in exp(tau R): the larger, the sharper the weights. auto: set by "
            "--target-ess.",
            "Eq. 7",
            ge=0,
        ),
    ] = "auto"
    # on pilot placements (recipes/pilot-outcome-*.toml) "outcome" had 96, 88, 72 % success at 0.1,
    # 0.2, 0.33 on drawer-close, 92, 74, 70 on window-close, 38, 62, 72 on push; "return" at 0.1
    # 88, 78, 72; cloning 44, 48, 26. More of "return" in pilot-*.toml
    target_ess: TargetEss = 0.1
    weight_by: Annotated[
        WeightBy,
        Option(
            "R in the exponent: the reward of the step (Eq. 7), of the steps that follow, or of "
            "the episode, outcome being minus its final distance to the goal. auto: outcome; step "
            "if --tau is a number."
        ),
    ] = "auto"
    # in those pilots 1, 5, 10, 20 had 44, 50, 51, 63 % at 0.1
    n_steps: NSteps = 20
    weight_cap: Annotated[
        float, Option("Largest weight, as a multiple of the mean weight; 0: no cap.", ge=0)
    ] = 0.0
    control: Annotated[
        Control,
        Option(
            "Control: replace the visual weights by shuffled ones (permuted), by weights from the "
            "time step (clock) or from the episode's length (length)."
        ),
    ] = "none"
    only_successes: Annotated[bool, Option("Train on the successful episodes only.")] = False
    episodes: Annotated[
        str,
        Option(
            "Episodes to train on, by their numbers in the store: 0-9,12, or a file keep.json "
            "that names them, as curate writes it.",
            default_text="all",
        ),
    ] = ""
    keep_best: Annotated[
        float,
        Option(
            "Fraction of the episodes to train on: those that end nearest to the goal.", gt=0, le=1
        ),
    ] = 1.0
    label: Annotated[
        str, Option("Labelling to train on.", default_text="the only one of the store")
    ] = ""
    cameras: Annotated[
        tuple[str, ...],
        Option(
            "Cameras that the policy sees, in this order.",
            separator=",",
            default_text="those of the labelling",
        ),
    ] = ()
    # other algorithms see what their labelling saw
    fit: Annotated[Fit, Option("How frames become square for scratch-bc; see `relabel --fit`.")] = (
        "crop"
    )
    hidden: Annotated[
        tuple[int, ...],
        Option("Units of each hidden layer.", "appendix F.2", separator=",", ge=1),
    ] = (256, 256)
    learning_rate: Annotated[float, Option("Learning rate of Adam.", "appendix F.2", gt=0)] = 1e-3
    batch_size: Annotated[int, Option("Transitions per batch.", "appendix F.2", ge=1)] = 32
    steps: Annotated[int, Option("Gradient steps.", "appendix F.2", ge=1)] = 20_000
    standardise: Annotated[
        bool,
        Option(
            "Standardise the inputs by the mean and variance of the training set. The paper takes "
            "them raw."
        ),
    ] = True
    # quantile: outliers are found by quantiles (training/data/outliers.py)
    normalise_actions: Annotated[
        NormaliseActions,
        Option(
            "Scale each action dimension to [-1, 1]: by its range without outliers (quantile), by "
            "its range (limits), by three standard deviations about the mean (std), or not (none)."
        ),
    ] = "quantile"
    gripper: Annotated[
        GripperMode,
        Option(
            "How actions with two values in the training set are predicted. auto: as one of the "
            "two, with hysteresis; regress: as a number."
        ),
    ] = "auto"
    hold_out: Annotated[
        int,
        Option("Number of successful episodes held out to measure the action error on.", ge=0),
    ] = 0
    hold_out_failures: Annotated[
        int,
        Option("Number of failed episodes held out beside them, for compare --offline.", ge=0),
    ] = 0
    discount: Annotated[float, Option("Discount factor of awr and iql.", ge=0, le=1)] = 0.99
    beta: Annotated[
        float,
        Option(
            "Temperature of awr, whose weights are exp(advantage / beta), with advantages in "
            "standard deviations of the return.",
            gt=0,
        ),
    ] = 1.0
    expectile: Annotated[float, Option("Expectile of iql.", gt=0, lt=1)] = 0.7
    inverse_temperature: Annotated[
        float,
        Option(
            "Inverse temperature of iql, by which advantages are multiplied in the exponent; they "
            "are in standard deviations of the return.",
            gt=0,
        ),
    ] = 3.0
    seed: Annotated[
        int, Option("Seed of the initial weights and of the order of batches.", ge=0, lt=2**32)
    ] = 0

    @property
    def weighs_by(self) -> WeightBy:
        """What weights are by, never ``auto``; nothing is weighed by algorithms without weights."""
        if self.weight_by != "auto":
            return self.weight_by
        return "outcome" if self.tau == "auto" else "step"


@dataclass(frozen=True)
class RolloutOptions:
    """Closed loop in the simulator (appendix F.2: horizon 100)."""

    placements: Annotated[
        int,
        Option(
            "Number of unseen object placements per policy.",
            flags=("--placements", "--episodes"),
            ge=1,
            le=1_000_000,
        ),
    ] = 20
    first_placement: Annotated[
        int,
        Option(
            "Seed of the first placement; none may be in the store.", ge=0, le=2**31 - 1_000_000
        ),
    ] = 100_000
    # Meta-World raises beyond 500
    horizon: Annotated[
        int, Option("Environment steps of a rollout.", "appendix F.2", ge=1, le=500)
    ] = 100
    videos: Annotated[
        int, Option("Number of placements per policy to write as mp4, at most --placements.", ge=0)
    ] = 3
    processes: Annotated[int, Option("Number of simulator processes.", ge=1, le=256)] = 2
    environments: Annotated[
        int, Option("Number of environments per simulator process.", ge=1, le=1024)
    ] = 32
    nuisance: NuisanceKinds = ()
    nuisance_level: NuisanceLevel = 1


@dataclass(frozen=True)
class CompareOptions:
    """Variants x seeds x placements on the same data."""

    arms: Annotated[
        tuple[str, ...],
        Option(
            "Variants to compare, bc among them: the arms of the experiment, each one way to train "
            "a policy. One may set a parameter: rwr-step@0.1, bc-best@share=0.2; or learn from "
            "chosen episodes: bc@list=keep.",
            separator=",",
        ),
    ] = (
        "bc",
        "rwr-step",
        "rwr-return",
        "rwr-outcome",
        "rwr-outcome-permuted",
        "rwr-outcome-length",
        "bc-best",
        "bc-success",
    )
    lists: Annotated[
        tuple[str, ...],
        Option(
            "NAME=FILE, may be repeated: episodes that `curate` listed, of which VARIANT@list=NAME "
            "learns.",
            flags=("--list",),
        ),
    ] = ()
    seeds: Annotated[
        int, Option("Number of policies (per variant), with seeds from --seed on.", ge=1)
    ] = 10
    processes: Annotated[int, Option("Number of training processes, one thread each.", ge=1)] = 2
    device: Annotated[
        Device, Option("Device to train rwr and bc on; other algorithms use the CPU.")
    ] = "cpu"
    offline: Annotated[
        bool,
        Option(
            "Compare by held-out episodes (--hold-out) alone, without a simulator: action errors, "
            "agreement between seeds, novelty, and how often each picked the better policy."
        ),
    ] = False


@dataclass(frozen=True)
class ShipOptions:
    """What a policy folder takes along to another computer."""

    store: Annotated[Path | None, Option("Store of the training data, if it was moved.")] = None
    weights: Annotated[str, Option("Checkpoint file of the policy's encoder.")] = ""
    describe: Describe = None
    without_encoder: Annotated[
        bool, Option("Let policy.onnx take embeddings.", flags=("--without-encoder",))
    ] = False
