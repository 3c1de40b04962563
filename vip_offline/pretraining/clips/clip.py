"""What pre-training draws its frames from: clips, whatever holds them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vip_offline.errors import VipOfflineError

SHORTEST = 2  # frames: a clip of fewer shows no step
SKIPPED_NAMED = 3  # clips that a message names


class Clips(Protocol):
    """C clips; safe to read from several threads."""

    lengths: NDArray[np.int64]  # (C,) frames of each, at least `SHORTEST`
    groups: NDArray[np.int64]  # (C,) which of `group_names` each belongs to
    # (C,) number of the recording that each clip shows: cameras of one episode share a number, some
    # numbers may be missing, and all of a take are in one group
    takes: NDArray[np.int64]
    group_names: tuple[str, ...]  # top folders or stores
    skipped: tuple[str, ...]  # name and reason of each clip that was left out
    fingerprint: str  # hash of all clips; a resumed run checks that it has not changed

    def name(self, clip: int) -> str:
        """Where it is, for messages."""

    def read(self, clip: int, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(n, H, W, 3) RGB of n frames of a clip, in any order and repeated.

        Raises:
            VipOfflineError: naming the file and the frame that cannot be read.
        """


class FrameClip(Protocol):
    """One clip, whatever holds its frames; safe to read from several threads."""

    @property
    def name(self) -> str:
        """See `Clips.name`."""

    @property
    def length(self) -> int:
        """Frames, at least `SHORTEST`."""

    @property
    def identity(self) -> str:
        """Hash of the content, or of what stands for it; part of `Clips.fingerprint`."""

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See `Clips.read`."""


def check_clip_length(name: str, length: int) -> None:
    """Refuse a clip with fewer than `SHORTEST` frames.

    Raises:
        VipOfflineError: naming it.
    """
    if length < SHORTEST:
        frames = "1 frame" if length == 1 else f"{length} frames"
        raise VipOfflineError(f"{name}: has {frames}, and a clip needs {SHORTEST}.")


def check_skipped(skipped: Sequence[str], total: int, most: float) -> None:
    """Refuse to continue if more clips were left out than the user allows.

    Raises:
        VipOfflineError: with how many there are, and the first few.
    """
    if len(skipped) > most * total:
        listed = "".join(f"\n  {reason}" for reason in skipped[:SKIPPED_NAMED])
        more = (
            f"\n  and {len(skipped) - SKIPPED_NAMED} more" if len(skipped) > SKIPPED_NAMED else ""
        )
        share = len(skipped) / total
        raise VipOfflineError(
            f"{len(skipped)} of {total} clips ({share:.1%}) cannot be used, and --max-skipped "
            f"allows {most:.1%}. Restore or remove them, or raise --max-skipped:{listed}{more}"
        )
