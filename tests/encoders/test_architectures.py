import builtins
from typing import Any

import pytest
import torch

from vip_offline.encoders.architectures import clip_visual, random_resnet18, resnet, vit
from vip_offline.errors import VipOfflineError


def test_heads() -> None:
    images = torch.zeros(1, 3, 64, 64)
    assert resnet(18)().eval()(images).shape == (1, 512)
    assert resnet(18, head=7)().eval()(images).shape == (1, 7)


def test_the_random_control_is_always_the_same() -> None:
    first, second = random_resnet18().state_dict(), random_resnet18().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("library", ["timm", "open_clip"])
def test_an_architecture_that_is_not_installed(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == library:
            raise ImportError(f"No module named {library!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    build = {"timm": vit("vit_base_patch16_224"), "open_clip": clip_visual("RN50")}[library]
    with pytest.raises(VipOfflineError, match=r"pip install 'vip-offline\[encoders\]'"):
        build()
