"""A curation as one HTML file: what the template `curation.html.j2` prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vip_offline.analysis.curation.ranking import (
    BORDER,
    Ranked,
    typical_start,
    whole_way,
    worst_segments,
)
from vip_offline.analysis.curation.results import Curation
from vip_offline.report.figures.curation import draw_choice
from vip_offline.report.html.analysis_episodes import episode_title, outcome_name
from vip_offline.report.html.goals import Picture, beside_curves
from vip_offline.report.html.render import drawn, render
from vip_offline.report.terminal.curation import HEADINGS, choice_in_words, episode_cells
from vip_offline.utils.arrays import Floats
from vip_offline.utils.files import replace_file

LISTED = 60  # episodes and segments listed without a click
CURVE_POINTS = 10_000  # drawn in the figure: what a screen tells apart


@dataclass(frozen=True)
class Case:
    """An episode that somebody should look at."""

    title: str
    reasons: tuple[str, ...]
    compared: tuple[Picture, ...]  # the goal, its last frame, that of a clear success
    frames: tuple[Picture, ...]


def write_curation_page(curation: Curation, path: Path) -> None:
    """Write the page, replacing an older one only once the new one is complete."""
    analysis = curation.analysis
    (row,) = analysis.labellings
    episodes, kept = analysis.episodes, len(curation.kept)
    shown = curation.borderline
    unjudged = sum(not np.isfinite(episode.covered) for episode in curation.ranked)
    points = max(12, CURVE_POINTS // max(len(episodes), 1))
    figure = ""
    if unjudged < len(episodes):
        figure = drawn(
            lambda ax: draw_choice(
                ax, row.distances, curation.ranked, curation.least, points=points
            ),
            3.2,
            "Share of the way to the goal that remains over each episode, kept and dropped",
        )
    page = render(
        "curation.html.j2",
        title=f"{analysis.task or Path(analysis.store).name}: which episodes to train on",
        subtitle=f"{analysis.store} · {len(episodes)} episodes · labels {row.name}: {row.made_of}",
        curation=curation,
        answer=f"{kept} of {len(episodes)} episodes are kept: they cover {curation.least:g} of the "
        "way to the goal or more.",
        way=_way(row.distances) if figure else "",
        border=BORDER,
        unjudged=unjudged,
        figure=figure,
        goals=beside_curves(analysis.goals[0][1]) if analysis.goals else [],
        headings=HEADINGS,
        rows=[
            (episode_title(episodes[episode.episode]), *episode_cells(curation, episode)[1:])
            for episode in curation.ranked
        ],
        segments=[
            (
                episode_title(episodes[index]),
                f"{segment.start} to {segment.stop - 1}",
                f"{segment.lost:.2f}" if np.isfinite(segment.lost) else "stands still",
            )
            for index, segment in worst_segments(curation.ranked)
        ],
        listed=LISTED,
        near=sum(episode.borderline for episode in shown),
        cases=[_case(curation, episode) for episode in shown if episode.episode in curation.shots],
        left_out=len(shown) - sum(episode.episode in curation.shots for episode in shown),
        clear=_clear(curation),
    )
    replace_file(path, page.encode())


def _way(distances: Sequence[Floats]) -> str:
    start, whole = typical_start(distances), whole_way(distances)
    return (
        f"The way begins where the median episode starts, at a distance of {start:.3g}, and ends "
        f"{whole:.3g} nearer, where the best tenth end."
    )


def _frames(curation: Curation, index: int) -> tuple[Picture, ...]:
    return tuple((shot.pixels, f"frame {shot.row}") for shot in curation.shots.get(index, ()))


def _clear(curation: Curation) -> dict[str, Any]:
    clear = curation.clear_success
    if clear is None:
        return {"title": "", "frames": ()}
    view = curation.analysis.episodes[clear.episode]
    outcome = outcome_name(view.success)
    title = f"{episode_title(view)}: {outcome}, covers {clear.covered:.2f} of the way"
    return {"title": title, "frames": _frames(curation, clear.episode)}


def _case(curation: Curation, episode: Ranked) -> Case:
    view, clear = curation.analysis.episodes[episode.episode], curation.clear_success
    frames = _frames(curation, episode.episode)
    goals = beside_curves(curation.analysis.goals[0][1]) if curation.analysis.goals else []
    compared = [*goals[-1:], *((pixels, "its last frame") for pixels, _ in frames[-1:])]
    if clear is not None:
        last = _frames(curation, clear.episode)[-1:]
        name = f"last frame of episode {clear.episode}, a clear success"
        compared += [(pixels, name) for pixels, _ in last]
    choice = choice_in_words(episode)
    title = f"{episode_title(view)}: {choice}; {outcome_name(view.success)} by its label"
    return Case(title, episode.reasons, tuple(compared), frames)
