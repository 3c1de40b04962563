"""Distances of kept and of dropped episodes over time, with the limit between them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from vip_offline.analysis.curation.ranking import Ranked, typical_start, whole_way
from vip_offline.report.figures.analysis.curves import limit_height, reduce_points
from vip_offline.report.figures.colors import BLUE, GREEN, GREY, INK, VERMILION, OutcomeStyle
from vip_offline.report.figures.comparison import finish, legend
from vip_offline.utils.arrays import Floats

CHOICES = {
    "kept": OutcomeStyle(BLUE, "-", "o", "kept"),
    "dropped": OutcomeStyle(VERMILION, "--", "x", "dropped"),
    "near": OutcomeStyle(GREEN, "-.", "D", "near the limit"),
}
FEW = 12  # curves up to which each is drawn in full strength


def choice_of(episode: Ranked) -> str:
    """Which of `CHOICES` an episode is drawn as."""
    if episode.borderline:
        return "near"
    return "kept" if episode.keep else "dropped"


def draw_choice(
    ax: Axes,
    distances: Sequence[Floats],
    ranked: Sequence[Ranked],
    least: float,
    *,
    points: int = 400,
) -> None:
    """Draw how much of the way to the goal remains over each episode.

    Args:
        ax: to draw on.
        distances: per episode in the order of the store (T,); one that is not known is left out.
        ranked: the same episodes.
        least: share of the way that an episode must cover to be kept.
        points: drawn of a curve at most.
    """
    start, whole = typical_start(distances), whole_way(distances)
    handles: list[Any] = []
    tops, longest = [1.0], 1
    for choice, look in CHOICES.items():
        mine = [
            1 - (start - distances[episode.episode]) / whole
            for episode in ranked
            if np.isfinite(episode.covered) and choice_of(episode) == choice
        ]
        if not mine:
            continue
        faint = 0.9 if len(mine) <= FEW or choice == "near" else 0.4
        lines = [reduce_points(curve, points) for curve in mine]
        ax.add_collection(
            LineCollection(
                lines, colors=look.color, linestyles=look.dashes, linewidths=1.1, alpha=faint
            )
        )
        ends = np.array([(len(curve) - 1, curve[-1]) for curve in mine])
        ax.plot(*ends.T, look.marker, color=look.color, ms=4, alpha=faint)
        label = f"{look.name} ({len(mine)})"
        handles.append(
            Line2D([], [], color=look.color, ls=look.dashes, marker=look.marker, ms=4, label=label)
        )
        tops += [float(curve.max()) for curve in mine]
        longest = max(longest, *(len(curve) - 1 for curve in mine))
    ax.axhline(1 - least, color=GREY, lw=1.2, ls=":")
    handles.append(Line2D([], [], color=GREY, ls=":", lw=1.2, label=f"limit: {least:g} covered"))
    ax.axhline(0, color=INK, lw=0.6)
    limit_height(ax, np.array(tops))
    ax.set_ylim(bottom=-0.25)
    ax.set_xlim(0, longest)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("step of the episode (frames)")
    ax.set_ylabel("share of the way to the goal\nthat remains (0 = best tenth)")
    legend(ax, handles, columns=2)
    finish(ax, grid="y")
