import io
from typing import Any

import pytest
from made_up_comparison import make_comparison
from rich.cells import cell_len

from vip_offline.analysis.closed_loop.comparison import summarise_comparison
from vip_offline.report.terminal.comparison import multiplicity, print_comparison, span
from vip_offline.utils.console import Console


def printed(summary: dict[str, Any], width: int = 200) -> str:
    file = io.StringIO()
    print_comparison(summary, Console(file=file, width=width, no_color=True))
    return file.getvalue()


def row(text: str, name: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [name])


@pytest.mark.parametrize(("seeds", "placements"), [(5, 10), (1, 1), (2, 2)])
def test_nothing_is_wider_than_80_columns(seeds: int, placements: int) -> None:
    text = printed(summarise_comparison(make_comparison(seeds=seeds, placements=placements)))
    assert max(cell_len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text  # nothing is cut off either


def test_long_names_are_folded_rather_than_cut() -> None:
    long = "rwr-by-the-return-of-an-encoder-with-a-very-long-name-indeed"
    text = printed(summarise_comparison(make_comparison({"bc": 0.2, long: 0.9})))
    assert max(cell_len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert "+70 *" in text


def test_numbers_and_the_star() -> None:
    text = printed(summarise_comparison(make_comparison()))
    assert row(text, "bc")[1] == "30"
    assert row(text, "rwr-return")[1] == "90"
    assert "+60 *" in " ".join(row(text, "rwr-return"))
    assert "*" not in row(text, "rwr-step")
    assert "* the 95 % CI of the difference to bc excludes 0" in text


def test_the_answer_is_above_the_table_and_verdicts_below_it() -> None:
    summary = summarise_comparison(make_comparison())
    flat = " ".join(printed(summary).split())
    assert flat.index(summary["answer"]) < flat.index("excludes 0")
    for sentence in summary["verdicts"]:
        assert f"- {sentence}" in flat
    assert multiplicity(summary) in flat
    assert "Computed by unknown on unknown. Another backend or processor" in flat
    assert "8 questions were asked" in flat
    assert "(15 pairs of variants in all)" in flat
    assert "about 0.4 of 8 would still seem to differ" in flat


def test_names_are_not_taken_for_markup() -> None:
    text = printed(summarise_comparison(make_comparison({"bc": 0.2, "[red]hot": 0.4})))
    assert row(text, "[red]hot")[1] == "40"
    assert "[red]hot and bc are not significantly different" in text


def test_no_interval_is_a_dash() -> None:
    assert span(None, None) == "-"
    assert span(-0.2, 0.14) == "−20 to +14"
    assert span(0.2, 0.64, sign=False) == "20 to 64"
