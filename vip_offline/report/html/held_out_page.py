"""A comparison by held-out episodes as one HTML file, by the template `held_out.html.j2`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vip_offline.analysis.closed_loop.comparison import DemonstrationCurve
from vip_offline.analysis.offline.numbers import NUMBERS
from vip_offline.report.figures.comparison import draw_distances
from vip_offline.report.figures.held_out import draw_held_out
from vip_offline.report.html.goals import beside_curves
from vip_offline.report.html.render import drawn, render
from vip_offline.report.terminal.held_out import held_out_lines
from vip_offline.report.terminal.offline import (
    RANKED,
    dimension_lines,
    novelty_lines,
    number_lines,
    picked_lines,
)
from vip_offline.rewards.goal_views import GoalView
from vip_offline.utils.files import replace_file


@dataclass(frozen=True)
class HeldOutPage:
    """What the page shows beside the numbers."""

    store: str
    label: str
    goals: tuple[GoalView, ...]
    demonstrations: tuple[DemonstrationCurve, ...]
    recipe: str  # resolved, as TOML
    versions: Mapping[str, str]


def write_held_out_page(page: HeldOutPage, summary: Mapping[str, Any], path: Path) -> None:
    """Write the page, replacing an older one only once the new one is complete.

    Args:
        page: what is shown beside the numbers.
        summary: of `summarise_held_out`, with `name`, `encoder` and `minutes`.
        path: of the file.
    """
    arms, seeds, episodes = summary["arms"], summary["seeds"], summary["episodes"]
    names = ", ".join(arm["name"] for arm in arms)
    text = render(
        "held_out.html.j2",
        title=f"{summary['name']}: {len(arms)} variants compared offline",
        subtitle=(
            f"{page.store} · encoder {summary['encoder']} · labels {page.label} · {len(seeds)} "
            f"seed{'s' * (len(seeds) > 1)} × {len(episodes)} held-out "
            f"episode{'s' * (len(episodes) > 1)}"
        ),
        page=page,
        summary=summary,
        errors=drawn(
            lambda ax: draw_held_out(ax, summary),
            1.1 + 0.42 * len(arms),
            f"Action error on held-out episodes of {names}",
        ),
        goal_pictures=beside_curves(page.goals),
        distances=drawn(
            lambda ax: draw_distances(ax, page.demonstrations),
            2.6,
            "Distance to the goal over each demonstration",
        ),
        numbers=held_out_lines(summary),
        offline=number_lines(summary),
        meanings=[(number.heading, number.meaning) for number in NUMBERS],
        dimensions=dimension_lines(summary),
        novelty=novelty_lines(summary),
        tested=picked_lines(),
        ranked=RANKED,
        minutes=[(stage, f"{spent:.1f}") for stage, spent in summary["minutes"].items()],
    )
    replace_file(path, text.encode())
