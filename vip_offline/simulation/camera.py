"""What every simulator here does alike: draw from one view, and give the graphics back."""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vip_offline.simulation.interface import Observation
from vip_offline.simulation.nuisances import Nuisance
from vip_offline.simulation.rendering import Renderer, View


class DrawnSimulator(ABC):
    """The part of a `simulation.interface.Simulator` that has to do with pictures.

    Args:
        view: that frames are drawn from.
        image_size: height and width of frames.
        renderer: of another simulator of the same task and view, to share.
    """

    def __init__(self, view: View, image_size: int, renderer: Renderer | None) -> None:
        self.renderer = renderer
        self.nuisance: Nuisance | None = None
        self._view, self._image_size = view, image_size

    def renderer_of(self, model: Any) -> Renderer:
        """The renderer, made for the first frame."""
        if self.renderer is None:
            self.renderer = Renderer(model, self._view, self._image_size)
        return self.renderer

    @abstractmethod
    def frame(self) -> NDArray[np.uint8]:
        """(image_size, image_size, 3) RGB of the state."""

    @abstractmethod
    def proprio(self) -> NDArray[np.float32]:
        """(P,) of the robot's own joints."""

    def observe(self) -> Observation:
        """The picture, and the robot's own joints."""
        return Observation(self.frame(), self.proprio())

    def close(self) -> None:
        """Free the graphics context; closing twice does no harm."""
        if self.renderer is not None:
            self.renderer.close()
            self.renderer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
