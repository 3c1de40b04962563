"""What is wrong with a data set, for a person and as JSON."""

import json
from dataclasses import asdict, replace
from typing import Any

from rich.table import Table
from rich.text import Text

from vip_offline.dataset.validation.report import DataReport
from vip_offline.utils.console import WIDTH, Console

TEXT_LENGTH = 300  # characters of a value that are shown; JSON has them all


def describe_checks(checked: DataReport) -> dict[str, Any]:
    """Return everything that `print_checks` shows, ready for JSON."""
    actions = checked.actions
    plain = asdict(replace(checked, actions=None))
    description = {
        **plain,
        "lengths": checked.lengths or (),
        "actions": actions and {"low": actions.low.tolist(), "high": actions.high.tolist()},
        "wrong": checked.wrong,
        "findings": plain.pop("groups"),
    }
    listed: dict[str, Any] = json.loads(json.dumps(description))  # tuples become lists
    return listed


def print_checks(description: dict[str, Any], console: Console) -> None:
    """Print counts and ranges, then each kind of finding once, with its first place."""
    console.print(description["path"], style="bold", soft_wrap=True)
    console.print(_counts(description), highlight=False)
    for name, camera in description["cameras"].items():
        console.print(_camera(name, camera), highlight=False)
    if description["actions"]:
        low = " ".join(f"{value:.3g}" for value in description["actions"]["low"])
        high = " ".join(f"{value:.3g}" for value in description["actions"]["high"])
        console.print(f"actions: from {low}\n         to   {high}", highlight=False)
    if not description["findings"]:
        console.print("nothing is wrong")
        return
    width = min(WIDTH, console.width)
    table = Table(box=None, pad_edge=False, width=width, padding=(0, 1, 1, 0))
    table.add_column("")
    table.add_column("finding", no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("first", overflow="fold", ratio=1)
    for finding in description["findings"]:
        colour = "red" if finding["severity"] == "wrong" else "yellow"
        table.add_row(
            Text(finding["severity"], colour),
            finding["kind"],
            str(finding["count"]),
            _first(finding),
        )
    console.print()
    console.print(table, highlight=False)
    kinds = sum(finding["severity"] == "wrong" for finding in description["findings"])
    console.print(f"{kinds} wrong, {len(description['findings']) - kinds} to note")


def _counts(description: dict[str, Any]) -> str:
    parts = [f"{description['episodes']} episodes", f"{description['rows']} rows"]
    if description["lengths"]:
        least, median, most = description["lengths"]
        parts.append(f"lengths {least} to {most} (median {median:g})")
    if description["successes"] is not None:
        parts.append(f"{description['successes']} successes")
    if description["control_rate"]:
        parts.append(f"{description['control_rate']:g} Hz")
    kind = f"{description['format']}: " if description["format"] else ""
    return kind + ", ".join(parts)


def _camera(name: str, camera: dict[str, Any]) -> str:
    height, width = camera["size"]
    rate = f", {camera['rate']:.4g} frames/s" if camera["rate"] else ""
    frames = max(1, camera["frames"])
    return (
        f"camera {name}: {height}x{width} px{rate}, {camera['frames']} frames, "
        f"{camera['repeated'] / frames:.0%} equal the one before, {camera['black']} black"
    )


def _first(finding: dict[str, Any]) -> Text:
    first = finding["examples"][0]
    place = first["where"]
    if first["file"]:
        place = f"{place} ({first['file']})" if place else first["file"]
    value = first["value"]
    if len(value) > TEXT_LENGTH:
        value = f"{value[: TEXT_LENGTH - 3]}..."
    text = f"{place}: {value}" if place else value
    lines = [Text(text)]
    places = [example["where"] for example in finding["examples"][1:] if example["where"]]
    if places:
        more = ", ..." if finding["count"] > len(finding["examples"]) else ""
        lines.append(Text(f"also {', '.join(places)}{more}", "dim"))
    if finding["way_out"]:
        lines.append(Text(f"-> {finding['way_out']}", "dim"))
    return Text("\n").join(lines)
