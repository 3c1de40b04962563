import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vip_offline.dataset.tables.json_tables import read_json_lines, read_json_table
from vip_offline.errors import VipOfflineError

NAN = float("nan")
FORMS: dict[str, tuple[Any, dict[str, Any], dict[str, Any], dict[str, str]]] = {
    "rows": (
        [{"t": 0, "p": {"x": 1, "y": [1, 2]}}, {"t": 0.5, "p": {"y": [3, 4]}}],
        {"t": [0, 0.5], "p.x": [1, NAN], "p.y": [[1, 2], [3, 4]]},
        {},
        {},
    ),
    "columns": (
        {"t": [0, 1], "a": [[1, 2], [3, None]], "task": "pick", "success": True},
        {"t": [0, 1], "a": [[1, 2], [3, NAN]]},
        {"task": "pick", "success": True},
        {},
    ),
    "values": ({"success": False, "rate": 30.5}, {}, {"success": False, "rate": 30.5}, {}),
    "lists": ([[1, 2], [3, 4]], {"values": [[1, 2], [3, 4]]}, {}, {}),
    "pandas": ({"t": {"0": 1, "1": 2}}, {"t": [1, 2]}, {}, {}),
    "pandas split": (
        {"columns": ["t", "x"], "index": [0, 1], "data": [[0, 5], [1, 6]]},
        {"t": [0, 1], "x": [5, 6]},
        {},
        {},
    ),
    "rows within": (
        {"task": "pick", "steps": [{"a": 1}, {"a": 2}]},
        {"steps.a": [1, 2]},
        {"task": "pick"},
        {},
    ),
    "numbers as text": ({"x": [1, "NaN", "2.5"]}, {"x": [1, NAN, 2.5]}, {}, {}),
    "truths": ({"ok": [True, None]}, {"ok": [1, NAN]}, {}, {}),
    "ragged": ({"a": [[1], [2, 3]]}, {}, {}, {"a": "lists of several lengths ((1,) and (2,))"}),
    "words": ({"a": ["x", "y"]}, {}, {}, {"a": "words"}),
    "objects": ({"a": [[{"q": 1}]]}, {}, {}, {"a": "lists that hold more than numbers"}),
    "null": ({"a": None, "b": [], "c": [None]}, {}, {}, {"a": "null", "b": "empty", "c": "empty"}),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_json(tmp_path: Path, name: str) -> None:
    content, columns, values, left_out = FORMS[name]
    (tmp_path / "x.json").write_text(json.dumps(content), encoding="utf-8-sig")
    read = read_json_table(tmp_path / "x.json").finished()
    assert list(read.columns) == list(columns)
    for column, expected in columns.items():
        np.testing.assert_array_equal(read.columns[column], expected)
    assert (read.values, read.left_out) == (values, left_out)


def test_one_object_per_line(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"t":0,"x":1}\n\n{"t":1}\n')
    read = read_json_lines(tmp_path / "x.jsonl").finished()
    np.testing.assert_array_equal(read.columns["x"], [1, NAN])
    assert read.notes == ["column 'x': no number in line 3 (1 in all); NaN there"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [1], "a": [2]}', "the key 'a' stands twice"),
        ('{"a": [1', "is no JSON"),
        ("[]", "holds nothing"),
        ('{"a": [1, "x", 2]}', "row 1, column 'a': 'x' is no number"),
    ],
)
def test_json_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(VipOfflineError, match=message):
        read_json_table(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"t": 0}\n{"t": 1\n', "line 2: is no JSON"),
        ("[1]\n", "line 1: is '.1.', no object"),
        ("\n", "holds no rows"),
    ],
)
def test_lines_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(VipOfflineError, match=message):
        read_json_lines(tmp_path / "x.jsonl")
