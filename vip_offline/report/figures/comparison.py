"""Figures of a comparison: each function draws on the Axes it is given.

`svg` turns them into text whose ink is CSS `currentColor`, so that one picture reads on a light
and on a dark page, and which no page shrinks below the size at which its text is 12 px.
"""

import html
import io
import re
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from vip_offline.analysis.closed_loop.comparison import Arm, DemonstrationCurve
from vip_offline.report.figures.colors import (
    BLUE,
    GREY,
    INK,
    LINES,
    OUTCOMES,
    PALETTE,
    VERMILION,
    shares,
)

FONT_SIZE = 9  # points, of all text: 12 px where an inch is 96 px, as in a browser
PAGE_DPI = 160  # of layers that are drawn as pixels because they hold thousands of points
# metadata that would differ from run to run, or name a URL
UNDATED = {
    "svg": ("Creator", "Date", "Format", "Type"),
    "pdf": ("Creator", "Producer", "CreationDate"),
    "png": ("Software",),
}
PATHS = re.compile(r'<path[^>]* d="[^"]*"|<use[^>]*>')
SPARE_DIGITS = re.compile(r"(\d\.\d\d)\d+")
FIGURE_WIDTH = 4.7  # inches, below which no page shrinks a figure; about what a phone has


def svg(
    draw: Callable[[Axes], None], height: float, label: str, width: float = FIGURE_WIDTH
) -> str:
    """Return what `draw` draws as an `<svg>` element that may be put into HTML as it is.

    Args:
        draw: called with an empty Axes.
        height: inches.
        label: what the figure shows, for those who cannot see it. Escaped here.
        width: inches.
    """
    text = rendered(draw, height, "svg", width=width, salt=label, transparent=True).decode()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    # a hundredth of a point is enough, and a third of the bytes
    text = PATHS.sub(lambda path: SPARE_DIGITS.sub(r"\1", path[0]), text)
    # narrower than that, its text would be smaller than it was drawn
    attributes = f'role="img" aria-label="{html.escape(label)}" style="min-width: {width:g}in"'
    return text.replace("<svg", f"<svg {attributes}", 1)


def rendered(
    draw: Callable[[Axes], None],
    height: float,
    kind: str,
    *,
    width: float = FIGURE_WIDTH,
    salt: str = "",
    dpi: float = PAGE_DPI,
    transparent: bool = False,
) -> bytes:
    """Return what `draw` draws as the bytes of a file: the same figure, the same bytes.

    Args:
        draw: called with an empty Axes.
        height: inches.
        kind: a key of `UNDATED`.
        width: inches.
        salt: of the ids in an SVG, which differ where salts do.
        dpi: of a PNG, and of what is drawn as pixels within others.
        transparent: whether the ground is left to the page.
    """
    buffer = io.BytesIO()
    # a name in a script that matplotlib's font lacks is drawn by the browser, which has it
    with (
        mpl.rc_context(
            {
                "svg.fonttype": "none",  # text stays text: small, searchable, in the page's font
                "svg.hashsalt": salt,
                "font.size": FONT_SIZE,
            }
        ),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        metadata = dict.fromkeys(UNDATED[kind])
        figure.savefig(buffer, format=kind, dpi=dpi, transparent=transparent, metadata=metadata)
    return buffer.getvalue()


def draw_success(ax: Axes, summary: Mapping[str, Any]) -> None:
    """Draw success rates: a dot per seed, the mean of each arm and its interval."""
    arms = summary["arms"]
    for row, arm in enumerate(arms):
        color = GREY if arm["name"] == summary["baseline"] else BLUE
        success = arm["success"]
        rates = 100 * np.array(arm["per_seed"])
        ax.plot(rates, row + _spread(rates), "o", ms=4, mfc="none", mec=color, alpha=0.9)
        if success["low"] is not None:
            ax.plot([100 * success["low"], 100 * success["high"]], [row] * 2, color=color, lw=2.5)
        ax.plot(100 * success["mean"], row, "D", ms=6, color=color, mec=INK, mew=0.8)
    name_rows(ax, [arm["name"] for arm in arms])
    ax.set_xlim(-3, 103)
    ax.set_xlabel(f"successful rollouts (%, within {summary['horizon']} steps)")
    legend(
        ax,
        [
            Line2D([], [], marker="o", ls="", ms=4, mfc="none", mec=BLUE, label="one seed"),
            Line2D([], [], marker="D", ms=6, color=BLUE, mec=INK, lw=2.5, label="mean, 95 %"),
        ],
        columns=2,
    )
    finish(ax, grid="x")


def draw_differences(ax: Axes, summary: Mapping[str, Any]) -> None:
    """Draw each arm's success less the baseline's, and what could have been detected at all."""
    baseline = summary["baseline"]
    rows = [difference for difference in summary["differences"] if difference["b"] == baseline]
    ax.axvline(0, color=INK, lw=1)
    reach = 0.1
    for row, difference in enumerate(rows):
        reach = max(
            reach,
            abs(difference["mean"]),
            abs(difference["low"] or 0),
            abs(difference["high"] or 0),
        )
        color = BLUE if difference["differs"] else GREY
        if difference["low"] is not None:
            smallest = 100 * np.array([-1, 1]) * difference["smallest_detectable"]
            ax.plot(smallest, [row] * 2, "|", ms=13, color=VERMILION, mew=1.5, clip_on=True)
            ax.plot(
                [100 * difference["low"], 100 * difference["high"]], [row] * 2, color=color, lw=2.5
            )
            reach = max(reach, min(difference["smallest_detectable"], 1))
        ax.plot(100 * difference["mean"], row, "D", ms=6, color=color, mec=INK, mew=0.8)
    name_rows(ax, [difference["a"] for difference in rows])
    ax.set_xlim(-104 * reach, 104 * reach)
    ax.set_xlabel(literal(f"success minus that of {baseline} (percentage points)"))
    legend(
        ax,
        [
            Line2D([], [], marker="D", color=BLUE, mec=INK, lw=2.5, label="95 % excludes 0"),
            Line2D(
                [], [], marker="D", color=GREY, mec=INK, lw=2.5, label="not significantly different"
            ),
            Line2D(
                [],
                [],
                marker="|",
                ls="",
                ms=11,
                mew=1.5,
                color=VERMILION,
                label="smallest detectable",
            ),
        ],
        columns=2,
    )
    finish(ax, grid="x")


def draw_placements(ax: Axes, summary: Mapping[str, Any]) -> None:
    """Draw arms x placements: the share of seeds that succeeded there."""
    rates = np.array([arm["per_placement"] for arm in summary["arms"]])  # (arms, P)
    S = len(summary["seeds"])
    # only k of S seeds is possible, so there is one colour for each k (up to a dozen)
    levels = min(S, 11) + 1
    colors = shares(levels)
    norm = BoundaryNorm((np.arange(levels + 1) - 0.5) / (levels - 1), levels)
    mesh = ax.pcolormesh(rates, cmap=colors, norm=norm, edgecolors=GREY, linewidth=0.4)
    if rates.shape[1] <= 12:
        for (row, column), rate in np.ndenumerate(rates):
            ink = "black" if rate >= 0.5 else "white"
            ax.text(
                column + 0.5,
                row + 0.5,
                f"{100 * rate:.0f}",
                c=ink,
                ha="center",
                va="center",
            )
    name_rows(ax, [arm["name"] for arm in summary["arms"]], offset=0.5)
    names = [str(placement) for placement in summary["placements"]]
    # about 40 characters fit below the axes, a space between names included
    step = -(-len(names) * (max(map(len, names)) + 1) // 40)
    ax.set_xticks(np.arange(0, len(names), step) + 0.5, names[::step])
    ax.set_xlabel("object placement (its seed)")
    assert isinstance(ax.figure, Figure)
    shown = np.linspace(0, 1, levels)
    bar = ax.figure.colorbar(
        mesh, ax=ax, location="bottom", fraction=0.08, ticks=shown[:: max(1, levels // 6)]
    )
    bar.ax.set_xticklabels([f"{100 * tick:.0f}" for tick in bar.get_ticks()])
    bar.set_label(f"seeds that succeeded (%, of {S})")
    for axes in (ax, bar.ax):
        finish(axes)
        axes.tick_params(length=0)


def draw_weights(ax: Axes, arms: Sequence[Arm]) -> None:
    """Draw how much of the total weight is held by the heaviest x % of transitions.

    Even weights give the diagonal. Arms whose curves coincide to a percent, as those of a
    permutation do, share a line.
    """
    grid = np.linspace(0, 1, 201)
    curves: list[tuple[np.ndarray[Any, Any], list[Arm]]] = []
    for arm in arms:
        if arm.weights is None:
            continue
        heaviest = np.sort(arm.weights.astype(np.float64))[::-1]
        cumulative = np.concatenate([[0.0], np.cumsum(heaviest)]) / heaviest.sum()
        curve = np.interp(grid, np.linspace(0, 1, len(cumulative)), cumulative)
        alike = next(
            (group for known, group in curves if np.allclose(known, curve, atol=0.01)), None
        )
        if alike is None:
            curves.append((curve, [arm]))
        else:
            alike.append(arm)
    palette = (GREY, *PALETTE)
    for index, (curve, group) in enumerate(curves):
        sizes = sorted({f"{100 * arm.effective_sample_size:.0f} %" for arm in group})
        label = f"{', '.join(arm.name for arm in group)} ({' / '.join(sizes)})"
        label = "\n".join(textwrap.wrap(label, 60, break_long_words=True))
        ax.plot(
            100 * grid,
            100 * curve,
            color=palette[index % len(palette)],
            ls=LINES[index % len(LINES)],
            lw=1.8,
            label=literal(label),
        )
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 101)
    ax.set_xlabel("heaviest transitions (% of all)")
    ax.set_ylabel("share of the weight (%)")
    legend(ax, ax.get_lines(), columns=1, title="variant (effective sample size)")
    finish(ax, grid="both")


def draw_distances(ax: Axes, demonstrations: Sequence[DemonstrationCurve]) -> None:
    """Draw the embedding's distance to the goal over each demonstration, 1 at its start."""
    for demonstration in demonstrations:
        look = OUTCOMES[demonstration.success]
        # one that starts at the goal has no distance to be measured against
        start = float(demonstration.distance[0]) or 1.0
        relative = demonstration.distance / start
        ax.plot(relative, color=look.color, ls=look.dashes, lw=1.1, alpha=0.85)
        ax.plot(len(relative) - 1, relative[-1], look.marker, color=look.color, ms=5)
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    ax.set_xlabel("environment step")
    ax.set_ylabel("distance to the goal\n(1 = at the start)")
    present = {demonstration.success for demonstration in demonstrations}
    legend(
        ax,
        [
            Line2D(
                [], [], color=look.color, ls=look.dashes, marker=look.marker, ms=5, label=look.name
            )
            for success, look in OUTCOMES.items()
            if success in present
        ],
        columns=2,
    )
    finish(ax, grid="y")


def _spread(rates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return vertical offsets that set seeds with equal rates apart, below their arm's line."""
    offsets = np.zeros(len(rates))
    for rate in set(rates.tolist()):
        same = np.flatnonzero(rates == rate)
        offsets[same] = 0.16 + 0.5 * np.arange(len(same)) / max(len(rates), 5)
    return offsets


def literal(text: str) -> str:
    """Return text in which a user's ``$`` is no formula and ``_`` at the start hides nothing."""
    text = text.replace("$", r"\$")
    # matplotlib before 3.10 leaves a label with a leading underscore out of the legend
    return f" {text}" if text.startswith("_") else text


def name_rows(ax: Axes, names: Sequence[str], offset: float = 0.0) -> None:
    """Put names at the left, the first on top, each at its number and `offset`."""
    ax.set_yticks(np.arange(len(names)) + offset, [literal(name) for name in names])
    ax.set_ylim(len(names) - 0.5 + offset, -0.5 + offset)  # the first on top


def legend(ax: Axes, handles: Sequence[Any], columns: int, title: str = "") -> None:
    """Put the legend above the axes, where it covers no data."""
    if not handles:
        return
    box = ax.legend(
        handles=list(handles),
        title=title or None,
        ncols=columns,
        loc="lower left",
        # from the figure's edge: names to the left of the axes leave too little room above them
        bbox_to_anchor=(0.01, 1.0),
        bbox_transform=blended_transform_factory(ax.figure.transFigure, ax.transAxes),
        frameon=False,
        labelcolor=INK,
        borderaxespad=0.3,
        handlelength=2.6,
    )
    box.set_alignment("left")
    box.get_title().set_color(INK)


def finish(ax: Axes, grid: Literal["", "x", "y", "both"] = "") -> None:
    """Give axes, ticks and labels the page's ink, and a faint grid."""
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom") or not grid)
        spine.set_color(INK)
    ax.tick_params(colors=INK)
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)
    if grid:
        ax.grid(axis=grid, color=GREY, alpha=0.3, lw=0.6)
        ax.set_axisbelow(True)
