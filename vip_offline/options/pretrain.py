"""Options of the training of encoders."""

from dataclasses import dataclass
from typing import Annotated, Literal

from vip_offline.options.fields import Option
from vip_offline.options.reward import Device

Objective = Literal["vip", "tcn", "lstd"]
Sampling = Literal["algorithm-1", "released"]
Negatives = Literal["pooled", "separate"]
Norm = Literal["batch", "frozen"]
Mixed = Literal["fp32", "bf16", "fp16"]
Schedule = Literal["constant", "cosine"]
Pack = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class PretrainOptions:
    """An encoder from videos (paper, section 4; the defaults are Table 2 and appendix D.1)."""

    objective: Annotated[
        Objective,
        Option("Loss. vip: Eq. 4; tcn: the time-contrastive loss of R3M; lstd: Eq. 29."),
    ] = "vip"
    backbone: Annotated[
        str,
        Option(
            "Network to train. vip: ResNet-50 with 1024 outputs; vip-mini is small. A suffix -dN "
            "sets N outputs. `vip-offline encoders` lists them.",
            "Table 2",
        ),
    ] = "vip"
    init: Annotated[
        str,
        Option(
            "Encoder or checkpoint file that training begins with.",
            "appendix D.2",
            default_text="random",
        ),
    ] = ""
    init_weights: Annotated[
        str, Option("Checkpoint file of the encoder --init, if it ships without.")
    ] = ""
    # collapse of all embeddings into their mean would cost 1; the paper's in-domain VIP from
    # scratch overfits (Table 1)
    anchor: Annotated[
        float,
        Option(
            "Weight of a penalty that pulls embeddings towards those of --init, for few videos.",
            ge=0,
        ),
    ] = 0.0
    norm: Annotated[
        Norm,
        Option(
            "Batch normalisation. batch: statistics of the batch; frozen: the statistics of --init."
        ),
    ] = "batch"
    gamma: Annotated[float, Option("Discount factor.", "Table 2", gt=0, lt=1)] = 0.98
    negatives: Annotated[
        int,
        Option("Negatives from other videos per sub-trajectory.", "appendix D.1", ge=0),
    ] = 3
    negative_term: Annotated[
        Negatives,
        Option(
            "Negatives in the loss. pooled: in one logarithm; separate: as in the released code.",
            "appendix D.1",
        ),
    ] = "pooled"
    # the released code never starts at the last but one frame and takes any clip as a negative
    sampling: Annotated[
        Sampling, Option("How frames are sampled: by Algorithm 1 or as in the released code.")
    ] = "algorithm-1"
    stride: Annotated[
        int,
        Option(
            "Frames from one sampled frame to its successor. At high frame rates neighbouring "
            "frames are almost identical.",
            ge=1,
        ),
    ] = 1
    crop: Annotated[
        bool, Option("Take one random resized crop per sub-trajectory.", "appendix D.1")
    ] = True
    augment: Annotated[
        float,
        Option(
            "Strength of nuisances put into the pictures (camera pose, light, colours, gamma, a "
            "drifting patch), one per sub-trajectory. 0: none.",
            ge=0,
            le=4,
        ),
    ] = 0.0
    goal_augment: Annotated[
        float,
        Option("Probability that the goal has nuisances of its own (with --augment).", ge=0, le=1),
    ] = 0.0
    other_goals: Annotated[
        float,
        Option(
            "Probability that the goal is the last frame of another video of the group (folder or "
            "store), as goal images are used. For videos that all end at the goal.",
            ge=0,
            le=1,
        ),
    ] = 0.0
    # 0.001: Table 2; the settings released for Ego4D
    l1: Annotated[float, Option("Weight of the L1 penalty on embeddings.", "Table 2", ge=0)] = 0.001
    l2: Annotated[float, Option("Weight of the L2 penalty on embeddings.", "Table 2", ge=0)] = 0.001
    learning_rate: Annotated[float, Option("Learning rate of Adam.", "Table 2", gt=0)] = 1e-4
    schedule: Annotated[
        Schedule,
        Option(
            "Learning rate over the steps. constant, as in the paper; cosine: it rises over the "
            "first tenth and falls to 0 at the end."
        ),
    ] = "constant"
    batch_size: Annotated[
        int, Option("Sub-trajectories per batch, over all processes.", "Table 2", ge=1)
    ] = 32
    # the paper gives no number; the released settings have 2,000,000
    steps: Annotated[int, Option("Gradient steps.", ge=1)] = 20_000
    hold_out: Annotated[
        float, Option("Fraction of the videos held out for validation.", ge=0, lt=1)
    ] = 0.1
    hold_out_groups: Annotated[
        tuple[str, ...],
        Option(
            "Groups (folders, stores) of which all videos are held out, in place of --hold-out.",
            separator=",",
            default_text="none",
        ),
    ] = ()
    validate_every: Annotated[int, Option("Steps between two validations.", ge=1)] = 500
    save_every: Annotated[int, Option("Steps between two checkpoints.", ge=1)] = 500
    keep: Annotated[int, Option("Number of latest checkpoints to keep.", ge=1)] = 3
    seed: Annotated[
        int, Option("Seed of the initial weights, of the sampling and of --hold-out.", ge=0)
    ] = 0
    camera: Annotated[
        str,
        Option("Camera of stores to train on.", default_text="all, each as a video of its own"),
    ] = ""
    pack: Annotated[
        Pack,
        Option(
            "Decode all frames once into a file of the training size. auto: if it is no larger "
            "than --pack-gib."
        ),
    ] = "auto"
    pack_folder: Annotated[
        str,
        Option(
            "Folder of the files that --pack makes, which several runs can share.",
            default_text="that of the run",
        ),
    ] = ""
    pack_gib: Annotated[float, Option("Disk space in GiB that --pack auto may take.", ge=0)] = 20.0
    readers: Annotated[int, Option("Threads that read and crop frames ahead.", ge=1)] = 2
    device: Annotated[Device, Option("Device to train on.")] = "cpu"
    precision: Annotated[
        Mixed, Option("Precision of training. bf16 and fp16: mixed, made for CUDA.")
    ] = "fp32"
    max_skipped: Annotated[
        float,
        Option(
            "Fraction of the videos that may be unreadable; they are skipped and listed.",
            ge=0,
            lt=1,
        ),
    ] = 0.01
