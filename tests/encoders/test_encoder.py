import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from made_up_pictures import pictures

from vip_offline.encoders.backends import Torch
from vip_offline.encoders.encoder import load_encoder
from vip_offline.encoders.registry import ENCODERS
from vip_offline.errors import VipOfflineError
from vip_offline.options import Computing

EAGER = Computing(backend="torch")
HERE = [name for name, entry in ENCODERS.items() if entry.origin is None]


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_the_contract_of_an_encoder(name: str) -> None:
    encoder, frames = load_encoder(name), pictures(5)
    embedding = encoder(frames)
    assert embedding.shape == (5, ENCODERS[name].dim)
    assert embedding.dtype == np.float32
    assert np.isfinite(embedding).all()
    assert np.ptp(embedding, axis=0).max() > 0
    # frozen: it neither trains nor changes with use
    np.testing.assert_array_equal(encoder(frames), embedding)
    assert encoder(frames[:0]).shape == (0, encoder.dim)
    provenance = encoder.provenance
    assert provenance["encoder"] == name
    assert len(provenance["weights_sha256"]) == 64
    assert load_encoder(name).provenance == provenance


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_a_frame_does_not_depend_on_its_batch_mates(name: str) -> None:
    encoder, frames = load_encoder(name), pictures(4)
    frames[0] = 2  # so dark that a test on values would take it for scaled already
    together = encoder(frames)
    for index in range(4):
        alone = encoder(frames[index : index + 1])[0]
        np.testing.assert_allclose(alone, together[index], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(encoder(frames, batch_size=3), together, rtol=1e-4, atol=1e-4)


def test_the_embedded_weights_are_real() -> None:
    """Of ImageNet's thousand classes Lite0 finds those of the photograph; random weights do not."""
    from sklearn.datasets import load_sample_image

    encoder = load_encoder("lite0", computing=EAGER)
    photo = np.asarray(load_sample_image("china.jpg"))  # a temple with curved roofs
    assert isinstance(encoder.backend, Torch)
    network = encoder.backend.network.network
    with torch.inference_mode():
        probability = network._fc(torch.from_numpy(encoder(photo[None]))).softmax(1)[0]  # type: ignore[union-attr,operator]
    bell_cote, monastery, palace = 442, 663, 698
    assert set(probability.topk(3).indices.tolist()) == {bell_cote, monastery, palace}


def test_lite0_takes_googles_scale() -> None:
    frames = np.full((1, 128, 128, 3), 255, np.uint8)
    np.testing.assert_allclose(ENCODERS["lite0"].preprocessing(frames), 1.0, atol=1e-6)
    np.testing.assert_allclose(ENCODERS["lite0"].preprocessing(frames * 0), -127 / 128, atol=1e-6)


def module(name: str) -> torch.nn.Module:
    """A publisher's network with random weights, as an encoder's checkpoint would hold it."""
    torch.manual_seed(3)
    return ENCODERS[name].build().eval()


@pytest.mark.parametrize("name", ["resnet18", "vip"])
def test_the_feature_is_the_publishers(name: str, tmp_path: Path) -> None:
    """The ImageNet ResNet's pooled feature; VIP's linear output on it."""
    frames, path = pictures(2), tmp_path / "model.pt"
    torch.manual_seed(3)
    if name == "vip":
        network = torchvision.models.resnet50(num_classes=1024).eval()
        theirs = network
        content = {
            "vip": {f"module.convnet.{key}": v for key, v in network.state_dict().items()},
            "global_step": 20_000,
        }
    else:
        network = torchvision.models.resnet18(weights=None).eval()
        theirs = torch.nn.Sequential(*list(network.children())[:-1], torch.nn.Flatten())
        content = network.state_dict()
    torch.save(content, path)
    with torch.inference_mode():
        expected = theirs(ENCODERS[name].preprocessing(frames))
    np.testing.assert_allclose(
        load_encoder(name, path, computing=EAGER)(frames), expected, rtol=1e-3, atol=1e-4
    )


def in_published_layout(name: str) -> dict[str, object]:
    """Random weights in the layout of the file that the publisher offers."""
    state = module(name).state_dict()
    if name.startswith("r3m"):
        heads = {
            "module.lang_enc.weight": torch.zeros(2),
            "module.lang_rew.pred.0.bias": torch.ones(2),
        }
        return {"r3m": {**{f"module.convnet.{k}": v for k, v in state.items()}, **heads}}
    if name == "moco-v2":
        names = {f"module.encoder_q.{k}": v for k, v in state.items()}
        other = {f"module.encoder_k.{k}": v + 1 for k, v in state.items()}
        heads = {"module.encoder_q.fc.0.weight": torch.zeros(3), "module.queue": torch.zeros(4)}
        return {"epoch": 800, "arch": "resnet50", "state_dict": {**names, **other, **heads}}
    if name.startswith(("clip", "liv")):
        text = {"token_embedding.weight": torch.zeros(3, 2), "logit_scale": torch.tensor(1.0)}
        whole = {**{f"visual.{k}": v for k, v in state.items()}, **text}
        if name == "liv":
            return {"liv": {f"module.model.{key}": value for key, value in whole.items()}}
        return {**whole, "input_resolution": torch.tensor(224)}
    if name.startswith(("mae", "vc1")):
        decoder = {"mask_token": torch.zeros(1, 1, 4), "decoder_embed.weight": torch.zeros(2, 2)}
        return {"model": {**state, **decoder}}
    assert name.startswith("dinov2")
    position = torch.randn(1, 37 * 37 + 1, state["pos_embed"].shape[-1])
    return {**state, "pos_embed": position, "mask_token": torch.zeros(1, 4)}


PUBLISHED = ["r3m-18", "moco-v2", "clip-vit-b32", "liv", "mae-vit-b", "dinov2-s"]


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_layouts_load_strictly(name: str, tmp_path: Path) -> None:
    content, path = in_published_layout(name), tmp_path / "model.pt"
    torch.save(content, path)
    encoder, frames = load_encoder(name, path, computing=EAGER), pictures(1)
    embedding = encoder(frames)
    assert embedding.shape == (1, ENCODERS[name].dim)
    if not name.startswith("dinov2"):  # whose position embedding was resized
        with torch.inference_mode():
            expected = module(name)(ENCODERS[name].preprocessing(frames))
        np.testing.assert_allclose(embedding, expected, rtol=1e-3, atol=1e-4)
    # one tensor less, or one more: named
    states = [value for value in content.values() if isinstance(value, dict)] or [content]
    state = states[-1]
    norm = next(k for k in state if k.endswith(("bn1.weight", "norm1.weight", "ln_1.weight")))
    taken = state.pop(norm)
    torch.save(content, path)
    with pytest.raises(VipOfflineError, match=r"bn1|norm1|ln_1.*is missing"):
        load_encoder(name, path)
    state[norm], state[norm.replace(".weight", ".extra")] = taken, taken
    torch.save(content, path)
    with pytest.raises(VipOfflineError, match="extra is not the network's"):
        load_encoder(name, path)


@pytest.mark.slow
def test_an_openai_archive_loads(tmp_path: Path) -> None:
    """OpenAI's files are TorchScript, in half precision."""
    visual = module("clip-vit-b32").half()

    class Archive(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for key, value in visual.state_dict().items():
                *folders, leaf = f"visual.{key}".split(".")
                here: torch.nn.Module = self
                for folder in folders:
                    if not hasattr(here, folder):
                        here.add_module(folder, torch.nn.Module())
                    here = getattr(here, folder)
                here.register_parameter(leaf, torch.nn.Parameter(value))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    path = tmp_path / "ViT-B-32.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        traced = torch.jit.trace(Archive(), torch.zeros(1))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, str(path))
    frames = pictures(1)
    embedding = load_encoder("clip-vit-b32", path, computing=EAGER)(frames)
    assert embedding.dtype == np.float32
    with torch.inference_mode():
        expected = visual.float()(ENCODERS["clip-vit-b32"].preprocessing(frames))
    np.testing.assert_allclose(embedding, expected, rtol=1e-3, atol=1e-4)


def test_dinov2_position_embedding_is_resized_as_the_hub_does() -> None:
    """A plane in the patches' coordinates stays the same plane, sampled at the hub's places."""
    from vip_offline.encoders.architectures import dinov2_at_224

    row, column = torch.meshgrid(torch.arange(37.0), torch.arange(37.0), indexing="ij")
    plane = torch.stack([row, column], dim=-1).reshape(1, 37 * 37, 2)
    token = torch.tensor([[[7.0, -7.0]]])
    resized = dinov2_at_224({"pos_embed": torch.cat([token, plane], dim=1)})["pos_embed"]
    assert resized.shape == (1, 257, 2)
    torch.testing.assert_close(resized[:, :1], token)
    grid = resized[0, 1:].reshape(16, 16, 2)
    # pixel centres under the hub's scale of (16 + 0.1) / 37
    places = (torch.arange(16) + 0.5) * 37 / 16.1 - 0.5
    # torch's bicubic (a = -0.75) keeps planes to 0.05; without the offset it is 0.2 off
    inner = slice(1, 15)
    torch.testing.assert_close(grid[inner, 5, 0], places[inner], atol=0.06, rtol=0)
    torch.testing.assert_close(grid[5, inner, 1], places[inner], atol=0.06, rtol=0)


@pytest.mark.slow
def test_a_checkpoint_of_another_model_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(in_published_layout("r3m-18"), path)
    with pytest.raises(VipOfflineError, match="looks like r3m-18; did you mean --encoder r3m-18"):
        load_encoder("vip", path)
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), path)
    with pytest.raises(VipOfflineError, match="did you mean --encoder resnet34"):
        load_encoder("resnet18", path)


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(VipOfflineError, match="holds a list"):
        load_encoder("resnet18", tmp_path / "list.pth")
    (tmp_path / "page.pth").write_text("<html>404</html>")
    torch.save(module("resnet18").state_dict(), tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pth").touch()
    for name in ("page.pth", "cut.pth", "empty.pth"):
        with pytest.raises(VipOfflineError, match=f"{name}: is not a PyTorch checkpoint"):
            load_encoder("resnet18", tmp_path / name)


def test_nothing_falls_back_to_random_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(VipOfflineError, match=r"r3m-50 needs --weights FILE: download R3M"):
        load_encoder("r3m-50")
    with pytest.raises(VipOfflineError, match="is no file"):
        load_encoder("resnet50", tmp_path / "absent.pth")
    with pytest.raises(VipOfflineError, match="takes no --weights"):
        load_encoder("lite0", tmp_path / "absent.pth")
    with pytest.raises(VipOfflineError, match=r"Unknown encoder 'lite'.*Did you mean 'lite0'"):
        load_encoder("lite")


def test_the_random_control_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_encoder("random-resnet18")
    assert torch.rand(1) == expected
