from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image

from vip_offline.encode.encoders import ENCODERS, Preprocessing, load_encoder
from vip_offline.errors import VipOfflineError

HERE = [name for name, entry in ENCODERS.items() if not entry.needs_weights]
PLAIN = Preprocessing(64, 48, (0.0,) * 3, (1.0,) * 3)


def pictures(count: int, height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    """Smooth ones, as a camera gives."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (count, 6, 8, 3), np.uint8)
    size = (width, height)
    resized = [Image.fromarray(each).resize(size, Image.Resampling.BICUBIC) for each in small]
    return np.stack([np.asarray(each) for each in resized])


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

    encoder = load_encoder("lite0")
    photo = np.asarray(load_sample_image("china.jpg"))  # a temple with curved roofs
    network = encoder._network.network
    with torch.inference_mode():
        probability = network._fc(torch.from_numpy(encoder(photo[None]))).softmax(1)[0]  # type: ignore[union-attr,operator]
    bell_cote, monastery, palace = 442, 663, 698
    assert set(probability.topk(3).indices.tolist()) == {bell_cote, monastery, palace}


def test_resize_equals_pils() -> None:
    frames = pictures(2, height=240, width=424)
    ours = (PLAIN(frames) * 255).numpy().round()
    for index, frame in enumerate(frames):
        scaled = Image.fromarray(frame).resize((113, 64), Image.Resampling.BILINEAR)
        left, top = round((113 - 48) / 2), (64 - 48) // 2
        theirs = np.asarray(scaled.crop((left, top, left + 48, top + 48)))
        difference = np.abs(ours[index].transpose(1, 2, 0) - theirs)
        assert difference.max() <= 1  # grey level


def test_no_resize_leaves_pixels_alone() -> None:
    frames = pictures(1, height=64, width=64)
    ours = PLAIN(frames)[0].permute(1, 2, 0).numpy() * 255
    np.testing.assert_allclose(ours, frames[0, 8:56, 8:56], atol=1e-3)


def test_lite0_takes_googles_scale() -> None:
    frames = np.full((1, 128, 128, 3), 255, np.uint8)
    np.testing.assert_allclose(ENCODERS["lite0"].preprocessing(frames), 1.0, atol=1e-6)
    np.testing.assert_allclose(ENCODERS["lite0"].preprocessing(frames * 0), -127 / 128, atol=1e-6)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((2, 3, 8, 8), np.uint8),
    ],
)
def test_other_frames_are_refused(frames: NDArray[np.uint8]) -> None:
    with pytest.raises(VipOfflineError, match=r"uint8 \(N, H, W, 3\)"):
        PLAIN(frames)


def test_a_torchvision_checkpoint_loads(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = torchvision.models.resnet18(weights=None).eval()
    path = tmp_path / "resnet18.pth"
    torch.save(network.state_dict(), path)
    encoder = load_encoder("resnet18", path)
    frames = pictures(2)
    with torch.inference_mode():
        images = ENCODERS["resnet18"].preprocessing(frames)
        pooled = torch.nn.Sequential(*list(network.children())[:-1])(images).flatten(1)
    np.testing.assert_allclose(encoder(frames), pooled, rtol=1e-4, atol=1e-4)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    state = torchvision.models.resnet18(weights=None).state_dict()
    del state["layer1.0.conv1.weight"]
    cases = {
        "lacking.pth": (state, "layer1.0.conv1.weight"),
        "list.pth": ([1, 2], "does not fit"),
    }
    for name, (content, part) in cases.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(VipOfflineError, match=part) as caught:
            load_encoder("resnet18", tmp_path / name)
        assert name in str(caught.value)
    (tmp_path / "page.pth").write_text("<html>404</html>")
    whole = (tmp_path / "lacking.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    for name in ("page.pth", "cut.pth"):
        with pytest.raises(VipOfflineError, match="not a PyTorch checkpoint, or is cut short"):
            load_encoder("resnet18", tmp_path / name)


def test_nothing_falls_back_to_random_weights(tmp_path: Path) -> None:
    with pytest.raises(VipOfflineError, match="needs --weights"):
        load_encoder("resnet50")
    with pytest.raises(VipOfflineError, match="no such file"):
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
