import io

from rich.console import Console

from vip_offline.report.rollouts import rollout_table


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
