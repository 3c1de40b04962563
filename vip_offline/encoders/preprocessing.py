"""From a camera's frame to what a network was trained on, as its publisher does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast, get_args

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError
from vip_offline.options import Fit

if TYPE_CHECKING:
    from torch import Tensor

Colour = tuple[float, float, float]


def fit_of(provenance: Mapping[str, Any]) -> Fit:
    """Return the fit noted in the provenance of embeddings or a label; ``crop`` if none is."""
    return cast("Fit", provenance.get("preprocessing", {}).get("fit", "crop"))


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop or pad, scale."""

    resize: int  # px, the shorter side; with fit "pad" the longer one, with "squash" both
    crop: int  # px, the square that the network takes, from the centre
    mean: Colour  # of RGB in [0, 1]
    std: Colour
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"  # antialiased, as PIL's
    fit: Fit = "crop"  # how a frame that is not square becomes one; see `RelabelOptions.fit`
    native: bool = False  # frames of crop x crop px are neither resized nor cropped

    def fitted(self, fit: Fit) -> Self:
        """Return this preprocessing with another fit; all but ``crop`` keep the whole frame."""
        return self if fit == "crop" else replace(self, resize=self.crop, fit=fit, native=False)

    def for_frames(self, height: int, width: int) -> Self:
        """Resolve the preprocessing for frames of this size, to be used for goal images as well.

        A goal image of another size is so brought to the frames' size, and seen as they are.
        """
        if not self.native:
            return self
        as_they_are = (height, width) == (self.crop, self.crop)
        return replace(self, resize=self.crop if as_they_are else self.resize, native=False)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width in px that a frame is resized to, before it is cropped or padded."""
        if self.fit == "squash":
            return self.crop, self.crop
        short, long = sorted((height, width))
        if self.fit == "pad":
            sides = max(1, round(self.resize * short / long)), self.resize
        else:
            sides = self.resize, int(self.resize * long / short)  # torchvision's rounding
        return sides if height <= width else sides[::-1]

    def cut_off(self, height: int, width: int) -> tuple[float, float]:
        """Shares of a frame's height and of its width that the network does not see."""
        high, wide = self.resized(height, width)
        return max(0.0, 1 - self.crop / high), max(0.0, 1 - self.crop / wide)

    def bars(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Pixels of padding left, right, above and below a resized frame."""
        across, down = max(0, self.crop - width), max(0, self.crop - height)
        return across // 2, across - across // 2, down // 2, down - down // 2

    def plain(self) -> dict[str, Any]:
        """Convert to JSON values; `fit` and `native` are left out where they are old defaults."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {
            k: v for k, v in values.items() if (k, v) not in (("fit", "crop"), ("native", False))
        }

    @classmethod
    def read(cls, plain: Mapping[str, Any], where: str) -> Self:
        """Read the result of `plain`, also of earlier releases, which always cropped.

        Raises:
            VipOfflineError: on anything else.
        """
        try:
            values = ((k, tuple(v) if isinstance(v, list) else v) for k, v in plain.items())
            preprocessing = cls(**dict[str, Any](values))
        except TypeError as error:
            raise VipOfflineError(
                f"{where}: its preprocessing is {plain!r}, which this release does not know "
                f"({error}). Copy it again, or update vip-offline."
            ) from None
        if preprocessing.fit not in get_args(Fit):
            raise VipOfflineError(
                f"{where}: its fit is {preprocessing.fit!r}; this release knows "
                f"{', '.join(get_args(Fit))}. Update vip-offline."
            )
        return preprocessing

    def __call__(self, frames: NDArray[np.uint8]) -> Tensor:
        """(N, H, W, 3) uint8 RGB -> (N, 3, crop, crop) float32.

        The bars of `pad` are 0, the mean colour, as the padding inside of the networks is.

        The dtype says that pixels go from 0 to 255. Values never decide the scale: a dark frame
        would then be scaled by its batch mates, as in the released VIP code.

        Raises:
            VipOfflineError: on another dtype or shape.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise VipOfflineError(
                f"frames are {frames.dtype} {frames.shape}; encoders take uint8 (N, H, W, 3), RGB."
            )
        import torch
        from einops import rearrange
        from torch.nn import functional
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2 import functional as pixels

        images = torch.from_numpy(np.require(frames, requirements=["C", "W"]))
        images = rearrange(images, "n h w c -> n c h w")
        height, width = images.shape[-2:]
        size = self.for_frames(height, width).resized(height, width)
        if (height, width) != size:
            mode = InterpolationMode(self.interpolation)
            images = pixels.resize(images, list(size), interpolation=mode, antialias=True)
        if self.fit == "crop":
            images = cast("Tensor", pixels.center_crop(images, [self.crop, self.crop]))
        mean, std = (
            torch.tensor(values).view(1, 3, 1, 1) * 255 for values in (self.mean, self.std)
        )
        # in place, and rearranged as bytes: five times as fast as the formula as it is written
        images = images.contiguous().float().sub_(mean).div_(std)
        return images if self.fit == "crop" else functional.pad(images, self.bars(*size))
