from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vip_offline.dataset.tables.cells import comma_meaning, is_value, parse_cells

NAN = float("nan")
NOON = 1767268800.0  # 2026-01-01 12:00 UTC


def parsed(*cells: str | None, decimal: str = "") -> Any:
    return parse_cells(pa.array(list(cells), pa.string()), decimal)


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (("1", " 2 ", "-3"), [1, 2, -3]),
        (("1E-3", "+2.5", ".5", "5."), [0.001, 2.5, 0.5, 5]),
        (("1.5", "", None, "NA", "#N/A", "null"), [1.5, NAN, NAN, NAN, NAN, NAN]),
        (("1.5", "1.#QNAN", "-nan(ind)", "-1.#IND"), [1.5, NAN, NAN, NAN]),
        (("inf", "-Infinity", "1.#INF", "-1.#INF"), [np.inf, -np.inf, np.inf, -np.inf]),
        (("1,5", "-0,25", "3", "1,5E3"), [1.5, -0.25, 3, 1500]),
        (("1.234,5", "2,5"), [1234.5, 2.5]),
        (("1,234.5", "2,345"), [1234.5, 2345]),
        (("1,234,567", "2"), [1234567, 2]),
        (("0,123", "0,456"), [0.123, 0.456]),
        (("12 345,5", "1"), [12345.5, 1]),
        (("1'234.5", "2'000"), [1234.5, 2000]),
        (("1.0D-03", "2.0D+00"), [0.001, 2]),
        (("0x1F", "0xff"), [31, 255]),
        (("True", "FALSE"), [True, False]),
        (("yes", "no"), [True, False]),
        (("WAHR", "FALSCH"), [True, False]),
        (("True", "", "False"), [1, NAN, 0]),
        (("[0.1, -0.2]", "[0.3, 0.4]"), [[0.1, -0.2], [0.3, 0.4]]),
        (("[0.1 -0.2]", "[1.  0.4]"), [[0.1, -0.2], [1, 0.4]]),
        (("(1, 2)", "(3, 4)"), [[1, 2], [3, 4]]),
        (("array([1, 2])", "array([3., 4.])"), [[1, 2], [3, 4]]),
        (("[[1, 2], [3, 4]]",), [[[1, 2], [3, 4]]]),
        (("[0.1 nan]", ""), [[0.1, NAN], [NAN, NAN]]),
        (("2026-01-01T12:00:00Z", "2026-01-01T12:00:00.5Z"), [NOON, NOON + 0.5]),
        (("2026-01-01 13:00:00+01:00", "2026-01-01 12:00:01+0000"), [NOON, NOON + 1]),
        (("2026-01-01 12:00:00,250", "2026-01-01 12:00:00"), [NOON + 0.25, NOON]),
        (("2026/01/01 12:00:00 UTC",), [NOON]),
        (("01.01.2026 12:00:00,5",), [NOON + 0.5]),
        (("12:34:56.789", "12:34:57"), [45296.789, 45297]),
        (("23:59:59", "00:00:01"), [86399, 86401]),
    ],
)
def test_cells_that_are_values(cells: tuple[str], values: list[Any]) -> None:
    read = parsed(*cells).values
    np.testing.assert_allclose(read, values, rtol=1e-15)
    assert read.dtype == np.asarray(values).dtype or read.dtype.kind == "f" or cells[0] == "0x1F"
    assert all(is_value(cell or "") for cell in cells if cell not in ("yes", "no"))


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (("reach", "grasp"), "words"),
        (("", "NA", None), "empty"),
        (("[1, 2]", "[1, 2, 3]"), r"arrays of several shapes ((2,) and (3,))"),
        (("[a1, b]", "[c2, d]"), "brackets that hold no numbers, such as '[a1, b]'"),
        (("01/02/2026 10:00:00",), "dates such as '01/02/2026 10:00:00', day or month first"),
        (("2026-13-01", "2026-01-01"), "dates that are none"),
        (("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"), "times with and without a zone"),
        (("1,234", "5,678"), "ambiguous"),
        (("1.5 N", "2 N"), "numbers with a unit behind, such as '1.5 N'"),
    ],
)
def test_cells_that_are_none(cells: tuple[str], reason: str) -> None:
    read = parsed(*cells)
    assert read.values is None and read.reason.startswith(reason)


def test_a_word_among_numbers_is_named_by_its_row() -> None:
    read = parsed("1", "", "abc", "2")
    assert (read.bad_row, read.bad_cell) == (2, "abc")


def test_other_columns_say_what_commas_and_dots_are() -> None:
    assert parsed("1,234", decimal="decimal").values == [1.234]
    assert parsed("1,234", decimal="thousands").values == [1234]
    assert parsed("1.234", decimal="decimal").reason == "ambiguous"
    assert parsed("1.5", "3", decimal="decimal").values.tolist() == [1.5, 3]


def test_stamps_in_nanoseconds_keep_every_digit() -> None:
    assert parsed("1764000000000000001").values.tolist() == [1764000000000000001]


def test_what_was_guessed_is_said() -> None:
    assert parsed("1,5").note == "decimal commas"
    assert "taken for UTC" in parsed("2026-01-01").note
    assert parsed("yes", "no").note == "no, yes read as true or false"
    assert parsed("True").note == ""


@pytest.mark.parametrize(
    ("cell", "meaning"),
    [("1,5", "decimal"), ("1,234.5", "thousands"), ("1,234", "either"), ("1.5", ""), ("a,b", "")],
)
def test_meanings_of_a_comma(cell: str, meaning: str) -> None:
    assert comma_meaning(pa.array([cell, None])) == meaning
