from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vip_offline.encoders.checkpoints import (
    CheckpointLayout,
    load_strictly,
    misfits,
    read_state_dict,
    unwrap,
)
from vip_offline.errors import VipOfflineError

TENSOR = torch.ones(2)


def test_outer_key_prefix_and_heads() -> None:
    layout = CheckpointLayout(outer="net", prefix="module.", others=True, dropped=("head.",))
    content = {"net": {"module.a": TENSOR, "module.head.b": TENSOR, "queue": TENSOR, "step": 3}}
    assert unwrap(content, layout) == {"a": TENSOR}
    assert unwrap({"other": {}}, layout) is None
    assert unwrap({"net": {"queue": TENSOR}}, layout) is None


def test_names_without_the_prefix_are_only_taken_where_they_are_expected() -> None:
    content = {"module.a": TENSOR, "b": TENSOR}
    assert unwrap(content, CheckpointLayout(prefix="module.")) is None
    assert unwrap(content, CheckpointLayout(prefix="module.", others=True)) == {"a": TENSOR}


def test_every_misfit_is_named() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    state = dict(network.state_dict())
    del state["1.num_batches_tracked"]  # counts, does not compute
    assert misfits(network, state) == []
    del state["0.bias"]
    state["0.weight"] = torch.ones(3, 2)
    state["2.weight"] = TENSOR
    assert misfits(network, state) == [
        "0.bias is missing",
        "2.weight is not the network's",
        "0.weight is (3, 2), not (2, 2)",
    ]


def test_half_precision_is_loaded_in_the_networks_own() -> None:
    network = torch.nn.Linear(2, 2)
    load_strictly(network, {"weight": torch.full((2, 2), 0.5).half(), "bias": TENSOR.half()})
    assert network.weight.dtype == torch.float32
    assert network.weight[0, 0].item() == 0.5


def test_a_byte_that_was_changed_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    """Of what lies between the files of the zip nothing is read."""
    path = tmp_path / "model.pt"
    tensor = torch.arange(64.0)
    torch.save({"a": tensor}, path)
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            content = read_state_dict(path)
        except VipOfflineError as error:
            assert str(error).startswith(f"{path}: ")
            refused += 1
            continue
        assert content.keys() == {"a"}
        assert torch.equal(content["a"], tensor)  # type: ignore[arg-type]
    assert refused > tensor.nbytes / 3


def test_tensors_that_state_more_than_they_hold(tmp_path: Path) -> None:
    torch.save({"net": {"a": torch.zeros(1).expand(10**6, 10**6)}}, tmp_path / "a.pt")
    with pytest.raises(VipOfflineError, match=r"a\.pt: net\.a states \(1000000, 1000000\)"):
        read_state_dict(tmp_path / "a.pt")


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": TENSOR}, path)
    assert torch.equal(read_state_dict(path)["a"], TENSOR)  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VipOfflineError, match=r"a\.safetensors: is not a PyTorch checkpoint"):
        read_state_dict(path)
