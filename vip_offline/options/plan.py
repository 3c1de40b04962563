"""Options of planning on a visual reward, without a policy and without demonstrations."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Literal

from vip_offline.options.fields import Option, OptionError, check_ranges
from vip_offline.options.nuisance import NuisanceKinds, NuisanceLevel, check_nuisance
from vip_offline.options.reward import Computing, EncoderBackend, EncoderDevice, FrameFit

OptimizerName = Literal["mppi", "cem"]
DefaultAction = Literal["mean", "repeat"]
Start = Literal["easy", "hard"]
DENSE = "dense"  # in place of an encoder: the simulator's own reward
STEPS: dict[Start, int] = {"easy": 50, "hard": 100}
_RecipeOption = partial(Option, recipe_only=True)


@dataclass(frozen=True)
class SearchOptions:
    """How action sequences are searched; the defaults are those of the paper's experiments."""

    optimizer: Annotated[
        OptimizerName,
        Option(
            "Optimiser of action sequences. mppi: weighted mean of all sequences; cem: mean of the "
            "best ones.",
            "section 5.1",
        ),
    ] = "mppi"
    horizon: Annotated[int, Option("Planning horizon in steps.", "section 5.1", ge=1, le=500)] = 12
    sequences: Annotated[
        int, Option("Sequences per iteration.", "section 5.1, Fig. 5", ge=2, le=100_000)
    ] = 32
    iterations: Annotated[
        int, Option("Iterations of the optimiser per environment step.", ge=1, le=1000)
    ] = 1
    sigma: Annotated[
        float, Option("Standard deviation of the noise before it is filtered.", gt=0)
    ] = 1.0
    # 0.25 and 0.8 settle at a standard deviation of 0.25 / sqrt(1 - 0.8^2) = 0.42 sigma
    filter: Annotated[
        tuple[float, ...],
        Option(
            "Noise filter b0,b1,b2: noise of step t is b0 e(t) + b1 noise(t-1) + b2 noise(t-2), "
            "from the third step on.",
            flags=("--noise-filter",),
            separator=",",
        ),
    ] = (0.25, 0.8, 0.0)
    kappa: Annotated[
        float,
        Option(
            "Inverse temperature of mppi: sequences weigh exp(kappa x score). The larger, the "
            "greedier.",
            gt=0,
        ),
    ] = 5.0
    # scores are in units of the embedding: of 32 sequences 25 count at a spread of 0.1, 2 at 1
    kappa_by_spread: Annotated[
        bool,
        Option(
            "Divide kappa by the standard deviation of the scores, so that it means the same for "
            "every encoder.",
            flags=("--kappa-by-spread",),
        ),
    ] = False
    elites: Annotated[
        float, Option("Share of the sequences that cem keeps, at least two of them.", gt=0, le=1)
    ] = 0.125
    default_action: Annotated[
        DefaultAction,
        Option(
            "Last action of the sequence that the next step starts from. mean: zero, the middle of "
            "the action range; repeat: the one before."
        ),
    ] = "mean"

    def check(self) -> None:
        """Refuse values that no search can have.

        Raises:
            OptionError: naming the option.
        """
        check_ranges(self)
        if len(self.filter) != 3:
            raise OptionError(
                SearchOptions, "filter", self.filter, "must be three numbers, as 0.25,0.8,0."
            )


@dataclass(frozen=True)
class PlanOptions:
    """What is planned, and by which reward (section 5.1, appendix E.3)."""

    view: Annotated[
        str, Option("View of the camera.", "section 5.1", default_text="the simulator's own")
    ] = ""
    encoder: Annotated[
        str,
        Option(
            "Frozen encoder of the reward; `vip-offline encoders` lists them. dense: the task's "
            "dense reward from the true state instead.",
            "section 4",
        ),
    ] = "lite0"
    weights: Annotated[str, Option("Checkpoint file of the encoder, if it ships without.")] = ""
    goal: Annotated[
        str,
        Option(
            "Goal: an image file, or for tasks of Kitchen object, the object moved and the arm at "
            "home.",
            "Eq. 1",
            default_text="last frame of the scripted expert; for Kitchen its stored goal",
        ),
    ] = ""
    start: Annotated[
        Start,
        Option(
            "Start of an episode. hard: the simulator's own; easy: near the object, for tasks that "
            "have such a start.",
            "appendix E.3",
        ),
    ] = "hard"
    steps: Annotated[
        int,
        Option(
            "Environment steps of an episode; 0: 50 with --start easy, 100 with hard.",
            "appendix E.3",
            ge=0,
            le=500,
        ),
    ] = 0
    seeds: Annotated[int, Option("Number of episodes, with seeds from --seed on.", ge=1)] = 3
    seed: Annotated[int, Option("Seed of the first episode's noise.", ge=0, lt=2**32)] = 0
    placement: Annotated[
        int, Option("Seed of the object placement, the same for all seeds.", ge=0, lt=2**31)
    ] = 0
    image_size: Annotated[
        int, Option("Height and width of the frames in pixels; an even number.", ge=16, le=2048)
    ] = 128
    fit: FrameFit = "crop"
    nuisance: NuisanceKinds = ()
    nuisance_level: NuisanceLevel = 1
    processes: Annotated[int, Option("Number of simulator processes.", ge=1, le=256)] = 2
    backend: EncoderBackend = Computing.backend
    device: EncoderDevice = Computing.device

    @property
    def length(self) -> int:
        """Environment steps of an episode."""
        return self.steps or STEPS[self.start]

    def check(self) -> None:
        """Refuse values that no episode can have.

        Raises:
            OptionError: naming the option.
        """
        check_ranges(self)
        check_nuisance(self)
        if self.image_size % 2:
            raise OptionError(
                PlanOptions, "image_size", self.image_size, "must be even, for the videos."
            )
        if self.encoder == DENSE and self.goal:
            raise OptionError(
                PlanOptions, "goal", self.goal, "--encoder dense looks at no picture. Leave it out."
            )


@dataclass(frozen=True)
class PlanRecipe:
    """Plans for every task, view, encoder and seed; `plan` itself is one of a single task."""

    plan: PlanOptions = field(default_factory=PlanOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    name: Annotated[str, _RecipeOption("Name of the recipe.", default_text="that of the file")] = (
        "recipe"
    )
    out: Annotated[str, _RecipeOption("Folder of the runs.", default_text="runs/NAME")] = ""
    tasks: Annotated[tuple[str, ...], _RecipeOption("Tasks of the simulators.")] = ()
    views: Annotated[
        tuple[str, ...], _RecipeOption("Views.", default_text="the one of [plan]")
    ] = ()
    encoders: Annotated[
        tuple[str, ...],
        _RecipeOption("Encoders, dense among them.", default_text="the one of [plan]"),
    ] = ()
    sequences: Annotated[
        tuple[int, ...],
        _RecipeOption("Numbers of sequences, as Fig. 5.", default_text="the one of [search]"),
    ] = ()

    def cells(self) -> list[tuple[str, PlanOptions, SearchOptions]]:
        """Task and options of each combination, without the seeds, which each of them has."""
        plan, search = self.plan, self.search
        return [
            (
                task,
                # the dense reward looks at no picture
                replace(
                    plan, view=view, encoder=encoder, goal="" if encoder == DENSE else plan.goal
                ),
                replace(search, sequences=sequences),
            )
            for task in self.tasks
            for sequences in self.sequences or (search.sequences,)
            for encoder in self.encoders or (plan.encoder,)
            for view in self.views or (plan.view,)
        ]
