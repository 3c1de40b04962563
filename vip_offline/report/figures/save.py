"""Every figure of an analysis as files for a paper or a talk."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from vip_offline.analysis.results import Analysis, Row
from vip_offline.errors import VipOfflineError
from vip_offline.report.figures import analysis as figures
from vip_offline.report.figures.comparison import UNDATED, rendered
from vip_offline.report.terminal.analysis import over_noise
from vip_offline.utils.files import replace_file

FIGURE_DPI = 300  # what journals ask for
FIGURE_HEIGHT = 3.0  # inches

DrawFigure = Callable[[Axes], None]


def save_figures(
    analysis: Analysis, folder: Path, formats: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Write each figure, one file per figure, labelling and format.

    Returns:
        The files, such as ``curves-lite0.png``.

    Raises:
        VipOfflineError: of another format.
    """
    for kind in formats:
        if kind not in UNDATED:
            raise VipOfflineError(
                f"{kind}: is no format that figures are written in. There are {', '.join(UNDATED)}."
            )
    written, names = [], set[str]()
    for stem, height, draw in _figures_of(analysis):
        # names that differ only in what a file system leaves out or folds
        name, again = stem, 1
        while name.casefold() in names:
            again += 1
            name = f"{stem}-{again}"
        names.add(name.casefold())
        for kind in formats:
            path = folder / f"{name}.{kind}"
            replace_file(path, rendered(draw, height, kind, dpi=FIGURE_DPI, salt=name))
            written.append(path)
    return written


def _figures_of(analysis: Analysis) -> Iterator[tuple[str, float, DrawFigure]]:
    """Yield file name, height in inches and drawing function of each figure."""
    rows, success = analysis.rows, analysis.success
    tall = 1.1 + 0.36 * len(rows)
    for row in rows:
        if any(len(distance) and np.isfinite(distance).all() for distance in row.distances):
            curves = partial(figures.draw_curves, row=row, success=success)
            yield _file("curves", row), FIGURE_HEIGHT, curves
            if row.own:
                yield _file("curves-to-own-end", row), FIGURE_HEIGHT, partial(curves, to="own end")
        if row.plane is not None:
            draw = partial(figures.draw_plane, row=row, success=success)
            yield _file("embedding", row), 3.8, draw
        if analysis.true_rewards is not None and np.isfinite(row.dense_fit):
            yield (
                _file("true-reward", row),
                FIGURE_HEIGHT,
                partial(figures.draw_dense_scatter, row=row, true_rewards=analysis.true_rewards),
            )
        if row.weightings:
            draw = partial(figures.draw_effective_sample_size, row=row)
            yield _file("sample-size", row), FIGURE_HEIGHT, draw
    pictured = [row for row in rows if row.own and len(figures.rewards_from_one(row))]
    if pictured:
        yield "rewards", FIGURE_HEIGHT, partial(figures.draw_histogram, rows=pictured)
        first, *further = pictured
        for row in further:
            draw = partial(figures.draw_count_difference, a_row=first, b_row=row)
            yield f"{_file('rewards', first)}-less-{_plain(row.name)}", FIGURE_HEIGHT, draw
    for name, field, draw_all in (
        ("bumps", "bumps", figures.draw_bumps),
        ("order", "order", figures.draw_order),
    ):
        if any(np.isfinite(getattr(row, field)).any() for row in rows):
            yield name, tall, partial(draw_all, rows=rows, success=success)
    if any(row.came_closer is not None for row in rows):
        yield "separation", tall, partial(figures.draw_separation, rows=rows)
    if any(over_noise(row, n) > 0 for row in rows for n in row.signal):
        yield "signal", FIGURE_HEIGHT, partial(figures.draw_signal, rows=rows)


def _file(figure: str, row: Row) -> str:
    return f"{figure}-{_plain(row.name)}"


def _plain(name: str) -> str:
    """A name as a part of a file name, on any file system."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.")[:60] or "unnamed"
