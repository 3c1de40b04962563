"""Ranked episodes, one row each."""

from typing import TYPE_CHECKING

from rich.table import Table

from vip_offline.report.terminal.analysis import number

if TYPE_CHECKING:
    from vip_offline.analysis.curation.ranking import Ranked
    from vip_offline.analysis.curation.results import Curation

HEADINGS = ("episode", "choice", "way covered", "why", "outcome", "frames")


def choice_in_words(episode: "Ranked") -> str:
    """Keep or drop, with a question mark near the limit."""
    return ("keep" if episode.keep else "drop") + ("?" if episode.borderline else "")


def episode_cells(curation: "Curation", episode: "Ranked") -> tuple[str, ...]:
    """Cells of one episode below `HEADINGS`; reasons stand on lines of their own."""
    view = curation.analysis.episodes[episode.episode]
    return (
        str(episode.episode),
        choice_in_words(episode),
        number(episode.covered),
        "\n".join(episode.reasons[1:]),
        "succeeded" if view.success else "failed",
        str(view.frames),
    )


def curation_table(curation: "Curation") -> Table:
    """Return a table of the episodes, the best first, with the reasons below each other."""
    table = Table(*HEADINGS, box=None)
    for episode in curation.ranked:
        table.add_row(*episode_cells(curation, episode))
    return table
