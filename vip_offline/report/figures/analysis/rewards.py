"""How large rewards are, and how they relate to a true one (Fig. 7, 17 to 19, 21, 22)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from vip_offline.analysis.metrics import count_difference, normalised, reward_histogram
from vip_offline.analysis.results import Row
from vip_offline.report.figures.analysis.row_style import (
    MANY,
    looks_of,
    row_legend,
    short,
    short_name,
)
from vip_offline.report.figures.colors import BLUE, GREY, INK, VERMILION
from vip_offline.report.figures.comparison import finish, legend, literal
from vip_offline.utils.arrays import Floats

CUT = 2.0  # count differences beyond it are cut off: a bin of one reward may have any


def rewards_from_one(row: Row) -> Floats:
    """(N,) rewards of Eq. 1 of curves that start at 1, so that encoders of any scale compare."""
    parts = [
        -np.diff(normalised(distance)) for distance in row.distances if np.isfinite(distance).all()
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def draw_histogram(ax: Axes, rows: Sequence[Row], *, log: bool = False) -> None:
    """Draw how often rewards of each size occur (Fig. 7, 21; logarithmic: Fig. 22).

    Of curves that start at 1. Good is a tall peak in the first positive bin, which is shaded: many
    small steps towards the goal, and few large ones either way.

    Args:
        ax: to draw on.
        rows: labellings and controls; time itself is one bar that hides the others.
        log: whether the count's axis is logarithmic.
    """
    rewards = [rewards_from_one(row) for row in rows]
    histogram = reward_histogram(rewards)
    edges = histogram.edges
    first = len(edges) // 2
    ax.axvspan(edges[first], edges[first + 1], color=GREY, alpha=0.25, lw=0)
    handles: list[Any] = []
    for row, look, counts in zip(rows, looks_of(rows), histogram.counts, strict=True):
        if not counts.sum():
            continue
        share = 100 * counts / counts.sum()
        style = {"color": look.color, "ls": look.dashes, "lw": look.width}
        # not filled: seven areas on top of each other are mud
        ax.stairs(share, edges, baseline=None, **style, zorder=1.5 if row.control else 2)
        handles.append(Line2D([], [], **style, label=short_name(row)))
    handles.append(Patch(fc=GREY, alpha=0.3, lw=0, label="first positive bin"))
    ax.axvline(0, color=INK, lw=0.8)
    ax.set_xlim(edges[0], edges[-1])
    if log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        ax.set_ylim(bottom=0)
    ax.set_xlabel("reward (share of the distance at the start)")
    ax.set_ylabel("transitions (%)")
    row_legend(ax, handles)
    finish(ax, grid="y")


def draw_count_difference(ax: Axes, a_row: Row, b_row: Row) -> None:
    """Draw how many more rewards of each size one row has than another (below Fig. 7).

    (|a| - |b|) / |b| per bin, nothing where b has none, cut off at `CUT`.
    """
    histogram = reward_histogram([rewards_from_one(a_row), rewards_from_one(b_row)])
    edges = histogram.edges
    difference = count_difference(*histogram.counts)
    known = np.isfinite(difference)
    middles, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    first = len(edges) // 2
    ax.axvspan(edges[first], edges[first + 1], color=GREY, alpha=0.25, lw=0)
    heights = difference.clip(max=CUT)
    for sign, color, hatch in ((1, BLUE, ""), (-1, VERMILION, "////")):
        mine = known & (np.sign(difference) == sign)
        ax.bar(middles[mine], 100 * heights[mine], 0.9 * width, fc=color, ec=INK, lw=0.3,
               hatch=hatch)  # fmt: skip
    higher = known & (difference > CUT)
    ax.plot(middles[higher], np.full(higher.sum(), 100 * CUT), "^", color=INK, ms=4, clip_on=False)
    ax.axhline(0, color=INK, lw=0.8)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(-105, 100 * CUT if higher.any() else max(20.0, 105 * np.nanmax(heights, initial=0)))
    ax.set_xlabel("reward (share of the distance at the start)")
    ax.set_ylabel("difference in count (%)")
    a, b = short_name(a_row), short_name(b_row)
    handles: list[Any] = [
        Patch(fc=BLUE, ec=INK, lw=0.3, label=f"more of {a}"),
        Patch(fc=VERMILION, ec=INK, lw=0.3, hatch="////", label=f"more of {b}"),
    ]
    if higher.any():
        label = f"beyond {100 * CUT:.0f} %"
        handles.append(Line2D([], [], marker="^", ls="", color=INK, ms=4, label=label))
    row_legend(ax, handles)
    finish(ax, grid="y")


def draw_dense_scatter(ax: Axes, row: Row, true_rewards: Sequence[ArrayLike]) -> None:
    """Draw a labelling's reward against the true dense one, with the best line (Fig. 17 to 19).

    Args:
        ax: to draw on.
        row: a labelling or a control.
        true_rewards: per episode (T - 1,), as `Analysis.true_rewards`.
    """
    visual = np.concatenate([np.zeros(0), *row.rewards])
    true = np.concatenate(
        [np.zeros(0), *(np.asarray(reward, np.float64) for reward in true_rewards)]
    )
    both = np.isfinite(visual) & np.isfinite(true)
    visual, true = visual[both], true[both]
    many = len(visual) > MANY
    ax.plot(visual, true, "o", color=BLUE, ms=2 if many else 3.5, mew=0,
            alpha=max(0.15, min(0.8, 1000 / max(len(visual), 1))), rasterized=many)  # fmt: skip
    label = f"{len(visual)} transitions"
    handles = [Line2D([], [], color=BLUE, marker="o", ls="", ms=4, label=label)]
    if np.isfinite(row.dense_fit):
        slope, offset = np.polyfit(visual, true, 1)
        ends = np.array([visual.min(), visual.max()])
        label = f"best line, R² = {row.dense_fit:.2f}"
        handles += ax.plot(
            ends, slope * ends + offset, color=VERMILION, lw=1.8, ls="--", label=label
        )
    legend(ax, handles, columns=2)
    ax.set_xlabel(literal(f"reward of {short(row.name)}"))
    ax.set_ylabel("true reward")
    finish(ax, grid="both")
