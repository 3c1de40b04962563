"""Colours, dashes and markers of all figures, in one place.

Colours are from Okabe and Ito's set, which people with any colour vision tell apart: those of them
that also stand out from a white and from a dark page. Whatever a colour says, a dash or a marker
says too.

    M. Okabe and K. Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/
"""

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, ListedColormap

INK = "#24292f"  # text and axes; in pages replaced by the colour of the page's text
GREY = "#8a8f98"  # controls and baselines
BLUE, VERMILION, GREEN, PINK = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
PALETTE = (BLUE, VERMILION, GREEN, PINK, INK)
# five colours, six dashes, six markers: thirty lines before two look the same
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
# of time: visible on white and on black, later is lighter; the paper's is purple to red
TIMES = ListedColormap(mpl.colormaps["plasma"](np.linspace(0.3, 0.82, 12)))


def shares(levels: int) -> Colormap:
    """Colours of so many shares from none to all, evenly lighter with each."""
    return ListedColormap(mpl.colormaps["cividis"](np.linspace(0, 1, levels)))


@dataclass(frozen=True)
class OutcomeStyle:
    """How episodes of one outcome are drawn."""

    color: str
    dashes: str
    marker: str
    name: str


OUTCOMES = {
    True: OutcomeStyle(BLUE, "-", "o", "succeeded"),
    False: OutcomeStyle(VERMILION, "--", "x", "failed"),
}
