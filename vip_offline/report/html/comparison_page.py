"""The comparison as one HTML file: what the template `comparison.html.j2` prints."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vip_offline.analysis.closed_loop.comparison import Comparison, DemonstrationCurve, sample_size
from vip_offline.analysis.closed_loop.conclusions import percent, points
from vip_offline.report.figures import comparison as figures
from vip_offline.report.html.goals import beside_curves
from vip_offline.report.html.render import drawn, render
from vip_offline.report.terminal.comparison import conditions_of, multiplicity, span
from vip_offline.utils.files import replace_file

STRIPS_SHOWN = 2  # demonstrations of each outcome shown as pictures; all are in the figure
VIDEO_BYTES = 3_000_000  # of all videos together; base64 makes them a third larger

TableData = tuple[Sequence[str], Sequence[Sequence[str]]]  # headings, rows


def write_comparison_page(comparison: Comparison, summary: Mapping[str, Any], path: Path) -> None:
    """Write the page, replacing an older one only once the new one is complete."""
    arms = comparison.arms
    bars = 0.9 + 0.42 * len(arms)  # inches
    names = ", ".join(arm.name for arm in arms)
    page = render(
        "comparison.html.j2",
        title=f"{comparison.task}: {len(arms)} variants compared",
        subtitle=(
            f"encoder {comparison.encoder} · labels {comparison.label} · "
            f"{sample_size(comparison)} · {comparison.horizon} steps"
        ),
        comparison=comparison,
        summary=summary,
        multiplicity=f"{multiplicity(summary)} {conditions_of(summary)}",
        success=drawn(
            lambda ax: figures.draw_success(ax, summary), bars, f"Success rate of {names}"
        ),
        differences=drawn(
            lambda ax: figures.draw_differences(ax, summary),
            bars,
            f"Success of each variant minus that of {comparison.baseline}",
        )
        if len(arms) > 1
        else "",
        strips=[_strip(curve) for curve in _shown(comparison.demonstrations)],
        goal_pictures=beside_curves(comparison.goals),
        distances=drawn(
            lambda ax: figures.draw_distances(ax, comparison.demonstrations),
            2.6,
            "Distance to the goal over each demonstration",
        ),
        weights=drawn(
            lambda ax: figures.draw_weights(ax, arms),
            2.6 + 0.2 * len(arms),
            f"Share of the training weight held by the heaviest transitions, for {names}",
        ),
        placements=drawn(
            lambda ax: figures.draw_placements(ax, summary),
            1.1 + 0.32 * len(arms),
            f"Share of seeds that succeeded on each placement, for {names}",
        ),
        videos=_videos(comparison.videos),
        numbers=_arm_table(summary),
        pairs=_pair_table(summary),
        minutes=[(stage, f"{minutes:.1f}") for stage, minutes in comparison.minutes.items()],
    )
    replace_file(path, page.encode())


def _shown(demonstrations: Sequence[DemonstrationCurve]) -> list[DemonstrationCurve]:
    """Return the first few of each outcome, successes first."""
    successes = [demonstration for demonstration in demonstrations if demonstration.success]
    failures = [demonstration for demonstration in demonstrations if not demonstration.success]
    return successes[:STRIPS_SHOWN] + failures[:STRIPS_SHOWN]


def _strip(demonstration: DemonstrationCurve) -> tuple[npt.NDArray[np.uint8], str]:
    """Pictures side by side, (h, K * w, 3), and their caption."""
    outcome = "succeeded" if demonstration.success else "failed"
    caption = (
        f"demonstration {demonstration.episode} ({demonstration.kind}): {outcome}, "
        f"{len(demonstration.distance)} frames"
    )
    return np.concatenate(list(demonstration.thumbnails), axis=1), caption


def _videos(videos: Sequence[tuple[str, Path]]) -> list[dict[str, Any]]:
    """The videos in base64, as many as fit; of others why they are missing."""
    budget, parts = VIDEO_BYTES, list[dict[str, Any]]()
    for caption, path in videos:
        # a rollout's film that went astray is no reason to lose the page
        size = path.stat().st_size if path.is_file() else None
        if size is None or size > budget:
            why = "is not there" if size is None else "is left out to keep this page small"
            parts.append({"caption": caption, "missing": why, "path": path})
            continue
        budget -= size
        data = base64.b64encode(path.read_bytes()).decode()
        parts.append({"caption": caption, "missing": "", "data": data})
    return parts


def _arm_table(summary: Mapping[str, Any]) -> TableData:
    headings = (
        "variant", "success %", "95 %", "rollouts", "each seed %", "median steps", "tau", "ESS %",
        "transitions", "weight: 10 % / 50 % / 90 % / most", "held by top 10 %",
    )  # fmt: skip
    rows = []
    for arm in summary["arms"]:
        success, steps = arm["success"], arm["median_steps"]
        quantiles, top = arm["weight_quantiles"], arm["weight_of_top_tenth"]
        rows.append(
            (
                arm["name"],
                points(success["mean"], sign=False),
                span(success["low"], success["high"], sign=False),
                f"{arm['successes']}/{arm['rollouts']}",
                " ".join(points(rate, sign=False) for rate in arm["per_seed"]),
                "–" if steps is None else f"{steps:.0f}",
                "–" if arm["tau"] is None else f"{arm['tau']:.3g}",
                percent(arm["effective_sample_size"], digits=1),
                "–" if arm["transitions"] is None else str(arm["transitions"]),
                "–"
                if quantiles is None
                else " / ".join(f"{quantiles[q]:.2f}" for q in ("0.1", "0.5", "0.9", "1")),
                "–" if top is None else f"{100 * top:.0f} %",
            )
        )
    return headings, rows


def _pair_table(summary: Mapping[str, Any]) -> TableData:
    headings = (
        "a", "b", "a minus b", "95 %", "differs", "smallest detectable", "p", "p (Holm)", "df",
    )  # fmt: skip
    rows = [
        (
            difference["a"],
            difference["b"],
            points(difference["mean"]),
            span(difference["low"], difference["high"]),
            "yes" if difference["differs"] else "no",
            _number(difference["smallest_detectable"], lambda x: points(x, sign=False)),
            _number(difference["p_value"], "{:.3f}".format),
            _number(difference["p_holm"], "{:.3f}".format),
            _number(difference["degrees_of_freedom"], "{:.1f}".format),
        )
        for difference in summary["differences"]
    ]
    return headings, rows


def _number(value: float | None, show: Any) -> str:
    return "–" if value is None else str(show(value))
