"""EfficientNet-Lite0 as an encoder: its features before the classifier."""

from typing import cast

from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn


class Lite0(nn.Module):
    """The mean over EfficientNet-Lite0's last feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNet.from_name("efficientnet-lite0")

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S), S divisible by 32 -> (N, 1280)."""
        return cast("Tensor", self.network.extract_features(images)).mean((2, 3))
