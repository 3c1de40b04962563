"""The action error of variants on held-out episodes."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from vip_offline.report.figures.colors import BLUE, GREY, INK
from vip_offline.report.figures.comparison import finish, legend, name_rows

HEIGHT = 0.6  # of a line, of which each episode has its share


def draw_held_out(ax: Axes, summary: Mapping[str, Any]) -> None:
    """Draw a bar from the lowest to the highest seed for each episode, and the mean of all.

    Args:
        ax: to draw on.
        summary: of `summarise_held_out`.
    """
    arms, episodes = summary["arms"], summary["episodes"]
    most = 0.0
    for row, arm in enumerate(arms):
        color = GREY if arm["name"] == summary["baseline"] else BLUE
        for place, error in enumerate(arm["per_episode"]):
            y = row + HEIGHT * ((place + 0.5) / len(episodes) - 0.5)
            ax.plot([error["low"], error["high"]], [y, y], color=color, lw=2, marker="|", ms=5)
            most = max(most, error["high"])
        ax.plot(arm["error"], row, "D", ms=6, color=color, mec=INK, mew=0.8)
    name_rows(ax, [arm["name"] for arm in arms])
    ax.set_xlim(0, 1.05 * most or 1.0)
    ax.set_xlabel("squared action error, of actions in [-1, 1]")
    bars = "an episode, lowest to highest seed"
    legend(
        ax,
        [
            Line2D([], [], color=BLUE, lw=2, marker="|", ms=5, label=bars),
            Line2D([], [], color=BLUE, marker="D", mec=INK, ls="", ms=6, label="mean"),
        ],
        columns=2,
    )
    finish(ax, grid="x")
