from pathlib import Path
from typing import Any

import pytest
import torch
from made_up_pretraining import small, tensors
from torch import Tensor, nn

from vip_offline.encoders.registry import entry_of, weights_file
from vip_offline.errors import VipOfflineError
from vip_offline.options import PretrainOptions
from vip_offline.pretraining import checkpoint
from vip_offline.pretraining.initialization import initial_networks


def begun(options: PretrainOptions, seed: int = 0) -> tuple[nn.Module, nn.Module | None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return initial_networks(options)


def built(name: str, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return entry_of(name).build()


def write(name: str, path: Path, seed: int = 5) -> dict[str, Tensor]:
    """A file of an encoder of that name, random; what is in it."""
    state = built(name, seed).state_dict()
    torch.save(checkpoint.published_state(name, state), path)
    return state


def same(first: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return first.keys() == other.keys() and all(
        torch.equal(first[name], other[name]) for name in first
    )


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    write("vip-mini", path)
    return path


def test_random_weights_are_those_of_the_generator() -> None:
    (first, frozen), (again, _), (other, _) = (begun(small(), seed) for seed in (3, 3, 4))
    assert frozen is None
    assert same(first.state_dict(), again.state_dict())
    assert not same(first.state_dict(), other.state_dict())


def test_from_a_checkpoint_of_the_backbone(mini: Path) -> None:
    network, frozen = begun(small(init=str(mini)))
    assert frozen is None
    assert same(dict(network.state_dict()), tensors(mini))


def test_from_an_encoder_of_the_table(mini: Path) -> None:
    network, _ = begun(small(init="vip-mini", init_weights=str(mini)))
    assert same(dict(network.state_dict()), tensors(mini))


def test_a_head_that_the_weights_lack_stays_fresh(tmp_path: Path) -> None:
    path = tmp_path / "resnet18.pth"
    torch.save(built("resnet18", 5).state_dict() | {"fc.weight": torch.zeros(1000, 512)}, path)
    options = small(backbone="vip-resnet18", init="resnet18", init_weights=str(path))
    (network, _), (other, _) = (begun(options, seed) for seed in (3, 4))
    expected, state = built("resnet18", 5).state_dict(), network.state_dict()
    body = [name for name in state if not name.startswith("fc.")]
    assert len(body) == len(expected) == len(state) - 2
    assert all(torch.equal(state[name], expected[name]) for name in body)
    assert state["fc.weight"].shape == (1024, 512)
    assert torch.equal(state["fc.weight"], begun(options, 3)[0].state_dict()["fc.weight"])
    assert not torch.equal(state["fc.weight"], other.state_dict()["fc.weight"])


def test_lite0s_carried_weights_begin_vip_lite0() -> None:
    network, frozen = begun(small(backbone="vip-lite0", init="lite0", anchor=1.0))
    path = weights_file("lite0")
    assert path is not None
    carried = torch.load(path, weights_only=True)
    state = network.state_dict()
    shared = [name for name in carried if f"network.{name}" in state]
    assert len(shared) == len(state)
    assert all(torch.equal(state[f"network.{name}"], carried[name]) for name in shared)
    assert frozen is not None  # it has no head to lack


def test_what_holds_it_is_a_copy_that_stays(mini: Path) -> None:
    network, frozen = begun(small(init=str(mini), anchor=0.5))
    assert frozen is not None
    assert not frozen.training
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert same(dict(frozen.state_dict()), tensors(mini))


def refused(match: str, **changes: Any) -> None:
    with pytest.raises(VipOfflineError, match=match):
        begun(small(**changes))


def test_what_does_not_fit_is_named(mini: Path) -> None:
    refused(
        r"--init .*model.pt.* --backbone vip-mini-d2: fc.weight is \(128, 256\), not \(2, 256\), "
        "and 1 more",
        backbone="vip-mini-d2",
        init=str(mini),
    )
    refused(
        r"--init vip-mini \(.*model.pt\): does not fit --backbone vip-resnet18: layer4.1.* is "
        "missing",
        backbone="vip-resnet18",
        init="vip-mini",
        init_weights=str(mini),
    )


def test_another_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare.pt"
    torch.save(built("vip-mini", 0).state_dict(), path)
    refused("bare.pt: has not the layout that encoder vip-mini is", init=str(path))


def test_an_anchor_takes_a_head(tmp_path: Path) -> None:
    path = tmp_path / "resnet18.pth"
    torch.save(built("resnet18", 5).state_dict(), path)
    refused(
        "--anchor 0.5: resnet18 has no fc layer.* --backbone vip-resnet18.* --anchor 0",
        backbone="vip-resnet18",
        init="resnet18",
        init_weights=str(path),
        anchor=0.5,
    )


def test_weights_of_no_encoder_are_refused(mini: Path) -> None:
    refused(
        r"--init-weights .*model.pt: belongs to an encoder .* --init vip-mimi is none. Did you mean"
        " '?vip-mini",
        init="vip-mimi",
        init_weights=str(mini),
    )


def test_weights_that_are_not_here_are_asked_for() -> None:
    refused(
        "--init vip-resnet18: its weights are not on this machine.* --init-weights FILE.*pretrain",
        backbone="vip-resnet18",
        init="vip-resnet18",
    )


@pytest.mark.parametrize("name", ["", "vip-mini"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / "none.pt")
    given = {"init": name, "init_weights": path} if name else {"init": path}
    refused("none.pt: is no file", **given)


def test_a_misspelt_encoder_is_guessed() -> None:
    refused("--init vip-mimi: is no file. Nor is it an encoder. Did you mean", init="vip-mimi")
