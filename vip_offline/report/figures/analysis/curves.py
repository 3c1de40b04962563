"""Distances to the goal over time, of all episodes or of one (Fig. 6, 20)."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from vip_offline.analysis.metrics import normalised
from vip_offline.analysis.results import Row
from vip_offline.report.figures.analysis.row_style import looks_of, row_legend, short_name
from vip_offline.report.figures.colors import GREY, INK, OUTCOMES, OutcomeStyle
from vip_offline.report.figures.comparison import finish, legend
from vip_offline.utils.arrays import Floats

POINTS = 400  # of a curve: more than there are pixels for
BAND_EPISODES = 8  # episodes of one outcome from which on a median says more than the curves


def draw_curves(
    ax: Axes,
    row: Row,
    success: ArrayLike,
    *,
    to: Literal["goal", "own end"] = "goal",
    points: int = POINTS,
) -> None:
    """Draw the distance to the goal over each episode, 1 at its start (Fig. 6, 20).

    From `BAND_EPISODES` episodes of an outcome on, median and middle half are drawn as well; one
    that is over counts with its last distance. An episode without a goal of others (nan) is left
    out.

    Args:
        ax: to draw on.
        row: a labelling or a control.
        success: (E,) bool.
        to: the goal made of other episodes, or as in Fig. 6 each episode's own last frame, which
            it reaches by definition.
        points: drawn of each curve at most, its ends among them.
    """
    success = np.asarray(success, bool)
    raw = row.distances if to == "goal" else row.own
    curves = [normalised(distance) for distance in raw]
    known = np.array([len(curve) > 0 and bool(np.isfinite(curve).all()) for curve in curves], bool)
    handles: list[Any] = []
    tops = [1.0]
    for outcome, look in OUTCOMES.items():
        mine = [curves[place] for place in np.flatnonzero(known & (success == outcome))]
        if not mine:
            continue
        many = len(mine) >= BAND_EPISODES
        ax.add_collection(
            LineCollection(
                [reduce_points(curve, points) for curve in mine],
                colors=look.color,
                linestyles=look.dashes,
                linewidths=0.5 if many else 1.1,
                alpha=max(0.18, min(0.5, 12 / len(mine))) if many else 0.9,
            )
        )
        ends = np.array([(len(curve) - 1, curve[-1]) for curve in mine])
        size, faint = (3.0, 0.5) if many else (5.0, 0.9)
        ax.plot(*ends.T, look.marker, color=look.color, ms=size, alpha=faint, mew=0.8)
        label = f"{look.name} ({len(mine)})"
        handles.append(
            Line2D([], [], color=look.color, ls=look.dashes, marker=look.marker, ms=5, label=label)
        )
        if many:
            _draw_band(ax, mine, look)
        tops += [float(curve.max()) for curve in mine]
    if any((known & (success == outcome)).sum() >= BAND_EPISODES for outcome in OUTCOMES):
        handles.append(Patch(fc=GREY, alpha=0.35, lw=0, label="median, middle half"))
    limit_height(ax, np.array(tops))
    ax.set_xlim(0, max([1, *(len(curve) - 1 for curve in curves)]))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("step of the episode (frames)")
    if to == "goal":
        ax.set_ylabel("distance to the goal\n(1 = at the start)")
    else:
        ax.set_ylabel("distance to its last frame\n(1 = at the start)")
    legend(ax, handles, columns=2)
    finish(ax, grid="y")


def reduce_points(curve: Floats, points: int) -> Floats:
    """(T,) -> (P, 2) of step and value, both ends among them."""
    rows = np.unique(np.linspace(0, len(curve) - 1, min(points, len(curve))).round().astype(int))
    return np.column_stack([rows, curve[rows]])


def _draw_band(ax: Axes, curves: Sequence[Floats], look: OutcomeStyle) -> None:
    # an episode that is over stays where it ended: were it left out, the median would jump to
    # those that last longest
    T = max(len(curve) for curve in curves)
    table = np.stack([np.pad(curve, (0, T - len(curve)), mode="edge") for curve in curves])
    low, middle, high = np.quantile(table, (0.25, 0.5, 0.75), axis=0)
    rows = reduce_points(middle, 120)[:, 0].astype(int)
    ax.fill_between(rows, low[rows], high[rows], color=look.color, alpha=0.22, lw=0)
    ax.plot(rows, middle[rows], color=look.color, ls=look.dashes, lw=2.4)


def limit_height(ax: Axes, tops: Floats) -> None:
    """Keep one wild curve, such as of an episode that starts at the goal, from flattening all."""
    top = max(1.05, 1.05 * float(tops.max()))
    usual = max(1.3, 1.5 * float(np.quantile(tops, 0.9)))
    if top > usual:
        beyond = int((tops > usual).sum())
        top = usual
        text = f"{beyond} {'go' if beyond > 1 else 'goes'} higher, up to {tops.max():.3g}"
        ax.text(0.99, 0.98, text, transform=ax.transAxes, ha="right", va="top", color=INK)
    ax.set_ylim(0, top)


def draw_curve_of(
    ax: Axes, rows: Sequence[Row], episode_index: int, *, points: int = POINTS
) -> None:
    """Draw what each labelling and control makes of one episode, 1 at its start.

    Args:
        ax: to draw on.
        rows: labellings and controls; one that has no distance for the episode is left out.
        episode_index: its place in `Analysis.episodes`.
        points: drawn of each curve at most.
    """
    handles: list[Line2D] = []
    tops, longest = [1.0], 1
    for row, look in zip(rows, looks_of(rows), strict=True):
        curve = normalised(row.distances[episode_index])
        if not np.isfinite(curve).all():
            continue
        steps, values = reduce_points(curve, points).T
        (line,) = ax.plot(steps, values, color=look.color, ls=look.dashes, lw=look.width,
                          zorder=1.5 if row.control else 2)  # fmt: skip
        if len(curve) == 1:  # no line is to be seen
            line.set_marker(look.marker)
        line.set_label(short_name(row))
        handles.append(line)
        tops.append(float(curve.max()))
        longest = max(longest, len(curve) - 1)
    ax.set_xlim(0, longest)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    limit_height(ax, np.array(tops))
    ax.set_xlabel("step of the episode (frames)")
    ax.set_ylabel("distance to the goal\n(1 = at the start)")
    row_legend(ax, handles)
    finish(ax, grid="y")
