"""Options of the stages that make and judge rewards."""

from dataclasses import dataclass
from typing import Annotated, Literal

from vip_offline.options.fields import Option

Reward = Literal["difference", "shaping", "distance", "sparse", "success"]
Similarity = Literal["auto", "l2", "cosine"]
BackendName = Literal["auto", "torch", "onnx"]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16"]
Fit = Literal["crop", "pad", "squash"]

EncoderBackend = Annotated[
    BackendName,
    Option("Runtime of the encoder. auto: ONNX Runtime on the CPU in fp32, else torch."),
]
EncoderDevice = Annotated[Device, Option("Device of the encoder.")]
_Precision = Annotated[
    Precision, Option("Precision of the encoder. fp16: mixed precision of torch, made for CUDA.")
]
FrameFit = Annotated[
    Fit,
    Option(
        "How frames become square. crop: the central square, as the encoders' authors do; "
        "pad: the whole frame between bars; squash: the whole frame, its aspect ratio ignored."
    ),
]
# of train and analyze
NSteps = Annotated[
    int,
    Option("Horizon of --weight-by n-step in environment steps (gradient steps: --steps).", ge=1),
]
TargetEss = Annotated[
    float,
    Option(
        "Effective sample size of the weights that --tau auto sets, as a fraction of the "
        "transitions; of the episodes where weights are by outcome.",
        gt=0,
        lt=1,
    ),
]


@dataclass(frozen=True)
class Computing:
    """What embeds frames; all choices agree to 1e-3 of an embedding's length."""

    backend: EncoderBackend = "auto"
    device: EncoderDevice = "cpu"
    precision: _Precision = "fp32"


@dataclass(frozen=True)
class LookOptions:
    """What `look` draws of a video."""

    goal: Annotated[
        str,
        Option(
            "Image file of the goal.",
            "Eq. 1",
            default_text="the video's own last frame; of several videos the mean of the others'",
        ),
    ] = ""
    encoder: Annotated[
        str, Option("Frozen encoder; `vip-offline encoders` lists them.", "section 4")
    ] = "lite0"
    weights: Annotated[str, Option("Checkpoint file of the encoder, if it ships without.")] = ""
    fit: FrameFit = "crop"
    backend: EncoderBackend = Computing.backend
    device: EncoderDevice = Computing.device


@dataclass(frozen=True)
class RelabelOptions:
    """Rewards from a frozen encoder (Eq. 1)."""

    encoder: Annotated[
        str, Option("Frozen encoder; `vip-offline encoders` lists them.", "section 4")
    ] = "lite0"
    weights: Annotated[str, Option("Checkpoint file of the encoder, if it ships without.")] = ""
    camera: Annotated[
        str,
        Option(
            "Camera to embed. A,B: the embeddings of both, concatenated.",
            default_text="the only one",
        ),
    ] = ""
    fit: FrameFit = "crop"
    name: Annotated[str, Option("Name of the labelling.", default_text="that of the encoder")] = ""
    goal: Annotated[
        tuple[str, ...],
        Option(
            "Goal; may be repeated, then the goal is the mean embedding. successes: the last "
            "frames of all successes; nearest:successes: for each frame the nearest of them, where "
            "the goal moves with an object; last: each episode's own last frame; EPISODE:FRAME; an "
            "image file; text:PROMPT.",
            "Eq. 1",
        ),
    ] = ("successes",)
    stages: Annotated[
        tuple[str, ...],
        Option(
            "Goal of one stage, in place of --goal; repeated: goals to reach one after the other.",
            flags=("--stage",),
        ),
    ] = ()
    from_: Annotated[
        str,
        Option(
            "Scores of every frame in place of a goal: a table that another program gave (parquet "
            "as LeRobot's reward models write it, csv, npz); a column of the store, as "
            "true_reward; head:ridge or head:mlp, progress learned from the successes' embeddings. "
            "--encoder still embeds what the policy sees.",
            flags=("--from",),
        ),
    ] = ""
    key_map: Annotated[
        tuple[str, ...],
        Option(
            "ROLE=COLUMN of --from, may be repeated. Roles: score (rises as the task gets done), "
            "reward (of each step), episode, frame, index.",
            default_text="LeRobot's names",
        ),
    ] = ()
    # by lite0 the quickstart's successes end at 0.36 to 0.66 of it, of its failures one below 0.7
    reach: Annotated[
        float,
        Option(
            "A goal counts as reached once the distance falls to this fraction of its first value.",
            ge=0,
            lt=1,
        ),
    ] = 0.7
    reward: Annotated[
        Reward,
        Option(
            "Reward of a step from o to o'. difference: S(o') - S(o) (Eq. 1); shaping: gamma S(o') "
            "- S(o); distance: S(o'), minus the distance to the goal; sparse: 1 for a step that "
            "reaches the goal, else 0; success: the same by the success label.",
            "Eq. 1",
        ),
    ] = "difference"
    similarity: Annotated[
        Similarity,
        Option(
            "Similarity of two embeddings. l2: minus their distance; auto: cosine for text goals, "
            "else l2.",
            "Eq. 1",
        ),
    ] = "auto"
    gamma: Annotated[
        float, Option("Discount factor of --reward shaping.", "Table 2", gt=0, le=1)
    ] = 0.98
    n_steps: Annotated[
        int, Option("Environment steps over which the reward is computed.", ge=1)
    ] = 1
    batch_size: Annotated[
        int, Option("Frames per forward pass; changes no embedding. 0: chosen for speed.", ge=0)
    ] = 0
    backend: EncoderBackend = Computing.backend
    device: EncoderDevice = Computing.device
    precision: _Precision = Computing.precision

    @property
    def computing(self) -> Computing:
        """What embeds the frames."""
        return Computing(self.backend, self.device, self.precision)


@dataclass(frozen=True)
class DeleteOptions:
    """What is deleted from a store."""

    labels: Annotated[
        tuple[str, ...], Option("Labelling to delete; may be repeated.", flags=("--label",))
    ] = ()
    embeddings: Annotated[
        tuple[str, ...],
        Option(
            "Embedding to delete: ENCODER/CAMERA, or ENCODER for all cameras; may be repeated.",
            flags=("--embedding",),
        ),
    ] = ()


@dataclass(frozen=True)
class AnalyzeOptions:
    """What `analyze` looks at."""

    labels: Annotated[
        tuple[str, ...],
        Option(
            "Labelling to analyse; repeated: labellings side by side.",
            flags=("--label",),
            default_text="the only one",
        ),
    ] = ()
    n_steps: NSteps = 20
    target_ess: TargetEss = 0.1
    films: Annotated[
        int, Option("Number of episodes to write as mp4, video beside the distance curve.", ge=0)
    ] = 0


@dataclass(frozen=True)
class ExportOptions:
    """What of a store is exported."""

    label: Annotated[
        str, Option("Labelling to export.", default_text="the only one of the store")
    ] = ""
