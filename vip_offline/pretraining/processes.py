"""One process or several: Accelerate as the environment asks for it, and what each must share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import nn

from vip_offline.errors import VipOfflineError
from vip_offline.options import PretrainOptions
from vip_offline.utils.parallel import world_size

if TYPE_CHECKING:
    from accelerate import Accelerator

RENDEZVOUS = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # as torchrun sets them


def make_accelerator(options: PretrainOptions) -> Accelerator:
    """Start Accelerate on the device and at the precision of the options.

    Raises:
        VipOfflineError: if `WORLD_SIZE` and the number of processes disagree, or the address of
            the first process is not set.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    mixed = "no" if options.precision == "fp32" else options.precision
    expected = world_size()
    absent = [name for name in RENDEZVOUS if name not in os.environ]
    if expected > 1 and absent:
        raise VipOfflineError(
            f"WORLD_SIZE is {expected}, but {', '.join(absent)} is not set, so this process cannot "
            "find the others. Start it by torchrun, or unset WORLD_SIZE."
        )
    # a process may train one encoder after another, and Accelerate would keep the device and the
    # precision of the first
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=options.device == "cpu", mixed_precision=mixed)
    if accelerator.num_processes != expected:
        raise VipOfflineError(
            f"WORLD_SIZE is {expected}, but Accelerate runs {accelerator.num_processes} process: "
            "each would train a model of its own. Start it by torchrun."
        )
    return accelerator


def with_shared_norms(
    network: nn.Module, options: PretrainOptions, accelerator: Accelerator
) -> nn.Module:
    """Make batch normalisation use the statistics of all processes."""
    norms = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    if accelerator.num_processes == 1 or not norms or options.norm == "frozen":
        return network
    if options.device == "cpu":
        raise VipOfflineError(
            f"--norm batch: {options.backbone} normalises by the batch, and on CPUs torch cannot "
            "do that over several processes: each would normalise its share alone, which is another"
            " training. Take --norm frozen, or one process."
        )
    convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
    return convert(network)
