"""An analysis as one HTML file that needs nothing else: no network, no script, no font."""

import html
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from string import Template

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from vip_offline.analysis.metrics import Floats, Separation
from vip_offline.analysis.results import Analysis, EpisodeView, Heavy, Row, Weighting
from vip_offline.report.figures import analysis as figures
from vip_offline.report.figures.comparison import GREY, INK, svg
from vip_offline.report.html.analysis_outline import LOOK, MEANING, PAGE
from vip_offline.report.html.comparison_page import bullets, goal_figures, image, picture, table
from vip_offline.report.terminal.analysis import mean_of, number, over_noise
from vip_offline.utils.files import replace_file

STRIPS = 12  # episodes shown with pictures
STRIPS_FLAGGED = (
    8  # of these at most are suspicious ones: without some that are not, nothing compares
)
FLAGS_LISTED = 20  # suspicious episodes listed without a click
CURVE_POINTS = 10_000  # drawn in a figure of all episodes: what a screen tells apart
PLANE_POINTS = 1500  # more hide each other
STRIP_WIDTH = 6.5  # inches; as wide as the page, so that text is as large as elsewhere
ALIGNED = 4  # pictures from which on they are spread below the curve

PERCENT = "\N{NO-BREAK SPACE}%"

Cell = tuple[str, str]  # a number, and in small print what belongs to it


def write_analysis_page(analysis: Analysis, path: Path) -> None:
    """Write the page, replacing an older one only once the new one is complete.

    Args:
        analysis: what was found; its pictures go into the page.
        path: of the HTML file; its folder is made.
    """
    about = f"{analysis.task or Path(analysis.store).name}: does the reward mean progress?"
    shown = _chosen(analysis.episodes)
    parts = {
        "style": LOOK,
        "title": html.escape(about),
        "subtitle": html.escape(_subtitle(analysis)),
        "answer": f'<p class="answer">{html.escape(analysis.verdict)}</p>'
        if analysis.verdict
        else "",
        "warnings": "".join(
            f'<p class="warning">{html.escape(warning)}</p>' for warning in analysis.warnings
        ),
        "reasons": bullets(analysis.reasons) if analysis.reasons else "",
        "left_out": f"<h3>What was left out</h3>{bullets(analysis.left_out)}"
        if analysis.left_out
        else "",
        "goals": _goals(analysis),
        "numbers": _numbers(analysis),
        "made_of": _made_of(analysis.rows),
        "separation": _separation(analysis),
        "order": _per_episode(analysis, figures.draw_order, "order", "Order in time"),
        "bumps": _per_episode(analysis, figures.draw_bumps, "bumps", "Share of bumps"),
        "signal": _signal(analysis.rows),
        "flags": _flags(analysis.episodes),
        "curves": _curves(analysis),
        "chosen": _which(len(shown), analysis.episodes),
        "strips": "".join(_strip(analysis, view) for view in shown),
        "others": _others(analysis, {view.index for view in shown}),
        "weights": "".join(_folded(analysis.labellings, partial(_weights, analysis.episodes))),
        "histograms": _histograms(analysis.rows),
        "dense": _dense(analysis),
        "planes": _planes(analysis),
        "meaning": _meaning(),
    }
    # substitution is one pass, so a "$title" in a name stays what it is
    replace_file(path, Template(PAGE).substitute(parts).encode())


def _goals(analysis: Analysis) -> str:
    """Whose goal it is where labellings differ, and its pictures."""
    alone = len(analysis.goals) == 1
    return "".join(
        ("" if alone else f"<h3>{html.escape(names)}</h3>") + goal_figures(views)
        for names, views in analysis.goals
    )


def _subtitle(analysis: Analysis) -> str:
    success = int(analysis.success.sum())
    names = ", ".join(row.name for row in analysis.labellings)
    return (
        f"{analysis.store} · {len(analysis.episodes)} episodes: {success} succeeded, "
        f"{len(analysis.episodes) - success} failed · "
        f"{sum(episode.frames for episode in analysis.episodes)} frames · {names}"
    )


def _folded(rows: Sequence[Row], show: Callable[[Row], str]) -> list[str]:
    """The first row as it is, others behind a click."""
    parts = []
    for place, row in enumerate(rows):
        content = show(row)
        if content and place:
            content = f"<details><summary>{html.escape(row.name)}</summary>{content}</details>"
        parts.append(content)
    return parts


# --- numbers -------------------------------------------------------------------------------


def _numbers(analysis: Analysis) -> str:
    """Measures down, labellings and then controls across."""
    heads = "".join(
        f'<th class="control">{html.escape(row.name)} <small>control</small></th>'
        if row.control
        else f"<th>{html.escape(row.name)}</th>"
        for row in analysis.rows
    )
    lines = []
    for heading, note, cells in _measures(analysis):
        if all(text == number(math.nan) for text, _ in cells):
            continue
        small = f" <small>{html.escape(note)}</small>" if note else ""
        line = f"<th>{html.escape(heading)}{small}</th>"
        for row, (text, beside) in zip(analysis.rows, cells, strict=True):
            small = f"<small>{html.escape(beside)}</small>" if beside else ""
            kind = ' class="control"' if row.control else ""
            line += f"<td{kind}>{html.escape(text)}{small}</td>"
        lines.append(f"<tr>{line}</tr>")
    body = "".join(lines)
    return f'<div class="wide"><table class="numbers"><tr><th></th>{heads}</tr>{body}</table></div>'


def _measures(analysis: Analysis) -> list[tuple[str, str, list[Cell]]]:
    """Heading, what it is in a few words, and a cell per row."""
    rows, judged = analysis.rows, analysis.judged
    kind = "successes" if analysis.success.any() else "episodes"
    over = f"{int(judged.sum())} {kind}"
    closer = [row.came_closer for row in rows]
    moved = [row.came_closer_moved for row in rows]
    measures = [
        ("AUC", _against(closer), [_auc(separation) for separation in closer]),
        ("AUC, moved as far", _against(moved), [_auc(separation) for separation in moved]),
        ("order", f"mean ± deviation, {over}", [_spread(row.order[judged]) for row in rows]),
        (
            "bumps",
            f"of the T − 1 transitions of T frames; mean ± deviation, {over}",
            [_spread(row.bumps[judged]) for row in rows],
        ),
        ("goal agreement", "0 is one goal", [(number(row.agreement), "") for row in rows]),
    ]
    for n in sorted({n for row in rows for n in row.signal}):
        ratios = [over_noise(row, n) if n in row.signal else math.nan for row in rows]
        steps = f"{n} step" + "s" * (n > 1)
        cells = [(number(ratio, 1), "") for ratio in ratios]
        measures.append((f"signal / noise, {steps}", "1 is as much as noise", cells))
    measures.append(("R²", "with the true reward", [(number(row.dense_fit), "") for row in rows]))
    for weight_by in dict.fromkeys(w.weight_by for row in rows for w in row.weightings):
        mine = [next((w for w in row.weightings if w.weight_by == weight_by), None)
                for row in rows]  # fmt: skip
        known = [weighting for weighting in mine if weighting is not None]
        size, share = _percent(known[0].target_ess), _whole_percent(known[0].of_successes)
        for heading, note, of, show in (
            ("sample size at tau 0.1", "100 % is cloning", _at_papers_tau, _percent),
            (f"tau for {size}", "of the transitions", lambda w: w.tau, _significant),
            (
                "weight on successes",
                f"they have {share} of the transitions",
                lambda w: w.on_successes if math.isfinite(w.tau) else math.nan,
                _whole_percent,
            ),
        ):
            cells = [
                (show(math.nan if weighting is None else of(weighting)), "") for weighting in mine
            ]
            measures.append((f"{heading}, by {weight_by}", note, cells))
    return measures


def _against(separations: Sequence[Separation | None]) -> str:
    """How many successes and failures were compared; rows may differ where a goal is missing."""
    known = {
        (separation.successes, separation.failures)
        for separation in separations
        if separation is not None
    }
    counts = "; ".join(f"{good} against {bad}" for good, bad in sorted(known, reverse=True))
    return f"with 95 % interval; 0.5 is chance; {counts}"


def _auc(separation: Separation | None) -> Cell:
    if separation is None:
        return number(math.nan), ""
    return number(separation.auc), f"{separation.low:.2f}–{separation.high:.2f}"


def _spread(values: Floats) -> Cell:
    known = values[np.isfinite(values)]
    beside = f"± {known.std(ddof=1):.3f}" if len(known) > 1 else ""
    return number(mean_of(values), 3), beside


def _percent(share: float) -> str:
    return f"{100 * share:.3g}{PERCENT}" if math.isfinite(share) else number(math.nan)


def _whole_percent(share: float) -> str:
    return f"{100 * share:.0f}{PERCENT}" if math.isfinite(share) else number(math.nan)


def _significant(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else number(math.nan)


def _at_papers_tau(weighting: Weighting) -> float:
    logs = np.log(weighting.taus)
    return float(np.interp(np.log(figures.PAPERS_TAU), logs, weighting.effective_sample_size))


def _made_of(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        note = "" if row.goal_from_others or row.control else ". The goal is of no other episode"
        lines.append(f"<dt>{html.escape(row.name)}</dt><dd>{html.escape(row.made_of + note)}</dd>")
    return f"<dl>{''.join(lines)}</dl>"


# --- figures over all rows -----------------------------------------------------------------


def _bars(rows: Sequence[Row]) -> float:
    """Height in inches of a figure with a line per row."""
    return 1.1 + 0.36 * len(rows)


def _separation(analysis: Analysis) -> str:
    compared = [row for row in analysis.rows if row.came_closer is not None]
    if not compared:
        return ""
    return svg(
        partial(figures.draw_separation, rows=compared),
        _bars(compared),
        "How well coming closer to the goal tells successes from failures",
    )


def _per_episode(
    analysis: Analysis,
    draw: Callable[..., None],
    field: str,
    label: str,
) -> str:
    rows = [row for row in analysis.rows if np.isfinite(getattr(row, field)).any()]
    if not rows:
        return ""
    draw_it = partial(draw, rows=rows, success=analysis.success)
    return svg(draw_it, _bars(rows), f"{label}, of each episode by labelling and control")


def _signal(rows: Sequence[Row]) -> str:
    known = [row for row in rows if any(over_noise(row, n) > 0 for n in row.signal)]
    if not known:
        return ""
    label = "Change of the distance over its noise, by the number of steps"
    return svg(partial(figures.draw_signal, rows=known), 2.7, label)


def _curves(analysis: Analysis) -> str:
    points = max(12, CURVE_POINTS // max(len(analysis.episodes), 1))

    def shown(row: Row) -> str:
        if not any(len(distance) and np.isfinite(distance).all() for distance in row.distances):
            return f"<p>{html.escape(row.name)}: no distance is known.</p>"
        draw = partial(figures.draw_curves, row=row, success=analysis.success, points=points)
        drawn = svg(draw, 2.8, f"Distance to the goal over each episode, {_title(row)}")
        return f"<h3>{html.escape(row.name)}</h3>{drawn}"

    content = "".join(shown(row) for row in analysis.labellings)
    controls = "".join(shown(row) for row in analysis.controls)
    if controls:
        content += f"<details><summary>The same of the controls</summary>{controls}</details>"
    return content


def _title(row: Row) -> str:
    return f"control {row.name}" if row.control else row.name


def _pictured(rows: Sequence[Row]) -> list[Row]:
    """Rows that look at pictures, which time does not."""
    return [row for row in rows if row.own and len(figures.rewards_from_one(row))]


def _histograms(rows: Sequence[Row]) -> str:
    known = _pictured(rows)
    if not known:
        return "<p>No reward is known.</p>"
    names = ", ".join(_title(row) for row in known)
    first, *further = known
    label = f"How often rewards of each size occur, {names}"
    content = svg(partial(figures.draw_histogram, rows=known), 3.2, label)
    parts = []
    for row in further:
        draw = partial(figures.draw_count_difference, a_row=first, b_row=row)
        label = f"Difference in count of rewards, {_title(first)} and {_title(row)}"
        parts.append(
            f"<h3>Count of {html.escape(first.name)} less that of {html.escape(row.name)}</h3>"
            f"{svg(draw, 2.5, label)}"
        )
    if parts:
        content += parts[0]
    if parts[1:]:
        content += f"<details><summary>Less that of others</summary>{''.join(parts[1:])}</details>"
    return content


def _dense(analysis: Analysis) -> str:
    true = analysis.true_rewards
    if true is None:
        return ""

    def shown(row: Row) -> str:
        if not math.isfinite(row.dense_fit):
            return ""
        draw = partial(figures.draw_dense_scatter, row=row, true_rewards=true)
        return svg(draw, 3.0, f"Reward against the true reward, {row.name}")

    content = "".join(_folded(analysis.labellings, shown))
    return f"<h3>Against the true reward</h3>{content}" if content else ""


def _planes(analysis: Analysis) -> str:
    def shown(row: Row) -> str:
        if row.plane is None:
            return ""
        draw = partial(figures.draw_plane, row=row, success=analysis.success, points=PLANE_POINTS)
        drawn = svg(draw, 3.8, f"Embedding in two dimensions, {_title(row)}")
        return f"<h3>{html.escape(row.name)}</h3>{drawn}"

    content = "".join(_folded(analysis.rows, shown))
    return content or "<p>The embeddings are not in the store.</p>"


# --- episodes ------------------------------------------------------------------------------


def _called(view: EpisodeView) -> str:
    name = f" “{view.name}”" if view.name else ""
    kind = f" ({view.kind})" if view.kind else ""
    return f"episode {view.index}{name}{kind}"


def _outcome(success: bool) -> str:
    return figures.OUTCOMES[success].name


def _flags(episodes: Sequence[EpisodeView]) -> str:
    rows = []
    for episode in episodes:
        for flag in episode.flags:
            where = "" if flag.row is None else f" (frame {flag.row})"
            rows.append(
                (_called(episode), flag.kind, flag.value + where, _outcome(episode.success))
            )
    if not rows:
        return f"<p>No episode of {len(episodes)} looks suspicious.</p>"
    headings = ("episode", "suspicious", "because", "outcome")
    flagged = sum(bool(episode.flags) for episode in episodes)
    content = (
        f"<p>{flagged} of {len(episodes)} episodes. Look at them before you train on them.</p>"
    )
    content += table(headings, rows[:FLAGS_LISTED])
    if rows[FLAGS_LISTED:]:
        more = table(headings, rows[FLAGS_LISTED:])
        content += f"<details><summary>{len(rows) - FLAGS_LISTED} more</summary>{more}</details>"
    return f'<div class="flags">{content}</div>'


def _chosen(episodes: Sequence[EpisodeView]) -> list[EpisodeView]:
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


def _which(shown: int, episodes: Sequence[EpisodeView]) -> str:
    if shown == len(episodes):
        return ""
    first = "suspicious ones first, then " if any(episode.flags for episode in episodes) else ""
    return f"Of {len(episodes)} episodes {shown} are here: {first}successes and failures in turn."


def _strip(analysis: Analysis, view: EpisodeView) -> str:
    """An episode's curves, and its pictures where each belongs in time."""
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
                ax.axvline(flag.row, color=figures.VERMILION, lw=1.2, ls=":")
        if aligned and shots is not None:
            _align(ax, view.frames, len(shots), above / height)

    label = f"Distances to the goal over {_called(view)}"
    curves = svg(draw, height, label, STRIP_WIDTH) if rows else ""
    pictures = ""
    if shots is not None:
        pictures = image(
            _beside(shots), f"{len(shots)} frames of {_called(view)}, evenly spaced in time"
        )
        if not aligned:
            pictures = f'<div style="width: {6 * len(shots)}rem">{pictures}</div>'
    caption = f"{_called(view)}: {_outcome(view.success)}, {view.frames} frames"
    reasons = "; ".join(
        f"{flag.kind}: {flag.value}" + ("" if flag.row is None else f" (frame {flag.row}, dotted)")
        for flag in view.flags
    )
    caption += f". Suspicious: {reasons}" if reasons else ""
    return (
        f'<figure class="strip"><div><div>{curves}{pictures}</div></div>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _beside(shots: NDArray[np.uint8]) -> NDArray[np.uint8]:
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
            color=INK, size=8)  # fmt: skip
    ax.spines["left"].set_visible(False)
    ax.set_position((0, 0.13, 1, 1 - 0.13 - above))


def _others(analysis: Analysis, shown: set[int]) -> str:
    rest = [episode for episode in analysis.episodes if episode.index not in shown]
    if not rest:
        return ""
    first = analysis.rows[0]
    rows = [
        (
            _called(episode),
            _outcome(episode.success),
            str(episode.frames),
            number(float(first.order[episode.index])),
            number(float(first.bumps[episode.index])),
        )
        for episode in rest
    ]
    headings = ("episode", "outcome", "frames", f"order, {first.name}", f"bumps, {first.name}")
    return (
        f"<details><summary>The other {len(rest)} in numbers</summary>"
        f"{table(headings, rows)}</details>"
    )


# --- weights -------------------------------------------------------------------------------


def _weights(episodes: Sequence[EpisodeView], row: Row) -> str:
    name = html.escape(row.name)
    if not row.weightings:
        return f"<p>{name}: not every transition's reward is known, so there are no weights.</p>"
    drawn = svg(
        partial(figures.draw_effective_sample_size, row=row),
        2.8,
        f"Effective sample size against tau, {_title(row)}",
    )
    return f"<h3>{name}</h3>{drawn}" + "".join(
        _heaviest(weighting, episodes) for weighting in row.weightings
    )


def _heaviest(weighting: Weighting, episodes: Sequence[EpisodeView]) -> str:
    size = _percent(weighting.target_ess)
    if not math.isfinite(weighting.tau):
        caption = f"By {weighting.weight_by}: no temperature gives a sample size of {size}."
        return f"<p>{html.escape(caption)}</p>"
    caption = f"By {weighting.weight_by}: tau {weighting.tau:.3g} gives a sample size of {size}"
    if math.isfinite(weighting.on_successes):
        caption += (
            f"; {_whole_percent(weighting.on_successes)} of the weight is on successes, which have "
            f"{_whole_percent(weighting.of_successes)} of the transitions"
        )
    pairs = "".join(_pair(heavy, episodes[heavy.episode]) for heavy in weighting.heaviest)
    shown = f'<div class="pairs">{pairs}</div>'
    return f"<p>{html.escape(caption)}. The heaviest:</p>{shown}" if pairs else f"<p>{caption}.</p>"


def _pair(heavy: Heavy, view: EpisodeView) -> str:
    caption = (
        f"weight {heavy.weight:.3g}: {_called(view)}, "
        f"frame {heavy.step} → {heavy.step + heavy.ahead}, {_outcome(view.success)}"
    )
    if heavy.pictures is None:
        return f"<figure><figcaption>{html.escape(caption)}</figcaption></figure>"
    return picture(_beside(heavy.pictures), caption)


def _meaning() -> str:
    lines = (f"<dt>{html.escape(term)}</dt><dd>{html.escape(text)}</dd>" for term, text in MEANING)
    return f'<dl class="meaning">{"".join(lines)}</dl>'
