"""Small data sets of the kinds that people have, with frames that can be told apart.

Frame i has grey 20 + 18 i and red at the top left; its action is (i/100, -i/100).
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

LENGTH = 12
RATE = 10
HEADER = "timestamp,ax,ay"


def frames(length: int = LENGTH) -> NDArray[np.uint8]:
    made = np.empty((length, 64, 96, 3), np.uint8)
    for row in range(length):
        made[row] = 20 + 18 * row % 230
        made[row, :16, :16] = (230, 20, 20)
    return made


def action(length: int = LENGTH) -> NDArray[np.float32]:
    steps = np.arange(length, dtype=np.float32)
    return np.stack([steps / 100, -steps / 100], 1)


def robot(folder: Path, **more: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "robot.npz", action=action(), proprio=action(), **more)


def pictures(folder: Path, name: Callable[[int], str], **how: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for row, frame in enumerate(frames()):
        Image.fromarray(frame).save(folder / name(row), **how)


def video(path: Path, rate: int = RATE, length: int = LENGTH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.options = {"crf": "10"}
        for frame in frames(length):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def csv_lines(separator: str = ",", rows: int = LENGTH, rate: float = RATE) -> list[str]:
    return [
        HEADER.replace(",", separator),
        *(separator.join(map(str, (i / rate, i / 100, -i / 100))) for i in range(rows)),
    ]


def table(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def greys(stored: NDArray[np.uint8]) -> list[int]:
    """Which frame each stored one is, by its grey in the middle."""
    return [round((float(frame[32:, 40:].mean()) - 20) / 18) for frame in stored]
