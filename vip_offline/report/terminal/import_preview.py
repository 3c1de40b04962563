"""What an origin holds and what an import would take of it, for a person and as JSON."""

from dataclasses import asdict
from typing import Any

import numpy as np
from rich.table import Table

from vip_offline.dataset.importers.base.source import column_and_part
from vip_offline.dataset.importers.key_mapping import (
    extras_of,
    missing_roles,
    resampled_by,
    stored_as,
)
from vip_offline.dataset.importers.run import ImportPlan
from vip_offline.utils.console import Console


def describe_import(source: str, plan: ImportPlan) -> dict[str, Any]:
    """Return everything that `print_import` shows, ready for JSON."""
    catalogue, keys = plan.catalogue, plan.keys
    broken = {i: why for i, why in catalogue.broken.items() if i in plan.episodes}
    lengths = catalogue.lengths[[i for i in plan.episodes if i not in broken]]
    extras = extras_of(catalogue, keys)
    becomes: dict[str, list[str]] = {name: [] for name in catalogue.columns}
    for camera, column in keys.cameras.items():
        becomes[column].append(f"camera {camera}")
    for role, specs in (("proprio", keys.proprio), ("action", keys.action)):
        for spec in specs:
            column, _ = column_and_part(spec)
            becomes[column].append(role + spec.removeprefix(column))
    if keys.success:
        becomes[keys.success].append("succeeded")
    if keys.reward:
        becomes[keys.reward].append("true_reward")
    if keys.time:
        becomes[keys.time].append("time")
    for column, name in stored_as(extras).items():
        becomes[column].append(f"extras/{name}")
    for name, about in catalogue.columns.items():
        if about.resampled and becomes[name]:
            becomes[name].append(f"{resampled_by(name, about, keys)} in time")
    return {
        "source": source,
        "format": catalogue.format,
        "episodes": len(catalogue.lengths),
        "taken": len(lengths),
        "rows": int(lengths.sum()),
        "lengths": [int(lengths.min()), int(np.median(lengths)), int(lengths.max())]
        if len(lengths)
        else [0, 0, 0],
        "control_rate": catalogue.control_rate,
        "task": catalogue.task,
        "splits": list(catalogue.splits),
        "columns": {
            name: {**asdict(column), "shape": list(column.shape), "becomes": becomes[name]}
            for name, column in catalogue.columns.items()
        },
        "notes": list(catalogue.notes),
        "left_out": dict(catalogue.left_out),
        "broken": [*broken.values()],
        "missing": [*missing_roles(keys, catalogue.columns)],
        "refusal": plan.refusal,
    }


def print_import(description: dict[str, Any], console: Console) -> None:
    """Print the columns of an origin, what becomes of each, and how much there is."""
    least, median, most = description["lengths"]
    console.print(description["source"], style="bold", soft_wrap=True)
    rate = description["control_rate"]
    console.print(
        f"{description['format']}: {description['taken']} of {description['episodes']} episodes, "
        f"{description['rows']} rows"
        + (f", {most} each" if least == most else f", {least} to {most} each (median {median})")
        + (f", {rate:g} Hz" if rate else ""),
        highlight=False,
    )
    if description["splits"]:
        console.print(f"splits: {', '.join(description['splits'])}", highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("column", "per row", "becomes"):
        table.add_column(heading, overflow="fold")
    for name, column in description["columns"].items():
        shape = "x".join(str(size) for size in column["shape"]) or "1"
        kind = column["dtype"] if column["kind"] == "numbers" else column["kind"]
        table.add_row(name, f"{kind} {shape}", ", ".join(column["becomes"]) or "left out")
    console.print(table)
    for name, why in description["left_out"].items():
        console.print(f"left out: {name}: {why}", highlight=False)
    for why in description["broken"]:
        console.print(f"broken: {why}", highlight=False)
    for note in (*description["notes"], *description["missing"]):
        console.print(f"note: {note}", highlight=False)
