"""Effective sample size against the temperature (Eq. 7)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from vip_offline.analysis.results import Row
from vip_offline.report.figures.colors import BLUE, GREEN, INK, LINES, MARKERS, PINK
from vip_offline.report.figures.comparison import finish, legend

PAPERS_TAU = 0.1  # appendix F.2
CLONING_SIZE = 0.95  # effective sample size above which weights hardly differ from none


def draw_effective_sample_size(ax: Axes, row: Row) -> None:
    """Draw how many transitions training would really see, against the temperature of Eq. 7.

    With lines where weights hardly differ from cloning, and at the size `--tau auto` aims at, and
    the paper's temperature.
    """
    handles: list[Line2D] = []
    ax.axvline(PAPERS_TAU, color=INK, lw=1, ls="--")
    for weighting, color, dashes, marker in zip(
        row.weightings, (BLUE, GREEN, PINK), LINES, MARKERS,
        strict=False,
    ):  # fmt: skip
        sizes = 100 * weighting.effective_sample_size
        has_tau = np.isfinite(weighting.tau)
        label = (
            f"{weighting.weight_by} (tau {weighting.tau:.3g})" if has_tau else weighting.weight_by
        )
        ax.plot(weighting.taus, sizes, color=color, ls=dashes, lw=1.8)
        if has_tau:
            ax.plot(weighting.tau, 100 * weighting.target_ess, marker, color=color, ms=6, mec=INK,
                    mew=0.8)  # fmt: skip
        marker = marker if has_tau else ""
        handles.append(Line2D([], [], color=color, ls=dashes, marker=marker, ms=6, label=label))
    handles.append(Line2D([], [], color=INK, ls="--", lw=1, label="the paper's tau, 0.1"))
    ax.set_xscale("log")
    # 0.1, not a power of ten, whose exponent would be small print
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    lines = {100 * CLONING_SIZE: ("almost cloning", "top")}
    for size in {weighting.target_ess for weighting in row.weightings}:
        lines[100 * size] = ("wanted", "bottom")
    for size, (text, side) in lines.items():
        ax.axhline(size, color=INK, lw=0.8, ls=":")
        ax.annotate(
            f"{size:.3g} %: {text}",
            (1, size),  # at the right, where curves are down
            (-2, 3 if side == "bottom" else -3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va=side,
            color=INK,
        )
    ax.set_xlim(*_telling(row))
    ax.set_ylim(0, 103)
    ax.set_xlabel("temperature tau (1 / unit of the reward)")
    ax.set_ylabel("effective sample size\n(% of all transitions)")
    legend(ax, handles, columns=2)
    finish(ax, grid="y")


def _telling(row: Row) -> tuple[float, float]:
    """The temperatures between which something happens, the paper's among them."""
    taus = [PAPERS_TAU]
    for weighting in row.weightings:
        falls = (weighting.effective_sample_size < 0.99) & (weighting.effective_sample_size > 0.02)
        taus += weighting.taus[falls].tolist()
    return min(taus) / 2, 8 * max(taus)  # room for what is written beside the lines
