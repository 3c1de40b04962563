import numpy as np
import pytest
from made_up_pictures import pictures
from numpy.typing import NDArray
from PIL import Image

from vip_offline.encode.preprocessing import Preprocessing
from vip_offline.errors import VipOfflineError

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
