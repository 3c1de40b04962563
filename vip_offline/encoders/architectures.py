"""The networks behind the encoders: torchvision's, timm's and open_clip's; none is written here.

Each builder returns a network of random weights under the names of its published checkpoint. torch
is imported when a network is built, not before: reading the table of encoders costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast

from vip_offline.errors import VipOfflineError

if TYPE_CHECKING:
    from torch import nn

    from vip_offline.encoders.checkpoints import StateDict

Build = Callable[[], "nn.Module"]


def resnet(depth: Literal[18, 34, 50], head: int = 0) -> Build:
    """A ResNet of torchvision: pooled features, or `head` outputs of a linear layer on them."""

    def build() -> nn.Module:
        import torchvision
        from torch import nn

        network: nn.Module = getattr(torchvision.models, f"resnet{depth}")(weights=None)
        width = cast("nn.Linear", network.fc).in_features
        network.fc = nn.Linear(width, head) if head else nn.Identity()
        return network

    return build


def random_resnet18() -> nn.Module:
    """Always the same random weights; the global generator is left as it is."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return resnet(18)()


def lite0() -> nn.Module:
    """EfficientNet-Lite0 without its classifier."""
    from vip_offline.encoders.lite0 import Lite0

    return Lite0()


def mini(head: int) -> Build:
    """vip-mini's narrow ResNet."""

    def build() -> nn.Module:
        from vip_offline.encoders.mini import MiniResNet

        return MiniResNet(head)

    return build


def pixels() -> nn.Module:
    """Encode a picture as its own pixels, flattened into one row."""
    from torch import nn

    return nn.Flatten()


def vit(name: str, **options: Any) -> Build:
    """A vision transformer of timm: the class token after the last norm."""

    def build() -> nn.Module:
        try:
            import timm
        except ImportError as error:
            raise _absent(error) from error
        return timm.create_model(name, num_classes=0, **options)

    return build


def clip_visual(name: str) -> Build:
    """open_clip's image tower of an OpenAI model, as ``encode_image`` uses it, not normalised."""

    def build() -> nn.Module:
        try:
            import open_clip
        except ImportError as error:
            raise _absent(error) from error
        config = open_clip.get_model_config(name)
        return cast("nn.Module", open_clip.CLIP(**config).visual)

    return build


def _absent(error: ImportError) -> VipOfflineError:
    return VipOfflineError(
        f"This encoder's architecture is not installed ({error}). "
        "pip install 'vip-offline[encoders]'"
    )


def dinov2_at_224(state: StateDict) -> StateDict:
    """Resize DINOv2's position embedding from 37 x 37 to 16 x 16 patches as its hub code does.

    Bicubic without antialias, with the offset of 0.1 that the publisher keeps for his old
    checkpoints; timm's own resize differs by up to 1 % of an output.
    """
    import torch
    from einops import rearrange
    from torch.nn import functional

    position = state["pos_embed"]
    side = round((position.shape[1] - 1) ** 0.5)
    grid = rearrange(position[:, 1:], "1 (h w) d -> 1 d h w", h=side)
    scale = (16 + 0.1) / side
    grid = functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    resized = rearrange(grid, "1 d h w -> 1 (h w) d")
    return {**state, "pos_embed": torch.cat([position[:, :1], resized], dim=1)}
