import numpy as np
import pytest

from vip_offline.analysis.closed_loop.statistics import mean_interval, paired_difference
from vip_offline.analysis.closed_loop.table import TableRow, over_tasks, summarise_table
from vip_offline.errors import VipOfflineError


def outcomes(rate: float, seeds: int = 5, placements: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(seeds, placements)) < rate


def row(name: str, *rates: float, **shape: int) -> TableRow:
    tasks = ("push", "door")
    success = {
        task: outcomes(rate, seed=place, **shape)
        for place, (task, rate) in enumerate(zip(tasks, rates, strict=False))
    }
    return TableRow(name, "lite0", "bc", success)


def test_cells_means_and_the_papers_count() -> None:
    first, second = row("a", 0.8, 0.4), row("b", 0.3, 0.4)
    numbers = summarise_table("t", [first, second])
    assert numbers["tasks"] == ["push", "door"]
    cell = numbers["rows"][0]["tasks"]["push"]
    expected = mean_interval(first.success["push"])
    assert (cell["mean"], cell["low"], cell["high"]) == (
        expected.mean,
        expected.low,
        expected.high,
    )
    assert cell["paper"] == first.success["push"][0, :10].sum()
    assert cell["paper_rollouts"] == 10
    rates = [first.success[task].mean() for task in ("push", "door")]
    assert numbers["rows"][0]["mean"]["mean"] == pytest.approx(np.mean(rates))
    # t of one degree of freedom is 12.7 at 97.5 %
    half = 12.706 * abs(rates[0] - rates[1]) / 2
    assert numbers["rows"][0]["mean"]["high"] - np.mean(rates) == pytest.approx(half, rel=1e-3)


def test_the_first_row_is_compared_with_those_of_as_many_seeds() -> None:
    rows = [row("a", 0.8, 0.4), row("b", 0.3, 0.4), row("costly", 0.5, 0.5, seeds=2)]
    numbers = summarise_table("t", rows)
    (difference,) = numbers["differences"]
    gap = paired_difference(rows[0].success["push"], rows[1].success["push"])
    assert difference["row"] == "b"
    assert difference["tasks"]["push"]["mean"] == gap.mean
    assert difference["tasks"]["push"]["low"] == gap.low
    assert numbers["not_compared"] == ["costly"]


def test_runs_of_other_numbers_of_seeds_are_no_cell_of_one_row() -> None:
    uneven = TableRow("a", "lite0", "bc", {"push": outcomes(0.5), "door": outcomes(0.5, seeds=2)})
    with pytest.raises(VipOfflineError, match=r"row 'a': tasks have other numbers of seeds"):
        summarise_table("t", [uneven])


def test_other_placements_are_not_compared() -> None:
    with pytest.raises(VipOfflineError, match=r"row 'b', push: has other placements than 'a'"):
        summarise_table("t", [row("a", 0.5), row("b", 0.5, placements=10)])


def test_one_task_has_no_interval_over_tasks() -> None:
    assert over_tasks(np.array([0.3])) == {"mean": 0.3, "low": None, "high": None}
