"""What online trainings came to, beside what they began with."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from vip_offline.analysis.closed_loop.conclusions import points
from vip_offline.report.terminal.comparison import span
from vip_offline.utils.console import WIDTH


def online_table(summary: Mapping[str, Any]) -> Table:
    """Return a row for the start, the end and the best evaluation, with Wilson's 95 % intervals.

    Args:
        summary: of `experiments.no_demonstrations.online.summary_of`.
    """
    table = Table(
        title=Text(f"{summary['task']}: success on {summary['placements']} held-out placements"),
        caption=Text(
            "The interval is over placements, of one seed. The largest of several evaluations is "
            "the paper's number; chance alone raises it, so it has no interval."
        ),
        caption_justify="left",
        box=None,
        padding=(0, 1),
        pad_edge=False,
        width=WIDTH,
    )
    table.add_column("policy")
    for heading in ("steps", "success %", "95 % CI"):
        table.add_column(heading, justify="right")
    rows: Sequence[tuple[str, str, bool]] = (
        (summary["start_name"], "start", True),
        ("at the end", "end", True),
        (f"largest of {summary['evaluations']}", "best", False),
    )
    for name, key, has_interval in rows:
        row = summary[key]
        interval = span(row["low"], row["high"], sign=False) if has_interval else ""
        table.add_row(name, f"{row['steps']:,}", points(row["success"], sign=False), interval)
    return table


def trainings_table(summary: Mapping[str, Any]) -> Table:
    """Return a row per training of a recipe, over its seeds; below, how far they are apart.

    Args:
        summary: of `experiments.no_demonstrations.online_recipe.run_online_recipe`.
    """
    trainings = summary["trainings"]
    seeds, placements = trainings[0]["seeds"], summary["placements"]
    table = Table(
        title=Text(
            f"{seeds} seed{'s' * (seeds != 1)}, {trainings[0]['steps']:,} steps: success on "
            f"{placements} held-out placements, %"
        ),
        caption=Text(
            "\n".join(
                [
                    "In brackets the 95 % interval over seeds and placements; none of one seed.",
                    *(
                        f"row {row['a'] + 1} less row {row['b'] + 1} at the end: "
                        + _bracketed(row, sign=True)
                        for row in summary["differences"]
                    ),
                ]
            )
        ),
        caption_justify="left",
        box=None,
        padding=(0, 1),
        pad_edge=False,
        width=WIDTH,
    )
    for heading in ("task", "reward", "encoder"):
        table.add_column(heading, overflow="fold")
    for heading in ("start", "end", "gain"):
        table.add_column(heading, justify="right")
    for training in trainings:
        table.add_row(
            *(Text(training[key]) for key in ("task", "reward", "encoder")),
            *(_bracketed(training[key], sign=key == "gain") for key in ("start", "end", "gain")),
        )
    return table


def _bracketed(numbers: Mapping[str, Any], *, sign: bool) -> str:
    mean = points(numbers["mean"], sign=sign)
    if numbers["low"] is None:
        return mean
    return f"{mean} ({span(numbers['low'], numbers['high'], sign=sign)})"
