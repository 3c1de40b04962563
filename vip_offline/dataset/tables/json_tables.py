"""Reads JSON tables: rows as objects or columns as lists, and episode-level values."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vip_offline.dataset.tables.columns import Table, row_of
from vip_offline.errors import VipOfflineError


def read_json_table(path: Path) -> Table:
    """Read a list of row objects, an object of columns or of values, or lists of numbers.

    Raises:
        VipOfflineError: if it is no JSON, or holds no table.
    """
    table = Table(path)
    content = _parse(path, path.read_text(encoding="utf-8-sig"), 0)
    if isinstance(content, dict) and {"columns", "data"} <= set(content) <= _SPLIT:
        names = [str(name) for name in content["columns"]]  # as pandas writes orient="split"
        content = [dict(zip(names, row, strict=False)) for row in content["data"]]
    if content in ([], {}):
        raise VipOfflineError(f"{path}: holds nothing. Write a list of rows, or leave it out.")
    if isinstance(content, list):
        if all(isinstance(row, dict) for row in content):
            _add_rows(table, "", content)
        else:
            table.add_objects("values", content)
    elif isinstance(content, dict):
        _add_object(table, "", content)
    else:
        table.values["value"] = content
    return table


_SPLIT = {"columns", "data", "index"}


def read_json_lines(path: Path) -> Table:
    """Read one row object per line.

    Raises:
        VipOfflineError: on a line that is no object, by its number.
    """
    table = Table(path)
    rows, numbers = [], []
    lines = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _parse(path, line, number)
        if not isinstance(row, dict):
            raise VipOfflineError(
                f"{path}, line {number}: is {line[:40]!r}, no object. Write one object per row."
            )
        rows.append(row)
        numbers.append(number)
    if not rows:
        raise VipOfflineError(f"{path}: holds no rows. Write one object per row.")
    _add_rows(table, "", rows, numbers)
    return table


def _parse(path: Path, text: str, line: int) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"the key {twice!r} stands twice in one object")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        where = f"{path}, line {line}" if line else f"{path}"
        raise VipOfflineError(f"{where}: is no JSON that can be read ({error}).") from error


def _flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as one, with names joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _add_rows(
    table: Table, prefix: str, rows: list[dict[str, Any]], numbers: Sequence[int] = ()
) -> None:
    flat = [_flat(row, prefix) for row in rows]

    def where(row: int) -> str:
        return f"line {numbers[row]}" if numbers else row_of(row)

    for name in dict.fromkeys(name for row in flat for name in row):
        table.add_objects(name, [row.get(name) for row in flat], where)


def _add_object(table: Table, prefix: str, content: dict[str, Any]) -> None:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            indices = [str(index) for index in range(len(value))]
            if value and list(value) == indices:  # a column as pandas writes it
                table.add_objects(name, list(value.values()))
            else:
                _add_object(table, f"{name}.", value)
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            _add_rows(table, f"{name}.", value)
        elif isinstance(value, list):
            if value:
                table.add_objects(name, value)
            else:
                table.left_out[name] = "empty"
        elif value is None:
            table.left_out[name] = "null"
        else:
            table.values[name] = value
