from pathlib import Path

import pytest

from vip_offline.dataset.tables.dialect import dialect_of, is_prose, split_line


@pytest.mark.parametrize(
    ("lines", "separator", "names", "names_line", "first"),
    [
        (["t,x", "0,1"], ",", ["t", "x"], 1, 2),
        (["t;x", "0,5;1,5"], ";", ["t", "x"], 1, 2),
        (["0,5 1,5", "0,6 1,6"], " ", ["c0", "c1"], 0, 1),
        (["1,5\t2,5"], "\t", ["c0", "c1"], 0, 1),
        (["", "t|x", "s|m", "", "0|1"], "|", ["t", "x"], 2, 5),
        (["% t x", "0 1"], " ", ["t", "x"], 1, 2),
        (["sep=;", "t;x", "0;1"], ";", ["t", "x"], 2, 3),
        (["2026-01-01 12:00:00,1", "2026-01-01 12:00:01,2"], ",", ["c0", "c1"], 0, 1),
        (["x", "1", "2"], ",", ["x"], 1, 2),
    ],
)
def test_where_what_stands(
    lines: list[str], separator: str, names: list[str], names_line: int, first: int
) -> None:
    layout = dialect_of(Path("log.csv"), lines)
    assert (layout.separator, layout.names) == (separator, names)
    assert (layout.names_line, layout.first) == (names_line, first)


def test_cells_of_a_line() -> None:
    assert split_line('a,"b, c",d\n', ",") == ["a", "b, c", "d"]
    assert split_line('  "a"   b\t c ', " ") == ["a", "b", "c"]


def test_words_are_no_table() -> None:
    assert is_prose(["It went well.", "", "The gripper slipped."])
    assert not is_prose(["t x", "0 1"])
    assert not is_prose(["# by me", "0.5", "0.6"])
