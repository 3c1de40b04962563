"""Success of online trainings over their environment steps (Fig. 4, right)."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from vip_offline.report.figures.colors import LINES, PALETTE
from vip_offline.report.figures.comparison import finish, legend, literal, rendered
from vip_offline.report.figures.save import FIGURE_DPI, FIGURE_HEIGHT
from vip_offline.utils.files import replace_file


def training_names(trainings: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells trainings of a recipe apart: "visual, vip-mini"; with the task if they differ."""
    several = {
        key: len({training[key] for training in trainings}) > 1
        for key in ("task", "reward", "encoder")
    }
    several["reward"] |= not any(several.values())
    return [
        ", ".join(str(training[key]) for key, differs in several.items() if differs)
        for training in trainings
    ]


def draw_trainings(ax: Axes, trainings: Sequence[Mapping[str, Any]]) -> None:
    """Draw success on held-out placements: a thin line per seed, a thick one of their mean.

    Args:
        ax: to draw on.
        trainings: what `summarise_training` gives.
    """
    lines: list[Line2D] = []
    for place, (name, training) in enumerate(
        zip(training_names(trainings), trainings, strict=True)
    ):
        color, dashes = PALETTE[place % len(PALETTE)], LINES[place % len(LINES)]
        steps = np.array(training["evaluated_steps"]) / 1000
        rates = 100 * np.array(training["success"])
        ax.plot(steps, rates.T, color=color, ls=dashes, lw=0.7, alpha=0.6)
        lines += ax.plot(
            steps, rates.mean(axis=0), color=color, ls=dashes, lw=2.2, label=literal(name)
        )
    seeds = trainings[0]["seeds"]
    ax.set_ylim(-3, 103)
    ax.set_xlabel(f"thousand environment steps (thin: {seeds} seed{'s' * (seeds != 1)})")
    ax.set_ylabel("success on held-out placements (%)")
    legend(ax, lines, columns=2)
    finish(ax, grid="y")


def save_trainings(trainings: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write `draw_trainings` as PNG and SVG, and return the files."""
    draw, written = partial(draw_trainings, trainings=trainings), []
    for kind in ("png", "svg"):
        written.append(folder / f"trainings.{kind}")
        picture = rendered(draw, FIGURE_HEIGHT, kind, dpi=FIGURE_DPI, salt="trainings")
        replace_file(written[-1], picture)
    return written
