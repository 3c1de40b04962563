"""Nuisances put into pictures: what differs from one episode's pictures to the next's.

A moved camera, light, colours, a patch that drifts. All frames of a sub-trajectory have one; the
goal may have another, as a goal picture is often taken on another day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

NUMBERS = 21  # random numbers that a nuisance takes

# widths at strength 1; x and y go from -1 to 1 over a picture
TURN = 0.08  # rad
ZOOM = 0.10  # of the natural logarithm of the size
SHIFT = 0.10
GAIN, COLOUR_GAIN = 0.5, 0.2  # of the natural logarithm, of all channels and of each
OFFSET = 0.12  # of values from 0 to 1
GAMMA = 0.3  # of the natural logarithm
PATCHES = 0.5  # share of the pictures that have a patch
PATCH_RADIUS = 0.15
PATCH_DRIFT = 0.3  # over an episode
DARKEST = 1e-4  # a power of 0 has no gamma


@dataclass(frozen=True, eq=False)
class ImageNuisances:
    """N nuisances, one per picture."""

    affine: Tensor  # (N, 2, 3) from the new picture's coordinates to the old one's
    gamma: Tensor  # (N,)
    gain: Tensor  # (N, 3)
    offset: Tensor  # (N, 3)
    patch_place: Tensor  # (N, 2) at the episode's begin
    patch_drift: Tensor  # (N, 2) until its end
    patch_radius: Tensor  # (N,), 0: no patch
    patch_colour: Tensor  # (N, 3) from 0 to 1

    @classmethod
    def drawn(cls, random: Tensor, strength: float) -> Self:
        """What random numbers say.

        Args:
            random: (N, `NUMBERS`) uniform in [0, 1).
            strength: factor of all widths; 0 changes nothing.
        """
        angle, zoom, bright, gamma, shown, radius, *rest = torch.split(
            random, [1, 1, 1, 1, 1, 1, 2, 3, 3, 2, 2, 3], dim=1
        )
        shift, colour, offset, place, drift, patch_colour = rest

        def around(uniform: Tensor, width: float) -> Tensor:
            return (2 * uniform - 1) * width * strength

        turn, size = around(angle, TURN), around(zoom, ZOOM).exp()
        rows = [turn.cos() * size, -turn.sin() * size, turn.sin() * size, turn.cos() * size]
        rotation = torch.cat(rows, dim=1).view(-1, 2, 2)
        return cls(
            affine=torch.cat([rotation, around(shift, SHIFT).unsqueeze(2)], dim=2),
            gamma=around(gamma, GAMMA).exp().squeeze(1),
            gain=(around(bright, GAIN) + around(colour, COLOUR_GAIN)).exp(),
            offset=around(offset, OFFSET),
            patch_place=2 * place - 1,
            patch_drift=around(drift, PATCH_DRIFT),
            patch_radius=(radius * (shown < PATCHES)).squeeze(1) * PATCH_RADIUS * strength,
            patch_colour=patch_colour,
        )

    def __call__(self, images: Tensor, phase: Tensor) -> Tensor:
        """(N, 3, S, S) uint8 RGB -> the same with the nuisances in them.

        Args:
            images: at least one.
            phase: (N,) where in its episode each is, from 0 to 1.
        """
        grid = functional.affine_grid(self.affine, list(images.shape), align_corners=False)
        moved = functional.grid_sample(
            images.float().div_(255), grid, padding_mode="border", align_corners=False
        )
        values = moved.clamp_(DARKEST, 1) ** self.gamma.view(-1, 1, 1, 1)
        values = values * self.gain.view(-1, 3, 1, 1) + self.offset.view(-1, 3, 1, 1)
        height, width = images.shape[-2:]
        y, x = torch.linspace(-1, 1, height).view(-1, 1), torch.linspace(-1, 1, width)
        across, down = (self.patch_place + self.patch_drift * phase.view(-1, 1)).T[..., None, None]
        inside = (x - across) ** 2 + (y - down) ** 2 < self.patch_radius.view(-1, 1, 1) ** 2
        values = torch.where(inside.unsqueeze(1), self.patch_colour.view(-1, 3, 1, 1), values)
        return values.mul_(255).round_().clamp_(0, 255).to(torch.uint8)
