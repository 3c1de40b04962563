"""Checkpoints as their publishers lay them out: outer keys, prefixes, heads to leave behind.

Layouts as read in the publishers' own loaders (vip 81b0520, r3m b2334e7, LIV a12991f, moco,
eai-vc e782c35, dinov2 b8931f7, CLIP d05afc4, mae efb2a80).
"""

from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vip_offline.errors import VipOfflineError, first_line
from vip_offline.utils.regular_files import require_regular

if TYPE_CHECKING:
    from torch import Tensor, nn

StateDict = dict[str, "Tensor"]
MOST_PACKED = 64 * 2**20  # bytes of a zip's compressed files, unpacked: torch packs code alone
# what torch, pickle and zipfile raise for files that are damaged, or are made to be
DAMAGED_CHECKPOINT = (
    *(RuntimeError, ValueError, OSError, EOFError, LookupError, TypeError, AttributeError),
    *(AssertionError, ArithmeticError, MemoryError, pickle.UnpicklingError, struct.error),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class CheckpointLayout:
    """Where in a file the encoder's tensors are, and which others belong there too."""

    outer: str = ""  # key of the dict that holds them
    prefix: str = ""  # that their names begin with
    others: bool = False  # whether names without the prefix are expected (other towers, queues)
    dropped: tuple[str, ...] = ()  # parts of names, after the prefix, that are left behind


def read_state_dict(path: Path) -> Mapping[str, object]:
    """Read a checkpoint file without running code from it.

    A TorchScript archive (OpenAI's CLIP files) gives its state dict, ``.safetensors`` its tensors.
    What torch has written as a zip, as it does since 1.6, carries a checksum of each of its files,
    and they are compared.

    Raises:
        VipOfflineError: if it is cut short, damaged, a web page, or no dict of tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from vip_offline.encoders.torchscript import state_of_archive

    require_regular(path)
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        if zipfile.is_zipfile(path) and _is_torchscript(path):
            return state_of_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (*DAMAGED_CHECKPOINT, SafetensorError) as error:
        raise VipOfflineError(
            f"{path}: is not a PyTorch checkpoint, or is cut short or damaged "
            f"({first_line(error)}). Download it again; if `vip-offline pretrain` wrote it, "
            "remove it and run that again, which goes on from its last checkpoint."
        ) from None
    if not isinstance(content, Mapping):
        raise VipOfflineError(
            f"{path}: holds a {type(content).__name__}, not a checkpoint's dict of tensors."
        )
    _check_sizes(path, content)
    return content


def _is_torchscript(path: Path) -> bool:
    """Whether a zip is one, after its checksums were compared."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(set(names)) < len(names):
            raise zipfile.BadZipFile("a name is in it twice")
        # stored as they are, files cannot take more memory than they take on the disk
        stored = sum(member.file_size for member in archive.infolist() if member.compress_type == 0)
        packed = sum(member.file_size for member in archive.infolist() if member.compress_type)
        if stored > path.stat().st_size or packed > MOST_PACKED:
            raise zipfile.BadZipFile(f"it states {stored + packed} bytes of content")
        wrong = archive.testzip()
        if wrong is not None:
            raise zipfile.BadZipFile(f"{wrong} has another checksum than when it was written")
        return any(name.endswith("constants.pkl") for name in names)


def _check_sizes(path: Path, content: Mapping[Any, object], inside: str = "") -> None:
    """Refuse tensors that state more than the file holds: copied, they would fill the memory."""
    from torch import Tensor, strided

    for name, value in content.items():
        if isinstance(value, Mapping):
            _check_sizes(path, value, f"{inside}{name}.")
        elif isinstance(value, Tensor):
            dense = value.layout is strided and value.device.type == "cpu"
            if not dense or value.nbytes > value.untyped_storage().nbytes():
                raise VipOfflineError(
                    f"{path}: {inside}{name} states {tuple(value.shape)} and holds less. Download "
                    "it again, or save it as a dense tensor."
                )


def unwrap(content: Mapping[str, object], layout: CheckpointLayout) -> StateDict | None:
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
    prefixed = {
        name: value
        for name, value in named.items()
        if not any(part in name for part in layout.dropped)
    }
    return prefixed or None


def misfits(network: nn.Module, state: StateDict) -> list[str]:
    """List the tensors that are missing, unexpected or of another shape than the network's."""
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


def load_strictly(network: nn.Module, state: StateDict) -> None:
    """Copy a state without misfits into the network, in the network's precision."""
    network.load_state_dict({**network.state_dict(), **state})
