"""The offline numbers of a comparison, in a terminal, 80 columns wide."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from vip_offline.analysis.offline.numbers import NUMBERS
from vip_offline.analysis.offline.tested import TESTED
from vip_offline.analysis.offline.validity import Validity
from vip_offline.utils.console import WIDTH, Console

Lines = tuple[Sequence[str], Sequence[tuple[str, ...]]]  # headings, and rows of as many cells
MOST_DIMENSIONS = 6  # columns that leave room for the names of variants
RANKED = "picked better: share of pairs of variants in which the number picks the more successful"


def number_lines(summary: Mapping[str, Any]) -> Lines:
    """One line per variant: every offline number, a dash where it cannot be said."""
    lines = [
        (name, *(_number(values[number.key]) for number in NUMBERS))
        for name, values in summary["offline"]["numbers"].items()
    ]
    return ("variant", *(number.heading for number in NUMBERS)), lines


def dimension_lines(summary: Mapping[str, Any], most: int | None = None) -> Lines:
    """One line per variant: the error of each action dimension.

    Args:
        summary: with ``offline``, see `summarise_numbers`.
        most: dimensions that are shown, those that the baseline errs most in; None: all.
    """
    offline = summary["offline"]
    names, base = offline["dimensions"], offline["numbers"][summary["baseline"]]["dimensions"]
    order = sorted(range(len(names)), key=lambda place: -base[place])[:most]
    shown = sorted(order)
    lines = [
        (arm, *(_number(values["dimensions"][place]) for place in shown))
        for arm, values in offline["numbers"].items()
    ]
    return ("variant", *(names[place] for place in shown)), lines


def novelty_lines(summary: Mapping[str, Any]) -> Lines:
    """One line per held-out episode: how far its frames are from the training set's."""
    lines = [
        (
            str(row["episode"]),
            "success" if row["success"] else "failure",
            _number(row["median"]),
            _number(row["largest"]),
            "-" if row["beyond"] is None else f"{row['beyond']:.0%}",
        )
        for row in summary["offline"]["novelty"]
    ]
    return ("episode", "outcome", "median", "largest", "frames beyond 1"), lines


def picked_lines(tested: Sequence[Validity] = TESTED) -> Lines:
    """One line per number: how often it picked the better policy, on simulated tasks."""
    headings = {number.key: number.heading for number in NUMBERS}
    lines = [
        (
            headings[row.key],
            _number(row.rank, sign=True),
            _span(row.rank_low, row.rank_high, sign=True),
            "-" if row.picked is None else f"{row.picked:.0%}",
            _span(row.low, row.high, percent=True),
            f"{row.pairs} in {row.tasks}",
        )
        for row in tested
    ]
    return (
        ("number", "rank corr.", "95 % CI", "picked better", "95 % CI", "pairs in tasks"),
        lines,
    )


def print_offline(summary: Mapping[str, Any], console: Console) -> None:
    """Print the offline numbers below a comparison by held-out episodes."""
    width, offline = min(WIDTH, console.width), summary["offline"]
    held_out, names = offline["held_out"], offline["dimensions"]
    shown = min(len(names), MOST_DIMENSIONS)
    tables = [
        (
            number_lines(summary),
            f"{held_out['successes']} successes and {held_out['failures']} failures held out, "
            f"{held_out['steps']} steps",
            "first, middle, last: thirds of an episode. fail/succ: higher is better, the others: "
            "lower. spread: between seeds, over the size of the actions",
        ),
        (
            dimension_lines(summary, MOST_DIMENSIONS),
            "error by action dimension",
            f"{shown} of {len(names)} dimensions, those in which {summary['baseline']} errs most"
            if shown < len(names)
            else "",
        ),
        (
            novelty_lines(summary),
            "novelty of the held-out frames",
            "distance to the nearest training frame; up to 1 is ordinary among training episodes",
        ),
    ]
    tested = picked_lines()
    if tested[1]:
        tables.append((tested, "how often each number picked the better policy", RANKED))
    for (headings, lines), title, caption in tables:
        console.print(_table(headings, lines, title, caption), width=width)
        console.print()
    print_sentences(offline["notes"], console)


def print_sentences(sentences: Iterable[str], console: Console) -> None:
    """Print sentences as a list whose further lines are indented."""
    for sentence in sentences:
        row = Table.grid(padding=(0, 1))
        row.add_row("-", Text(sentence))
        console.print(row, width=min(WIDTH, console.width))


def _table(
    headings: Sequence[str], lines: Iterable[Sequence[str]], title: str, caption: str
) -> Table:
    table = Table(
        title=Text(title),
        caption=Text(caption) if caption else None,
        box=None,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
        width=WIDTH,
    )
    for place, heading in enumerate(headings):
        # names are the user's: Text keeps their [brackets] from being taken for markup
        table.add_column(Text(heading), justify="right" if place else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    return table


def _number(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.2f}" if sign else f"{value:.3f}"


def _span(
    low: float | None, high: float | None, *, sign: bool = False, percent: bool = False
) -> str:
    if low is None or high is None:
        return "-"
    if percent:
        return f"{100 * low:.0f} to {high:.0%}"
    return f"{_number(low, sign=sign)} to {_number(high, sign=sign)}"
