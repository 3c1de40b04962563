import io
from typing import Any

from vip_offline.report.terminal.encoders import differences, print_trial, print_validation
from vip_offline.utils.console import Console


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
    text = printed(print_trial, {"trial": trial, "trained": {"vip-0": {}}})
    lines = [line.split() for line in text.splitlines()]
    assert ["embedding", "door", "push", "mean"] in lines
    assert ["vip-0", "0.25", "0.50", "0.38"] in lines
    assert ["vip-0", "-", "1.00", "1.00"] in lines


def test_no_trial_prints_nothing() -> None:
    console = Console(width=80, file=io.StringIO())
    print_trial({"trial": {}}, console)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_objectives_are_compared_task_by_task_over_the_mean_of_their_seeds() -> None:
    def orders(*values: float) -> dict[str, Any]:
        return {f"task {place}": {"order": value} for place, value in enumerate(values)}

    trial = {
        "vip-0": orders(0.5, 0.6),
        "vip-1": orders(0.7, 0.8),
        "tcn-0": orders(0.6, 0.9),
        "lite0": orders(0.3, 0.5),
    }
    lines = differences({"trial": trial, "trained": dict.fromkeys(("vip-0", "vip-1", "tcn-0"))})
    # gaps of 0 and -0.2: mean -0.1, standard error 0.1, t of one degree of freedom 12.71
    assert lines[0] == (
        "vip vs tcn: order -0.10 (95 % CI -1.37 to +1.17, 2 tasks, mean of 2 seeds)"
    )
    assert [line.split(":")[0] for line in lines] == [
        "vip vs tcn",
        "vip vs lite0",
        "tcn vs lite0",
    ]


def test_each_level_of_nuisances_has_tables_and_differences_of_its_own() -> None:
    def row(order: float, weight: float, level: int) -> dict[str, Any]:
        return {"order": order, "auc": {"value": 1.0}, "weight": weight, "level": level}

    def rows(shift: float) -> dict[str, Any]:
        return {
            "push": row(0.5 + shift, 0.8, 0),
            "door": row(0.6 + shift, 0.6, 0),
            "push-2": row(0.3 + shift, 0.4, 2),
            "door-2": row(0.2 + shift, 0.5, 2),
        }

    trial = {"tcn-0": rows(0.1), "tcn-0-without-augment": rows(0.0), "pixels": rows(-0.1)}
    numbers = {"trial": trial, "trained": dict.fromkeys(("tcn-0", "tcn-0-without-augment"))}
    text = printed(print_trial, numbers)
    assert "nuisance 0: value-order correlation" in text
    assert "nuisance 2: weight on successes" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["tcn-0", "0.30", "0.40", "0.35"] in lines
    assert differences(numbers)[:2] == [
        "nuisance 0, tcn vs tcn-without-augment: order +0.10 (95 % CI +0.10 to +0.10, 2 tasks)",
        "nuisance 0, tcn vs pixels: order +0.20 (95 % CI +0.20 to +0.20, 2 tasks)",
    ]
    weights = "nuisance 2, tcn vs pixels: weight +0.00 (95 % CI +0.00 to +0.00, 2 tasks)"
    assert weights in differences(numbers)
