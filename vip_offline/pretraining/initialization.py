"""The network that a training begins with: random, or with the weights of another encoder."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import nn

from vip_offline.encoders.checkpoints import (
    StateDict,
    load_strictly,
    misfits,
    read_state_dict,
    unwrap,
)
from vip_offline.encoders.registry import ENCODERS, entry_of, weights_file
from vip_offline.errors import VipOfflineError, did_you_mean
from vip_offline.options import PretrainOptions

HEAD_PREFIX = "fc."  # the last layer, that turns features into the embedding


def initial_networks(options: PretrainOptions) -> tuple[nn.Module, nn.Module | None]:
    """Return the network to train, and the frozen initial one if there is an anchor.

    Random weights are of the global generator, which the caller has seeded.

    Raises:
        VipOfflineError: if `init` is unknown, lacks its file, or does not fit the backbone.
    """
    network = entry_of(options.backbone).build()
    if not options.init:
        return network, None
    where, state = initial_state(options)
    without_head = {name for name in network.state_dict() if name.startswith(HEAD_PREFIX)} - set(
        state
    )
    weights = {name: value for name, value in network.state_dict().items() if name in without_head}
    wrong = misfits(network, state | weights)
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise VipOfflineError(
            f"--init {options.init} ({where}): does not fit --backbone {options.backbone}: "
            f"{wrong[0]}{more}."
        )
    if without_head and options.anchor:
        raise VipOfflineError(
            f"--anchor {options.anchor}: {options.init} has no {HEAD_PREFIX[:-1]} layer, so it "
            f"gives no embedding that --backbone {options.backbone} could be held to. Take "
            "--anchor 0."
        )
    load_strictly(network, state | weights)
    if not options.anchor:
        return network, None
    return network, copy.deepcopy(network).eval().requires_grad_(False)


def initial_state(options: PretrainOptions) -> tuple[Path, StateDict]:
    """Return the path of the initial weights, and the weights under the backbone's names."""
    file = Path(options.init_weights or options.init)
    named = options.init in ENCODERS
    if not named and options.init_weights:
        raise VipOfflineError(
            f"--init-weights {options.init_weights}: belongs to an encoder of the table, and "
            f"--init {options.init} is none.{did_you_mean(options.init, ENCODERS)}"
        )
    name = options.init if named else options.backbone
    entry = entry_of(name)
    path = weights_file(name, options.init_weights) if named else file
    if path is None:
        note = entry.origin.note if entry.origin is not None else ""
        raise VipOfflineError(
            f"--init {options.init}: its weights are not on this machine. Give them with "
            f"--init-weights FILE{f' ({note})' if note else ''}."
        )
    if not path.is_file():
        known = "" if named else f" Nor is it an encoder.{did_you_mean(options.init, ENCODERS)}"
        raise VipOfflineError(f"--init {path}: is no file.{known}")
    state = unwrap(read_state_dict(path), entry.layout)
    if state is None:
        raise VipOfflineError(f"{path}: has not the layout that encoder {name} is published in.")
    return path, entry.adapt(state)
