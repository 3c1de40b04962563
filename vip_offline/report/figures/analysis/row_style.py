"""Colour, dash, marker and name of each row, the same in all figures of an analysis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from vip_offline.analysis.results import Row
from vip_offline.report.figures.colors import GREY, LINES, MARKERS, PALETTE
from vip_offline.report.figures.comparison import legend, literal

NAME_LENGTH = 26  # characters of a name that fit beside axes or into a legend
MANY = 400  # marks beyond which they are drawn as pixels: as text each takes a hundred bytes


@dataclass(frozen=True)
class LineStyle:
    """How a row is drawn wherever it is drawn."""

    color: str
    dashes: Any  # a matplotlib line style
    marker: str
    width: float


def looks_of(rows: Sequence[Row]) -> tuple[LineStyle, ...]:
    """One per row, by its place among the labellings or among the controls."""
    looks, placed = [], {False: 0, True: 0}
    for row in rows:
        place = placed[row.control]
        placed[row.control] += 1
        if row.control:
            # none is drawn through: grey in grey, the dash alone tells them
            looks.append(LineStyle(GREY, LINES[1 + place % 3], MARKERS[place % len(MARKERS)], 1.2))
            continue
        dashes, marker = LINES[place % len(LINES)], MARKERS[place % len(MARKERS)]
        looks.append(LineStyle(PALETTE[place % len(PALETTE)], dashes, marker, 1.6))
    return tuple(looks)


def short(name: str, longest: int = NAME_LENGTH) -> str:
    """A name on one line, its middle left out where it is long: ends tell versions apart."""
    name = " ".join(name.split())
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[: longest - 1 - half]}…{name[-half:]}"


def short_name(row: Row, longest: int = NAME_LENGTH) -> str:
    """The name of a row, shortened, with matplotlib's special characters escaped."""
    return literal(short(row.name, longest))


def row_legend(ax: Axes, handles: Sequence[Any]) -> None:
    """Draw the legend of rows, in as many columns as fit into the figure's width."""
    inches = ax.figure.bbox.width / ax.figure.dpi
    legend(ax, handles, columns=legend_columns([handle.get_label() for handle in handles], inches))


def legend_columns(names: Sequence[str], inches: float) -> int:
    """How many columns of a legend fit into a figure so wide."""
    # a letter takes about 0.07 inches, a line and its blanks 0.55
    widest = max((min(len(name), NAME_LENGTH) for name in names), default=1)
    return max(1, min(len(names), int(inches / (0.07 * widest + 0.55))))
