import io
from typing import Any

from rich.console import Console

from vip_offline.report.encoders import print_trial, print_validation


def printed(show: Any, numbers: dict[str, Any]) -> str:
    console = Console(width=80, file=io.StringIO())
    show(numbers, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 80
    return str(text)


def test_validation_stands_beside_its_controls() -> None:
    rows = {
        "vip-mini": {"bumps": 0.25, "order": 0.9, "order_others": None},
        "raw pixels": {"bumps": 0.5, "order": 0.125, "order_others": 0.5},
    }
    text = printed(print_validation, {"validation": rows, "held_out": 7})
    assert "7 videos held out" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["vip-mini", "0.25", "0.90", "-"] in lines
    assert ["raw", "pixels", "0.50", "0.12", "0.50"] in lines


def test_without_validation_it_says_so() -> None:
    text = printed(print_validation, {"validation": {}, "held_out": 0})
    assert "nothing says whether it learnt" in text


def test_a_trial_has_a_column_per_task_and_their_mean() -> None:
    def row(order: float, auc: float | None) -> dict[str, Any]:
        return {"order": order, "auc": None if auc is None else {"value": auc}}

    trial = {"vip-0": {"push": row(0.5, 1.0), "door": row(0.25, None)}}
    text = printed(print_trial, {"trial": trial})
    lines = [line.split() for line in text.splitlines()]
    assert ["embedding", "door", "push", "mean"] in lines
    assert ["vip-0", "0.25", "0.50", "0.38"] in lines
    assert ["vip-0", "-", "1.00", "1.00"] in lines


def test_no_trial_prints_nothing() -> None:
    console = Console(width=80, file=io.StringIO())
    print_trial({"trial": {}}, console)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
