from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vip_offline.dataset.tables.columns import Table, as_bools

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([True, False]), [True, False]),
        (np.array([0, 1]), [False, True]),
        (np.array([[0.0], [1.0]]), [False, True]),
        (["true", "False"], [True, False]),
        (np.array([b"yes", b"no"]), [True, False]),
        (["success", " FAILURE "], [True, False]),
        (["1", "0"], [True, False]),
        ([True, "false"], [True, False]),
        ("succeeded", [True]),
        (1, [True]),
        (np.array([0, 2]), None),
        (np.array([1, NAN]), None),
        (["perhaps", "no"], None),
        (np.eye(2), None),
        (np.array(["2026-01-01"], "M8[s]"), None),
    ],
)
def test_successes_in_any_form(values: Any, expected: list[bool] | None) -> None:
    read = as_bools(values)
    assert expected is None if read is None else read.tolist() == expected


@pytest.mark.parametrize("names", [("x", "x", "x"), ("x", "x", "x.2"), ("x.2", "x", "x")])
def test_columns_of_one_name_are_all_kept(names: tuple[str, ...]) -> None:
    builder = Table(Path("log"))
    for value, name in enumerate(names):
        builder.add_array(name, np.array([value]))
    read = builder.finished()
    assert sorted(column[0] for column in read.columns.values()) == [0, 1, 2]
    assert any("more than one column is called" in note for note in read.notes)


def test_a_note_counts_the_rows_without_a_number() -> None:
    builder = Table(Path("log"))
    builder.add_column("x", np.array([[1, NAN], [1, 2], [NAN, NAN], [NAN, 1], [NAN, 2]]))
    (note,) = builder.finished().notes
    assert note == "column 'x': no number in row 0, row 2, row 3, ... (4 in all); NaN there"


def test_whole_numbers_are_floats_unless_that_loses_digits() -> None:
    builder = Table(Path("log"))
    builder.add_objects("x", [0, 1])
    builder.add_objects("stamp", [1764000000000000000, 1764000000000000001])
    columns = builder.finished().columns
    assert columns["x"].dtype == np.float64
    assert columns["stamp"].tolist() == [1764000000000000000, 1764000000000000001]
