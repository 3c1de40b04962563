from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vip_offline.encoders.backends import OnnxRuntime
from vip_offline.encoders.onnx_graphs import cached_graph, relative_difference
from vip_offline.encoders.weight_files import cache_folder
from vip_offline.errors import VipOfflineError


class Small(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3 * 8 * 8, 4)
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * torch.tanh(self.layer(images.flatten(1)))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_graph_is_made_once() -> None:
    messages = list[str]()
    first = cached_graph("mine", Small().eval(), 8, "ab" * 32, messages.append)
    made = first.stat().st_mtime_ns
    assert cached_graph("mine", Small().eval(), 8, "ab" * 32, messages.append) == first
    assert first.stat().st_mtime_ns == made
    assert messages == ["preparing mine for ONNX Runtime, once"]
    assert [path.name for path in first.parent.iterdir()] == [first.name]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["another network", "cut short"])
def test_a_graph_that_is_not_the_networks_is_made_anew(damage: str) -> None:
    """An entry of one's own may have changed, whatever its weights' hash says."""
    path = cached_graph("mine", Small().eval(), 8, "ab" * 32)
    network = Small(2.0).eval()
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:100])
    images = torch.randn(3, 3, 8, 8)
    values = OnnxRuntime(cached_graph("mine", network, 8, "ab" * 32))(images)
    with torch.inference_mode():
        assert relative_difference(values, network(images).numpy()) < 1e-5


def test_what_cannot_be_exported_says_so_and_leaves_nothing() -> None:
    class Twisted(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            if images.sum() > 0:  # which way depends on the values
                return images.flatten(1)
            return -images.flatten(1)

    for way_out, end in (("Use --backend torch.", r"\. Use --backend torch\.$"), ("", r"\)\.$")):
        with pytest.raises(VipOfflineError, match=rf"cannot be made an ONNX graph.*{end}"):
            cached_graph("twisted", Twisted().eval(), 8, "cd" * 32, way_out=way_out)
    assert not any((cache_folder().with_name("graphs")).iterdir())


def test_relative_difference_by_hand() -> None:
    reference = np.array([[3.0, 4.0], [0.0, 1.0]], np.float32)
    values = np.array([[3.0, 4.5], [0.0, 1.0]], np.float32)
    assert relative_difference(values, reference) == pytest.approx(0.1)
