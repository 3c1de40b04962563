"""A look at a video: a picture of its curve, and a film with the curve below the frames.

Both show one axis, in units of the encoder's embedding. Those of the controls mean nothing beside
it, so their curves are scaled to the same greatest distance.
"""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from vip_offline.analysis.look import Film, Look
from vip_offline.dataset.media.video import resized, write_video
from vip_offline.report.figures.analysis.row_style import short
from vip_offline.report.figures.colors import INK, LINES, PALETTE
from vip_offline.report.figures.comparison import finish, legend, literal
from vip_offline.report.figures.films import CurvePanel, draw_panel, drawn_pixels
from vip_offline.utils.arrays import Floats, Pixels
from vip_offline.utils.files import replace_file

SIZE_INCHES, DPI = (8.0, 5.0), 125
PICTURES = 5  # of the video, above the curve
PICTURE_HEIGHT, GAP = 180, 10  # px
FILM_WIDTH, PANEL_HEIGHT = 640, 240  # px; of the film at least, and of the curves in it
SHORT, LONG = 360, 1280  # px of the frames' sides in the film: at least, unless beyond at most
FONT_SIZE = 9  # points: 15.6 px in the picture, 12.5 px in the film
FAST = {"preset": "ultrafast", "crf": "23"}  # of x264: a fifth of the time of `write_video`'s own
GROUND = 24  # grey level beside frames that are narrower than the film
AXES = ("time (s)", "distance to the goal\n(embedding units)")


def write_figure(look: Look, path: Path) -> None:
    """Write a PNG: some frames, the curve below them, and those of the controls.

    Args:
        look: at one video.
        path: of the file, whose folder is made.
    """
    buffer = io.BytesIO()
    # a name in a script that matplotlib's font lacks is boxes, but no reason to stop
    with mpl.rc_context({"font.size": FONT_SIZE}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(SIZE_INCHES, DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        above, ax = figure.subplots(2, 1, height_ratios=(1, 2.6))
        name = literal(short(look.video.name, 40))
        figure.suptitle(f"{name}: distance to {literal(short(look.goal, 50))}", c=INK, size=11)
        draw_pictures(above, look)
        draw_look(ax, look)
        # not by `savefig`, which draws all of it once more to learn its size
        Image.fromarray(drawn_pixels(canvas)).save(buffer, "png")
    replace_file(path, buffer.getvalue())


def draw_pictures(ax: Axes, look: Look) -> None:
    """Draw frames in a row, evenly spaced in time, and the goal where it is a picture."""
    places = np.linspace(0, len(look.film.rows) - 1, PICTURES).round().astype(int)
    rows = [int(look.film.rows[place]) for place in places]
    names = [f"{look.seconds[row]:.1f} s" for row in rows]
    pictures = [look.film.frame(row) for row in rows]
    if look.goal_picture is not None:
        pictures.append(look.goal_picture)
        names.append("goal")
    strip, centres, at = list[Pixels](), list[float](), 0
    for picture in pictures:
        width = max(1, round(picture.shape[1] * PICTURE_HEIGHT / picture.shape[0]))
        strip += [resized(picture, (PICTURE_HEIGHT, width)),
                  np.full((PICTURE_HEIGHT, GAP, 3), 255, np.uint8)]  # fmt: skip
        centres.append(at + width / 2)
        at += width + GAP
    ax.imshow(np.concatenate(strip[:-1], axis=1))
    ax.set_xticks(centres, names)
    ax.set_yticks([])
    finish(ax)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def draw_look(ax: Axes, look: Look) -> None:
    """Draw the curves over time; the legend says how like the encoder's each control's is."""
    lines = []
    likeness = ["", *(f", r = {curve.likeness:.2f}" for curve in look.curves[1:])]
    for place, (name, distance) in enumerate(scaled_curves(look).items()):
        lines += ax.plot(
            look.seconds,
            distance,
            color=PALETTE[place],
            ls=LINES[place],
            lw=1.3 if place else 2.2,
            label=literal(name + likeness[place]),
            zorder=3 - 0.1 * place,
        )
    ax.set_xlim(0, look.seconds[-1])
    ax.set_ylim(0, 1.04 * _top(look))
    ax.set_xlabel(AXES[0])
    ax.set_ylabel(AXES[1])
    title = "r: correlation with the encoder's curve; controls are scaled to its greatest distance"
    legend(ax, lines, columns=len(lines), title=title)
    finish(ax, grid="y")


def scaled_curves(look: Look) -> dict[str, Floats]:
    """(T,) distances by name, those of the controls scaled to the encoder's greatest."""
    return {
        curve.name: curve.distance * (_top(look) / (curve.distance.max() or 1.0))
        for curve in look.curves
    }


def _top(look: Look) -> float:
    return float(look.curves[0].distance.max()) or 1.0


def film_panel(look: Look) -> CurvePanel:
    """The curves that run below a film."""
    rows, (width, _) = look.film.rows, _film_sizes(look)
    faster = f", {look.film.speed:.0f} times as fast" if look.film.speed > 1.5 else ""
    label = f"{AXES[0]}{faster}; controls are scaled to the greatest distance of {look.encoder}"
    return draw_panel(
        {short(name, 22): distance[rows] for name, distance in scaled_curves(look).items()},
        look.seconds[rows],
        (PANEL_HEIGHT, width),
        top=_top(look),
        labels=(label, AXES[1]),
        font_size=FONT_SIZE,
    )


def write_look_film(look: Look, panel: CurvePanel, path: Path) -> None:
    """Write an mp4 of the video with the curves running below it.

    Args:
        look: at one video.
        panel: see `film_panel`; made apart, since matplotlib is for one thread at a time.
        path: of the mp4; its folder is made, and the file appears when it is whole.
    """
    width, size = _film_sizes(look)
    write_video(path, _film_frames(look.film, panel, width, size), look.film.rate, FAST)


def _film_frames(
    film: Film, panel: CurvePanel, width: int, size: tuple[int, int]
) -> Iterator[Pixels]:
    """Frames above the panel, one at a time."""
    height, wide = size
    left = (width - wide) // 2
    for place, row in enumerate(film.rows.tolist()):
        whole = np.full((height + PANEL_HEIGHT, width, 3), GROUND, np.uint8)
        whole[:height, left : left + wide] = resized(film.frame(row), size)
        whole[height:] = panel.at(place)
        yield whole


def _film_sizes(look: Look) -> tuple[int, tuple[int, int]]:
    """Width of a film in px, and height and width of the frames in it; all are even."""
    height, width = look.shape
    share = min(SHORT / min(height, width), LONG / max(height, width))
    size = max(2, round(height * share / 2) * 2), max(2, round(width * share / 2) * 2)
    return max(FILM_WIDTH, size[1]), size
