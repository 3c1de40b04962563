"""Fig. 2: the path of a held-out demonstration through embeddings of two dimensions."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from vip_offline.analysis.metrics import bump_fraction, normalised, order_correlation
from vip_offline.report.figures.colors import BLUE, GREY, TIMES
from vip_offline.report.figures.comparison import FONT_SIZE, UNDATED, finish
from vip_offline.utils.files import replace_file


@dataclass(frozen=True)
class Path2D:
    """One encoder's embeddings of the demonstration."""

    objective: str
    steps: int  # that it was trained
    points: NDArray[np.float32]  # (T, 2)

    @property
    def curve(self) -> NDArray[np.float64]:
        """(T,) distance to the last frame, 1 at the first."""
        gaps = self.points.astype(np.float64) - self.points[-1]
        return normalised(np.linalg.norm(gaps, axis=1))

    def described(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return {
            "objective": self.objective,
            "steps": self.steps,
            "bumps": bump_fraction(self.curve),
            "order": order_correlation(self.curve),
        }


def save_paths(paths: Sequence[Path2D], folder: Path) -> list[Path]:
    """Write `draw_paths` as ``figure-2.png`` and ``figure-2.svg``."""
    height = 4.6 * len({path.steps for path in paths})
    figure = Figure(figsize=(7.5, height), layout="constrained")
    draw_paths(figure, paths)
    written = []
    for kind in ("png", "svg"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=150, metadata=dict.fromkeys(UNDATED[kind]))
        written.append(folder / f"figure-2.{kind}")
        replace_file(written[-1], buffer.getvalue())
    return written


def draw_paths(figure: Figure, paths: Sequence[Path2D]) -> None:
    """Each path above its curve of distances; objectives side by side, trained longer below.

    Args:
        figure: an empty one, of a constrained layout.
        paths: of every objective at every number of steps.
    """
    objectives = list(dict.fromkeys(path.objective for path in paths))
    steps = sorted({path.steps for path in paths})
    rows = np.atleast_2d(
        figure.subplots(
            2 * len(steps),
            len(objectives),
            height_ratios=[3, 1.6] * len(steps),
            squeeze=False,
        )
    )
    for path in paths:
        column, row = objectives.index(path.objective), 2 * steps.index(path.steps)
        _draw_path(rows[row, column], path)
        _draw_curve(rows[row + 1, column], path)


def _draw_path(ax: Any, path: Path2D) -> None:
    points = path.points.astype(np.float64)
    ax.plot(*points.T, color=GREY, lw=0.6, zorder=1)
    ax.scatter(*points.T, c=np.arange(len(points)), cmap=TIMES, s=14, zorder=2)
    middle = points.mean(axis=0)
    for place, name, up in ((0, "first frame", 7), (-1, "last frame", -12)):
        # towards the middle, so that it stays inside; above and below, so that both can be read
        side = "right" if points[place, 0] > middle[0] else "left"
        ax.annotate(
            name,
            points[place],
            xytext=(-7 if side == "right" else 7, up),
            textcoords="offset points",
            ha=side,
            fontsize=FONT_SIZE,
            zorder=3,
        )
    ax.set_title(f"{path.objective.upper()}, {path.steps} steps", fontsize=FONT_SIZE)
    ax.set_xlabel("embedding, first dimension")
    ax.set_ylabel("second dimension")
    ax.margins(0.15)
    finish(ax)


def _draw_curve(ax: Any, path: Path2D) -> None:
    curve: ArrayLike = path.curve
    ax.plot(curve, color=BLUE, lw=1.2)
    numbers = path.described()
    ax.text(
        0.98,
        0.92,
        f"bumps {numbers['bumps']:.2f}, order {numbers['order']:.2f}",
        transform=ax.transAxes,
        ha="right",
        va="top",
        fontsize=FONT_SIZE,
    )
    ax.set_ylim(0, 1.3 * float(path.curve.max()))
    ax.set_xlabel("step of the demonstration (frames)")
    ax.set_ylabel("distance to its\nlast frame (first = 1)")
    finish(ax, grid="y")
