"""One demonstration: its arrays, their shapes, and the check before it is stored."""

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError


@dataclass(frozen=True)
class VideoReference:
    """Frames of an episode that stay in their video file; the store holds their time stamps."""

    file: Path  # relative to the folder that the store names as `videos`, or absolute
    size: int  # bytes of the file
    pts: NDArray[np.int64]  # (T,) presentation time stamps, in the time base of the stream
    shape: tuple[int, int, int]  # (H, W, 3) of a decoded frame
    content: NDArray[np.uint8]  # (16,) hash of the frames
    turned: bool = False  # whether the display matrix rotates or mirrors the stored frames

    def __len__(self) -> int:
        return len(self.pts)


@dataclass(frozen=True)
class ZarrReference:
    """Frames of an episode that stay in a zarr array of another program; the store holds rows."""

    file: Path  # of the other store
    array: str  # its key there
    start: int  # first row
    rows: int
    shape: tuple[int, int, int]  # (H, W, 3) of a frame
    content: NDArray[np.uint8]  # hash by which these frames are known

    def __len__(self) -> int:
        return self.rows


@dataclass(frozen=True)
class Episode:
    """T observations and the T actions taken in them.

    Row t is the observation *before* action t. The last row's action was taken as well, but what
    it led to was not observed: T rows make T - 1 transitions. Where no action was taken in the
    last observation, its row is NaN; where there are no actions at all, A is 0.
    """

    frames: Mapping[str, NDArray[np.uint8]]  # camera -> (T, H, W, 3), RGB
    proprio: NDArray[np.float32]  # (T, P), the robot's own state, in the robot's units
    action: NDArray[np.float32]  # (T, A)
    succeeded: NDArray[np.bool_]  # (T,), whether the task was solved by observation t
    true_reward: NDArray[np.float32]  # (T,), the simulator's dense reward of step t; NaN if unknown
    success: bool  # whether the episode counts as a success
    success_labelled: bool = True  # whether the origin says so
    kind: str = "demonstration"  # how it came about: "expert", "frozen", ...
    placement: int = -1  # seed of the objects' placement; -1: unknown
    # cameras whose frames are not copied into the store
    clips: Mapping[str, VideoReference] = field(default_factory=dict)
    links: Mapping[str, ZarrReference] = field(default_factory=dict)
    # what else the origin had per row: name -> (T, ...) numbers, kept as they are
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    origin: int = -1  # its number in its origin; -1: it has none
    name: str = ""  # in its origin
    task: str = ""  # in words
    splits: tuple[str, ...] = ()  # of its origin that it belongs to: "train", "valid", ...

    def __len__(self) -> int:
        return len(self.action)

    def check(self, where: str) -> None:
        """Refuse arrays that cannot be one episode; `where` names it in the message.

        Raises:
            VipOfflineError: on lengths that differ, fewer than two rows, wrong dtypes or
                shapes, and on values that are not finite.
        """
        names = ("proprio", "action", "succeeded", "true_reward")
        views: dict[str, Sized] = {**self.frames, **self.clips, **self.links}
        lengths = {f"frames of camera {name}": len(view) for name, view in views.items()}
        lengths |= {name: len(getattr(self, name)) for name in names}
        lengths |= {name: len(column) for name, column in self.extras.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise VipOfflineError(
                f"{where}: its arrays differ in length ({listed}); every row needs all of them."
            )
        if len(self) < 2:
            raise VipOfflineError(
                f"{where}: {len(self)} row(s); a transition needs two. Leave this episode out."
            )
        for camera, frames in self.frames.items():
            if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
                raise VipOfflineError(
                    f"{where}: frames of camera {camera} are {frames.dtype} {frames.shape}; "
                    "expected uint8 (T, H, W, 3), RGB."
                )
        for name, array in (("proprio", self.proprio), ("action", self.action)):
            if array.dtype != np.float32 or array.ndim != 2:
                raise VipOfflineError(
                    f"{where}: {name} is {array.dtype} {array.shape}; expected float32 (T, D)."
                )
            if name == "action" and np.isnan(array[-1]).all():
                array = array[:-1]  # none was taken in the last observation
            bad = np.argwhere(~np.isfinite(array))
            if len(bad):
                row, column = (int(index) for index in bad[0])
                raise VipOfflineError(
                    f"{where}: {name}[{row}, {column}] is {array[row, column]} "
                    f"({len(bad)} value(s) in all are not finite). Repair or leave out the episode."
                )
