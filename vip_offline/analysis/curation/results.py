"""What a curation found: the choice with its reasons, for a page, a terminal, lists."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.curation.ranking import Ranked
from vip_offline.analysis.results import Analysis


@dataclass(frozen=True)
class Shot:
    """One frame of an episode, small."""

    row: int  # of the episode
    pixels: NDArray[np.uint8]  # (h, w, 3) RGB


@dataclass(frozen=True)
class Curation:
    """A store's episodes as the reward ranks them."""

    analysis: Analysis  # of the one labelling
    ranked: tuple[Ranked, ...]  # the best first
    least: float  # share of the way that an episode must cover
    notes: tuple[str, ...]  # what was not looked for, and why: sentences
    shots: Mapping[int, tuple[Shot, ...]]  # episode -> its frames, of those that are shown

    @property
    def kept(self) -> list[int]:
        """Episodes to keep, in the order of the store."""
        return sorted(episode.episode for episode in self.ranked if episode.keep)

    @property
    def borderline(self) -> list[Ranked]:
        """Episodes to look at: those near the limit; if there are none, the nearest on each side.

        Ascending by what they lack.
        """
        near = [episode for episode in self.ranked if episode.borderline]
        known = [episode for episode in self.ranked if np.isfinite(episode.covered)]
        kept = [episode for episode in known if episode.keep][-1:]
        return near or [*kept, *[episode for episode in known if not episode.keep][:1]]

    @property
    def clear_success(self) -> Ranked | None:
        """The episode that covers most of the way among the successes; of all if there is none."""
        known = [episode for episode in self.ranked if np.isfinite(episode.covered)]
        good = [episode for episode in known if self.analysis.success[episode.episode]]
        return next(iter([*good, *known]), None)
