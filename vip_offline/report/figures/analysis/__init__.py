"""Figures of an analysis: each function draws on the Axes it is given, in a notebook as on a page.

    figure, ax = plt.subplots(layout="constrained")
    draw_curves(ax, analysis.rows[0], analysis.success)

Successes are blue, drawn through and round; failures vermilion, dashed and crosses. Where rows are
beside each other, labellings have colours, each with a dash and a marker of its own, and controls
are grey.
"""

from vip_offline.report.figures.analysis.curves import draw_curve_of, draw_curves
from vip_offline.report.figures.analysis.measures import (
    draw_bumps,
    draw_order,
    draw_separation,
    draw_signal,
)
from vip_offline.report.figures.analysis.plane import draw_plane
from vip_offline.report.figures.analysis.rewards import (
    CUT,
    draw_count_difference,
    draw_dense_scatter,
    draw_histogram,
    rewards_from_one,
)
from vip_offline.report.figures.analysis.row_style import legend_columns, looks_of, short
from vip_offline.report.figures.analysis.sample_size import PAPERS_TAU, draw_effective_sample_size

__all__ = [
    "CUT",
    "PAPERS_TAU",
    "draw_bumps",
    "draw_count_difference",
    "draw_curve_of",
    "draw_curves",
    "draw_dense_scatter",
    "draw_effective_sample_size",
    "draw_histogram",
    "draw_order",
    "draw_plane",
    "draw_separation",
    "draw_signal",
    "legend_columns",
    "looks_of",
    "rewards_from_one",
    "short",
]
