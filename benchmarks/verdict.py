"""How often the verdict of `vip-offline analyze` is right, on tasks that it was not made from.

``python -m benchmarks.verdict COMPARISON.json ...`` takes comparisons as `vip-offline compare` and
`run` write them (those of this project: ``recipes/results/*.json``). Each variant weighted by the
reward is a case. Each task is judged by a threshold from the other tasks, beside always giving the
commonest answer; a case counts as help from ten points of success on, or, stricter, where the
95 % interval of the difference excludes 0.

Last line: one JSON object with ``cases``, ``tasks``, ``right``, ``commonest``, ``surely_right``,
``surely_commonest`` and ``threshold`` (of all cases together).
"""

import argparse
import json
import sys
from dataclasses import astuple
from pathlib import Path

from rich.table import Table

from vip_offline.analysis.decision_rule import (
    Case,
    best_threshold,
    cases_of,
    leave_one_task_out,
)
from vip_offline.utils.console import Console


def read_cases(paths: list[Path]) -> list[Case]:
    """All cases of these comparisons."""
    return [each for path in paths for each in cases_of(json.loads(path.read_text()))]


def main() -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comparisons", nargs="+", type=Path)
    parser.add_argument("--quick", action="store_true", help="The same: it takes a second.")
    cases = read_cases(parser.parse_args().comparisons)
    table = Table(box=None, title="variants against BC")
    for heading in ("task", "encoder", "variant", "gain", "vs BC", "95 % CI"):
        table.add_column(heading, justify="right" if heading in ("gain", "vs BC") else "left")
    for each in sorted(cases, key=lambda case: case.gain):
        task, encoder, arm, gain, difference, low, high = astuple(each)
        points = f"{100 * low:+.0f} to {100 * high:+.0f}"
        table.add_row(task, encoder, arm, f"{gain:.2f}", f"{100 * difference:+.0f}", points)
    Console(width=80).print(table)
    score, sure = leave_one_task_out(cases), leave_one_task_out(cases, surely=True)
    result = {
        "cases": score.cases,
        "tasks": score.tasks,
        "right": score.right,
        "commonest": score.commonest,
        "surely_right": sure.right,
        "surely_commonest": sure.commonest,
        "threshold": round(
            best_threshold([each.gain for each in cases], [each.helped for each in cases]), 3
        ),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
