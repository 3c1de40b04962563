"""A table of methods and tasks in a terminal."""

import io

import numpy as np
import pytest

from vip_offline.analysis.closed_loop.table import TableRow, summarise_table
from vip_offline.report.terminal.table import print_table
from vip_offline.utils.console import Console

TASKS = ("drawer-close", "push", "pick-place", "ogbench/drawer-open")
NAMES = ("in-domain VIP-RWR", "baseline-BC")


@pytest.fixture
def printed() -> list[str]:
    rng = np.random.default_rng(0)
    rows = [
        TableRow(name, "lite0", "bc", {task: rng.random((3, 10)) < 0.5 for task in TASKS})
        for name in NAMES
    ]
    out = io.StringIO()
    print_table(summarise_table("table1", rows), Console(file=out, width=80))
    return out.getvalue().splitlines()


def test_four_tasks_fit_without_a_broken_word(printed: list[str]) -> None:
    words = {word for line in printed for word in line.split()}
    assert max(map(len, printed)) <= 80
    assert {"drawer-", "close", "ogbench/", "pick-", "place", "push", "mean"} <= words
    assert {"in-domain", "VIP-RWR", "baseline-BC"} <= words


def test_each_cell_has_its_interval_and_the_papers_count_below(printed: list[str]) -> None:
    (at,) = (row for row, line in enumerate(printed) if line.startswith(" baseline-BC"))
    assert printed[at + 1].count(" to ") == len(TASKS) + 1  # the mean over tasks, too
    assert printed[at + 2].count("/10]") == len(TASKS)
