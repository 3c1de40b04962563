"""Rotation and mirroring of video frames by the display matrix."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError

OBLIQUE = 0.1  # part of a quarter turn by which a matrix may miss one


@dataclass(frozen=True)
class Orientation:
    """A quarter turn, a mirror image, or both."""

    swapped: bool = False  # rows and columns, first of all
    rows_back: bool = False  # the last row is the upper one
    columns_back: bool = False

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) as stored -> upright."""
        if self == AS_STORED:
            return frame
        turned = frame.swapaxes(0, 1) if self.swapped else frame
        rows, columns = (-1 if back else 1 for back in (self.rows_back, self.columns_back))
        return np.ascontiguousarray(turned[::rows, ::columns])

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(H, W, 3) upright of frames that are stored at this height and width."""
        return (width, height, 3) if self.swapped else (height, width, 3)


AS_STORED = Orientation()


def orientation_of(frame: Any, where: object) -> Orientation:
    """Read what a decoded frame of PyAV says; `where` names it in errors.

    Source: libavutil/display.h: x' = a x + c y, y' = b x + d y of (a b u, c d v, x y w).

    Raises:
        VipOfflineError: if it is turned by anything but quarters.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return AS_STORED
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(data), np.int32)[:5])
    straight, crosswise = min(abs(a), abs(d)), min(abs(b), abs(c))
    if max(abs(a), abs(d)) < OBLIQUE * crosswise:
        return Orientation(swapped=True, rows_back=b < 0, columns_back=c < 0)
    if max(abs(b), abs(c)) < OBLIQUE * straight:
        return Orientation(rows_back=d < 0, columns_back=a < 0)
    raise VipOfflineError(
        f"{where}: is shown turned by {frame.rotation} degrees, which is no quarter turn. Encode "
        "it upright: ffmpeg -i IN OUT.mp4."
    )
