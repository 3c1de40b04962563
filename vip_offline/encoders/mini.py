"""The backbone of vip-mini: a narrow ResNet of torchvision's own blocks, under its names."""

from typing import cast

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

STAGE_WIDTHS = (32, 64, 128, 256)  # channels of the four stages: half of ResNet-18's
STAGE_BLOCKS = (2, 2, 2, 1)  # of each; ResNet-18 has two in the last as well, 40 % of its weights


class MiniResNet(nn.Module):
    """A ResNet-16 at half width for pictures of 64 px: 1.6 M weights, 6.6 MB."""

    def __init__(self, head: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STAGE_WIDTHS[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STAGE_WIDTHS[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        before = STAGE_WIDTHS[0]
        for place, (width, count) in enumerate(zip(STAGE_WIDTHS, STAGE_BLOCKS, strict=True), 1):
            stage = [_block(before, width, 1 if place == 1 else 2)]
            stage += [_block(width, width, 1) for _ in range(count - 1)]
            self.add_module(f"layer{place}", nn.Sequential(*stage))
            before = width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, head)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # as torchvision's ResNets begin
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, head)."""
        values = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for place in range(1, len(STAGE_WIDTHS) + 1):
            values = self.get_submodule(f"layer{place}")(values)
        return cast("Tensor", self.fc(self.avgpool(values).flatten(1)))


def _block(before: int, width: int, stride: int) -> BasicBlock:
    shortcut = None
    if stride != 1 or before != width:
        shortcut = nn.Sequential(
            nn.Conv2d(before, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
        )
    return BasicBlock(before, width, stride, shortcut)
