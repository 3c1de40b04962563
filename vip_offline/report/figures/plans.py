"""Figures of planning: success and errors over the steps, success over the number of sequences."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from vip_offline.report.figures.analysis.row_style import short
from vip_offline.report.figures.colors import LINES, MARKERS, PALETTE
from vip_offline.report.figures.comparison import finish, legend, literal, rendered
from vip_offline.report.figures.save import FIGURE_DPI, FIGURE_HEIGHT, DrawFigure
from vip_offline.utils.arrays import Floats
from vip_offline.utils.files import replace_file

NAMES = "plans", "plans-object-error", "plans-robot-error", "plans-search"
Cells = Sequence[Mapping[str, Any]]  # what `summarise_cell` gives, all of as many steps


def by_reward(cells: Cells) -> dict[str, list[Mapping[str, Any]]]:
    """The cells of each reward; where numbers of sequences differ, of each reward and number."""
    differing = len({cell["sequences"] for cell in cells}) > 1
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        name = short(cell["encoder"], 22)
        label = f"{name}, {cell['sequences']}" if differing else name
        groups.setdefault(label, []).append(cell)
    return groups


def cumulative_by_reward(cells: Cells) -> dict[str, Floats]:
    """Mean success up to each step, of all episodes by a reward.

    Returns:
        Reward -> (T,) from 0 to 1.
    """
    return {
        label: np.average(
            [cell["cumulative"] for cell in own], axis=0, weights=[cell["episodes"] for cell in own]
        )
        for label, own in by_reward(cells).items()
    }


def errors_by_reward(cells: Cells, key: str) -> dict[str, Floats]:
    """Mean pose error after each step as a share of that after the first, of each task alike.

    Poses of different tasks are in different units (rad, m), so only shares can be averaged.

    Args:
        cells: of the recipe.
        key: "object_error" or "robot_error".

    Returns:
        Reward -> (T,); without the tasks whose error is not known.
    """
    shares = {
        label: [np.divide(cell[key], cell[key][0]) for cell in own if cell[key] and cell[key][0]]
        for label, own in by_reward(cells).items()
    }
    return {label: np.mean(rows, axis=0) for label, rows in shares.items() if rows}


def draw_cumulative(ax: Axes, cells: Cells) -> None:
    """Draw `cumulative_by_reward` (Fig. 4)."""
    curves = cumulative_by_reward(cells)
    _draw_curves(ax, {label: 100 * curve for label, curve in curves.items()})
    count = sum(cell["episodes"] for cell in cells) // max(len(curves), 1)
    ax.set_ylim(-3, 103)
    ax.set_xlabel(f"environment step ({count} episode{'s' * (count != 1)} per reward)")
    ax.set_ylabel("solved so far (%)")


def draw_errors(ax: Axes, cells: Cells, key: str) -> None:
    """Draw `errors_by_reward` (Fig. 10)."""
    _draw_curves(ax, errors_by_reward(cells, key))
    ax.set_ylim(bottom=0)
    ax.set_xlabel("environment step")
    ax.set_ylabel(f"pose error of the {key.removesuffix('_error')}\n(share of that at step 1)")


def _draw_curves(ax: Axes, curves: Mapping[str, Floats]) -> None:
    lines: list[Line2D] = []
    for place, (name, curve) in enumerate(curves.items()):
        color, dashes = PALETTE[place % len(PALETTE)], LINES[place % len(LINES)]
        steps = np.arange(1, len(curve) + 1)
        lines += ax.plot(steps, curve, color=color, ls=dashes, lw=1.8, label=literal(name))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(ax, lines, columns=3)
    finish(ax, grid="y")


def draw_search(ax: Axes, rewards: Cells) -> None:
    """Draw success over the number of sequences, with its interval (Fig. 5).

    Args:
        ax: to draw on.
        rewards: what `summarise_rewards` gives.
    """
    handles: list[Line2D] = []
    several = len({reward["view"] for reward in rewards}) > 1
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for reward in sorted(rewards, key=lambda reward: reward["sequences"]):
        name = short(reward["encoder"], 22)
        lines.setdefault(f"{name}, {reward['view']}" if several else name, []).append(reward)
    for place, (name, own) in enumerate(lines.items()):
        # side by side, so that intervals do not cover each other
        x = np.array([reward["sequences"] for reward in own]) * 1.04 ** (
            place - (len(lines) - 1) / 2
        )
        color = PALETTE[place % len(PALETTE)]
        handles += ax.plot(
            x,
            [100 * reward["success"] for reward in own],
            color=color,
            ls=LINES[place % len(LINES)],
            marker=MARKERS[place % len(MARKERS)],
            label=literal(name),
        )
        for position, reward in zip(x, own, strict=True):
            if reward["low"] is not None:
                bounds = [100 * reward["low"], 100 * reward["high"]]
                ax.plot([position] * 2, bounds, color=color, lw=1)
    ticks = sorted({reward["sequences"] for reward in rewards})
    ax.set_xscale("log")
    ax.set_xticks(ticks)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.minorticks_off()
    ax.set_ylim(-3, 103)
    ax.set_xlabel("sequences per step (95 % interval over seeds and tasks)")
    ax.set_ylabel("solved (%)")
    legend(ax, handles, columns=3)
    finish(ax, grid="y")


def figures_of(summary: Mapping[str, Any]) -> Iterator[tuple[str, DrawFigure]]:
    """Name and drawing function of each figure that a recipe has."""
    cells, rewards = summary["cells"], summary["rewards"]
    yield "plans", partial(draw_cumulative, cells=cells)
    for key in ("object_error", "robot_error"):
        if errors_by_reward(cells, key):
            name = f"plans-{key.replace('_', '-')}"
            yield name, partial(draw_errors, cells=cells, key=key)
    if len({reward["sequences"] for reward in rewards}) > 1:
        yield "plans-search", partial(draw_search, rewards=rewards)


def save_plans(summary: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the figures of a recipe's summary as PNG and SVG, and return the files.

    What a recipe has not, but the one before had, goes: it would stand beside other numbers.
    """
    written = []
    figures = dict(figures_of(summary))
    for name in {*NAMES} - {*figures}:
        for kind in ("png", "svg"):
            (folder / f"{name}.{kind}").unlink(missing_ok=True)
    for name, draw in figures.items():
        for kind in ("png", "svg"):
            written.append(folder / f"{name}.{kind}")
            picture = rendered(draw, FIGURE_HEIGHT, kind, dpi=FIGURE_DPI, salt=name)
            replace_file(written[-1], picture)
    return written
