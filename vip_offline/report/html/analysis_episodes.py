"""Single episodes on the page of an analysis: which are suspicious, which are shown, and how."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from vip_offline.analysis.results import Analysis, EpisodeView
from vip_offline.report.figures import analysis as figures
from vip_offline.report.figures.colors import GREY, INK, OUTCOMES, VERMILION
from vip_offline.report.html.render import drawn
from vip_offline.report.terminal.analysis import number

STRIPS = 12  # episodes shown with pictures
# of these at most are suspicious ones: without some that are not, nothing compares
STRIPS_FLAGGED = 8
FLAGS_LISTED = 20  # suspicious episodes listed without a click
STRIP_WIDTH = 6.5  # inches; as wide as the page, so that text is as large as elsewhere
ALIGNED = 4  # pictures from which on they are spread below the curve


@dataclass(frozen=True)
class Strip:
    """An episode's curves, and its pictures where each belongs in time."""

    curves: str  # SVG; empty: no distance is known
    pixels: NDArray[np.uint8] | None  # (h, K * w, 3)
    alt: str
    width: int  # rem that the pictures take; 0: as wide as the curves
    caption: str


def episode_title(view: EpisodeView) -> str:
    """Index, name and kind of an episode, for a caption."""
    name = f" “{view.name}”" if view.name else ""
    kind = f" ({view.kind})" if view.kind else ""
    return f"episode {view.index}{name}{kind}"


def outcome_name(success: bool) -> str:
    """How an episode ended, as in the legends of figures."""
    return OUTCOMES[success].name


def flag_table(episodes: Sequence[EpisodeView]) -> dict[str, Any]:
    """Headings and rows of the table of suspicious episodes, one row per flag."""
    rows = []
    for episode in episodes:
        for flag in episode.flags:
            where = "" if flag.row is None else f" (frame {flag.row})"
            outcome = outcome_name(episode.success)
            rows.append((episode_title(episode), flag.kind, flag.value + where, outcome))
    return {
        "headings": ("episode", "suspicious", "because", "outcome"),
        "rows": rows,
        "episodes": sum(bool(episode.flags) for episode in episodes),
        "listed": FLAGS_LISTED,
    }


def episodes_to_show(episodes: Sequence[EpisodeView]) -> list[EpisodeView]:
    """Suspicious ones, one of each kind before a second; then a success and a failure in turn."""
    fresh: list[EpisodeView] = []
    again: list[EpisodeView] = []
    kinds: set[str] = set()
    for episode in episodes:
        flag_kinds = {flag.kind for flag in episode.flags}
        if flag_kinds:
            (fresh if flag_kinds - kinds else again).append(episode)
            kinds |= flag_kinds
    flagged = [*fresh, *again]
    good = [episode for episode in episodes if episode.success and not episode.flags]
    bad = [episode for episode in episodes if not episode.success and not episode.flags]
    usual = [
        group[place]
        for place in range(max(len(good), len(bad)))
        for group in (good, bad)
        if place < len(group)
    ]
    most = max(STRIPS_FLAGGED, STRIPS - len(usual))
    chosen = flagged[:most]
    return [*chosen, *usual[: STRIPS - len(chosen)]]


def choice_in_words(shown: int, episodes: Sequence[EpisodeView]) -> str:
    """Which episodes are shown, in a sentence; empty if all are."""
    if shown == len(episodes):
        return ""
    first = "suspicious ones first, then " if any(episode.flags for episode in episodes) else ""
    return f"Of {len(episodes)} episodes {shown} are here: {first}successes and failures in turn."


def strip_of(analysis: Analysis, view: EpisodeView) -> Strip:
    """Draw the strip of one episode."""
    rows = [row for row in analysis.rows if len(row.distances[view.index]) > 1
            and np.isfinite(row.distances[view.index]).all()]  # fmt: skip
    shots = view.thumbnails
    aligned = shots is not None and len(shots) >= ALIGNED
    # legends grow with the number of rows, curves do not
    columns = figures.legend_columns([row.name for row in rows], STRIP_WIDTH)
    above = 0.12 + 0.17 * -(-len(rows) // columns)
    height = (1.5 if aligned else 2.0) + above

    def draw(ax: Axes) -> None:
        figures.draw_curve_of(ax, rows, view.index, points=200)
        for flag in view.flags:
            if flag.row is not None:
                ax.axvline(flag.row, color=VERMILION, lw=1.2, ls=":")
        if aligned and shots is not None:
            _align(ax, view.frames, len(shots), above / height)

    label = f"Distances to the goal over {episode_title(view)}"
    curves = drawn(draw, height, label, STRIP_WIDTH) if rows else ""
    caption = f"{episode_title(view)}: {outcome_name(view.success)}, {view.frames} frames"
    reasons = "; ".join(
        f"{flag.kind}: {flag.value}" + ("" if flag.row is None else f" (frame {flag.row}, dotted)")
        for flag in view.flags
    )
    caption += f". Suspicious: {reasons}" if reasons else ""
    if shots is None:
        return Strip(curves, None, "", 0, caption)
    alt = f"{len(shots)} frames of {episode_title(view)}, evenly spaced in time"
    return Strip(curves, film_strip(shots), alt, 0 if aligned else 6 * len(shots), caption)


def film_strip(shots: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(K, h, w, 3) -> (h, K * w, 3), with a line between neighbours."""
    shots = shots.copy()
    shots[1:, :, 0] = shots[:-1, :, -1] = 255
    return np.concatenate(list(shots), axis=1)


def _align(ax: Axes, frames: int, shots: int, above: float) -> None:
    """Have the axes as wide as the figure, so that each moment is above its picture.

    Args:
        ax: with the curves of an episode.
        frames: T.
        shots: pictures below, of equal width, evenly spaced in time from the first to the last.
        above: share of the figure's height that the legend takes.
    """
    half = (frames - 1) / (shots - 1) / 2  # of a picture, in frames
    ax.set_xlim(-half, frames - 1 + half)
    rows = np.linspace(0, frames - 1, shots).round().astype(int)
    ax.set_xticks(rows, [f"frame {rows[0]}", *(str(row) for row in rows[1:])])
    # inside, where half a picture's width is free of curves; the axis itself is 0
    ax.set_yticks([0.5, 1], ["0.5", "1"], ha="left")
    ax.tick_params(axis="y", length=0, pad=-3)
    ax.grid(axis="x", color=GREY, alpha=0.3, lw=0.6)
    ax.set_xlabel("")
    ax.set_ylabel("")
    ax.text(0.05, 0.04, "distance to the goal (1 = at the start)", transform=ax.transAxes,
            color=INK)  # fmt: skip
    ax.spines["left"].set_visible(False)
    ax.set_position((0, 0.13, 1, 1 - 0.13 - above))


def other_episodes(analysis: Analysis, shown: set[int]) -> list[tuple[str, ...]]:
    """Rows of the table of the episodes that are not shown, measured by the first labelling."""
    first = analysis.rows[0]
    return [
        (
            episode_title(episode),
            outcome_name(episode.success),
            str(episode.frames),
            number(float(first.order[episode.index])),
            number(float(first.bumps[episode.index])),
        )
        for episode in analysis.episodes
        if episode.index not in shown
    ]
