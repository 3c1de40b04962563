import io

from vip_offline.analysis.closed_loop.conditions import conditions
from vip_offline.report.terminal.rollouts import rollout_table
from vip_offline.utils.console import Console


def test_a_row_per_policy_with_wilsons_interval() -> None:
    console = Console(file=io.StringIO(), width=80)
    outcomes = [True] * 9 + [False]
    console.print(rollout_table({"runs/x/[odd]/seed-0": outcomes, "b": [False] * 4}))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "runs/x/[odd]/seed-0" in text
    assert "90" in text
    assert "60 to 98" in text  # Wilson, 9 of 10
    assert "0 to 49" in text  # Wilson, 0 of 4
    assert "+++++++++." in text
    assert "...." in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_papers_own_spread_is_that_of_one_rollout() -> None:
    console = Console(file=io.StringIO(), width=80)
    # 80 +- 40, 30 +- 46, 100 +- 0 are cells of Table 1
    rates = {"a": 8, "b": 3, "c": 10}
    rows = {name: [True] * n + [False] * (10 - n) for name, n in rates.items()}
    console.print(rollout_table(rows, as_table_1=True))
    lines = [line.split()[:3] for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines[1:] == [["a", "80", "40"], ["b", "30", "46"], ["c", "100", "0"]]


def test_those_that_tried_again() -> None:
    console = Console(file=io.StringIO(), width=80)
    rows = {"a": [True, False, True], "b": [True, True, True], "c": [False] * 3}
    console.print(rollout_table(rows, {"a": (1, 2, 0), "b": (0, 0, 0), "c": None}))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "tried again" in lines[0]
    assert "2, 1 solved" in lines[1]
    assert lines[2].split()[-2:] == ["0", "+++"]
    assert max(map(len, lines)) <= 80


def test_what_computed_them_is_below() -> None:
    console = Console(file=io.StringIO(), width=80)
    computed = conditions("ONNX Runtime 1.20.1, cpu, fp32", "Some Processor With a Name @ 2.60GHz")
    console.print(rollout_table({"a": [True, False]}, computed=computed))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert computed in " ".join(" ".join(lines[2:]).split())
    assert max(map(len, lines)) <= 80
