"""Data sets that are known, for a person and as JSON."""

import shlex
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from vip_offline.dataset.catalog.card import Card
from vip_offline.utils.console import WIDTH, Console


def describe_card(card: Card) -> dict[str, Any]:
    """Return everything that `print_card` shows, ready for JSON."""
    fetch = card.fetch
    how = [card.filled(part) for part in fetch.command]
    return {
        "name": card.name,
        "title": card.title,
        "here": card.state,
        "origin": card.origin,
        "licence": card.licence,
        "licence_note": card.licence_note,
        "size": card.size,
        "episodes": card.episodes,
        "pictures": card.pictures,
        "contents": card.contents,
        "shapes": dict(card.shapes),
        "url": fetch.url,
        "sha256": fetch.sha256,
        "command": shlex.join(how),
        "environment": {key: card.filled(value) for key, value in fetch.environment.items()},
        "by_hand": [card.filled(step) for step in fetch.steps],
        "source": str(card.source) if card.source else "",
        "store": str(card.store),
        "import": shlex.join(card.filled(part) for part in card.command),
        "notes": list(card.notes),
    }


def print_cards(cards: Iterable[Card], console: Console) -> None:
    """Print a line per data set: how large, under which licence, and whether it is here."""
    table = Table(box=None, pad_edge=False, width=min(WIDTH, console.width))
    for heading in ("data set", "episodes", "pictures", "size", "licence", "here"):
        right = heading == "episodes"
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for card in cards:
        state = "yes" if card.state == "store" else card.state
        table.add_row(card.name, card.episodes, card.pictures, card.size, card.licence, state)
    console.print(table, highlight=False)


def print_card(description: dict[str, Any], console: Console) -> None:
    """Print one card, with the commands that fetch and import it."""
    console.print(description["title"], style="bold", highlight=False)
    licence = description["licence"]
    if description["licence_note"]:
        licence = f"{licence}. {description['licence_note']}"
    how = f"vip-offline datasets {description['name']} --fetch"
    rows = {
        "origin": description["origin"],
        "licence": licence,
        "size": description["size"],
        "contents": description["contents"],
        "here": description["here"],
        "fetch": how if not description["by_hand"] else "by hand, see below",
        "by": description["url"] or description["command"],
        "sha256": description["sha256"],
        "import": description["import"],
    }
    for key, value in rows.items():
        if value:
            console.print(f"{key + ':':<10}{value}", highlight=False, soft_wrap=True)
    console.print("shapes:", highlight=False)
    for column, shape in description["shapes"].items():
        console.print(f"  {column}: {shape}", highlight=False)
    for note in description["notes"]:
        console.print(f"note: {note}", highlight=False)
    for number, step in enumerate(description["by_hand"], 1):
        console.print(f"{number}. {step}", highlight=False, soft_wrap=True)
