import io
from typing import Any

from made_up_held_out import ARMS, make_held_out, make_offline, make_steps

from vip_offline.analysis.offline.validity import Validity
from vip_offline.report.terminal.offline import (
    dimension_lines,
    novelty_lines,
    number_lines,
    picked_lines,
    print_offline,
)
from vip_offline.utils.console import Console


def made(seeds: int = 3, failures: int = 1, names: tuple[str, ...] = ARMS) -> dict[str, Any]:
    offline = make_offline(names, seeds, make_steps(2, failures))
    return {"baseline": names[0], "offline": offline}


def printed(summary: dict[str, Any]) -> str:
    output = io.StringIO()
    print_offline(summary, Console(file=output, width=80))
    return output.getvalue()


def test_every_number_of_every_variant_in_eighty_columns() -> None:
    summary = made()
    text = printed(summary)
    assert max(map(len, text.splitlines())) <= 80
    for name, *cells in number_lines(summary)[1]:
        line = next(line for line in text.splitlines() if line.split()[:1] == [name])
        assert line.split() == [name, *cells]
    assert "favours bc by construction" in " ".join(text.split())
    assert "2 successes and 1 failures held out, 27 steps" in text


def test_one_seed_and_no_failure_are_said() -> None:
    text = " ".join(printed(made(seeds=1, failures=0)).split())
    assert "One seed was run, so no agreement between seeds can be said" in text
    assert "2 successes and 0 failures are held out" in text
    assert "--hold-out-failures" in text
    *_, contrast, spread = number_lines(made(seeds=1, failures=0))[1][0]
    assert (contrast, spread) == ("-", "-")


def test_of_many_dimensions_those_with_the_largest_error_are_shown() -> None:
    summary = made()
    offline = summary["offline"]
    offline["dimensions"] = [f"joint-{place}" for place in range(9)]
    for arm in offline["numbers"].values():
        arm["dimensions"] = [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5]
    headings, _ = dimension_lines(summary, 2)
    assert list(headings) == ["variant", "joint-1", "joint-3"]
    assert len(dimension_lines(summary)[0]) == 10
    assert "6 of 9 dimensions" in printed(summary)


def test_novelty_per_episode() -> None:
    summary = made()
    row = summary["offline"]["novelty"][0]
    row |= {"median": 0.5, "largest": 2.0, "beyond": 0.25, "success": False}
    assert novelty_lines(summary)[1][0] == ("3", "failure", "0.500", "2.000", "25%")


def test_how_often_a_number_was_right() -> None:
    row = Validity("contrast", 6, 120, 0.3, -0.1, 0.6, 0.61, 0.48, 0.72)
    unknown = Validity("error", 0, 0, None, None, None, None, None, None)
    assert picked_lines([row, unknown])[1] == [
        ("fail/succ", "+0.30", "-0.10 to +0.60", "61%", "48 to 72%", "120 in 6"),
        ("error", "-", "-", "-", "-", "0 in 0"),
    ]


def test_names_are_text() -> None:
    assert "[bold]x[/bold]" in printed(made(names=("bc", "[bold]x[/bold]")))


def test_the_page_has_them_too() -> None:
    _, summary = make_held_out()
    assert list(summary["offline"]["numbers"]) == list(ARMS)
