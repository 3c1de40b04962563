"""Options of success detection from goal pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from vip_offline.options.fields import Option
from vip_offline.options.reward import Computing, EncoderBackend, EncoderDevice, FrameFit

SuccessRule = Literal["auto", "mean", "nearest", "relative", "classes", "change"]

SuccessWeights = Annotated[
    str, Option("Checkpoint file of the success model's encoder, if it ships without.")
]


@dataclass(frozen=True)
class SuccessByOptions:
    """A success model that judges rollouts beside the simulator."""

    success_by: Annotated[
        Path | None,
        Option(
            "Success model, made by `success fit`: its verdicts beside the simulator's truth. "
            "Rollouts go on for the model's --hold steps after their first success, which is what "
            "counts as before."
        ),
    ] = None
    success_weights: SuccessWeights = ""


@dataclass(frozen=True)
class SuccessFitOptions:
    """What `success fit` learns from."""

    encoder: Annotated[
        str, Option("Frozen encoder; `vip-offline encoders` lists them.", "section 4")
    ] = "lite0"
    weights: Annotated[str, Option("Checkpoint file of the encoder, if it ships without.")] = ""
    camera: Annotated[str, Option("Camera to judge by.", default_text="the only one")] = ""
    fit: FrameFit = "crop"
    goal: Annotated[
        tuple[str, ...],
        Option(
            "Image file of the goal; may be repeated.",
            default_text="the last frames of the labelled successes",
        ),
    ] = ()
    rule: Annotated[
        SuccessRule,
        Option(
            "Score of a frame. mean: distance to the goals' mean; nearest: to the nearest goal; "
            "relative: to the mean, as a share of the first frame's; classes: a linear "
            "discriminant; change: the same of the frame less its episode's first; auto: the one "
            "that tells left-out episodes apart best."
        ),
    ] = "auto"
    # recordings of the simulator keep 6 steps after success
    hold: Annotated[
        int, Option("Frames over which the goal must hold, at the end of an episode.", ge=1)
    ] = 5
    error: Annotated[
        float,
        Option(
            "Accepted share of failures called success, and of successes called failure; a smaller "
            "one makes the unsure band wider.",
            gt=0,
            lt=0.5,
        ),
    ] = 0.05
    backend: EncoderBackend = Computing.backend
    device: EncoderDevice = Computing.device


@dataclass(frozen=True)
class SuccessApplyOptions:
    """How `success apply` judges; the rest is the model's."""

    weights: Annotated[str, Option("Checkpoint file of the encoder, if it ships without.")] = ""
    dry_run: Annotated[
        bool, Option("Print the verdicts, and write nothing.", flags=("--dry-run",))
    ] = False
    backend: EncoderBackend = Computing.backend
    device: EncoderDevice = Computing.device
