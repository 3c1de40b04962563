import itertools

import numpy as np

from vip_offline.report.terminal.look import COLUMNS, ROWS, curve_lines


def test_a_falling_line_in_braille() -> None:
    lines = curve_lines(np.linspace(3, 0, 50), 4.9, "utf-8")
    assert max(map(len, lines)) <= 80
    rows = [line.partition("|")[2] for line in lines[:-1]]
    assert len(rows) == ROWS and {len(row) for row in rows} == {COLUMNS}
    drawn = [[column for column, char in enumerate(row) if char != "\u2800"] for row in rows]
    assert drawn[0][0] == 0 and drawn[-1][-1] == COLUMNS - 1
    assert all(a[-1] <= b[0] + 1 for a, b in itertools.pairwise(drawn))
    assert {column for row in drawn for column in row} == {*range(COLUMNS)}  # without a gap
    assert lines[0].startswith("       3 |") and lines[-2].startswith("       0 |")
    assert lines[-1].split() == ["0", "s", "4.9", "s"]


def test_where_braille_is_not_known_it_is_ascii() -> None:
    lines = curve_lines([2, 1, 0], 1, "ascii")
    assert "".join(lines).isascii()
    assert lines[0].partition("|")[2][0] == "'" and lines[-2][-1] == "."


def test_a_step_is_a_line_without_a_gap() -> None:
    lines = curve_lines([1] * 300 + [0], 10, "utf-8")
    assert all(line.strip()[-1] not in "|\u2800" for line in lines[:-1])


def test_a_curve_of_zeros_lies_on_the_floor() -> None:
    lines = curve_lines([0, 0], 1, "utf-8")
    assert "\u2800" not in lines[-2].partition("|")[2]
