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
from numpy.typing import ArrayLike, NDArray

from vip_offline.analysis.metrics import Floats
from vip_offline.dataset.media.video import resized, write_video
from vip_offline.errors import VipOfflineError
from vip_offline.report.figures.analysis.row_style import PALETTE, short
from vip_offline.report.figures.comparison import LINES, finish, legend, literal

FILM_HEIGHT = 240  # px
FILM_WIDTH = 360  # px of the curves
FILM_DPI = 100
RADIUS = 4  # px of the marker

Pixels = NDArray[np.uint8]


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
    panel = _panel(curves, T)
    film = np.empty((T, FILM_HEIGHT, beside + FILM_WIDTH, 3), np.uint8)
    for t, frame in enumerate(frames):
        film[t, :, :beside] = resized(frame, (FILM_HEIGHT, beside))
        right = film[t, :, beside:]
        right[:] = panel.to_come
        now = round(float(panel.across[t]))
        right[:, : now + 1] = panel.past[:, : now + 1]
        for down, color in zip(panel.down[:, t], panel.colors, strict=True):
            if np.isfinite(down):
                _put_marker(right, now, round(float(down)), color)
    return film


@dataclass(frozen=True)
class _Panel:
    """Axes are drawn twice for a whole film; each frame is put together from the two."""

    past: Pixels  # (HEIGHT, WIDTH, 3) with curves
    to_come: Pixels  # (HEIGHT, WIDTH, 3) with hints of them
    across: Floats  # (T,) pixels from the left
    down: Floats  # (C, T) pixels from the top of each curve; nan where it is not finite
    colors: Floats  # (C, 3) from 0 to 255


def _panel(curves: Mapping[str, Floats], T: int) -> _Panel:
    # a name in a script that matplotlib's font lacks is boxes, but no reason to stop
    with mpl.rc_context({"font.size": 8}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(
            figsize=(FILM_WIDTH / FILM_DPI, FILM_HEIGHT / FILM_DPI),
            dpi=FILM_DPI,
            layout="constrained",
        )
        canvas = FigureCanvasAgg(figure)
        ax = figure.add_subplot()
        lines: list[Line2D] = []
        for place, (name, curve) in enumerate(curves.items()):
            color, dashes = PALETTE[place % len(PALETTE)], LINES[place % len(LINES)]
            label = literal(short(name, 22))
            lines += ax.plot(curve, color=color, ls=dashes, lw=1.8, label=label)
        every = np.concatenate([np.ones(1), *curves.values()])
        ax.set_xlim(0, 1.03 * max(T - 1, 1))  # room for the marker
        ax.set_ylim(0, 1.05 * float(every[np.isfinite(every)].max()))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("frame")
        ax.set_ylabel("distance to the goal\n(1 = at the start)")
        legend(ax, lines, columns=2)
        finish(ax, grid="y")
        past = _pixels(canvas)
        for line in lines:
            line.set_alpha(0.15)
        to_come = _pixels(canvas)
    steps = np.arange(T, dtype=np.float64)
    across = ax.transData.transform(np.column_stack([steps, np.zeros(T)]))[:, 0]
    down = np.full((len(curves), T), np.nan)
    for row, curve in zip(down, curves.values(), strict=True):
        known = np.isfinite(curve)
        points = np.column_stack([steps[known], curve[known]])
        row[known] = FILM_HEIGHT - ax.transData.transform(points)[:, 1]
    colors = 255 * np.array([to_rgb(line.get_color()) for line in lines]).reshape(-1, 3)
    return _Panel(past, to_come, across, down, colors)


def _pixels(canvas: FigureCanvasAgg) -> Pixels:
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
