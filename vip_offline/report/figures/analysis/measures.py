"""A number per episode or per row: bumps, order, AUC, signal over noise.

Rows are labellings and controls; `success` is (E,) bool. What a row lacks is left out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike

from vip_offline.analysis.results import Row
from vip_offline.report.figures.analysis.row_style import (
    MANY,
    looks_of,
    row_legend,
    short,
    short_name,
)
from vip_offline.report.figures.colors import BLUE, GREY, INK, OUTCOMES, VERMILION
from vip_offline.report.figures.comparison import finish, legend, name_rows
from vip_offline.utils.arrays import Floats


def draw_bumps(ax: Axes, rows: Sequence[Row], success: ArrayLike) -> None:
    """Draw each episode's share of bumps, and for successes mean and deviation as in Table 5.

    Args:
        ax: to draw on.
        rows: labellings and controls.
        success: (E,) bool.
    """
    ax.axvline(50, color=INK, lw=1, ls=":")
    _draw_dots(ax, rows, lambda row: 100 * row.bumps, success, "a random walk has 50 %")
    every = np.concatenate([np.zeros(1), *(row.bumps for row in rows)])
    ax.set_xlim(-2, max(62.0, 1.05 * 100 * float(np.nanmax(every))))
    ax.set_xlabel("transitions that lead away from the end (%)")


def draw_order(ax: Axes, rows: Sequence[Row], success: ArrayLike) -> None:
    """Draw how well each episode's distances order its frames in time.

    Args:
        ax: to draw on.
        rows: labellings and controls.
        success: (E,) bool.
    """
    ax.axvline(0, color=INK, lw=1, ls=":")
    _draw_dots(ax, rows, lambda row: row.order, success, "no order")
    ax.set_xlim(-1.04, 1.04)
    ax.set_xticks([-1, -0.5, 0, 0.5, 1])
    ax.set_xlabel("correlation of nearness with time")


def _draw_dots(
    ax: Axes, rows: Sequence[Row], of: Callable[[Row], Floats], success: ArrayLike, line: str
) -> None:
    """A line per row: successes above it, failures below, on it their mean and deviation.

    Those of successes, as in `Analysis.judged`: a failure has no duty to come near the goal.
    """
    success = np.asarray(success, bool)
    judged = success if success.any() else ~success
    many = len(rows) * len(success) > MANY
    # an episode has the same height everywhere, neighbours are far apart
    height = 0.12 + 0.26 * ((np.arange(len(success)) * 0.618034) % 1)
    for place, row in enumerate(rows):
        values = of(row)
        for outcome, look in OUTCOMES.items():
            mine = success == outcome
            ax.plot(
                values[mine],
                place + np.where(success, -height, height)[mine],
                look.marker,
                color=GREY if row.control else look.color,
                ms=3 if many else 4,
                mew=0.8,
                mfc="none",
                alpha=0.6 if many else 0.9,
                rasterized=many,
            )
        known = values[judged & np.isfinite(values)]
        if len(known):
            color = GREY if row.control else INK
            mean = known.mean()
            if len(known) > 1:
                reach = known.std(ddof=1)
                ax.plot([mean - reach, mean + reach], [place] * 2, color=color, lw=2)
            ax.plot(mean, place, "D", ms=5, color=color)
    name_rows(ax, [short(row.name, 20) for row in rows])
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, ls="", ms=4, mfc="none",
               label=look.name)
        for outcome, look in OUTCOMES.items() if (success == outcome).any()
    ]  # fmt: skip
    label = "mean ± deviation" + " of successes" * bool(success.any() and not success.all())
    handles.append(Line2D([], [], color=INK, marker="D", ms=5, lw=2, label=label))
    handles.append(Line2D([], [], color=INK, ls=":", lw=1, label=line))
    legend(ax, handles, columns=2)
    finish(ax, grid="x")


def draw_separation(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw how well coming closer tells successes from failures, with 95 % intervals.

    Against all failures, and against those that moved as far as successes did.

    Args:
        ax: to draw on.
        rows: labellings and controls; one that could not be compared keeps an empty line.
    """
    ax.axvline(0.5, color=INK, lw=1, ls=":")
    for place, row in enumerate(rows):
        for separation, offset, marker, hollow in (
            (row.came_closer, -0.14, "D", False),
            (row.came_closer_moved, 0.16, "s", True),
        ):
            if separation is None:
                continue
            color = GREY if row.control else VERMILION if hollow else BLUE
            ax.plot([separation.low, separation.high], [place + offset] * 2, color=color,
                    lw=1.6 if hollow else 2.5)  # fmt: skip
            ax.plot(separation.auc, place + offset, marker, ms=5, mec=color,
                    mfc="none" if hollow else color)  # fmt: skip
    name_rows(ax, [short(row.name, 20) for row in rows])
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("probability that a success came closer than a failure")
    legend(
        ax,
        [
            Line2D([], [], color=BLUE, marker="D", lw=2.5, ms=5, label="all failures, 95 %"),
            Line2D([], [], color=INK, ls=":", lw=1, label="chance"),
            Line2D([], [], color=VERMILION, marker="s", mfc="none", lw=1.6, ms=5,
                   label="failures that moved as far"),
        ],
        columns=2,
    )  # fmt: skip
    finish(ax, grid="x")


def draw_signal(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw how much a distance changes over n steps, over how much it changes over nothing.

    Args:
        ax: to draw on.
        rows: labellings and controls; one without noise, such as time, has no such ratio.
    """
    ax.axhline(1, color=INK, lw=1, ls=":")
    handles: list[Any] = []
    every = sorted({n for row in rows for n in row.signal})
    for row, look in zip(rows, looks_of(rows), strict=True):
        if row.noise is None or not row.noise.step > 0:
            continue
        pairs = [(n, value / row.noise.step) for n, value in sorted(row.signal.items())
                 if np.isfinite(value) and value > 0]  # fmt: skip
        if not pairs:
            continue
        style = {"color": look.color, "ls": look.dashes, "marker": look.marker, "ms": 5,
                 "lw": look.width}  # fmt: skip
        handles += ax.plot(*zip(*pairs, strict=True), **style, label=short_name(row))
    handles.append(Line2D([], [], color=INK, ls=":", lw=1, label="as much as noise"))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xticks(every, [str(n) for n in every])
    ax.minorticks_off()
    ax.set_xlabel("steps between the two frames")
    ax.set_ylabel("change of the distance\n(multiples of its noise)")
    row_legend(ax, handles)
    finish(ax, grid="y")
