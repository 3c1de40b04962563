"""Embeddings in two dimensions (Fig. 2)."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from vip_offline.analysis.results import Row
from vip_offline.report.figures.analysis.curves import reduce_points
from vip_offline.report.figures.analysis.row_style import MANY
from vip_offline.report.figures.colors import GREY, INK, OUTCOMES, TIMES
from vip_offline.report.figures.comparison import finish, legend


def draw_plane(ax: Axes, row: Row, success: ArrayLike, *, points: int = 3000) -> None:
    """Draw embeddings in their two main directions, coloured by time in the episode (Fig. 2).

    In Fig. 2 the encoder itself was trained to two numbers; here they are principal components.

    Args:
        ax: to draw on.
        row: one that has a `plane`.
        success: (E,) bool.
        points: drawn in all, of each episode evenly in time.

    Raises:
        ValueError: if the row has no plane.
    """
    if row.plane is None or row.explained is None:
        raise ValueError(f"{row.name} has no embedding in two dimensions")
    success = np.asarray(success, bool)
    each_share = max(2, points // max(len(row.plane), 1))
    norm = BoundaryNorm(np.linspace(0, 100, TIMES.N + 1), TIMES.N)
    handles: list[Line2D] = []
    for outcome, look in OUTCOMES.items():
        mine = [part for part, good in zip(row.plane, success, strict=True) if good == outcome]
        if not mine:
            continue
        if len(row.plane) <= 12:  # a path is to be followed only where there are few
            paths = [part[reduce_points(part[:, 0], each_share)[:, 0].astype(int)] for part in mine]
            style: dict[str, Any] = {"colors": GREY, "linestyles": look.dashes, "linewidths": 0.6}
            ax.add_collection(LineCollection(paths, **style))
        rows = [reduce_points(part[:, 0], each_share)[:, 0].astype(int) for part in mine]
        dots = np.concatenate([part[k] for part, k in zip(mine, rows, strict=True)])
        when = [100 * k / max(len(part) - 1, 1) for part, k in zip(mine, rows, strict=True)]
        ax.scatter(
            dots[:, 0],
            dots[:, 1],
            c=np.concatenate(when),
            cmap=TIMES,
            norm=norm,
            marker=look.marker,
            s=9 if outcome else 14,
            linewidths=0 if outcome else 0.9,
            alpha=0.85,
            rasterized=len(dots) > MANY,
        )
        handles.append(Line2D([], [], color=GREY, marker=look.marker, ls="", ms=5, label=look.name))
    ax.autoscale_view()
    ax.set_xlabel(f"first direction ({100 * row.explained[0]:.0f} % of the variance)")
    ax.set_ylabel(f"second ({100 * row.explained[1]:.0f} %)")
    bar = ax.figure.colorbar(
        mpl.cm.ScalarMappable(norm, TIMES), ax=ax, location="bottom", fraction=0.06, aspect=30,
        ticks=[0, 25, 50, 75, 100],
    )  # fmt: skip
    bar.set_label("time in the episode (%)")
    legend(ax, handles, columns=2)
    finish(ax, grid="both")
    bar.minorticks_off()
    bar.ax.tick_params(length=0, colors=INK)
    bar.ax.xaxis.label.set_color(INK)
    bar.outline.set_visible(False)
