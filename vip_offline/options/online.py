"""Options of online reinforcement learning on a visual reward (paper, section 5.1)."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Literal

from vip_offline.options.fields import Option
from vip_offline.options.reward import Computing, EncoderBackend, EncoderDevice, Fit

OnlineAlgo = Literal["npg", "sac"]
OnlineReward = Literal["visual", "sparse", "dense"]
Observe = Literal["embedding", "state"]

# Training placements are seeds below, evaluation placements seeds from here on.
FIRST_EVALUATION = 100_000
# The paper names the implementation of NPG (mjrl), "its default hyper-parameters", and no launch
# configuration. mjrl has two sets of defaults: those of its classes and those of its examples.
_MJRL = "mjrl, as in appendix E.4"
_EXAMPLE = "mjrl's Hopper example"
_SAC = "d3rlpy's SAC"


@dataclass(frozen=True)
class OnlineOptions:
    """Task, reward and evaluation of a policy that learns by trial and error."""

    algo: Annotated[
        OnlineAlgo,
        Option("Algorithm: natural policy gradient, or d3rlpy's soft actor-critic.", "section 5.1"),
    ] = "npg"
    reward: Annotated[
        OnlineReward,
        Option(
            "Reward of a step. visual: how much closer it came to the goal picture (Eq. 1); "
            "sparse: 1 while the task is solved, else 0; dense: the task's, from the true state.",
            "section 5.1",
        ),
    ] = "visual"
    observe: Annotated[
        Observe,
        Option(
            "What the policy sees. embedding: the embedded frame and the robot's own joints; "
            "state: the simulator's state, a control that no robot has.",
            "section 5.1",
        ),
    ] = "embedding"
    encoder: Annotated[
        str, Option("Frozen encoder; `vip-offline encoders` lists them.", "section 4")
    ] = "lite0"
    weights: Annotated[str, Option("Checkpoint file of the encoder, if it ships without.")] = ""
    fit: Annotated[
        Fit, Option("How goal pictures that are not square become so; see `relabel --fit`.")
    ] = "crop"
    backend: EncoderBackend = Computing.backend
    device: EncoderDevice = Computing.device
    goal: Annotated[
        tuple[str, ...],
        Option(
            "Image file of the goal; may be repeated, then the goal is the mean embedding. object, "
            "of tasks of Kitchen: the object moved, the arm at home.",
            "Eq. 1",
            default_text="last frames of the scripted expert; for Kitchen its stored goal",
        ),
    ] = ()
    expert_goals: Annotated[
        int,
        Option(
            "Number of placements that the scripted expert solves for the goal: the mean embedding "
            "of its last frames.",
            "appendix F.1",
            ge=1,
            le=100,
        ),
    ] = 5
    image_size: Annotated[
        int, Option("Height and width of the frames in pixels; an even number.", ge=16, le=2048)
    ] = 128
    view: Annotated[str, Option("Camera to draw from.", default_text="the task's first")] = ""
    start: Annotated[
        str,
        Option(
            "Where episodes begin. hard: where the simulator does; easy, of tasks that have it: "
            "near the object.",
            "section 5",
        ),
    ] = "hard"
    hidden_goal: Annotated[
        bool,
        Option(
            "Draw targets that no frame shows anew for each episode instead of fixing them.",
            flags=("--hidden-goal",),
        ),
    ] = False
    horizon: Annotated[
        int,
        Option(
            "Episode length in environment steps; the paper has 50 (Easy) and 100 (Hard).",
            "section 5",
            ge=2,
            le=500,
        ),
    ] = 100
    steps: Annotated[
        int,
        Option(
            "Environment steps to train for, rounded up to whole iterations.",
            "appendix E.4: 500,000 Easy, 1,000,000 Hard",
            ge=1,
        ),
    ] = 500_000
    warm_up: Annotated[
        int,
        Option(
            "Number of episodes before training that set the scale of the inputs: of random "
            "actions, with --init of the policy's and some noise.",
            ge=1,
        ),
    ] = 10
    evaluate_every: Annotated[int, Option("Number of iterations between evaluations.", ge=1)] = 5
    placements: Annotated[
        int,
        Option("Number of held-out placements per evaluation.", "appendix E.4", ge=1, le=1_000_000),
    ] = 50
    first_placement: Annotated[
        int,
        Option(
            "Seed of the first held-out placement; training draws its own below 100000.",
            ge=FIRST_EVALUATION,
            le=2**31 - 1_000_000,
        ),
    ] = FIRST_EVALUATION
    videos: Annotated[
        int, Option("Number of held-out placements to film in the last evaluation.", ge=0)
    ] = 3
    init: Annotated[
        str,
        Option(
            "Policy folder to start from, of an offline training on the same task and encoder; "
            "for --algo sac."
        ),
    ] = ""
    processes: Annotated[int, Option("Number of simulator processes.", ge=1, le=256)] = 2
    environments: Annotated[
        int, Option("Number of environments per simulator process.", ge=1, le=1024)
    ] = 16
    seed: Annotated[
        int,
        Option("Seed of the initial weights, the placements and the noise.", ge=0, lt=2**32),
    ] = 0


@dataclass(frozen=True)
class NpgOptions:
    """Natural policy gradient (Kakade 2001)."""

    samples: Annotated[
        int,
        Option("Environment steps per policy update.", _EXAMPLE, ge=2),
    ] = 10_000
    hidden: Annotated[
        tuple[int, ...],
        Option("Units of each hidden layer of the policy, tanh.", _EXAMPLE, separator=",", ge=1),
    ] = (32, 32)
    init_log_std: Annotated[
        float,
        Option("Logarithm of the action noise at the start.", _EXAMPLE, ge=-3, le=2),
    ] = -0.5
    step_size: Annotated[
        float,
        Option(
            "Twice the KL divergence between two successive policies that is aimed at.",
            _EXAMPLE,
            gt=0,
            le=10,
        ),
    ] = 0.05
    gamma: Annotated[float, Option("Discount factor.", _MJRL, gt=0, le=1)] = 0.995
    gae_lambda: Annotated[
        float,
        Option("Decay of the generalised advantage estimate.", _MJRL, ge=0, le=1),
    ] = 0.97
    cg_iterations: Annotated[
        int, Option("Most iterations of conjugate gradients per update.", _MJRL, ge=1, le=1000)
    ] = 10
    cg_damping: Annotated[
        float, Option("What is added to the diagonal of the Fisher matrix.", _MJRL, ge=0)
    ] = 1e-4
    baseline_epochs: Annotated[
        int, Option("Passes over the samples to fit the value function.", _EXAMPLE, ge=1)
    ] = 2


@dataclass(frozen=True)
class SacOptions:
    """d3rlpy's soft actor-critic (Haarnoja et al. 2018)."""

    samples: Annotated[
        int,
        Option(
            "Environment steps per round; gradient steps follow each round.",
            flags=("--sac-samples",),
            ge=2,
        ),
    ] = 1_000
    hidden: Annotated[
        tuple[int, ...],
        Option(
            "Units of each hidden layer of actor and critics; with --init the actor has the "
            "policy's.",
            _SAC,
            flags=("--sac-hidden",),
            separator=",",
            ge=1,
        ),
    ] = (256, 256)
    updates_per_step: Annotated[
        float, Option("Gradient steps per environment step.", _SAC, gt=0, le=100)
    ] = 1.0
    batch_size: Annotated[
        int, Option("Transitions per batch.", _SAC, flags=("--sac-batch-size",), ge=1)
    ] = 256
    learning_rate: Annotated[
        float, Option("Learning rate of actor, critics and temperature.", _SAC, gt=0)
    ] = 3e-4
    gamma: Annotated[
        float, Option("Discount factor.", _SAC, flags=("--sac-gamma",), gt=0, le=1)
    ] = 0.99
    initial_temperature: Annotated[
        float, Option("Weight of the entropy at the start; it is adapted.", _SAC, gt=0)
    ] = 1.0
    buffer: Annotated[
        int, Option("Most transitions that are kept; the oldest episodes go first.", ge=1)
    ] = 100_000


_RunOption = partial(Option, recipe_only=True)  # `vip-offline online TASK` has it as its argument


@dataclass(frozen=True)
class OnlineRun:
    """All that decides an online training; ``online.toml`` in its folder."""

    task: Annotated[str, _RunOption("Task to learn.")] = "drawer-close"
    online: OnlineOptions = field(default_factory=OnlineOptions)
    npg: NpgOptions = field(default_factory=NpgOptions)
    sac: SacOptions = field(default_factory=SacOptions)

    @property
    def samples(self) -> int:
        """Environment steps per iteration of the algorithm."""
        return self.npg.samples if self.online.algo == "npg" else self.sac.samples

    @property
    def episodes(self) -> int:
        """Episodes per iteration."""
        return -(-self.samples // self.online.horizon)

    @property
    def total_steps(self) -> int:
        """Environment steps of all iterations and the warm-up."""
        return (self.iterations * self.episodes + self.online.warm_up) * self.online.horizon

    @property
    def iterations(self) -> int:
        """Iterations in all, the warm-up aside."""
        return -(-self.online.steps // (self.episodes * self.online.horizon))


_RecipeOption = partial(Option, recipe_only=True)


@dataclass(frozen=True)
class OnlineRecipe:
    """Online trainings of every task, reward, encoder and seed, as Fig. 4."""

    online: OnlineOptions = field(default_factory=OnlineOptions)
    npg: NpgOptions = field(default_factory=NpgOptions)
    sac: SacOptions = field(default_factory=SacOptions)
    name: Annotated[str, _RecipeOption("Name of the recipe.", default_text="that of the file")] = (
        "recipe"
    )
    out: Annotated[str, _RecipeOption("Folder of the runs.", default_text="runs/NAME")] = ""
    tasks: Annotated[tuple[str, ...], _RecipeOption("Tasks of the simulators.")] = ()
    rewards: Annotated[
        tuple[OnlineReward, ...], _RecipeOption("Rewards.", default_text="the one of [online]")
    ] = ()
    encoders: Annotated[
        tuple[str, ...], _RecipeOption("Encoders.", default_text="the one of [online]")
    ] = ()
    seeds: Annotated[int, _RecipeOption("Number of seeds, from the one of [online] on.", ge=1)] = 3

    def groups(self) -> list[list[OnlineRun]]:
        """The runs of each task, reward and encoder, which differ in their seeds."""
        online = self.online
        return [
            [
                OnlineRun(
                    task,
                    replace(
                        online,
                        reward=reward,
                        encoder=encoder,
                        goal=online.goal if reward == "visual" else (),
                        seed=online.seed + seed,
                    ),
                    self.npg,
                    self.sac,
                )
                for seed in range(self.seeds)
            ]
            for task in self.tasks
            for reward in self.rewards or (online.reward,)
            for encoder in self.encoders or (online.encoder,)
        ]
