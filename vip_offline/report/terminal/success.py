"""A success model and its verdicts in a terminal, 80 columns wide."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from vip_offline.rewards.success.bounds import WANTED
from vip_offline.rewards.success.model import OF_EARLY_FRAMES, OF_PEOPLE, OF_PICTURES
from vip_offline.rewards.success.rules import FAILURE, SUCCESS, UNSURE, VERDICTS
from vip_offline.utils.console import WIDTH, Console


def print_model(summary: Mapping[str, Any], console: Console) -> None:
    """Print a success model: its band, its errors, and what they do not show."""
    console.say(
        f"{summary['encoder']}, camera {summary['camera']}; goal: {summary['goal']}; rule "
        f"{summary['rule']}, held for {summary['hold']} frames at the end of an episode."
    )
    console.say(
        f"success below {summary['success_below']:.4g}, failure above "
        f"{summary['failure_above']:.4g}, unsure between; AUC on left-out episodes "
        f"{summary['auc']:.2f}."
    )
    console.print(
        _errors(summary, "Each judged by a model of the others, its rule and band included")
    )
    for note in model_notes(summary):
        console.say(f"note: {note}")
    console.say(f"-> {summary['model']}")


def _errors(summary: Mapping[str, Any], title: str) -> Table:
    """Verdicts on failures and successes, with the rate of wrong ones and its bound."""
    table = Table(title=Text(title), box=None, padding=(0, 1), width=WIDTH)
    table.add_column("of")
    for heading in ("n", *VERDICTS, "error", "at most (95 %)"):
        table.add_column(heading, justify="right")
    for name, error in (("failures", "false success"), ("successes", "false failure")):
        result = summary[name]
        table.add_row(
            name,
            str(result["n"]),
            *(str(result[verdict]) for verdict in VERDICTS),
            f"{error} {result['rate']:.0%}" if result["n"] else "none there",
            f"{result['upper']:.0%}",
        )
    return table


def judged_table(policy: str, judged: Mapping[str, Any]) -> Table:
    """Return what a success model said of a policy's rollouts, beside the simulator's truth.

    Args:
        policy: its folder.
        judged: the fields of `JudgedRollouts`.
    """
    table = _errors(judged, f"{policy}: the end of each rollout as {judged['by']} sees it")
    signs = "".join({SUCCESS: "+", FAILURE: ".", UNSURE: "?"}[v] for v in judged["verdicts"])
    caption = f"per placement (? unsure): {signs}"
    if undone := sum(judged["undone"]):
        caption += (
            f"\n{undone} successes were no longer there {judged['hold']} steps later; a picture "
            "that shows so counts as false failure"
        )
    table.caption, table.caption_justify = Text(caption), "left"
    return table


def _side(summary: Mapping[str, Any], name: str) -> str:
    return str(summary["failure_from" if name == "failures" else "success_from"])


def model_notes(summary: Mapping[str, Any]) -> Iterator[str]:
    """What the numbers of a success model do not show."""
    for name, error in (("failures", "false successes"), ("successes", "false failures")):
        result, side = summary[name], _side(summary, name)
        if side != OF_PEOPLE:
            what = {
                OF_EARLY_FRAMES: "early frames stand for failures, and are easier to tell than "
                "episodes that fail late",
                OF_PICTURES: "goal pictures stand for successes, and are no episodes",
            }[side]
            yield (
                f"{error}: {what}. The rate of {error} of episodes is not known; label "
                f"{result['enough'] if not result['wrong'] else 59} {name} to bound it at "
                f"{WANTED:.0%}."
            )
        elif result["upper"] > WANTED:
            yield (
                f"{error}: {result['wrong']} of {result['n']} {name} bound the rate only at "
                f"{result['upper']:.0%}. These data cannot bound it at {WANTED:.0%}; with as many "
                f"errors ({result['wrong']}), {result['enough']} {name} would."
            )
    unsure = sum(summary[name]["unsure"] for name in ("failures", "successes"))
    if unsure:
        yield f"{unsure} of these episodes are unsure, and would be left to a person."
    yield ("the bounds hold for episodes like these: same camera, light, objects and ways to fail.")


def print_verdicts(summaries: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print what a success model said of stores and videos."""
    for summary in summaries:
        if summary["kind"] == "video":
            console.say(f"{summary['path']}: {summary['verdict']} (score {summary['score']:.4g})")
            continue
        counts = Counter(summary["verdicts"].values())
        verdicts = ", ".join(f"{counts[name]} {name}" for name in VERDICTS)
        done = "flags written" if summary["written"] else "nothing written"
        console.say(
            f"{summary['path']}: {len(summary['verdicts'])} unlabelled episodes: {verdicts}; "
            f"{summary['kept']} had a flag, which stays; {done}"
        )
        if counts["unsure"]:
            console.say(
                f"note: {counts['unsure']} unsure episodes stay unlabelled; relabel and train "
                "count what nobody labelled as a success. Label them, or leave them out."
            )
        if summary["written"]:
            console.say(
                "note: labellings that were made from success flags are outdated; relabel again."
            )
