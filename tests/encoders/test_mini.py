from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.models import resnet18

from vip_offline.encoders.checkpoints import (
    CheckpointLayout,
    load_strictly,
    misfits,
    read_state_dict,
    unwrap,
)
from vip_offline.encoders.mini import MiniResNet

IMAGES = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def built(seed: int, head: int = 5) -> MiniResNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MiniResNet(head)


@pytest.mark.parametrize("head", [2, 128])
@pytest.mark.parametrize("side", [64, 96])
def test_shapes(head: int, side: int) -> None:
    network = built(0, head)
    assert network(torch.zeros(2, 3, side, side)).shape == (2, head)
    assert network.eval()(torch.zeros(1, 3, side, side)).shape == (1, head)


def test_the_file_stays_small() -> None:
    state = built(0, 128).state_dict()
    size = sum(value.numel() * value.element_size() for value in state.values())
    assert 6.5e6 < size < 6.7e6  # bytes; a tenth of ResNet-18's would be 4.7e6


def test_names_are_torchvisions() -> None:
    """So that tools which know a ResNet's layers know these."""
    names = {name for name in resnet18().state_dict() if not name.startswith("layer4.1.")}
    assert set(built(0).state_dict()) == names


def test_it_computes_what_torchvisions_forward_does() -> None:
    """Stages in order, none left out, pooled before the head."""
    network = built(0).eval()
    double = resnet18(num_classes=5)
    for name, child in network.named_children():
        setattr(double, name, child)
    with torch.no_grad():
        assert torch.equal(double.eval()(IMAGES), network(IMAGES))


def test_the_seed_says_all() -> None:
    first, again, other = (built(seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_weights_begin_as_torchvisions() -> None:
    """Kaiming's normal by fan out: 256 outputs of 3 x 3, of 128 inputs."""
    weight = built(0).state_dict()["layer4.0.conv1.weight"]
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)


def test_every_weight_learns() -> None:
    network = built(0)
    network(IMAGES).square().sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


def test_a_checkpoint_laid_out_as_the_published_one(tmp_path: Path) -> None:
    trained = built(1)
    trained(IMAGES)  # its norms count the batch
    trained.eval()
    state: dict[str, Tensor] = {
        f"module.convnet.{name}": value for name, value in trained.state_dict().items()
    }
    torch.save({"vip": state, "global_step": 7}, tmp_path / "model.pt")

    layout = CheckpointLayout(outer="vip", prefix="module.convnet.")
    unwrapped = unwrap(read_state_dict(tmp_path / "model.pt"), layout)
    assert unwrapped is not None
    network = built(2).eval()
    assert misfits(network, unwrapped) == []
    load_strictly(network, unwrapped)
    with torch.no_grad():
        assert torch.equal(network(IMAGES), trained(IMAGES))
