"""The network of scratch-bc: an encoder that starts from nothing and is trained with the policy."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import torch
from d3rlpy.models.encoders import EncoderFactory, register_encoder_factory
from d3rlpy.models.torch import Encoder, EncoderWithAction
from d3rlpy.types import Shape, TorchObservation
from torch import Tensor, nn

# channels, kernel, stride: the network of DQN (Mnih et al. 2015), d3rlpy's own for pixels
FILTERS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))


class PixelsAndProprio(Encoder):
    """Convolutions over the picture at the front of a vector; dense layers over it and the rest."""

    def __init__(
        self, width: int, size: int, filters: Sequence[Sequence[int]], hidden: Sequence[int]
    ) -> None:
        super().__init__()
        self._size = size
        layers: list[nn.Module] = []
        before = 3
        for channels, kernel, stride in filters:
            layers += [nn.Conv2d(before, channels, kernel, stride), nn.ReLU()]
            before = channels
        self._convolutions = nn.Sequential(*layers)
        with torch.no_grad():
            features = self._convolutions(torch.zeros(1, 3, size, size)).numel()
        sizes = [features + width - 3 * size * size, *hidden]
        self._dense = nn.Sequential(
            *(
                module
                for into, out in itertools.pairwise(sizes)
                for module in (nn.Linear(into, out), nn.ReLU())
            )
        )

    def forward(self, x: TorchObservation) -> Tensor:
        """(B, 3 S S + P) -> (B, H)."""
        assert isinstance(x, Tensor)
        picture, rest = x.split([3 * self._size**2, x.shape[1] - 3 * self._size**2], dim=1)  # type: ignore[no-untyped-call]
        features = self._convolutions(picture.reshape(-1, 3, self._size, self._size))
        dense: Tensor = self._dense(torch.cat([features.flatten(1), rest], dim=1))
        return dense


@dataclasses.dataclass()
class PixelsAndProprioFactory(EncoderFactory):
    """Makes `PixelsAndProprio`; d3rlpy saves it with the model."""

    size: int = 64  # px, square
    filters: list[list[int]] = dataclasses.field(
        default_factory=lambda: [list(layer) for layer in FILTERS]
    )
    hidden_units: list[int] = dataclasses.field(default_factory=lambda: [256, 256])

    def create(self, observation_shape: Shape) -> PixelsAndProprio:
        """For observations that are vectors."""
        (width,) = observation_shape
        assert isinstance(width, int)
        return PixelsAndProprio(width, self.size, self.filters, self.hidden_units)

    def create_with_action(
        self, observation_shape: Shape, action_size: int, discrete_action: bool = False
    ) -> EncoderWithAction:
        """Not made: cloning has no critic."""
        raise NotImplementedError("scratch-bc has no critic")

    @staticmethod
    def get_type() -> str:
        """Name under which d3rlpy saves it."""
        return "vip_pixels_and_proprio"


def picture_size(embedding_size: int) -> int:
    """Side in px of the RGB picture that is so many numbers."""
    return math.isqrt(embedding_size // 3)


register_encoder_factory(PixelsAndProprioFactory)
