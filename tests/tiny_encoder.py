"""An encoder of one's own that is small enough for files in a repository: 292 weights."""

import pytest
from torch import nn

from vip_offline.encoders.architectures import Build
from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.encoders.registry import ENCODERS, IMAGENET, VIP, YOURS, Entry

NAME, DIM = "tiny", 8


def _headed(head: int) -> Build:
    return lambda: nn.Sequential(
        nn.Conv2d(3, 4, 4, stride=4),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, head),
    )


TINY = Entry(
    dim=DIM,
    preprocessing=Preprocessing(32, 32, *IMAGENET),
    build=_headed(DIM),
    licence=YOURS,
    weights="one of your own",
    layout=VIP,
    headed=_headed,
)


def register(patch: pytest.MonkeyPatch) -> None:
    """Put it into the table, as a user's own entry at the foot of it."""
    patch.setitem(ENCODERS, NAME, TINY)
