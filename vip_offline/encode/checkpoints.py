"""Checkpoints as their publishers lay them out: outer keys, prefixes, heads to leave behind.

Layouts as read in the publishers' own loaders (vip 81b0520, r3m b2334e7, LIV a12991f, moco,
eai-vc e782c35, dinov2 b8931f7, CLIP d05afc4, mae efb2a80).
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vip_offline.errors import VipOfflineError

if TYPE_CHECKING:
    from torch import Tensor, nn

State = dict[str, "Tensor"]


@dataclass(frozen=True)
class Layout:
    """Where in a file the encoder's tensors are, and which others belong there too."""

    outer: str = ""  # key of the dict that holds them
    prefix: str = ""  # that their names begin with
    others: bool = False  # whether names without the prefix are expected (other towers, queues)
    dropped: tuple[str, ...] = ()  # parts of names, after the prefix, that are left behind


def read_checkpoint(path: Path) -> Mapping[str, object]:
    """Read a checkpoint file without running code from it.

    A TorchScript archive (OpenAI's CLIP files) gives its state dict.

    Raises:
        VipOfflineError: if it is cut short, a web page, or no dict of tensors.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is deprecated; the files are as they are
            if zipfile.is_zipfile(path) and _is_torchscript(path):
                archive = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
                return dict(archive.state_dict())
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise VipOfflineError(
            f"{path}: is not a PyTorch checkpoint, or is cut short ({_first_line(error)}). "
            "Download it again."
        ) from None
    if not isinstance(content, Mapping):
        raise VipOfflineError(
            f"{path}: holds a {type(content).__name__}, not a checkpoint's dict of tensors."
        )
    return content


def _is_torchscript(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def unwrap(content: Mapping[str, object], layout: Layout) -> State | None:
    """The encoder's tensors under the network's own names; None if the layout is another."""
    from torch import Tensor

    inner = content.get(layout.outer) if layout.outer else content
    if not isinstance(inner, Mapping):
        return None
    tensors = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
    if not layout.others and any(not name.startswith(layout.prefix) for name in tensors):
        return None
    named = {
        name.removeprefix(layout.prefix): value
        for name, value in tensors.items()
        if name.startswith(layout.prefix)
    }
    kept = {
        name: value
        for name, value in named.items()
        if not any(part in name for part in layout.dropped)
    }
    return kept or None


def misfits(network: nn.Module, state: State) -> list[str]:
    """What keeps a state from being the network's: missing, extra and misshapen tensors."""
    expected = network.state_dict()
    # whether a norm counted its batches does not change what it computes; some publishers drop it
    missing = [
        f"{name} is missing"
        for name in expected
        if name not in state and not name.endswith("num_batches_tracked")
    ]
    extra = [f"{name} is not the network's" for name in state if name not in expected]
    shapes = [
        f"{name} is {tuple(value.shape)}, not {tuple(expected[name].shape)}"
        for name, value in state.items()
        if name in expected and value.shape != expected[name].shape
    ]
    return missing + extra + shapes


def load_strictly(network: nn.Module, state: State) -> None:
    """Copy a state without misfits into the network, in the network's precision."""
    network.load_state_dict({**network.state_dict(), **state})
