"""Chains of stages, as a recipe file describes them."""

import typing
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Annotated, Any

from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.options.data import ImportOptions, RecordOptions
from vip_offline.options.fields import Option
from vip_offline.options.nuisance import HIGHEST_LEVEL, NuisanceKinds
from vip_offline.options.policy import CompareOptions, RolloutOptions, TrainOptions
from vip_offline.options.pretrain import Objective, PretrainOptions
from vip_offline.options.reward import RelabelOptions

# only a recipe chains stages and makes several stores or encoders: these have no flags
_RecipeOption = partial(Option, recipe_only=True)
NUISANCE = "nuisance"  # of the recordings, what `leave_out` calls them
_Name = Annotated[str, _RecipeOption("Name of the recipe.", default_text="that of the file")]


@dataclass(frozen=True)
class ImportedData(ImportOptions):
    """Demonstrations that a recipe begins with in place of recording some."""

    source: Annotated[
        str,
        _RecipeOption(
            "File or folder to import, or a Minari id. Like every path in a recipe it is relative "
            "to the working directory, not to the recipe."
        ),
    ] = ""
    format: Annotated[
        str,
        Option(
            "Format: lerobot, robomimic, zarr, minari or folders.",
            flags=("--format",),
            default_text="as recognised",
        ),
    ] = ""

    @property
    def options(self) -> ImportOptions:
        """How it is imported: what the command `import` would be given."""
        names = (option.name for option in fields(ImportOptions))
        return ImportOptions(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class Recipe:
    """A chain of stages: record or import, relabel, train each variant, roll out, compare."""

    name: _Name = "recipe"
    store: Annotated[str, _RecipeOption("Store.", default_text="datasets/NAME.zarr")] = ""
    out: Annotated[
        str, _RecipeOption("Folder of policies, rollouts and report.", default_text="runs/NAME")
    ] = ""
    # in place of `record`; [import] in the file, which is a word of Python
    import_: ImportedData | None = None
    record: RecordOptions = field(default_factory=RecordOptions)
    relabel: RelabelOptions = field(default_factory=RelabelOptions)
    train: TrainOptions = field(default_factory=TrainOptions)
    rollout: RolloutOptions = field(default_factory=RolloutOptions)
    compare: CompareOptions = field(default_factory=CompareOptions)


@dataclass(frozen=True)
class TrialOptions:
    """Recordings of other tasks, on which encoders are compared."""

    tasks: Annotated[
        tuple[str, ...], _RecipeOption("Meta-World tasks to compare encoders on.")
    ] = ()
    episodes: Annotated[int, _RecipeOption("Number of episodes per task.", ge=1, le=1000)] = 20
    failures: Annotated[int, _RecipeOption("Number of failed episodes among them.", ge=0)] = 10
    first_placement: Annotated[
        int, _RecipeOption("Seed of the first episode's placement.", ge=0, le=2**31 - 20_000)
    ] = 20_000
    nuisance: NuisanceKinds = ()
    nuisance_levels: Annotated[
        tuple[int, ...],
        _RecipeOption(
            "Strengths of the nuisances that the tasks are recorded at, each in stores of its own.",
            ge=0,
            le=HIGHEST_LEVEL,
        ),
    ] = (0,)
    stride: Annotated[int, _RecipeOption("Frames from one embedded frame to the next.", ge=1)] = 1
    encoders: Annotated[tuple[str, ...], _RecipeOption("Encoders to compare with.")] = (
        "lite0",
        "random-resnet18",
        "pixels",
    )


@dataclass(frozen=True)
class PretrainRecipe:
    """Encoders from videos: record what is missing, train each, compare them on other tasks."""

    pretrain: PretrainOptions
    name: _Name = "recipe"
    out: Annotated[str, _RecipeOption("Folder of the runs.", default_text="runs/NAME")] = ""
    videos: Annotated[
        tuple[str, ...], _RecipeOption("Folders, stores and manifests of videos to train on.")
    ] = ()
    tasks: Annotated[
        tuple[str, ...], _RecipeOption("Meta-World tasks to record and train on, beside `videos`.")
    ] = ()
    held_out_tasks: Annotated[
        tuple[str, ...],
        _RecipeOption(
            "Tasks that are recorded as well and not trained on: encoders are validated by them.",
            default_text="none; a share of the videos of each task is held out",
        ),
    ] = ()
    record: RecordOptions = field(default_factory=RecordOptions)
    clean_episodes: Annotated[
        int,
        _RecipeOption(
            "Episodes per task recorded without the nuisances of [record], in stores of their own.",
            ge=0,
            le=1000,
        ),
    ] = 0
    folder: Annotated[
        str, _RecipeOption("Folder of those recordings.", default_text="datasets/NAME")
    ] = ""
    objectives: Annotated[
        tuple[str, ...],
        _RecipeOption("Objectives to train, one run each.", default_text="the one of [pretrain]"),
    ] = ()
    equal_frames: Annotated[
        bool,
        _RecipeOption(
            "Give tcn four steps where the others have three: it draws three frames per "
            "sub-trajectory, they draw four."
        ),
    ] = False
    seeds: Annotated[
        int, _RecipeOption("Number of runs per objective, with seeds from pretrain.seed on.", ge=1)
    ] = 1
    leave_out: Annotated[
        tuple[str, ...],
        _RecipeOption(
            "Options of [pretrain] that further runs of the first objective and seed leave at "
            "their defaults, one each; `nuisance`: such a run sees the clean episodes alone.",
        ),
    ] = ()
    paths_at: Annotated[
        tuple[int, ...],
        _RecipeOption(
            "Steps at which the embedding path of a held-out video is drawn, for backbones with "
            "two outputs.",
            "Fig. 2",
            ge=1,
        ),
    ] = ()
    trial: TrialOptions = field(default_factory=TrialOptions)

    def runs(self) -> dict[str, PretrainOptions]:
        """What is trained, by the name of its folder; a single one lies in `out` itself."""
        options = self.pretrain
        if self.held_out_tasks:
            groups = (group for task in self.held_out_tasks for group in self.groups_of(task))
            options = replace(options, hold_out_groups=tuple(groups))
        names = self.objectives or (options.objective,)
        if len(names) == self.seeds == 1 and not self.leave_out:
            return {"": replace(options, objective=_objective(names[0]))}
        steps = {"tcn": options.steps * 4 // 3} if self.equal_frames else {}
        runs = {
            f"{name}-{seed}": replace(
                options,
                objective=_objective(name),
                seed=seed,
                steps=steps.get(name, options.steps),
            )
            for name in names
            for seed in range(options.seed, options.seed + self.seeds)
        }
        first = f"{names[0]}-{options.seed}"
        for left_out in self.leave_out:
            runs[f"{first}-without-{left_out}"] = replace(runs[first], **_default_of(left_out))
        return runs

    def groups_of(self, task: str) -> tuple[str, ...]:
        """Names of the stores of a task that is recorded: that of [record], and the clean one."""
        name = task.replace("/", "-")
        return (name, f"{name}-clean") if self.clean_episodes else (name,)

    def sees_nuisances(self, run: str) -> bool:
        """Whether a run is trained on the episodes of [record], and not on the clean ones alone."""
        return not (self.clean_episodes and run.endswith(f"-without-{NUISANCE}"))


def _default_of(name: str) -> dict[str, Any]:
    """What leaves an option of [pretrain] out."""
    if name == NUISANCE:
        return {}
    known = {option.name: option.default for option in fields(PretrainOptions)}
    if name not in known:
        hint = did_you_mean(name, (NUISANCE, *known))
        raise VipOfflineError(f"leave_out: {name!r} is no option of [pretrain].{hint}")
    # the goal's nuisances are of the same kind
    return {name: known[name]} | ({"goal_augment": 0.0} if name == "augment" else {})


def _objective(name: str) -> Objective:
    known = typing.get_args(Objective)
    if name not in known:
        raise VipOfflineError(f"objectives: unknown {name!r}.{did_you_mean(name, known)}")
    return typing.cast("Objective", name)
