"""Tables that list the episodes, one row each, with labels such as success."""

import csv
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from vip_offline.dataset.importers.base.success import SUCCESS_NAMES
from vip_offline.dataset.importers.folders import pairing
from vip_offline.dataset.tables.cells import SENTENCES
from vip_offline.dataset.tables.file_listing import VIDEO_SUFFIXES
from vip_offline.utils.regular_files import require_regular

LISTED_COLUMNS = (*SUCCESS_NAMES, *SENTENCES)  # columns that are taken
SUFFIXES = (".csv", ".tsv", ".txt")


def listed(table: Path, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Episode -> column -> cell, of a table in which one column names videos or folders.

    Args:
        table: beside them; every row of it names another one.
        names: of the videos, without a suffix, and of the folders.

    Returns:
        Empty unless it is such a list. Names are `pairing.plain`.
    """
    if table.suffix.lower() not in SUFFIXES:
        return {}
    known = {pairing.plain(name) for name in names}
    with require_regular(table).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline()
        separator = max(",;\t", key=header.count)
        file.seek(0)
        rows = []
        try:
            for row in csv.DictReader(file, delimiter=separator):
                rows.append({k: v for k, v in row.items() if isinstance(k, str) and v})
                if len(rows) > 2 * len(known) or not known & {*map(_name, rows[-1].values())}:
                    return {}
        except csv.Error:
            return {}
    for column in rows[0] if rows else ():
        cells = [_name(row.get(column, "")) for row in rows]
        if len(rows) > 1 and len({*cells}) == len(cells) and sum(c in known for c in cells) > 1:
            return {
                cell: {k: v for k, v in row.items() if k.strip().lower() in LISTED_COLUMNS}
                for cell, row in zip(cells, rows, strict=True)
            }
    return {}


def _name(cell: str) -> str:
    """``videos/Ep_00.mp4`` -> ``ep_0``."""
    path = PurePosixPath(cell.strip().replace("\\", "/"))
    return pairing.plain(path.stem if path.suffix.lower() in VIDEO_SUFFIXES else path.name)
