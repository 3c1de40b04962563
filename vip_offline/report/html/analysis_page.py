"""An analysis as one HTML file: what the template `analysis.html.j2` prints."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.results import Analysis, EpisodeView, HeavyTransition, Row, Weighting
from vip_offline.report.figures import analysis as figures
from vip_offline.report.html.analysis_episodes import (
    choice_in_words,
    episode_title,
    episodes_to_show,
    film_strip,
    flag_table,
    other_episodes,
    outcome_name,
    strip_of,
)
from vip_offline.report.html.analysis_numbers import known_measures, percentage, whole_percentage
from vip_offline.report.html.goals import Picture, beside_curves, of_row
from vip_offline.report.html.render import drawn, render
from vip_offline.report.terminal.analysis import over_noise
from vip_offline.utils.files import replace_file

CURVE_POINTS = 10_000  # drawn in a figure of all episodes: what a screen tells apart
PLANE_POINTS = 1500  # more hide each other


@dataclass(frozen=True)
class RowFigure:
    """The figure of one labelling or control."""

    name: str
    control: bool
    figure: str  # SVG; empty: there is nothing to draw
    goals: tuple[Picture, ...] = ()  # to stand beside it


@dataclass(frozen=True)
class WeightingView:
    """One way to weight transitions."""

    caption: str
    has_tau: bool
    heaviest: tuple[tuple[NDArray[np.uint8] | None, str], ...]  # pictures and caption


def write_analysis_page(analysis: Analysis, path: Path) -> None:
    """Write the page, replacing an older one only once the new one is complete."""
    shown = episodes_to_show(analysis.episodes)
    compared = [row for row in analysis.rows if row.came_closer is not None]
    page = render(
        "analysis.html.j2",
        title=f"{analysis.task or Path(analysis.store).name}: does the reward mean progress?",
        subtitle=_subtitle(analysis),
        analysis=analysis,
        measures=known_measures(analysis),
        separation=drawn(
            partial(figures.draw_separation, rows=compared),
            _height(compared),
            "How well coming closer to the goal tells successes from failures",
        )
        if compared
        else "",
        order=_per_episode(analysis, figures.draw_order, "order", "Order in time"),
        bumps=_per_episode(analysis, figures.draw_bumps, "bumps", "Share of bumps"),
        signal=_signal(analysis.rows),
        flags=flag_table(analysis.episodes),
        curves=_curves(analysis),
        chosen=choice_in_words(len(shown), analysis.episodes),
        strips=[strip_of(analysis, view) for view in shown],
        others=other_episodes(analysis, {view.index for view in shown}),
        weights=[_weights(analysis.episodes, row) for row in analysis.labellings],
        **_histograms(analysis.rows),
        dense=_dense(analysis),
        planes=_planes(analysis),
    )
    replace_file(path, page.encode())


def _subtitle(analysis: Analysis) -> str:
    success = int(analysis.success.sum())
    names = ", ".join(row.name for row in analysis.labellings)
    return (
        f"{analysis.store} · {len(analysis.episodes)} episodes: {success} succeeded, "
        f"{len(analysis.episodes) - success} failed · "
        f"{sum(episode.frames for episode in analysis.episodes)} frames · {names}"
    )


def _height(rows: Sequence[Row]) -> float:
    """Height in inches of a figure with a line per row."""
    return 1.1 + 0.36 * len(rows)


def _row_title(row: Row) -> str:
    return f"control {row.name}" if row.control else row.name


def _per_episode(analysis: Analysis, draw: Callable[..., None], field: str, label: str) -> str:
    rows = [row for row in analysis.rows if np.isfinite(getattr(row, field)).any()]
    if not rows:
        return ""
    label = f"{label}, of each episode by labelling and control"
    return drawn(partial(draw, rows=rows, success=analysis.success), _height(rows), label)


def _signal(rows: Sequence[Row]) -> str:
    known = [row for row in rows if any(over_noise(row, n) > 0 for n in row.signal)]
    if not known:
        return ""
    label = "Change of the distance over its noise, by the number of steps"
    return drawn(partial(figures.draw_signal, rows=known), 2.7, label)


def _curves(analysis: Analysis) -> list[RowFigure]:
    points = max(12, CURVE_POINTS // max(len(analysis.episodes), 1))

    def figure(row: Row) -> str:
        if not any(len(distance) and np.isfinite(distance).all() for distance in row.distances):
            return ""
        draw = partial(figures.draw_curves, row=row, success=analysis.success, points=points)
        return drawn(draw, 2.8, f"Distance to the goal over each episode, {_row_title(row)}")

    curves = zip(_row_figures(analysis.rows, figure), analysis.rows, strict=True)
    return [replace(curve, goals=_goals_of(row, analysis)) for curve, row in curves]


def _goals_of(row: Row, analysis: Analysis) -> tuple[Picture, ...]:
    """What the distances of a row are to; of one that looks at no pictures, as time, nothing."""
    views = of_row(analysis.goals, row.name, control=row.control) if row.own else ()
    return tuple(beside_curves(views))


def _row_figures(rows: Sequence[Row], figure: Callable[[Row], str]) -> list[RowFigure]:
    return [RowFigure(row.name, row.control, figure(row)) for row in rows]


def _histograms(rows: Sequence[Row]) -> dict[str, Any]:
    """Of rows that look at pictures, which time does not: the first less each of the others."""
    known = [row for row in rows if row.own and len(figures.rewards_from_one(row))]
    if not known:
        return {"histogram": "", "count_differences": []}
    first, *further = known
    names = ", ".join(_row_title(row) for row in known)
    return {
        "histogram": drawn(
            partial(figures.draw_histogram, rows=known),
            3.2,
            f"How often rewards of each size occur, {names}",
        ),
        "count_differences": [
            {
                "first": first.name,
                "name": row.name,
                "figure": drawn(
                    partial(figures.draw_count_difference, a_row=first, b_row=row),
                    2.5,
                    f"Difference in count of rewards, {_row_title(first)} and {_row_title(row)}",
                ),
            }
            for row in further
        ],
    }


def _dense(analysis: Analysis) -> list[RowFigure]:
    true = analysis.true_rewards
    if true is None:
        return []

    def figure(row: Row) -> str:
        if not math.isfinite(row.dense_fit):
            return ""
        draw = partial(figures.draw_dense_scatter, row=row, true_rewards=true)
        return drawn(draw, 3.0, f"Reward against the true reward, {row.name}")

    return _row_figures(analysis.labellings, figure)


def _planes(analysis: Analysis) -> list[RowFigure]:
    def figure(row: Row) -> str:
        if row.plane is None:
            return ""
        draw = partial(figures.draw_plane, row=row, success=analysis.success, points=PLANE_POINTS)
        return drawn(draw, 3.8, f"Embedding in two dimensions, {_row_title(row)}")

    return _row_figures(analysis.rows, figure)


def _weights(episodes: Sequence[EpisodeView], row: Row) -> dict[str, Any]:
    if not row.weightings:
        return {"name": row.name, "figure": "", "weightings": []}
    figure = drawn(
        partial(figures.draw_effective_sample_size, row=row),
        2.8,
        f"Effective sample size against tau, {_row_title(row)}",
    )
    views = [_weighting(weighting, episodes) for weighting in row.weightings]
    return {"name": row.name, "figure": figure, "weightings": views}


def _weighting(weighting: Weighting, episodes: Sequence[EpisodeView]) -> WeightingView:
    size = percentage(weighting.target_ess)
    if not math.isfinite(weighting.tau):
        caption = f"By {weighting.weight_by}: no temperature gives a sample size of {size}."
        return WeightingView(caption, False, ())
    caption = f"By {weighting.weight_by}: tau {weighting.tau:.3g} gives a sample size of {size}"
    if math.isfinite(weighting.on_successes):
        caption += (
            f"; {whole_percentage(weighting.on_successes)} of the weight is on successes, which "
            f"have {whole_percentage(weighting.of_successes)} of the transitions"
        )
    heaviest = tuple(_pair(heavy, episodes[heavy.episode]) for heavy in weighting.heaviest)
    return WeightingView(caption, True, heaviest)


def _pair(heavy: HeavyTransition, view: EpisodeView) -> tuple[NDArray[np.uint8] | None, str]:
    """A transition's two frames side by side, (h, 2 * w, 3), and what they are."""
    caption = (
        f"weight {heavy.weight:.3g}: {episode_title(view)}, "
        f"frame {heavy.step} → {heavy.step + heavy.ahead}, {outcome_name(view.success)}"
    )
    return None if heavy.pictures is None else film_strip(heavy.pictures), caption
