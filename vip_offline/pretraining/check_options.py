"""Refuse settings of pre-training that cannot be met, before anything is read or fetched."""

from __future__ import annotations

from importlib.util import find_spec

from vip_offline.encoders.backends import check_device
from vip_offline.encoders.registry import backbones, entry_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import PretrainOptions
from vip_offline.options.fields import check_ranges
from vip_offline.pretraining.initialization import initial_state


def check_pretrain(options: PretrainOptions) -> None:
    """Refuse settings that cannot be met.

    Raises:
        VipOfflineError: naming the option, its value and what may stand there.
    """
    absent = [name for name in ("accelerate", "tensorboard") if find_spec(name) is None]
    if absent:
        raise VipOfflineError(
            f"Training an encoder needs {' and '.join(absent)}, which is not installed. "
            "pip install 'vip-offline[pretrain]'"
        )
    entry = entry_of(options.backbone)
    if entry.headed is None:
        raise VipOfflineError(
            f"--backbone {options.backbone}: cannot be trained here. Take {', '.join(backbones())};"
            " with -dN behind it, it has N outputs."
        )
    check_ranges(options)
    if options.batch_size < 2 and options.negatives and options.objective != "lstd":
        raise VipOfflineError(
            f"--batch-size {options.batch_size}: negatives are others of the batch; take at least "
            "2, or --negatives 0."
        )
    if options.anchor and not options.init:
        raise VipOfflineError(
            f"--anchor {options.anchor}: pulls towards the encoder that training begins with; name "
            "it with --init."
        )
    if options.goal_augment and not options.augment:
        raise VipOfflineError(
            f"--goal-augment {options.goal_augment}: is of the nuisances of --augment, which is 0. "
            "Name its strength, 1 for instance."
        )
    if options.init:
        initial_state(options)
    if options.precision == "fp16" and options.device == "cpu":
        raise VipOfflineError("--precision fp16: is for --device cuda. Take fp32 or bf16.")
    check_device(options.device)
