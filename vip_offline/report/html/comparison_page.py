"""The comparison as one HTML file that needs nothing else: no network, no script, no font."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt

from vip_offline.analysis.closed_loop.comparison import (
    Arm,
    Comparison,
    DemonstrationCurve,
    sample_size,
)
from vip_offline.analysis.closed_loop.conclusions import percent, points
from vip_offline.analysis.closed_loop.conditions import conditions
from vip_offline.report.figures import comparison as figures
from vip_offline.report.html.style import PAGE, STYLE
from vip_offline.report.terminal.comparison import multiplicity, span
from vip_offline.rewards.goal_views import GoalView
from vip_offline.utils.files import replace_file

STRIPS_SHOWN = 2  # demonstrations of each outcome shown as pictures; all are in the figure
VIDEO_BYTES = 3_000_000  # of all videos together; base64 makes them a third larger

METHOD = (
    "Each arm was trained once per seed ($seeds) and each of these policies was run once on each "
    "of the same object placements ($placements), so there are $rollouts rollouts per arm. "
    "Intervals take both seeds and placements to be a sample of those that could have been: the "
    "variance of a mean is that of a two-way random effects model (mean squares of seeds and of "
    "placements less the residual), never below a binomial one, with Student's t and "
    "Satterthwaite's degrees of freedom; arms are compared rollout by rollout, on the same seed "
    "and placement. The smallest detectable difference is the one that four out of five such "
    "comparisons would find."
)
ONE_SEED = " With one seed none of this can be computed: there are no intervals."
ONE_PLACEMENT = " With one placement the intervals cover seeds only."


def write_comparison_page(comparison: Comparison, summary: Mapping[str, Any], path: Path) -> None:
    """Write the page, replacing an older one only once the new one is complete.

    Args:
        comparison: what was measured; its pictures, videos and weights go into the page.
        summary: of this comparison, by `summarise`.
        path: of the HTML file; its folder is made.
    """
    arms = comparison.arms
    bars = 0.9 + 0.42 * len(arms)  # inches
    names = ", ".join(arm.name for arm in arms)
    parts = {
        "style": STYLE,
        "title": html.escape(f"{comparison.task}: {len(arms)} arms compared"),
        "subtitle": html.escape(
            f"encoder {comparison.encoder} · labels {comparison.label} · "
            f"{sample_size(comparison)} · {comparison.horizon} steps"
        ),
        "answer": html.escape(summary["answer"]),
        "verdicts": bullets(summary["verdicts"]),
        "multiplicity": html.escape(
            f"{multiplicity(summary)} {conditions(summary['backend'], summary['processor'])}"
        ),
        "arms": _describe(arms),
        "success": figures.svg(
            lambda ax: figures.draw_success(ax, summary), bars, f"Success rate of {names}"
        ),
        "differences": figures.svg(
            lambda ax: figures.draw_differences(ax, summary),
            bars,
            f"Success of each arm less that of {comparison.baseline}",
        )
        if len(arms) > 1
        else "",
        "goal": goal_figures(comparison.goals),
        "strips": "".join(
            _strip(demonstration) for demonstration in _shown(comparison.demonstrations)
        ),
        "distances": figures.svg(
            lambda ax: figures.draw_distances(ax, comparison.demonstrations),
            2.6,
            "Distance to the goal over each demonstration",
        ),
        "weights": figures.svg(
            lambda ax: figures.draw_weights(ax, arms),
            2.6 + 0.2 * len(arms),
            f"Share of the training weight held by the heaviest transitions, for {names}",
        ),
        "placements": figures.svg(
            lambda ax: figures.draw_placements(ax, summary),
            1.1 + 0.32 * len(arms),
            f"Share of seeds that succeeded on each placement, for {names}",
        ),
        "videos": _videos(comparison.videos),
        "numbers": _arm_table(summary),
        "pairs": _pair_table(summary),
        "method": html.escape(_method(comparison)),
        "minutes": table(
            ("stage", "minutes"), [(k, f"{v:.1f}") for k, v in comparison.minutes.items()]
        ),
        "versions": table(("package", "version"), list(comparison.versions.items())),
        "recipe": html.escape(comparison.recipe),
    }
    # substitution is one pass, so a "$title" in a name stays what it is
    replace_file(path, Template(PAGE).substitute(parts).encode())


def _method(comparison: Comparison) -> str:
    S, P = len(comparison.seeds), len(comparison.placements)
    text = Template(METHOD).substitute(
        seeds=", ".join(map(str, comparison.seeds)),
        placements=", ".join(map(str, comparison.placements)),
        rollouts=S * P,
    )
    return text + ONE_SEED * (S == 1) + ONE_PLACEMENT * (S > 1 and P == 1)


def _shown(demonstrations: Sequence[DemonstrationCurve]) -> list[DemonstrationCurve]:
    """Return the first few of each outcome, successes first."""
    successes = [demonstration for demonstration in demonstrations if demonstration.success]
    failures = [demonstration for demonstration in demonstrations if not demonstration.success]
    return successes[:STRIPS_SHOWN] + failures[:STRIPS_SHOWN]


def _strip(demonstration: DemonstrationCurve) -> str:
    outcome = "succeeded" if demonstration.success else "failed"
    caption = (
        f"demonstration {demonstration.episode} ({demonstration.kind}): {outcome}, "
        f"{len(demonstration.distance)} frames"
    )
    side_by_side = np.concatenate(list(demonstration.thumbnails), axis=1)
    return f'<div class="wide">{picture(side_by_side, caption)}</div>'


def picture(pixels: npt.NDArray[np.uint8], caption: str) -> str:
    """A `<figure>` of (H, W, 3) pixels above their caption, which is escaped here."""
    return (
        f"<figure>{image(pixels, caption)}<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def goal_figures(views: Sequence[GoalView]) -> str:
    """A `<figure>` per goal picture, goal by goal; all text is escaped here."""
    parts = []
    for view in views:
        count = len(view.pictures)
        of = f" ({count} of {view.count} pictures)" if 0 < count < view.count else ""
        shown = "".join(picture(pixels, name) for name, pixels in view.pictures)
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in view.notes)
        parts.append(f'<p>{html.escape(view.name + of)}</p><div class="goal">{shown}</div>{notes}')
    return "".join(parts)


def image(pixels: npt.NDArray[np.uint8], alt: str) -> str:
    """An `<img>` that holds (H, W, 3) pixels itself; what it shows is escaped here."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=88)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/jpeg;base64,{data}">'


def _videos(videos: Sequence[tuple[str, Path]]) -> str:
    """Return the videos, as many as fit; what does not is named where it lies."""
    budget, parts = VIDEO_BYTES, []
    for caption, path in videos:
        text = html.escape(caption)
        # a rollout's film that went astray is no reason to lose the page
        size = path.stat().st_size if path.is_file() else None
        if size is None or size > budget:
            why = "is not there" if size is None else "is left out to keep this page small"
            parts.append(f"<p>{text}: the film {why} ({html.escape(str(path))}).</p>")
            continue
        budget -= size
        data = base64.b64encode(path.read_bytes()).decode()
        parts.append(
            "<figure><video controls loop muted playsinline preload=metadata "
            f'src="data:video/mp4;base64,{data}"></video><figcaption>{text}</figcaption></figure>'
        )
    return f'<div class="films">{"".join(parts)}</div>' if parts else "<p>None were kept.</p>"


def bullets(sentences: Sequence[str]) -> str:
    """A `<ul>` of sentences, which are escaped here."""
    return "<ul>" + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _describe(arms: Sequence[Arm]) -> str:
    rows = (
        f"<dt>{html.escape(arm.name)}</dt><dd>{html.escape(arm.description)}</dd>" for arm in arms
    )
    return f"<dl>{''.join(rows)}</dl>"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A `<table>` that scrolls sideways where it must; all text is escaped here."""
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _arm_table(summary: Mapping[str, Any]) -> str:
    headings = (
        "arm", "success %", "95 %", "rollouts", "each seed %", "median steps", "tau", "ESS %",
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
    return table(headings, rows)


def _pair_table(summary: Mapping[str, Any]) -> str:
    headings = (
        "a", "b", "a less b", "95 %", "differs", "smallest detectable", "p", "p (Holm)", "df",
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
    return table(headings, rows)


def _number(value: float | None, show: Any) -> str:
    return "–" if value is None else str(show(value))
