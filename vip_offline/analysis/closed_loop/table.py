"""A table of success rates, rows of methods on columns of tasks: in numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vip_offline.analysis.closed_loop.statistics import (
    CONFIDENCE,
    mean_interval,
    paired_difference,
    quantile,
)
from vip_offline.errors import VipOfflineError

PAPER_ROLLOUTS = 10  # Table 1 counts so many rollouts of one policy


@dataclasses.dataclass(frozen=True)
class TableRow:
    """Outcomes of one method."""

    name: str
    encoder: str
    variant: str
    success: Mapping[str, NDArray[np.bool_]]  # task -> (S, P), the same placements in all rows


def summarise_table(name: str, rows: Sequence[TableRow]) -> dict[str, Any]:
    """Success of each row on each task, means over tasks, and differences of like rows.

    The first row is compared with all others that have as many seeds; seeds and placements are
    paired. A mean over tasks has Student's interval over them: what other tasks such as these
    would be expected to give.

    Raises:
        VipOfflineError: if rows have other tasks or placements, or one task's seeds are fewer.
    """
    _check(rows)
    first, *others = rows
    compared = [row for row in others if _seeds(row) == _seeds(first)]
    return {
        "table": name,
        "tasks": list(first.success),
        "placements": next(iter(first.success.values())).shape[1],
        "rows": [_row_numbers(row) for row in rows],
        "compared_with": first.name,
        "differences": [_difference(first, row) for row in compared],
        "not_compared": [row.name for row in others if row not in compared],
    }


def _seeds(row: TableRow) -> int:
    return len(next(iter(row.success.values())))


def _check(rows: Sequence[TableRow]) -> None:
    first = rows[0]
    for row in rows:
        seeds = {task: len(success) for task, success in row.success.items()}
        if len(set(seeds.values())) > 1:
            raise VipOfflineError(
                f"row {row.name!r}: tasks have other numbers of seeds ({seeds}), so no mean over "
                "them is of one method. Run those that are missing."
            )
        for task, success in row.success.items():
            if task not in first.success or success.shape[1] != first.success[task].shape[1]:
                raise VipOfflineError(
                    f"row {row.name!r}, {task}: has other placements than {first.name!r}. Roll "
                    "both out again on the same."
                )


def _row_numbers(row: TableRow) -> dict[str, Any]:
    rates = np.array([success.mean() for success in row.success.values()])
    return {
        "name": row.name,
        "encoder": row.encoder,
        "variant": row.variant,
        "seeds": _seeds(row),
        "tasks": {
            task: {
                **dataclasses.asdict(mean_interval(success)),
                "per_seed": success.mean(1).tolist(),
                # of the first seed, as the paper counts
                "paper": int(success[0, :PAPER_ROLLOUTS].sum()),
                "paper_rollouts": min(PAPER_ROLLOUTS, success.shape[1]),
            }
            for task, success in row.success.items()
        },
        "mean": over_tasks(rates),
    }


def _difference(first: TableRow, row: TableRow) -> dict[str, Any]:
    gaps = {
        task: paired_difference(first.success[task], success)
        for task, success in row.success.items()
    }
    return {
        "row": row.name,
        "tasks": {task: dataclasses.asdict(gap) for task, gap in gaps.items()},
        "mean": over_tasks(np.array([gap.mean for gap in gaps.values()])),
    }


def over_tasks(values: NDArray[np.float64]) -> dict[str, float | None]:
    """Mean of (K,) values of tasks with Student's 95 % interval; no interval of a single task."""
    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    width = quantile(len(values) - 1, (1 + CONFIDENCE) / 2) * error
    return {"mean": mean, "low": mean - width, "high": mean + width}
