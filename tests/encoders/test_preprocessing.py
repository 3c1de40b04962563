import json
from typing import get_args

import numpy as np
import pytest
import torch
from made_up_pictures import pictures
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision import transforms

from vip_offline.encoders.preprocessing import Preprocessing
from vip_offline.encoders.registry import ENCODERS
from vip_offline.errors import VipOfflineError
from vip_offline.options import Fit

PLAIN = Preprocessing(64, 48, (0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize_equals_pils(interpolation: str) -> None:
    frames = pictures(2, height=240, width=424)
    preprocessing = Preprocessing(64, 48, (0.0,) * 3, (1.0,) * 3, interpolation)  # type: ignore[arg-type]
    ours = (preprocessing(frames) * 255).numpy().round()
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    for index, frame in enumerate(frames):
        scaled = Image.fromarray(frame).resize((113, 64), filters[interpolation])
        left, top = round((113 - 48) / 2), (64 - 48) // 2
        theirs = np.asarray(scaled.crop((left, top, left + 48, top + 48)))
        difference = np.abs(ours[index].transpose(1, 2, 0) - theirs)
        assert difference.max() <= 1  # grey level


@pytest.mark.parametrize(("height", "width"), [(40, 70), (70, 40), (30, 30)])
def test_the_whole_frame_between_bars(height: int, width: int) -> None:
    frames = pictures(2, height, width)
    seen = Preprocessing(64, 48, (0.4,) * 3, (0.5,) * 3).fitted("pad")
    ours = seen(frames).permute(0, 2, 3, 1).numpy()
    assert ours.shape == (2, 48, 48, 3)
    high, wide = round(48 * height / max(height, width)), round(48 * width / max(height, width))
    top, left = (48 - high) // 2, (48 - wide) // 2
    inside = np.zeros((48, 48), bool)
    inside[top : top + high, left : left + wide] = True
    assert (ours[:, ~inside] == 0).all()  # of the mean colour
    for frame, values in zip(frames, ours, strict=True):
        theirs = Image.fromarray(frame).resize((wide, high), Image.Resampling.BILINEAR)
        levels = (values[inside].reshape(high, wide, 3) * 0.5 + 0.4) * 255
        assert np.abs(levels - np.asarray(theirs)).max() <= 1 + 1e-3


def test_the_whole_frame_squashed() -> None:
    frames = pictures(1, 40, 70)
    levels = PLAIN.fitted("squash")(frames)[0].permute(1, 2, 0).numpy() * 255
    theirs = Image.fromarray(frames[0]).resize((48, 48), Image.Resampling.BILINEAR)
    assert np.abs(levels - np.asarray(theirs)).max() <= 1 + 1e-3


def released_forward(frames: NDArray[np.uint8]) -> Tensor:
    """What VIP's published code does to pictures before its network (models/model_vip.py)."""
    images = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
    if images.shape[1:] != (3, 224, 224):
        images = transforms.functional.resize(images, [256], antialias=True)
        images = transforms.functional.center_crop(images, [224, 224])
    normalised: Tensor = transforms.functional.normalize(
        images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    return normalised


@pytest.mark.parametrize("name", ["vip", "r3m-18"])
@pytest.mark.parametrize("size", [(224, 224), (256, 256), (224, 300), (480, 640)])
def test_frames_come_to_the_network_as_the_published_code_brings_them(
    name: str, size: tuple[int, int]
) -> None:
    frames = pictures(1, *size)
    ours, theirs = ENCODERS[name].preprocessing(frames), released_forward(frames)
    assert (ours - theirs).abs().max() < 1.1 / 255 / 0.224  # bytes are rounded, floats are not


@pytest.mark.parametrize("name", ["moco-v2", "resnet18", "mae-vit-b", "vc1-b", "dinov2-s"])
def test_other_publishers_crop_frames_of_any_size(name: str) -> None:
    assert ENCODERS[name].preprocessing.for_frames(224, 224).cut_off(224, 224) == (1 / 8, 1 / 8)


def test_a_goal_picture_is_seen_as_the_frames_are() -> None:
    """One of twice the size shows the same at the same scale, not a crop of it."""
    frames = pictures(1, 224, 224)
    larger = frames.repeat(2, axis=1).repeat(2, axis=2)
    way = ENCODERS["vip"].preprocessing.for_frames(224, 224)
    far = ENCODERS["vip"].preprocessing
    assert (way(larger) - way(frames)).abs().mean() < 0.03
    assert (far(larger) - far(frames)).abs().mean() > 0.15


def test_what_is_kept_of_it_reads_back() -> None:
    for name in ("vip", "lite0", "mae-vit-b"):
        table = ENCODERS[name].preprocessing
        for fit in get_args(Fit):
            for seen in (table.fitted(fit), table.fitted(fit).for_frames(224, 224)):
                assert Preprocessing.read(json.loads(json.dumps(seen.plain())), "x") == seen
    # before there was a choice, nothing was said of it
    assert set(PLAIN.plain()) == {"resize", "crop", "mean", "std", "interpolation"}
    assert Preprocessing.read(PLAIN.plain(), "x").fit == "crop"
    with pytest.raises(VipOfflineError, match=r"its fit is 'stretch'.*crop, pad, squash"):
        Preprocessing.read({**PLAIN.plain(), "fit": "stretch"}, "m.json")
    with pytest.raises(VipOfflineError, match=r"m\.json.*does not know.*rotate"):
        Preprocessing.read({**PLAIN.plain(), "rotate": 90}, "m.json")


def test_no_resize_leaves_pixels_alone() -> None:
    frames = pictures(1, height=64, width=64)
    ours = PLAIN(frames)[0].permute(1, 2, 0).numpy() * 255
    np.testing.assert_allclose(ours, frames[0, 8:56, 8:56], atol=1e-3)


def test_mean_and_standard_deviation_are_of_the_unit_range() -> None:
    scaled = Preprocessing(8, 8, (0.5, 0.25, 0.0), (0.5, 0.25, 2.0))
    frames = np.full((1, 8, 8, 3), 255, np.uint8)
    np.testing.assert_allclose(scaled(frames)[0, :, 0, 0], [1.0, 3.0, 0.5], rtol=1e-6)


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
