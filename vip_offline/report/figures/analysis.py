"""Figures of an analysis: each function draws on the Axes it is given, in a notebook as on a page.

    figure, ax = plt.subplots(layout="constrained")
    draw_curves(ax, analysis.rows[0], analysis.success)

Successes are blue, drawn through and round; failures orange, dashed and crosses. Where rows are
beside each other, labellings have colours, each with a dash and a marker of its own, and controls
are grey.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from vip_offline.analysis.metrics import (
    Floats,
    count_difference,
    normalised,
    reward_histogram,
)
from vip_offline.analysis.results import Row
from vip_offline.report.figures.comparison import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LINES,
    ORANGE,
    PINK,
    finish,
    legend,
    literal,
    name_rows,
)

VERMILION = "#d55e00"
PALETTE = (BLUE, ORANGE, GREEN, PINK, VERMILION)
MARKERS = ("o", "s", "^", "D", "v", "P")
NAME_LENGTH = 26  # characters of a name that fit beside axes or into a legend
POINTS = 400  # of a curve: more than there are pixels for
MANY = 400  # marks beyond which they are drawn as pixels: as text each takes a hundred bytes
BAND_EPISODES = 8  # episodes of one outcome from which on a median says more than the curves
PAPERS_TAU = 0.1  # appendix F.2
CLONING = 0.95  # effective sample size above which weights hardly differ from none
CUT = 2.0  # count differences beyond it are cut off: a bin of one reward may have any
# visible on white and on black, later is lighter; the paper's is purple to red
TIMES = ListedColormap(mpl.colormaps["plasma"](np.linspace(0.3, 0.82, 12)))


@dataclass(frozen=True)
class Look:
    """How a row is drawn wherever it is drawn."""

    color: str
    dashes: Any  # a matplotlib line style
    marker: str
    width: float


@dataclass(frozen=True)
class _Outcome:
    color: str
    dashes: str
    marker: str
    name: str


OUTCOMES = {
    True: _Outcome(BLUE, "-", "o", "succeeded"),
    False: _Outcome(ORANGE, "--", "x", "failed"),
}


def looks_of(rows: Sequence[Row]) -> tuple[Look, ...]:
    """One per row, by its place among the labellings or among the controls."""
    looks, placed = [], {False: 0, True: 0}
    for row in rows:
        place = placed[row.control]
        placed[row.control] += 1
        if row.control:
            # none is drawn through: grey in grey, the dash alone tells them
            looks.append(Look(GREY, LINES[1 + place % 3], MARKERS[place % len(MARKERS)], 1.2))
            continue
        # five colours, six dashes, six markers: thirty rows before two look the same
        dashes, marker = LINES[place % len(LINES)], MARKERS[place % len(MARKERS)]
        looks.append(Look(PALETTE[place % len(PALETTE)], dashes, marker, 1.6))
    return tuple(looks)


def short(name: str, longest: int = NAME_LENGTH) -> str:
    """A name on one line, its middle left out where it is long: ends tell versions apart."""
    name = " ".join(name.split())
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[: longest - 1 - half]}…{name[-half:]}"


# --- over time -----------------------------------------------------------------------------


def draw_curves(
    ax: Axes,
    row: Row,
    success: ArrayLike,
    *,
    to: Literal["goal", "own end"] = "goal",
    points: int = POINTS,
) -> None:
    """Draw the distance to the goal over each episode, 1 at its start (Fig. 6, 20).

    From `BAND_EPISODES` episodes of an outcome on, median and middle half are drawn as well; one
    that is over counts with its last distance. An episode without a goal of others (nan) is left
    out.

    Args:
        ax: to draw on.
        row: a labelling or a control.
        success: (E,) bool.
        to: the goal made of other episodes, or as in Fig. 6 each episode's own last frame, which
            it reaches by definition.
        points: drawn of each curve at most, its ends among them.
    """
    success = np.asarray(success, bool)
    raw = row.distances if to == "goal" else row.own
    curves = [normalised(distance) for distance in raw]
    known = np.array([len(curve) > 0 and bool(np.isfinite(curve).all()) for curve in curves], bool)
    handles: list[Any] = []
    tops = [1.0]
    for outcome, look in OUTCOMES.items():
        mine = [curves[place] for place in np.flatnonzero(known & (success == outcome))]
        if not mine:
            continue
        many = len(mine) >= BAND_EPISODES
        ax.add_collection(
            LineCollection(
                [_thinned(curve, points) for curve in mine],
                colors=look.color,
                linestyles=look.dashes,
                linewidths=0.5 if many else 1.1,
                alpha=max(0.18, min(0.5, 12 / len(mine))) if many else 0.9,
            )
        )
        ends = np.array([(len(curve) - 1, curve[-1]) for curve in mine])
        size, faint = (3.0, 0.5) if many else (5.0, 0.9)
        ax.plot(*ends.T, look.marker, color=look.color, ms=size, alpha=faint, mew=0.8)
        label = f"{look.name} ({len(mine)})"
        handles.append(
            Line2D([], [], color=look.color, ls=look.dashes, marker=look.marker, ms=5, label=label)
        )
        if many:
            _draw_band(ax, mine, look)
        tops += [float(curve.max()) for curve in mine]
    if any(len(group) >= BAND_EPISODES for group in _groups(known, success)):
        handles.append(Patch(fc=GREY, alpha=0.35, lw=0, label="median, middle half"))
    _limit_height(ax, np.array(tops))
    ax.set_xlim(0, max([1, *(len(curve) - 1 for curve in curves)]))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("step of the episode (frames)")
    if to == "goal":
        ax.set_ylabel("distance to the goal\n(1 = at the start)")
    else:
        ax.set_ylabel("distance to its last frame\n(1 = at the start)")
    legend(ax, handles, columns=2)
    finish(ax, grid="y")


def _groups(known: NDArray[np.bool_], success: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(known & (success == outcome)) for outcome in OUTCOMES]


def _thinned(curve: Floats, points: int) -> Floats:
    """(T,) -> (P, 2) of step and value, both ends among them."""
    rows = np.unique(np.linspace(0, len(curve) - 1, min(points, len(curve))).round().astype(int))
    return np.column_stack([rows, curve[rows]])


def _draw_band(ax: Axes, curves: Sequence[Floats], look: _Outcome) -> None:
    # an episode that is over stays where it ended: were it left out, the median would jump to
    # those that last longest
    T = max(len(curve) for curve in curves)
    table = np.stack([np.pad(curve, (0, T - len(curve)), mode="edge") for curve in curves])
    low, middle, high = np.quantile(table, (0.25, 0.5, 0.75), axis=0)
    rows = _thinned(middle, 120)[:, 0].astype(int)
    ax.fill_between(rows, low[rows], high[rows], color=look.color, alpha=0.22, lw=0)
    ax.plot(rows, middle[rows], color=look.color, ls=look.dashes, lw=2.4)


def _limit_height(ax: Axes, tops: Floats) -> None:
    """Keep one wild curve, such as of an episode that starts at the goal, from flattening all."""
    top = max(1.05, 1.05 * float(tops.max()))
    usual = max(1.3, 1.5 * float(np.quantile(tops, 0.9)))
    if top > usual:
        beyond = int((tops > usual).sum())
        top = usual
        text = f"{beyond} {'go' if beyond > 1 else 'goes'} higher, up to {tops.max():.3g}"
        ax.text(0.99, 0.98, text, transform=ax.transAxes, ha="right", va="top", color=INK, size=8)
    ax.set_ylim(0, top)


def draw_curve_of(
    ax: Axes, rows: Sequence[Row], episode_index: int, *, points: int = POINTS
) -> None:
    """Draw what each labelling and control makes of one episode, 1 at its start.

    Args:
        ax: to draw on.
        rows: labellings and controls; one that has no distance for the episode is left out.
        episode_index: its place in `Analysis.episodes`.
        points: drawn of each curve at most.
    """
    handles: list[Line2D] = []
    tops, longest = [1.0], 1
    for row, look in zip(rows, looks_of(rows), strict=True):
        curve = normalised(row.distances[episode_index])
        if not np.isfinite(curve).all():
            continue
        steps, values = _thinned(curve, points).T
        (line,) = ax.plot(steps, values, color=look.color, ls=look.dashes, lw=look.width,
                          zorder=1.5 if row.control else 2)  # fmt: skip
        if len(curve) == 1:  # no line is to be seen
            line.set_marker(look.marker)
        line.set_label(_named(row))
        handles.append(line)
        tops.append(float(curve.max()))
        longest = max(longest, len(curve) - 1)
    ax.set_xlim(0, longest)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _limit_height(ax, np.array(tops))
    ax.set_xlabel("step of the episode (frames)")
    ax.set_ylabel("distance to the goal\n(1 = at the start)")
    _row_legend(ax, handles)
    finish(ax, grid="y")


def _named(row: Row, longest: int = NAME_LENGTH) -> str:
    return literal(short(row.name, longest))


def _row_legend(ax: Axes, handles: Sequence[Any]) -> None:
    inches = ax.figure.bbox.width / ax.figure.dpi
    legend(ax, handles, columns=legend_columns([handle.get_label() for handle in handles], inches))


def legend_columns(names: Sequence[str], inches: float) -> int:
    """How many columns of a legend fit into a figure so wide."""
    # a letter takes about 0.07 inches, a line and its blanks 0.55
    widest = max((min(len(name), NAME_LENGTH) for name in names), default=1)
    return max(1, min(len(names), int(inches / (0.07 * widest + 0.55))))


# --- rewards -------------------------------------------------------------------------------


def rewards_from_one(row: Row) -> Floats:
    """(N,) rewards of Eq. 1 of curves that start at 1, so that encoders of any scale compare."""
    parts = [
        -np.diff(normalised(distance)) for distance in row.distances if np.isfinite(distance).all()
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def draw_histogram(ax: Axes, rows: Sequence[Row], *, log: bool = False) -> None:
    """Draw how often rewards of each size occur (Fig. 7, 21; logarithmic: Fig. 22).

    Of curves that start at 1. Good is a tall peak in the first positive bin, which is shaded: many
    small steps towards the goal, and few large ones either way.

    Args:
        ax: to draw on.
        rows: labellings and controls; time itself is one bar that hides the others.
        log: whether the count's axis is logarithmic.
    """
    rewards = [rewards_from_one(row) for row in rows]
    histogram = reward_histogram(rewards)
    edges = histogram.edges
    first = len(edges) // 2
    ax.axvspan(edges[first], edges[first + 1], color=GREY, alpha=0.25, lw=0)
    handles: list[Any] = []
    for row, look, counts in zip(rows, looks_of(rows), histogram.counts, strict=True):
        if not counts.sum():
            continue
        share = 100 * counts / counts.sum()
        style = {"color": look.color, "ls": look.dashes, "lw": look.width}
        # not filled: seven areas on top of each other are mud
        ax.stairs(share, edges, baseline=None, **style, zorder=1.5 if row.control else 2)
        handles.append(Line2D([], [], **style, label=_named(row)))
    handles.append(Patch(fc=GREY, alpha=0.3, lw=0, label="first positive bin"))
    ax.axvline(0, color=INK, lw=0.8)
    ax.set_xlim(edges[0], edges[-1])
    if log:
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    ax.set_xlabel("reward (share of the distance at the start)")
    ax.set_ylabel("transitions (%)")
    _row_legend(ax, handles)
    finish(ax, grid="y")


def draw_count_difference(ax: Axes, a_row: Row, b_row: Row) -> None:
    """Draw how many more rewards of each size one row has than another (below Fig. 7).

    (|a| - |b|) / |b| per bin, nothing where b has none, cut off at `CUT`.

    Args:
        ax: to draw on.
        a_row: a labelling.
        b_row: what it is compared with.
    """
    histogram = reward_histogram([rewards_from_one(a_row), rewards_from_one(b_row)])
    edges = histogram.edges
    difference = count_difference(*histogram.counts)
    known = np.isfinite(difference)
    middles, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    first = len(edges) // 2
    ax.axvspan(edges[first], edges[first + 1], color=GREY, alpha=0.25, lw=0)
    heights = difference.clip(max=CUT)
    for sign, color, hatch in ((1, BLUE, ""), (-1, ORANGE, "////")):
        mine = known & (np.sign(difference) == sign)
        ax.bar(middles[mine], 100 * heights[mine], 0.9 * width, fc=color, ec=INK, lw=0.3,
               hatch=hatch)  # fmt: skip
    higher = known & (difference > CUT)
    ax.plot(middles[higher], np.full(higher.sum(), 100 * CUT), "^", color=INK, ms=4, clip_on=False)
    ax.axhline(0, color=INK, lw=0.8)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(-105, 100 * CUT if higher.any() else max(20.0, 105 * np.nanmax(heights, initial=0)))
    ax.set_xlabel("reward (share of the distance at the start)")
    ax.set_ylabel("difference in count (%)")
    a, b = _named(a_row), _named(b_row)
    handles: list[Any] = [
        Patch(fc=BLUE, ec=INK, lw=0.3, label=f"more of {a}"),
        Patch(fc=ORANGE, ec=INK, lw=0.3, hatch="////", label=f"more of {b}"),
    ]
    if higher.any():
        label = f"beyond {100 * CUT:.0f} %"
        handles.append(Line2D([], [], marker="^", ls="", color=INK, ms=4, label=label))
    _row_legend(ax, handles)
    finish(ax, grid="y")


def draw_dense_scatter(ax: Axes, row: Row, true_rewards: Sequence[ArrayLike]) -> None:
    """Draw a labelling's reward against the true dense one, with the best line (Fig. 17 to 19).

    Args:
        ax: to draw on.
        row: a labelling or a control.
        true_rewards: per episode (T - 1,), as `Analysis.true_rewards`.
    """
    visual = np.concatenate([np.zeros(0), *row.rewards])
    true = np.concatenate(
        [np.zeros(0), *(np.asarray(reward, np.float64) for reward in true_rewards)]
    )
    both = np.isfinite(visual) & np.isfinite(true)
    visual, true = visual[both], true[both]
    many = len(visual) > MANY
    ax.plot(visual, true, "o", color=BLUE, ms=2 if many else 3.5, mew=0,
            alpha=max(0.15, min(0.8, 1000 / max(len(visual), 1))), rasterized=many)  # fmt: skip
    label = f"{len(visual)} transitions"
    handles = [Line2D([], [], color=BLUE, marker="o", ls="", ms=4, label=label)]
    if np.isfinite(row.dense_fit):
        slope, offset = np.polyfit(visual, true, 1)
        ends = np.array([visual.min(), visual.max()])
        label = f"best line, R² = {row.dense_fit:.2f}"
        handles += ax.plot(
            ends, slope * ends + offset, color=VERMILION, lw=1.8, ls="--", label=label
        )
    legend(ax, handles, columns=2)
    ax.set_xlabel(literal(f"reward of {short(row.name)}"))
    ax.set_ylabel("true reward")
    finish(ax, grid="both")


# --- embeddings ----------------------------------------------------------------------------


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
            paths = [part[_thinned(part[:, 0], each_share)[:, 0].astype(int)] for part in mine]
            style: dict[str, Any] = {"colors": GREY, "linestyles": look.dashes, "linewidths": 0.6}
            ax.add_collection(LineCollection(paths, **style))
        rows = [_thinned(part[:, 0], each_share)[:, 0].astype(int) for part in mine]
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


# --- a number per episode, or per row ------------------------------------------------------


def draw_bumps(ax: Axes, rows: Sequence[Row], success: ArrayLike) -> None:
    """Draw each episode's share of bumps, and for successes mean and deviation as in Table 5.

    Args:
        ax: to draw on.
        rows: labellings and controls.
        success: (E,) bool.
    """
    ax.axvline(50, color=INK, lw=1, ls=":")
    _draw_dots(ax, rows, lambda row: 100 * row.bumps, success, "a random walk has 50 %")
    ax.set_xlim(-2, max(62.0, 1.05 * 100 * _largest([row.bumps for row in rows])))
    ax.set_xlabel("transitions that lead away from the end (%)")


def draw_order(ax: Axes, rows: Sequence[Row], success: ArrayLike) -> None:
    """Draw how well each episode's distances order its frames in time.

    Args:
        ax: to draw on.
        rows: labellings and controls.
        success: (E,) bool.
    """
    ax.axvline(0, color=INK, lw=1, ls=":")
    _draw_dots(ax, rows, lambda row: row.order, success, "no order")
    ax.set_xlim(-1.04, 1.04)
    ax.set_xticks([-1, -0.5, 0, 0.5, 1])
    ax.set_xlabel("correlation of nearness with time")


def _largest(values: Sequence[Floats]) -> float:
    every = np.concatenate([np.zeros(1), *values])
    return float(every[np.isfinite(every)].max())


def _draw_dots(
    ax: Axes, rows: Sequence[Row], of: Callable[[Row], Floats], success: ArrayLike, line: str
) -> None:
    """A line per row: successes above it, failures below, on it their mean and deviation.

    Those of successes, as in `Analysis.judged`: a failure has no duty to come near the goal.
    """
    success = np.asarray(success, bool)
    judged = success if success.any() else ~success
    many = len(rows) * len(success) > MANY
    # an episode has the same height everywhere, neighbours are far apart
    height = 0.12 + 0.26 * ((np.arange(len(success)) * 0.618034) % 1)
    for place, row in enumerate(rows):
        values = of(row)
        for outcome, look in OUTCOMES.items():
            mine = success == outcome
            ax.plot(
                values[mine],
                place + np.where(success, -height, height)[mine],
                look.marker,
                color=GREY if row.control else look.color,
                ms=3 if many else 4,
                mew=0.8,
                mfc="none",
                alpha=0.6 if many else 0.9,
                rasterized=many,
            )
        known = values[judged & np.isfinite(values)]
        if len(known):
            color = GREY if row.control else INK
            mean = known.mean()
            if len(known) > 1:
                reach = known.std(ddof=1)
                ax.plot([mean - reach, mean + reach], [place] * 2, color=color, lw=2)
            ax.plot(mean, place, "D", ms=5, color=color)
    name_rows(ax, [short(row.name, 20) for row in rows])
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, ls="", ms=4, mfc="none",
               label=look.name)
        for outcome, look in OUTCOMES.items() if (success == outcome).any()
    ]  # fmt: skip
    label = "mean ± deviation" + " of successes" * bool(success.any() and not success.all())
    handles.append(Line2D([], [], color=INK, marker="D", ms=5, lw=2, label=label))
    handles.append(Line2D([], [], color=INK, ls=":", lw=1, label=line))
    legend(ax, handles, columns=2)
    finish(ax, grid="x")


def draw_separation(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw how well coming closer tells successes from failures, with 95 % intervals.

    Against all failures, and against those that moved as far as successes did.

    Args:
        ax: to draw on.
        rows: labellings and controls; one that could not be compared keeps an empty line.
    """
    ax.axvline(0.5, color=INK, lw=1, ls=":")
    for place, row in enumerate(rows):
        for separation, offset, marker, hollow in (
            (row.came_closer, -0.14, "D", False),
            (row.came_closer_moved, 0.16, "s", True),
        ):
            if separation is None:
                continue
            color = GREY if row.control else ORANGE if hollow else BLUE
            ax.plot([separation.low, separation.high], [place + offset] * 2, color=color,
                    lw=1.6 if hollow else 2.5)  # fmt: skip
            ax.plot(separation.auc, place + offset, marker, ms=5, mec=color,
                    mfc="none" if hollow else color)  # fmt: skip
    name_rows(ax, [short(row.name, 20) for row in rows])
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("probability that a success came closer than a failure")
    legend(
        ax,
        [
            Line2D([], [], color=BLUE, marker="D", lw=2.5, ms=5, label="all failures, 95 %"),
            Line2D([], [], color=INK, ls=":", lw=1, label="chance"),
            Line2D([], [], color=ORANGE, marker="s", mfc="none", lw=1.6, ms=5,
                   label="failures that moved as far"),
        ],
        columns=2,
    )  # fmt: skip
    finish(ax, grid="x")


def draw_effective_sample_size(ax: Axes, row: Row) -> None:
    """Draw how many transitions training would really see, against the temperature of Eq. 7.

    With lines where weights hardly differ from cloning, and at the size `--tau auto` aims at, and
    the paper's temperature.

    Args:
        ax: to draw on.
        row: one that has `weightings`.
    """
    handles: list[Line2D] = []
    ax.axvline(PAPERS_TAU, color=INK, lw=1, ls="--")
    for weighting, color, dashes, marker in zip(
        row.weightings, (BLUE, GREEN, PINK), ("-", "-.", (0, (6, 1, 1, 1, 1, 1))), MARKERS,
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
    lines = {100 * CLONING: ("almost cloning", "top")}
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
            size=8,
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


def draw_signal(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw how much a distance changes over n steps, over how much it changes over nothing.

    Args:
        ax: to draw on.
        rows: labellings and controls; one without noise, such as time, has no such ratio.
    """
    ax.axhline(1, color=INK, lw=1, ls=":")
    handles: list[Any] = []
    every = sorted({n for row in rows for n in row.signal})
    for row, look in zip(rows, looks_of(rows), strict=True):
        if row.noise is None or not row.noise.step > 0:
            continue
        pairs = [(n, value / row.noise.step) for n, value in sorted(row.signal.items())
                 if np.isfinite(value) and value > 0]  # fmt: skip
        if not pairs:
            continue
        style = {"color": look.color, "ls": look.dashes, "marker": look.marker, "ms": 5,
                 "lw": look.width}  # fmt: skip
        handles += ax.plot(*zip(*pairs, strict=True), **style, label=_named(row))
    handles.append(Line2D([], [], color=INK, ls=":", lw=1, label="as much as noise"))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xticks(every, [str(n) for n in every])
    ax.minorticks_off()
    ax.set_xlabel("steps between the two frames")
    ax.set_ylabel("change of the distance\n(multiples of its noise)")
    _row_legend(ax, handles)
    finish(ax, grid="y")
