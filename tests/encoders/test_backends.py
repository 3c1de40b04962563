from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_pictures import pictures

from vip_offline.encoders.backends import OnnxRuntime, Torch, choose_backend
from vip_offline.encoders.encoder import load_encoder
from vip_offline.encoders.onnx_graphs import AGREEMENT, export_onnx, relative_difference
from vip_offline.encoders.registry import ENCODERS
from vip_offline.errors import VipOfflineError
from vip_offline.options import Computing

NETWORKS = ["lite0", "vip", "dinov2-s", "clip-rn50"]  # one of each kind


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_back_ends_agree_with_eager_fp32(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    entry = ENCODERS[name]
    network = entry.build().eval().requires_grad_(False)
    images = entry.preprocessing(pictures(5))
    with torch.inference_mode():
        reference = network(images).numpy()
    path = tmp_path / "x.onnx"
    export_onnx(network, entry.preprocessing.crop, path)
    for backend in (OnnxRuntime(path), Torch(network)):
        assert relative_difference(backend(images), reference) < AGREEMENT, backend.name
        # and for any number of pictures
        alone = backend(images[2:3])
        assert relative_difference(alone, reference[2:3]) < AGREEMENT, backend.name


def test_the_default_is_onnx_runtime_on_the_cpu_in_fp32() -> None:
    assert choose_backend(Computing()) == "onnx"
    assert choose_backend(Computing(precision="fp16")) == "torch"
    assert choose_backend(Computing("torch")) == "torch"


def test_nothing_else_runs_in_place_of_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(VipOfflineError, match="finds no CUDA device"):
        choose_backend(Computing(device="cuda"))
    with pytest.raises(VipOfflineError, match="not on cpu in fp16"):
        choose_backend(Computing("onnx", precision="fp16"))


@pytest.mark.slow
def test_mixed_precision_is_refused_where_it_gives_other_embeddings() -> None:
    fine = load_encoder("random-resnet18", computing=Computing(precision="fp16"))
    exact = load_encoder("random-resnet18", computing=Computing("torch"))
    frames = pictures(3)
    assert 0 < relative_difference(fine(frames), exact(frames)) < AGREEMENT
    # its depthwise layers lose too much
    with pytest.raises(VipOfflineError, match=r"lite0 gives other .* allowed 0\.001"):
        load_encoder("lite0", computing=Computing(precision="fp16"))


@pytest.mark.slow
def test_threads_are_left_as_they_were(two_threads: int) -> None:
    encoder = load_encoder("random-resnet18")
    assert encoder.backend.name.startswith("ONNX Runtime")
    encoder(np.zeros((20, 32, 32, 3), np.uint8))
    assert torch.get_num_threads() == two_threads
