"""Where a training stands, on disk: written whole or not at all, kept by number.

Accelerate's own `save_state` pickles the state of every generator, so that reading it runs code,
and writes in place. These are plain tensors, numbers and texts in one file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vip_offline.encoders.checkpoints import StateDict, read_state_dict, unwrap
from vip_offline.encoders.registry import entry_of
from vip_offline.errors import VipOfflineError
from vip_offline.options import PretrainOptions
from vip_offline.utils.files import whole_file

CHECKPOINT_FORMAT = "vip-offline pretraining"
MODEL, FOLDER = "model.pt", "checkpoints"
CHECKPOINT_NAME = re.compile(r"step-(\d+)\.pt")
# what may differ between a run and its continuation: nothing here changes a step that was made
FREE = (
    "steps",
    "validate_every",
    "save_every",
    "keep",
    "pack_folder",
    "pack_gib",
    "readers",
    "device",
    "max_skipped",
)


def write_file(content: Mapping[str, Any], path: Path) -> None:
    """Save a checkpoint atomically: a killed process leaves the old file or the new one."""
    with whole_file(path) as partial, partial.open("wb") as file:
        torch.save(dict(content), file)


def published_state(backbone: str, state: StateDict) -> dict[str, StateDict]:
    """Return a network's state with the tensor names of the published VIP file."""
    layout = entry_of(backbone).layout
    return {layout.outer: {layout.prefix + name: tensor for name, tensor in state.items()}}


def network_of(content: Mapping[str, Any], backbone: str) -> StateDict:
    """Return a network's state from a checkpoint, under the network's own names."""
    state = unwrap(content, entry_of(backbone).layout)
    assert state is not None, "refuse_other compared the backbone"
    return state


def numbered_checkpoints(out: Path) -> list[tuple[int, Path]]:
    """Return (step, path) of the checkpoints of a run, in order."""
    checkpoints = []
    for path in (out / FOLDER).glob("step-*.pt"):
        match = CHECKPOINT_NAME.fullmatch(path.name)
        if match:
            checkpoints.append((int(match[1]), path))
    return sorted(checkpoints)


def save(out: Path, step: int, content: Mapping[str, Any], keep: int) -> Path:
    """Write the checkpoint of a step and remove all but the latest `keep`."""
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step}.pt"
    write_file({"format": CHECKPOINT_FORMAT, "step": step, **content}, path)
    for _, old in numbered_checkpoints(out)[:-keep]:
        old.unlink()
    return path


def latest(out: Path, settings: Mapping[str, Any], fingerprint: str) -> Mapping[str, Any] | None:
    """Read the latest checkpoint of a run; None if there is none.

    Raises:
        VipOfflineError: if it is damaged, or of other settings or clips.
    """
    checkpoints = numbered_checkpoints(out)
    if not checkpoints:
        return None
    path = checkpoints[-1][1]
    try:
        content = read_state_dict(path)
    except VipOfflineError:
        before = f"goes on from step {checkpoints[-2][0]}" if checkpoints[1:] else "begins anew"
        raise VipOfflineError(
            f"{path}: is cut short or damaged. Remove it, and the training {before}; the steps "
            "since then are in this file alone."
        ) from None
    if content.get("format") != CHECKPOINT_FORMAT:
        raise VipOfflineError(f"{path}: is no checkpoint of `vip-offline pretrain`. Move it away.")
    check_same_training(path, content, settings, fingerprint)
    return content


def check_same_training(
    path: Path, content: Mapping[str, Any], settings: Mapping[str, Any], fingerprint: str
) -> None:
    """Refuse to go on from a checkpoint of another training.

    Raises:
        VipOfflineError: naming the first setting that differs, and both of its values.
    """
    # an option that is younger than the checkpoint had its default
    saved = {**dataclasses.asdict(PretrainOptions()), **content["settings"]}
    way_out = f"Choose another --out, or remove {path.parents[1]} to begin anew."
    # the steps decide how fast the learning rate falls
    free = set(FREE) - ({"steps"} if settings.get("schedule") == "cosine" else set())
    for name, value in settings.items():
        if name in free or saved.get(name) == value:
            continue
        raise VipOfflineError(
            f"{path}: was trained with --{name.replace('_', '-')} {saved.get(name)}, not {value}. "
            + way_out
        )
    if content["fingerprint"] != fingerprint:
        raise VipOfflineError(
            f"{path}: was trained on other videos than are there now (one was added, removed or "
            f"changed), so the loss would not go on as it began. {way_out}"
        )
