import numpy as np
import pytest
import torch
from torch import Tensor

from vip_offline.pretraining.image_nuisance import NUMBERS, PATCHES, ImageNuisances

SIDE = 32
PICTURES = torch.randint(0, 256, (6, 3, SIDE, SIDE), dtype=torch.uint8)
START = torch.zeros(6)


def drawn(count: int = 6, strength: float = 1.0, seed: int = 0) -> ImageNuisances:
    random = torch.rand(count, NUMBERS, generator=torch.Generator().manual_seed(seed))
    return ImageNuisances.drawn(random, strength)


def no_nuisance(count: int = 1) -> dict[str, Tensor]:
    return {
        "affine": torch.eye(2, 3).expand(count, 2, 3),
        "gamma": torch.ones(count),
        "gain": torch.ones(count, 3),
        "offset": torch.zeros(count, 3),
        "patch_place": torch.zeros(count, 2),
        "patch_drift": torch.zeros(count, 2),
        "patch_radius": torch.zeros(count),
        "patch_colour": torch.zeros(count, 3),
    }


def test_no_strength_changes_nothing() -> None:
    assert torch.equal(drawn(strength=0)(PICTURES, START), PICTURES)


def test_one_nuisance_changes_equal_pictures_alike_and_another_does_otherwise() -> None:
    same = PICTURES[:1].expand(6, -1, -1, -1)
    random = torch.rand(1, NUMBERS).expand(6, -1)
    once = ImageNuisances.drawn(random, 1.0)(same, START)
    assert (once == once[:1]).all()
    assert (once != same).any()
    apart = drawn()(same, START)
    assert len({picture.numpy().tobytes() for picture in apart}) == 6


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("gain", torch.tensor([[2.0, 1.0, 0.5]]), [200, 100, 50]),
        ("offset", torch.tensor([[0.2, 0.0, -0.2]]), [151, 100, 49]),
        ("gamma", torch.tensor([2.0]), [39, 39, 39]),
    ],
)
def test_light_and_colour_are_what_they_say(field: str, value: Tensor, expected: list[int]) -> None:
    grey = torch.full((1, 3, SIDE, SIDE), 100, dtype=torch.uint8)
    changed = ImageNuisances(**{**no_nuisance(), field: value})(grey, torch.zeros(1))
    assert changed[0, :, 5, 7].tolist() == expected
    assert (changed == changed[..., :1, :1]).all()


def test_the_camera_moves_the_picture() -> None:
    picture = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8)
    picture[..., 16, 20] = 255
    affine = torch.eye(2, 3)[None].clone()
    affine[0, 0, 2] = 2 * 4 / SIDE  # four pixels of the old picture's x for each new one
    changed = ImageNuisances(**{**no_nuisance(), "affine": affine})(picture, torch.zeros(1))
    assert changed[0, 0].argmax() == 16 * SIDE + 16


def test_a_patch_drifts_over_the_episode() -> None:
    black = torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8)
    fields = no_nuisance(2) | {
        "patch_drift": torch.tensor([[0.5, 0.0]] * 2),
        "patch_radius": torch.full((2,), 0.2),
        "patch_colour": torch.tensor([[1.0, 0.0, 0.0]] * 2),
    }
    begin, end = ImageNuisances(**fields)(black, torch.tensor([0.0, 1.0]))
    assert begin[1:].max() == 0
    places = [np.argwhere(picture[0].numpy() == 255).mean(axis=0) for picture in (begin, end)]
    np.testing.assert_allclose(places[0], (SIDE - 1) / 2, atol=0.1)
    np.testing.assert_allclose(places[1] - places[0], [0, 0.25 * (SIDE - 1)], atol=0.3)


def test_widths_grow_with_the_strength_and_half_have_a_patch() -> None:
    weak, strong = drawn(4000, 0.5), drawn(4000, 1.0)
    for name in ("gamma", "gain"):
        weak_log, strong_log = getattr(weak, name).log(), getattr(strong, name).log()
        torch.testing.assert_close(2 * weak_log, strong_log)
        assert float(strong_log.mean()) == pytest.approx(0, abs=0.02)
    torch.testing.assert_close(2 * weak.offset, strong.offset)
    torch.testing.assert_close(2 * weak.patch_radius, strong.patch_radius)
    assert float((strong.patch_radius > 0).float().mean()) == pytest.approx(PATCHES, abs=0.03)
