"""What was made of what, and whether that is still true: a table of 80 columns."""

from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text


def provenance_table(rows: Iterable[Mapping[str, str]]) -> Table:
    """Return a table with one row per derived artefact.

    Args:
        rows: with the keys ``what``, ``source``, ``settings``, ``still``.
    """
    table = Table(box=None, pad_edge=False, width=80)
    for key, heading in HEADINGS.items():
        # names are the user's: Text keeps their [brackets] from being taken for markup
        table.add_column(heading, overflow="fold", ratio=COLUMN_WIDTHS[key])
    for row in rows:
        table.add_row(*(Text(row[key]) for key in HEADINGS))
    return table


HEADINGS = {
    "what": "made",
    "source": "from",
    "settings": "settings",
    "still": "still true",
}
COLUMN_WIDTHS = {"what": 5, "source": 4, "settings": 5, "still": 5}
