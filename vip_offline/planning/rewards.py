"""The score of an action sequence: how near to the goal it ends.

Eq. 1 rewards a step from o to o' by S(o'; g) - S(o; g), with S minus the distance of embeddings.
Summed over a sequence without discount this telescopes to S(last; g) - S(first; g), and the first
observation is the same for all sequences. So S of the last one decides alone, as in the authors'
code, which computes all the others and leaves them out: no frame between is drawn or embedded.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from vip_offline.errors import VipOfflineError
from vip_offline.planning.shooting import Ends
from vip_offline.rewards.functions import goal_distance
from vip_offline.utils.arrays import Floats, Pixels

if TYPE_CHECKING:
    from vip_offline.encoders.encoder import Encoder


class Reward(Protocol):
    """What sequences are scored by."""

    @property
    def draws(self) -> bool:
        """Whether it looks at frames."""

    @property
    def name(self) -> str:
        """What computes it, for people."""

    def __call__(self, ends: Ends) -> Floats:
        """(N,) scores of N sequences."""

    def distances(self, frames: Pixels) -> Floats | None:
        """(T,) distances of (T, H, W, 3) frames to the goal; None: it knows none."""


@dataclass(frozen=True)
class DenseReward:
    """The simulator's own reward of the last step: the ceiling that visual rewards have."""

    draws: bool = False
    name: str = "the simulator"

    def __call__(self, ends: Ends) -> Floats:
        """(N,) scores of N sequences."""
        return ends.rewards

    def distances(self, frames: Pixels) -> Floats | None:
        """None: it looks at no frame."""
        return None


@dataclass(frozen=True)
class VisualReward:
    """Minus the distance of embeddings to that of a goal picture."""

    encoder: "Encoder"
    goal: Floats  # (D,)
    draws: bool = True

    @property
    def name(self) -> str:
        """What computes it, for people."""
        return f"{self.encoder.name} by {self.encoder.backend.name}"

    def __call__(self, ends: Ends) -> Floats:
        """(N,) scores of N sequences; all frames are embedded in one go.

        Raises:
            VipOfflineError: if an embedding is not finite, naming the encoder.
        """
        assert ends.frames is not None
        return -self.distances(ends.frames)

    def distances(self, frames: Pixels) -> Floats:
        """(T,) distances of (T, H, W, 3) frames to the goal, in units of the embedding.

        Raises:
            VipOfflineError: see `embedded`.
        """
        return goal_distance(embedded(self.encoder, frames), self.goal)


def to_goal(encoder: "Encoder", picture: Pixels, image_size: int) -> VisualReward:
    """The reward of coming near to a picture.

    Args:
        encoder: loaded, with the fit that is wanted.
        picture: (H, W, 3) of any size; seen as frames are.
        image_size: of the frames, in px.

    Raises:
        VipOfflineError: see `embedded`.
    """
    seeing = encoder.seeing(encoder.preprocessing.for_frames(image_size, image_size))
    return VisualReward(seeing, embedded(seeing, picture[None])[0].astype(np.float64))


def embedded(encoder: "Encoder", frames: Pixels) -> Floats:
    """(N, D) embeddings of frames.

    Raises:
        VipOfflineError: if one is not finite, naming the encoder.
    """
    embeddings = encoder(frames)
    bad = int((~np.isfinite(embeddings).all(axis=1)).sum())
    if bad:
        raise VipOfflineError(
            f"Encoder {encoder.name} gives embeddings that are not finite for {bad} of "
            f"{len(frames)} frames, so nothing can be scored by it. Check its weights (sha256 "
            f"{encoder.sha256[:8]}), or choose another --encoder."
        )
    return np.asarray(embeddings)
