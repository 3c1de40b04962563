"""Ranked episodes, one row each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from vip_offline.analysis.curation.ranking import Ranked


def curation_table(ranked: "Sequence[Ranked]") -> Table:
    """Return a table of the episodes, the best first, with the reasons below each other."""
    table = Table("episode", "way covered", "choice", "why")
    for episode in ranked:
        verdict = "keep" if episode.keep else "drop"
        verdict += "?" if episode.borderline else ""
        table.add_row(
            str(episode.episode), f"{episode.covered:.2f}", verdict, "\n".join(episode.reasons[1:])
        )
    return table
