"""The comparison in a terminal, 80 columns wide and readable without colour."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from vip_offline.analysis.closed_loop.conclusions import percent, points
from vip_offline.analysis.closed_loop.conditions import conditions
from vip_offline.policies.policy import read_manifest
from vip_offline.report.terminal.held_out import held_out_comparison
from vip_offline.report.terminal.offline import print_offline, print_sentences
from vip_offline.utils.console import WIDTH, Console


def comparison_table(summary: Mapping[str, Any]) -> Table:
    """Return one row per variant: success, difference to the baseline, weights, steps."""
    baseline = summary["baseline"]
    versus = {
        difference["a"]: difference
        for difference in summary["differences"]
        if difference["b"] == baseline
    }
    table = Table(
        # names are the user's: Text keeps their [brackets] from being taken for markup
        title=Text(f"{summary['task']}, {summary['encoder']}: success in percent"),
        caption=Text(f"* the 95 % CI of the difference to {baseline} excludes 0"),
        box=None,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
        width=WIDTH,
    )
    table.add_column("variant", overflow="fold")
    headings = ("success", "95 % CI", Text(f"vs {baseline}"), "95 % CI", "ESS %", "steps")
    for heading in headings:
        table.add_column(heading, justify="right", overflow="fold")
    for arm in summary["arms"]:
        success, difference = arm["success"], versus.get(arm["name"])
        steps = arm["median_steps"]
        table.add_row(
            Text(arm["name"]),
            points(success["mean"], sign=False),
            span(success["low"], success["high"], sign=False),
            points(difference["mean"]) + " *" * difference["differs"] if difference else "",
            span(difference["low"], difference["high"]) if difference else "",
            percent(arm["effective_sample_size"]),
            "-" if steps is None else f"{steps:.0f}",
        )
    return table


def print_outcome(summary: Mapping[str, Any], files: Iterable[Path], console: Console) -> None:
    """Print a comparison, in closed loop or offline, its minutes, and where its files lie."""
    console.print()
    print_comparison(summary, console)
    minutes = ", ".join(f"{stage} {spent:.1f}" for stage, spent in summary["minutes"].items())
    console.print(f"\nminutes: {minutes}", highlight=False)
    for path in files:
        console.say(f"-> {path}")


def print_comparison(summary: Mapping[str, Any], console: Console) -> None:
    """Print the answer, the table and one sentence per question below it."""
    width = min(WIDTH, console.width)
    console.print(Text(summary["answer"], style="bold"), width=width)
    console.print()
    offline = "measure" in summary  # see `summarise_held_out`
    table = held_out_comparison(summary) if offline else comparison_table(summary)
    console.print(table, width=width)
    console.print()
    print_sentences([*summary["verdicts"], *(() if offline else _how_sure(summary))], console)
    if offline:
        console.print()
        print_offline(summary, console)


def _how_sure(summary: Mapping[str, Any]) -> tuple[str, str]:
    return multiplicity(summary), conditions_of(summary)


def conditions_of(summary: Mapping[str, Any]) -> str:
    """Return the sentences that say what the numbers hold for."""
    return conditions(summary["backend"], summary["processor"], summary.get("nuisance", ""))


def multiplicity(summary: Mapping[str, Any]) -> str:
    """Return the sentence that says how many differences were looked for."""
    n = summary["questions"]
    if n < 2 or len(summary["seeds"]) < 2:
        return f"Questions asked of these rollouts: {n}."
    return (
        f"{n} questions were asked of these rollouts ({summary['comparisons']} pairs of variants "
        "in all); intervals are not adjusted for that. Were all variants equal, about "
        f"{n * 0.05:.2g} of {n} would still seem to differ on average."
    )


def span(low: float | None, high: float | None, sign: bool = True) -> str:
    """Return ``+20 to +64``, or a dash where one seed leaves no interval."""
    if low is None or high is None:
        return "-"
    return f"{points(low, sign)} to {points(high, sign)}"


def print_held_out(folders: Sequence[Path], first_seed: int, console: Console) -> None:
    """Print `held_out_table` of policies that differ in their seed, counted from the first."""
    errors = [read_manifest(folder)["held_out_error"] for folder in folders]
    table = held_out_table(dict(enumerate(errors, first_seed)))
    console.print(table, width=min(WIDTH, console.width))


def held_out_table(errors: Mapping[int, Mapping[str, float]]) -> Table:
    """Return one row per held-out episode: the action error of the policies, over their seeds.

    Args:
        errors: seed -> episode -> mean squared action error, of actions in [-1, 1].
    """
    table = Table(
        box=None,
        padding=(0, 1),
        title="held-out episodes: squared action error",
        caption=f"mean over steps, sum over dimensions; {len(errors)} seed(s)",
        width=WIDTH,
    )
    for heading in ("episode", "mean", "lowest seed", "highest seed"):
        table.add_column(heading, justify="right")
    rows = {
        episode: [per_episode[episode] for per_episode in errors.values()]
        for episode in next(iter(errors.values()))
    }
    for episode, values in rows.items():
        row = (sum(values) / len(values), min(values), max(values))
        table.add_row(episode, *(f"{value:.4f}" for value in row))
    every = [value for values in rows.values() for value in values]
    table.add_section()
    table.add_row("all", f"{sum(every) / len(every):.4f}", "", "")
    return table
