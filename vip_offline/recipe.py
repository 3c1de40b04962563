"""Every knob of every stage on one page, and the TOML files that say what differs.

One small frozen dataclass per stage; each field carries its unit and its source. A recipe file
holds differences only. Unknown tables and keys are refused with the nearest known name.
"""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.utils.size_limits import HANDWRITTEN, read_description

WeightBy = Literal["auto", "step", "n-step", "return", "advantage", "outcome"]
Head = Literal["deterministic", "gaussian"]
Control = Literal["none", "permuted", "clock", "length"]
NormaliseActions = Literal["quantile", "limits", "std", "none"]
GripperMode = Literal["auto", "regress"]
Reward = Literal["difference", "shaping", "distance", "sparse", "success"]
Similarity = Literal["auto", "l2", "cosine"]
BackendName = Literal["auto", "torch", "onnx"]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16"]
Fit = Literal["crop", "pad", "squash"]
Objective = Literal["vip", "tcn", "lstd"]
Sampling = Literal["algorithm-1", "released"]
Negatives = Literal["pooled", "separate"]
Norm = Literal["batch", "frozen"]
Mixed = Literal["fp32", "bf16", "fp16"]
Pack = Literal["auto", "always", "never"]


@dataclasses.dataclass(frozen=True)
class RecordOptions:
    """Demonstrations from a scripted expert (paper, appendix F.1: 10 experts + 20 failures)."""

    task: str = "drawer-close"  # a Meta-World task, without its version suffix
    episodes: int = 30  # in all
    failures: int = 20  # of them; their kinds take turns, see run/experts.py
    image_size: int = 128  # px, square
    camera: str = "corner"  # the name under which frames are stored
    max_steps: int = 100  # environment steps of a failed episode; the paper's rollout horizon
    tail: int = 6  # steps kept after success, so that the last frame is a goal picture
    first_placement: int = 0  # seed of the first episode's object placement
    # leave a target that nothing shows where Meta-World draws it, so that no policy can know it;
    # else it is fixed, see run/targets.py
    hidden_goal: bool = False


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """What of an origin is imported, and how."""

    # "action=actions", "proprio=a,b", "action=robot.a*", "camera:top=images.top", "time=log.stamp"
    key_map: tuple[str, ...] = ()
    # of rows whose times nothing says, in Hz: "50"; or of one file, whatever it says: "robot=50"
    rates: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()  # of those there are; none: all
    size: tuple[int, int] | None = None  # (height, width) of frames; None: as they are
    max_episodes: int = 0  # 0: all
    copy_frames: bool = False  # frames of videos into the store, rather than a pointer to them
    link_frames: bool = False  # leave frames of zarr arrays where they are
    decode: bool = False  # every frame of the videos, to find damaged ones now
    skip_broken: bool = False  # leave out episodes that cannot be read, and say which


@dataclasses.dataclass(frozen=True)
class PretrainOptions:
    """An encoder from videos (paper, section 4; the defaults are Table 2 and appendix D.1)."""

    objective: Objective = "vip"  # Eq. 4; R3M's time-contrastive loss; Eq. 29
    backbone: str = "vip"  # ResNet-50, 1,024 outputs (Table 2); see `vip-offline encoders`
    init: str = ""  # an encoder of the table or a checkpoint to begin with; empty: random (D.2)
    init_weights: str = ""  # checkpoint of `init`, where that encoder carries none
    # pull towards what `init` makes of the same frames, for few videos: with 1, collapse into their
    # mean would cost 1. The paper's in-domain VIP from scratch overfits (Table 1)
    anchor: float = 0.0
    norm: Norm = "batch"  # frozen: BatchNorm by the statistics it has, as in few-shot fine-tuning
    gamma: float = 0.98  # (Table 2)
    negatives: int = 3  # per sub-trajectory (D.1)
    negative_term: Negatives = "pooled"  # in one logarithm (D.1); separate: as the released code
    sampling: Sampling = "algorithm-1"  # released: start never the last but one, any negative
    stride: int = 1  # frames from o_k to o_k+1; more for a fast camera, whose frames hardly differ
    crop: bool = True  # one random resized crop per sub-trajectory (D.1)
    l1: float = 0.001  # on embeddings (Table 2; the released Ego4D settings)
    l2: float = 0.001
    learning_rate: float = 1e-4  # of Adam (Table 2)
    batch_size: int = 32  # sub-trajectories, over all processes (Table 2)
    steps: int = 20_000  # the paper does not say; the released settings have 2,000,000
    hold_out: float = 0.1  # share of the videos that validation is on
    validate_every: int = 500  # steps
    save_every: int = 500  # steps
    keep: int = 3  # checkpoints, the latest
    seed: int = 0  # of the weights, of what is drawn and of which videos are held out
    camera: str = ""  # of stores: which; empty: all, each a video
    pack: Pack = "auto"  # frames once decoded to a file of the size that is trained on
    pack_folder: str = ""  # where such files lie, for several runs; empty: in the run's folder
    pack_gib: float = 20.0  # that auto may use; larger: frames are decoded as they are drawn
    readers: int = 2  # threads that read and crop ahead
    device: Device = "cpu"
    precision: Mixed = "fp32"  # bf16, fp16: mixed, made for CUDA
    max_skipped: float = 0.01  # share of the videos that may be unreadable; they are named


@dataclasses.dataclass(frozen=True)
class Computing:
    """What embeds frames; all choices agree to 1e-3 of an embedding's length."""

    backend: BackendName = "auto"  # auto: ONNX Runtime where installed and on the CPU, else torch
    device: Device = "cpu"
    precision: Precision = "fp32"  # fp16: mixed precision, torch only; made for CUDA


@dataclasses.dataclass(frozen=True)
class RelabelOptions:
    """Rewards from a frozen encoder (Eq. 1)."""

    encoder: str = "lite0"  # see `vip-offline encoders`
    weights: str = ""  # path of a checkpoint, for encoders that carry none
    camera: str = ""  # which frames; empty: the store's only one; "a,b": both, side by side
    # how a frame that is not square becomes one: crop: its central square, as the publishers do;
    # pad: the whole frame between bars; squash: the whole frame, its aspect ignored
    fit: Fit = "crop"
    name: str = ""  # of the labelling; empty: the encoder's name
    # what the mean goal is taken of: successes (their last frames), EPISODE:FRAME, a picture file,
    # or text:PROMPT; no mean: last (each episode's own last frame), nearest:successes (of each
    # frame the nearest of the other successes' last frames; where the goal moves with an object)
    goal: tuple[str, ...] = ("successes",)
    stages: tuple[str, ...] = ()  # in place of a goal: goals to reach one after the other
    # a goal counts as reached at this share of the first distance to it; by lite0 the quickstart's
    # successes end at 0.36 to 0.66 of it, of its failures one comes below 0.7
    reach: float = 0.7
    reward: Reward = "difference"  # Eq. 1; see label/rewards.py
    similarity: Similarity = "auto"  # S: l2 is -|phi(o) - phi(g)|; auto: cosine for text, else l2
    gamma: float = 0.98  # discount of the shaping reward (Table 2)
    n_steps: int = 1  # reward over so many steps ahead
    batch_size: int = 0  # frames per forward pass; 0: what is fastest. Changes no embedding
    backend: BackendName = Computing.backend
    device: Device = Computing.device
    precision: Precision = Computing.precision

    @property
    def computing(self) -> Computing:
        """What embeds the frames."""
        return Computing(self.backend, self.device, self.precision)


@dataclasses.dataclass(frozen=True)
class AnalyzeOptions:
    """What `analyze` looks at."""

    labels: tuple[str, ...] = ()  # labellings side by side; empty: the store's only one
    n_steps: int = 20  # as `TrainOptions.n_steps`
    target_ess: float = 0.1  # as `TrainOptions.target_ess`
    films: int = 0  # episodes of which a film is made, video beside curve


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """Weighted regression (Eq. 7) and its relatives, with the settings of appendix F.2."""

    algo: str = "rwr"  # rwr; bc (= rwr with tau 0); awr; iql; scratch-bc (pixels, end to end)
    head: Head = "deterministic"  # of rwr, bc, awr: the mean action alone, or a Gaussian around it
    # temperature in exp(tau R); auto: by target_ess. The paper's are 0.1 and 1, of Eq. 7 as printed
    tau: float | Literal["auto"] = "auto"
    # effective sample size that `tau = "auto"` aims at, share of uniform. On pilot placements
    # (recipes/pilot-outcome-*.toml) "outcome" had 96, 88, 72 % success at 0.1, 0.2, 0.33 on
    # drawer-close, 92, 74, 70 on window-close, 38, 62, 72 on push; "return" at 0.1 88, 78, 72;
    # cloning 44, 48, 26. More of "return" in pilot-*.toml
    target_ess: float = 0.1
    # R in the exponent: of a step (Eq. 7), of the steps that follow, or of a whole episode, by how
    # near to the goal it ended; auto: outcome, or step where tau is a number
    weight_by: WeightBy = "auto"
    # that weight_by "n-step" looks ahead; in those pilots 1, 5, 10, 20 had 44, 50, 51, 63 % at 0.1
    n_steps: int = 20
    standardise_scores: bool = False  # R to zero mean, unit variance: tau then fits any encoder
    weight_cap: float = 0.0  # largest weight, in units of the mean one; 0: none
    # the same weights without what the camera saw: permuted, by time, by an episode's length
    control: Control = "none"
    only_successes: bool = False  # train on the successful episodes alone
    keep_best: float = 1.0  # train on this share of the episodes, the best by outcome ("%BC")
    label: str = ""  # the labelling; empty: the recipe's own, or the store's only one
    # that the policy sees, side by side in this order; empty: those of the labelling
    cameras: tuple[str, ...] = ()
    fit: Fit = "crop"  # of scratch-bc, as `RelabelOptions.fit`; others see what their label saw
    hidden: tuple[int, ...] = (256, 256)  # units per layer (F.2)
    learning_rate: float = 1e-3  # of Adam (F.2)
    batch_size: int = 32  # transitions (F.2)
    steps: int = 20_000  # gradient steps (F.2)
    standardise: bool = True  # inputs to zero mean, unit variance of the training set
    # each action dimension to [-1, 1], whatever its unit: from the least to the greatest action
    # that is no outlier (data/outliers.py judges by quantiles), of all actions (limits), three
    # deviations about the mean (std), or not at all, for actions within [-1, 1] (none)
    normalise_actions: NormaliseActions = "quantile"
    # an action with two values in the training set is one of them when the policy acts, with
    # hysteresis (auto), or whatever the network gives (regress)
    gripper: GripperMode = "auto"
    hold_out: int = 0  # successful episodes kept back, to measure the action error on
    discount: float = 0.99  # of awr and iql
    beta: float = 1.0  # of awr: weight exp(advantage / beta), in deviations of the return
    expectile: float = 0.7  # of iql
    inverse_temperature: float = 3.0  # of iql: weight exp(it * advantage), same unit
    seed: int = 0  # of the network's weights and of the order of batches

    @property
    def weighs_by(self) -> WeightBy:
        """What weights are by, never ``auto``; nothing is weighed by algorithms without weights."""
        if self.weight_by != "auto":
            return self.weight_by
        return "outcome" if self.tau == "auto" else "step"


@dataclasses.dataclass(frozen=True)
class RolloutOptions:
    """Closed loop in the simulator (appendix F.2: horizon 100)."""

    placements: int = 20  # unseen object placements
    first_placement: int = 100_000  # seed of the first; never one that was recorded
    horizon: int = 100  # environment steps
    videos: int = 3  # mp4s of the first placements, per policy
    processes: int = 2  # that simulate and render
    environments: int = 32  # rollouts that advance together, per process


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """Arms x seeds x placements on the same data."""

    arms: tuple[str, ...] = (
        "bc",
        "rwr-step",
        "rwr-return",
        "rwr-outcome",
        "rwr-outcome-permuted",
        "rwr-outcome-length",
        "bc-best",
        "bc-success",
    )
    seeds: int = 10  # policies per arm
    processes: int = 2  # trainings that run side by side, one thread each


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A chain of stages: record, relabel, train and roll out each arm, compare."""

    name: str = "recipe"
    store: str = ""  # path; empty: datasets/<name>.zarr
    out: str = ""  # folder of policies, rollouts and report; empty: runs/<name>
    record: RecordOptions = dataclasses.field(default_factory=RecordOptions)
    relabel: RelabelOptions = dataclasses.field(default_factory=RelabelOptions)
    train: TrainOptions = dataclasses.field(default_factory=TrainOptions)
    rollout: RolloutOptions = dataclasses.field(default_factory=RolloutOptions)
    compare: CompareOptions = dataclasses.field(default_factory=CompareOptions)


@dataclasses.dataclass(frozen=True)
class TrialOptions:
    """Recordings of other tasks, on which encoders are tried beside others."""

    tasks: tuple[str, ...] = ()
    episodes: int = 20  # of each task
    failures: int = 10  # of them
    first_placement: int = 20_000  # seed of the first
    encoders: tuple[str, ...] = ("lite0", "random-resnet18", "pixels")  # to compare with


@dataclasses.dataclass(frozen=True)
class PretrainRecipe:
    """Encoders from videos: record what is missing, train each, try them on other tasks."""

    pretrain: PretrainOptions
    name: str = "recipe"
    out: str = ""  # folder of the runs; empty: runs/<name>
    videos: tuple[str, ...] = ()  # folders, stores and manifests
    tasks: tuple[str, ...] = ()  # Meta-World tasks that are recorded for it, beside `videos`
    record: RecordOptions = dataclasses.field(default_factory=RecordOptions)
    folder: str = ""  # of those recordings; empty: datasets/<name>
    objectives: tuple[str, ...] = ()  # one training each; empty: the one of [pretrain]
    # give tcn four steps where the others have three: it draws three frames where they draw four
    equal_frames: bool = False
    seeds: int = 1  # trainings of each, from pretrain.seed on
    # steps of which Fig. 2 is drawn: the path of a held-out video, of backbones with two outputs
    paths_at: tuple[int, ...] = ()
    trial: TrialOptions = dataclasses.field(default_factory=TrialOptions)

    def runs(self) -> dict[str, PretrainOptions]:
        """What is trained, by the name of its folder; a single one lies in `out` itself."""
        options = self.pretrain
        names = self.objectives or (options.objective,)
        if len(names) == self.seeds == 1:
            return {"": dataclasses.replace(options, objective=_objective(names[0]))}
        longer = {"tcn": options.steps * 4 // 3} if self.equal_frames else {}
        return {
            f"{name}-{seed}": dataclasses.replace(
                options,
                objective=_objective(name),
                seed=seed,
                steps=longer.get(name, options.steps),
            )
            for name in names
            for seed in range(options.seed, options.seed + self.seeds)
        }


def _objective(name: str) -> Objective:
    known = typing.get_args(Objective)
    if name not in known:
        raise VipOfflineError(f"objectives: unknown {name!r}.{did_you_mean(name, known)}")
    return typing.cast("Objective", name)


Options = TypeVar("Options")


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a TOML value may stand in a field of this annotation."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return value in typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in typing.get_args(annotation))
    if origin is tuple:
        item = typing.get_args(annotation)[0]
        return isinstance(value, list | tuple) and all(_fits(each, item) for each in value)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation)


def _spelled(annotation: Any) -> str:
    """Name an annotation the way a user would: ``step or return``, ``a number or auto``."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return " or ".join(repr(each) for each in typing.get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_spelled(each) for each in typing.get_args(annotation))
    if origin is tuple:
        return f"a list of {_spelled(typing.get_args(annotation)[0])}"
    return {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}.get(
        annotation, str(annotation)
    )


def options_from(kind: type[Options], values: Mapping[str, Any], source: str) -> Options:
    """Build one dataclass from a mapping, naming what is wrong.

    Args:
        kind: a dataclass of this module.
        values: field -> value; nested mappings for nested dataclasses.
        source: where the values stand, for the message (``recipes/x.toml [train]``).

    Raises:
        VipOfflineError: on an unknown key or a value of another type.
    """
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            raise VipOfflineError(f"{source}: unknown key {key!r}.{did_you_mean(key, hints)}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise VipOfflineError(f"{source}: {key} is a table; write [{key}] on its own line.")
            fields[key] = options_from(typing.cast("type", hints[key]), value, f"{source} [{key}]")
        elif not _fits(value, hints[key]):
            raise VipOfflineError(f"{source}: {key} = {value!r} is not {_spelled(hints[key])}.")
        elif isinstance(value, list):
            fields[key] = tuple(value)
        else:
            fields[key] = value
    return kind(**fields)


def load_pretrain_recipe(path: Path) -> PretrainRecipe | None:
    """Read a recipe that trains encoders; None if the file has no [pretrain] table.

    Raises:
        VipOfflineError: see `load_recipe`.
    """
    values = read_toml(path)
    if "pretrain" not in values:
        return None
    recipe = options_from(PretrainRecipe, {"name": path.stem, **values}, str(path))
    if not recipe.videos and not recipe.tasks:
        raise VipOfflineError(f"{path}: names neither videos nor tasks to train on.")
    return dataclasses.replace(
        recipe,
        out=recipe.out or f"runs/{recipe.name}",
        folder=recipe.folder or f"datasets/{recipe.name}",
    )


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; its name is the file's, unless it says another.

    Raises:
        VipOfflineError: if the file is missing, is not TOML, or holds an unknown key.
    """
    recipe = options_from(Recipe, {"name": path.stem, **read_toml(path)}, str(path))
    return dataclasses.replace(
        recipe,
        store=recipe.store or f"datasets/{recipe.name}.zarr",
        out=recipe.out or f"runs/{recipe.name}",
        # the labelling that the recipe makes, whatever others the store holds
        train=dataclasses.replace(
            recipe.train,
            label=recipe.train.label or recipe.relabel.name or recipe.relabel.encoder,
            # every arm sees the same of a frame
            fit=recipe.relabel.fit if recipe.train.fit == "crop" else recipe.train.fit,
        ),
    )


def read_toml(path: Path, what: str = "recipe") -> dict[str, Any]:
    """A TOML file's content.

    Args:
        path: of the file.
        what: it is, for the message.

    Raises:
        VipOfflineError: if it is missing, or is not TOML of at most `HANDWRITTEN` bytes.
    """
    try:
        return tomllib.loads(read_description(path, HANDWRITTEN))
    except FileNotFoundError:
        near = sorted(str(each) for each in path.parent.glob("*.toml"))
        hint = f" There are: {', '.join(near)}." if near else ""
        raise VipOfflineError(f"{path}: no such {what}.{hint}") from None
    except (ValueError, RecursionError, OSError) as error:  # of huge numbers and deep tables, too
        raise VipOfflineError(f"{path}: cannot be read as TOML: {error}.") from None


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(each) for each in value)}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


def dump(options: Any) -> str:
    """Write a dataclass of this module as TOML text that `load_recipe` reads back."""
    plain, tables = [], []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value):
            tables.append(f"\n[{field.name}]\n{dump(value)}")
        else:
            plain.append(f"{field.name} = {_literal(value)}\n")
    return "".join(plain + tables)
