"""What an encoder in training makes of videos that it has not seen, beside what it must beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.controls import random_features, random_weights, raw_pixels, shrink
from vip_offline.analysis.metrics import (
    bump_fraction,
    leave_one_out_goals,
    mean_of,
    order_correlation,
)
from vip_offline.errors import did_you_mean
from vip_offline.options import PretrainOptions
from vip_offline.options.fields import OptionError
from vip_offline.pretraining.clips.clip import Clips
from vip_offline.pretraining.trainer import EmbedFrames

CLIPS = 100  # of those held out, evenly spread; more take longer and say the same
MOST_FRAMES = 200  # of each, evenly spread where it has more


@dataclass(frozen=True)
class ProgressMetrics:
    """Means over clips of how their distances to a goal fall."""

    bumps: float  # share of steps away from the clip's own last frame (Table 5)
    order: float  # Spearman's correlation of nearness to that frame with time
    order_others: float  # the same, to the mean last frame of others of its group; nan without any
    clips: int

    def named(self) -> dict[str, float]:
        """By name, for a log."""
        return {"bumps": self.bumps, "order": self.order, "order_others": self.order_others}


def held_out(
    groups: NDArray[np.int64], takes: NDArray[np.int64], share: float, seed: int
) -> NDArray[np.bool_]:
    """(C,) bool: clips that are held out; whole takes, the same share of every group.

    A take that one camera shows in training is not unseen by another.

    Args:
        groups: (C,) of each clip.
        takes: (C,) of each clip.
        share: of each group's takes, rounded; of two or more at least one, never all.
        seed: of the run.
    """
    out = np.zeros(len(groups), bool)
    random = np.random.default_rng([seed, 0])  # steps are numbered from 1
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        videos = np.unique(takes[members])
        count = round(share * len(videos))
        if share > 0:
            count = min(max(count, 1), len(videos) - 1)
        out[members[np.isin(takes[members], random.permutation(videos)[:count])]] = True
    return out


def validation_mask(clips: Clips, options: PretrainOptions) -> NDArray[np.bool_]:
    """(C,) bool: clips that are held out: whole groups where some are named, else of each a share.

    Raises:
        VipOfflineError: of a group that is not there.
    """
    if not options.hold_out_groups:
        return held_out(clips.groups, clips.takes, options.hold_out, options.seed)
    for name in options.hold_out_groups:
        if name not in clips.group_names:
            hint = did_you_mean(name, clips.group_names)
            raise OptionError(
                PretrainOptions, "hold_out_groups", name, f"is no group of these videos.{hint}"
            )
    chosen = [clips.group_names.index(name) for name in options.hold_out_groups]
    return np.isin(clips.groups, chosen)


def some_rows(length: int) -> NDArray[np.int64]:
    """All rows of a clip, or `MOST_FRAMES` evenly spread ones from the first to the last."""
    return np.linspace(0, length - 1, min(length, MOST_FRAMES)).round().astype(np.int64)


def validation_clips(clips: Clips, chosen: Sequence[int]) -> NDArray[np.int64]:
    """Return `CLIPS` evenly spread ones of the held-out clips."""
    places = np.linspace(0, len(chosen) - 1, min(len(chosen), CLIPS)).round().astype(np.int64)
    return np.asarray(chosen, np.int64)[places]


def progress_metrics(
    embeddings: Sequence[NDArray[np.float32]],
    groups: NDArray[np.int64],
    takes: NDArray[np.int64],
) -> ProgressMetrics:
    """Measure how the embeddings of whole clips order their frames.

    Args:
        embeddings: of each clip (T, D).
        groups: (C,) whose last frames make each other's goal.
        takes: (C,) of which one's own never does, by whichever camera.
    """
    bumps, order, order_from_zero = [], [], []
    goals = np.full((len(embeddings), embeddings[0].shape[1]), np.nan)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        last = np.stack([embeddings[int(member)][-1] for member in members])
        shown, of_member = np.unique(takes[members], return_inverse=True)
        goals[members] = leave_one_out_goals(last, of_member.tolist(), len(shown))[of_member]
    for values, goal in zip(embeddings, goals, strict=True):
        distances = np.linalg.norm(values.astype(np.float64) - values[-1], axis=1)
        bumps.append(bump_fraction(distances))
        order.append(order_correlation(distances))
        order_from_zero.append(order_correlation(np.linalg.norm(values - goal, axis=1)))
    return ProgressMetrics(
        bumps=mean_of(bumps),
        order=mean_of(order),
        order_others=mean_of(order_from_zero),
        clips=len(embeddings),
    )


class Validation:
    """Validation on held-out clips, with the measures of raw pixels and a random network.

    Args:
        clips: all of them.
        chosen: the numbers of those that are held out.
        on_clips: called with 1 for each clip that the controls have seen.
    """

    def __init__(
        self,
        clips: Clips,
        chosen: Sequence[int],
        on_clips: Callable[[int], None] = lambda clips: None,
    ) -> None:
        self._clips = clips
        self.watched = validation_clips(clips, chosen)
        self.groups = clips.groups[self.watched]
        self.takes = clips.takes[self.watched]
        pixels, random, weights = [], [], random_weights()
        for clip in self.watched:
            small = shrink(self._frames(int(clip)))
            pixels.append(raw_pixels(small).astype(np.float32))
            random.append(random_features(small, weights))
            on_clips(1)
        self.controls: Mapping[str, ProgressMetrics] = {
            "raw pixels": progress_metrics(pixels, self.groups, self.takes),
            "random network": progress_metrics(random, self.groups, self.takes),
        }

    def _frames(self, clip: int) -> NDArray[np.uint8]:
        return self._clips.read(clip, some_rows(int(self._clips.lengths[clip])))

    def __call__(self, embed: EmbedFrames) -> ProgressMetrics:
        """Of an encoder."""
        embeddings = [embed(self._frames(int(clip))) for clip in self.watched]
        return progress_metrics(embeddings, self.groups, self.takes)
