"""An episode as a film: the video beside curves that grow with it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from vip_offline.dataset.media.video import resized, write_video
from vip_offline.errors import VipOfflineError
from vip_offline.report.figures.analysis.row_style import short
from vip_offline.report.figures.colors import LINES, PALETTE
from vip_offline.report.figures.comparison import finish, legend, literal
from vip_offline.utils.arrays import Floats, Pixels

FILM_HEIGHT = 240  # px
FILM_WIDTH = 360  # px of the curves
FILM_DPI = 100
LEGEND_COLUMNS = 4  # of the legend of curves that are wider than that
RADIUS = 4  # px of the marker


def write_film(path: Path, frames: Pixels, curves: Mapping[str, ArrayLike], rate: float) -> None:
    """Write an mp4 of a video with the curves beside it, as far as they have come.

    Args:
        path: of the mp4; its folder is made, and the file appears when it is whole.
        frames: (T, H, W, 3) uint8 RGB.
        curves: name -> (T,), such as `progress.normalised` distances; not drawn where not finite.
        rate: frames per second.

    Raises:
        VipOfflineError: if there is no frame, or a curve has another length.
    """
    if not len(frames):
        raise VipOfflineError(f"{path}: an episode without frames makes no film.")
    values = {name: np.asarray(curve, np.float64) for name, curve in curves.items()}
    for name, curve in values.items():
        if curve.shape != (len(frames),):
            raise VipOfflineError(
                f"{path}: curve {name!r} has shape {curve.shape}, and there are {len(frames)} "
                "frames: it takes one value per frame."
            )
    write_video(path, compose_film(frames, values), rate)


def compose_film(frames: Pixels, curves: Mapping[str, Floats]) -> Pixels:
    """(T, H, W, 3) frames -> (T, HEIGHT, W', 3) with curves beside them, both sides even."""
    T, height, width = frames.shape[:3]
    # H.264 with halved colours takes even sizes only
    beside = max(2, round(width * FILM_HEIGHT / height / 2) * 2)
    top = max((curve[np.isfinite(curve)].max(initial=1) for curve in curves.values()), default=1.0)
    panel = draw_panel(
        curves,
        np.arange(T),
        (FILM_HEIGHT, FILM_WIDTH),
        top=float(top),
        labels=("frame", "distance to the goal\n(1 = at the start)"),
        font_size=8,
    )
    film = np.empty((T, FILM_HEIGHT, beside + FILM_WIDTH, 3), np.uint8)
    for t, frame in enumerate(frames):
        film[t, :, :beside] = resized(frame, (FILM_HEIGHT, beside))
        film[t, :, beside:] = panel.at(t)
    return film


@dataclass(frozen=True)
class CurvePanel:
    """Axes are drawn twice for a whole film; each frame is put together from the two."""

    past: Pixels  # (height, width, 3) with curves
    to_come: Pixels  # (height, width, 3) with hints of them
    across: Floats  # (T,) pixels from the left
    down: Floats  # (C, T) pixels from the top of each curve; nan where it is not finite
    colors: Floats  # (C, 3) from 0 to 255

    def at(self, t: int) -> Pixels:
        """(height, width, 3) at a row: curves up to there, each with its marker."""
        drawn, now = self.to_come.copy(), round(float(self.across[t]))
        drawn[:, : now + 1] = self.past[:, : now + 1]
        for down, color in zip(self.down[:, t], self.colors, strict=True):
            if np.isfinite(down):
                _put_marker(drawn, now, round(float(down)), color)
        return drawn


def draw_panel(
    curves: Mapping[str, Floats],
    times: ArrayLike,
    size: tuple[int, int],
    *,
    top: float,
    labels: tuple[str, str],
    font_size: float,
) -> CurvePanel:
    """Draw the curves of a film.

    Args:
        curves: name -> (T,).
        times: (T,) ascending, from 0; of whole numbers the axis has whole ticks.
        size: (height, width) in px.
        top: greatest value that the axis has room for.
        labels: of the axes, across and up.
        font_size: in points, of which 72 are `FILM_DPI` px.
    """
    (height, width), whole = size, np.asarray(times).dtype.kind == "i"
    times = np.asarray(times, np.float64)
    # a name in a script that matplotlib's font lacks is boxes, but no reason to stop
    with mpl.rc_context({"font.size": font_size}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(
            figsize=(width / FILM_DPI, height / FILM_DPI),
            dpi=FILM_DPI,
            layout="constrained",
        )
        canvas = FigureCanvasAgg(figure)
        ax = figure.add_subplot()
        lines: list[Line2D] = []
        for place, (name, curve) in enumerate(curves.items()):
            color, dashes = PALETTE[place % len(PALETTE)], LINES[place % len(LINES)]
            label = literal(short(name, 22))
            lines += ax.plot(times, curve, color=color, ls=dashes, lw=1.8, label=label)
        ax.set_xlim(0, 1.03 * (times[-1] or 1.0))  # room for the marker
        ax.set_ylim(0, 1.05 * top)
        ax.xaxis.set_major_locator(MaxNLocator(integer=whole))
        ax.set_xlabel(labels[0])
        ax.set_ylabel(labels[1])
        legend(ax, lines, columns=LEGEND_COLUMNS if width > FILM_WIDTH else 2)
        finish(ax, grid="y")
        past = drawn_pixels(canvas)
        figure.set_layout_engine("none")  # it is found; to find it again costs as much as to draw
        for line in lines:
            line.set_alpha(0.15)
        to_come = drawn_pixels(canvas)
    across = ax.transData.transform(np.column_stack([times, np.zeros(len(times))]))[:, 0]
    down = np.full((len(curves), len(times)), np.nan)
    for row, curve in zip(down, curves.values(), strict=True):
        known = np.isfinite(curve)
        points = np.column_stack([times[known], curve[known]])
        row[known] = height - ax.transData.transform(points)[:, 1]
    colors = 255 * np.array([to_rgb(line.get_color()) for line in lines]).reshape(-1, 3)
    return CurvePanel(past, to_come, across, down, colors)


def drawn_pixels(canvas: FigureCanvasAgg) -> Pixels:
    """Draw a figure; (height, width, 3) of it."""
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _put_marker(panel: Pixels, x: int, y: int, color: Floats) -> None:
    """Draw a disc with a smooth edge into (H, W, 3), as far as it is inside."""
    height, width = panel.shape[:2]
    top, bottom = max(y - RADIUS, 0), min(y + RADIUS + 1, height)
    left, right = max(x - RADIUS, 0), min(x + RADIUS + 1, width)
    if top >= bottom or left >= right:
        return
    rows, columns = np.ogrid[top - y : bottom - y, left - x : right - x]
    cover = (RADIUS + 0.5 - np.hypot(rows, columns)).clip(0, 1)[..., None]
    inside = panel[top:bottom, left:right]
    inside[:] = (cover * color + (1 - cover) * inside).round().astype(np.uint8)
